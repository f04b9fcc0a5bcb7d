"""The self-check: its rules on known numbers, its verdicts by simulation, and the real thing on this machine."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import polars
import pytest

from assay.alone import FOLDER_VARIABLE
from assay.bench.judging.verdicts import judge
from assay.bench.selfcheck.ruler import (
    MISTAKEN,
    attribution_check,
    floor_check,
    found_check,
    frozen_check,
    least_told,
    mistaken_check,
    timer_checks,
    told_check,
)
from assay.bench.selfcheck.selfcheck import (
    CANDIDATES,
    DESIGN,
    IDENTICAL,
    NULL,
    PAIRS,
    REFERENCE,
    SPEC,
    Trial,
    _grouping,
    check_device,
    comparisons_with,
    run_selfcheck,
    store_selfcheck,
    stored_selfcheck,
)
from assay.bench.statistics.stats import Ratio
from assay.bench.timing.trials import Group
from assay.bench.words.selfcheck import measured, required
from assay.errors import InputError
from assay.files.columns import SAMPLE_COLUMNS
from assay.infer.runtimes.calibrated import KERNEL_NS, OVERHEAD_NS
from assay.records.base import Interval
from assay.records.results import read_results
from assay.records.selfcheck import SELFCHECK_FILE, PlantedComparisons, SelfCheck
from assay.spec import Settings
from tests.bench.cli.test_cli import assay

CHECKS = [
    "timer resolution", "timer overhead", "harness floor", "attribution error", "identical judged different",
    "slowdown of 10% found", "told with 3 processes",
]  # fmt: skip


@pytest.fixture(autouse=True)
def a_machine_of_which_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "runtime"))


def silent(text: str) -> None:
    """A progress that goes nowhere."""


def planted(share: float, verdicts: list[str]) -> PlantedComparisons:
    ratio = Interval(value=1 + share, low=0.99 + share, high=1.01 + share)
    count = len(verdicts)
    return PlantedComparisons.model_validate(
        {"planted": share, "ratios": [ratio] * count, "verdicts": verdicts, "processes": [5] * count}
    )


def test_few_false_alarms_pass_and_many_do_not() -> None:
    """27 comparisons without an error are enough by Wald's limits; three errors at the beginning are too many."""
    assert mistaken_check(planted(0, ["same"] * 27)).passed
    assert not mistaken_check(planted(0, ["same"] * 26)).passed, "not decided"
    many = mistaken_check(planted(0, ["slower", "faster", "slower"] + ["undecided"] * 57))
    assert not many.passed
    assert many.found == 0.05
    assert mistaken_check(planted(0, ["slower"] + ["same"] * 37)).passed


def test_slowdowns_that_are_found_pass_and_missed_ones_do_not() -> None:
    assert found_check(planted(0.1, ["slower"] * 13)).passed
    assert not found_check(planted(0.1, ["undecided"] * 2 + ["slower"])).passed
    assert not found_check(planted(0.1, ["faster"] * 20)).passed, "the wrong direction is not found"


def test_an_undecided_check_does_not_pass_and_says_so() -> None:
    check = found_check(planted(0.1, ["slower"] * 7))
    assert (check.found, check.passed) == (1.0, False)
    assert "not decided within the time" in check.remark
    assert mistaken_check(planted(0, [])).found is None
    assert "passes 95%" in mistaken_check(planted(0, ["same"] * 30)).remark


@pytest.mark.parametrize(("rate", "passes"), [(0.05, 0.95), (0.1, 0.43), (0.15, 0.05)])
def test_the_check_errs_as_rarely_as_it_says(rate: float, passes: float) -> None:
    """In simulation it passes 95 % of instruments that are wrong in 5 % of cases, and 5 % of those wrong in 15 %."""
    random = np.random.default_rng(int(rate * 100))
    answers = [MISTAKEN.answer(bool(one) for one in random.random(2000) < rate) for _ in range(2000)]
    assert "open" not in answers
    assert answers.count("good") / 2000 == pytest.approx(passes, abs=0.035)


def test_the_stated_detectable_slowdown_is_the_real_one() -> None:
    """If ratios scatter by 2 %, slowdowns of the stated size are found four times out of five."""
    random = np.random.default_rng(0)
    logs = random.normal(0, 0.02, 400)
    for processes in (3, 5, 10):
        slowdown = least_told(logs.tolist(), processes)
        made = random.normal(math.log1p(slowdown), 0.02, (1000, processes))
        errors = made.std(axis=1, ddof=1) / math.sqrt(processes)
        ratios = [
            Ratio(float(mean), float(error), processes - 1, processes, 4)
            for mean, error in zip(made.mean(axis=1), errors, strict=True)
        ]
        found = np.mean([judge([ratio]) == ["slower"] for ratio in ratios])
        assert found == pytest.approx(0.8, abs=0.06)
    assert told_check({3: 0.06, 5: 0.03}, 3).passed
    assert "3.0% with 5" in told_check({3: 0.06, 5: 0.03}, 3).remark
    assert not told_check({3: 0.12}, 3).passed
    assert told_check({}, 3).found is None


def test_the_floor_and_the_attribution_have_limits() -> None:
    assert floor_check(4.9, 6.0).passed
    assert not floor_check(5.1, 6.0).passed
    assert not floor_check(None, None).passed
    overhead, whole = OVERHEAD_NS / 1000, (OVERHEAD_NS + KERNEL_NS) / 1000
    assert attribution_check(whole, overhead).found == pytest.approx(0, abs=1e-12)
    assert attribution_check(whole * 1.01, overhead * 1.04).passed
    assert not attribution_check(whole, overhead * 1.06).passed
    assert not attribution_check(whole * 1.06, overhead).passed, "the kernel counts as well"
    assert not attribution_check(None, overhead).passed


def test_each_limit_is_met_by_itself() -> None:
    assert [floor_check(most, 6.0).passed for most in (5.0, 5.001)] == [True, False]
    assert [told_check({3: most}, 3).passed for most in (0.1, 0.1001)] == [True, False]
    assert (floor_check(1.0, 6.0).required, told_check({3: 0.1}, 3).required) == (5.0, 0.1)
    assert "6.00 µs at the host boundary" in floor_check(1.0, 6.0).remark


def test_frozen_processes_may_cost_a_hundredth() -> None:
    """Medians of three processes each, beside none, one, four and eight frozen ones."""
    alone = [10.0, 11.0, 12.0]
    good = frozen_check({0: alone, 1: alone, 4: [one * 0.999 for one in alone], 8: [one * 1.0099 for one in alone]})
    assert (good.passed, good.found, good.required) == (True, pytest.approx(0.0099), 0.01)
    assert good.remark.endswith("+0.99% (+0.99% to +0.99%) beside 8")
    assert not frozen_check({0: alone, 1: alone, 4: [one * 1.011 for one in alone], 8: alone}).passed
    assert frozen_check({0: alone, 1: [one * 0.9 for one in alone]}).found == 0.0
    for beside in ([], alone[:2]):
        missing = frozen_check({0: alone, 1: alone, 4: alone, 8: beside})
        assert (missing.passed, missing.found, missing.remark) == (False, None, "not measured within the time")


def test_a_check_of_a_gpu_is_apart_from_that_of_the_processor(hasty: SelfCheck, tmp_path: Path) -> None:
    found = run_selfcheck(0, silent, device="cuda")
    assert [check.name for check in found.checks] == [*CHECKS[:4], "slower beside frozen processes", *CHECKS[4:]]
    assert found.machine.items() - hasty.machine.items() == {("device", "cuda"), ("gpus", "[]")}
    store_selfcheck(found, tmp_path)
    assert stored_selfcheck(tmp_path) is None
    store_selfcheck(hasty, tmp_path)
    assert stored_selfcheck(tmp_path) == hasty
    assert stored_selfcheck(tmp_path, device="cuda") == found


def test_a_device_that_is_not_here_is_refused() -> None:
    assert check_device("cpu") == 4.8
    with pytest.raises(InputError, match="asks for a GPU"):
        check_device("cuda")
    with pytest.raises(InputError, match="cpu or cuda"):
        check_device("tpu")


def test_a_check_says_what_it_asks_for_and_what_came_out() -> None:
    """At least 75 % of slowdowns have to be found, and at most 15 % of identical pairs may be judged different."""
    found = found_check(planted(0.1, ["slower"] * 3 + ["undecided"]))
    assert (found.bound, found.required, found.found) == ("at least", 0.75, 0.75)
    assert found.remark.startswith("3 of 4; measured +10.0% (+10.0% to +10.0%), to within 0.9%; not decided")
    assert "it takes 13 comparisons without an error" in found.remark
    mistaken = mistaken_check(planted(0.0, ["same", "faster", "slower", "undecided"]))
    assert (mistaken.bound, mistaken.required, mistaken.found) == ("at most", 0.15, 0.5)
    assert mistaken.remark.startswith("2 of 4; measured +0.0% (+0.0% to +0.0%), to within 1.0%")


def test_the_attribution_is_judged_by_the_larger_of_its_two_errors() -> None:
    overhead, kernel = OVERHEAD_NS / 1000, KERNEL_NS / 1000
    assert attribution_check(1.04 * overhead + kernel, 1.04 * overhead).found == pytest.approx(0.04)
    assert attribution_check(overhead + 0.97 * kernel, overhead).found == pytest.approx(0.03)
    assert attribution_check(1.02 * overhead + 0.95 * kernel, 1.02 * overhead).found == pytest.approx(0.05)
    remark = attribution_check(overhead + kernel, overhead).remark
    assert remark.startswith(f"overhead {overhead:.1f} µs of {overhead:.0f}, kernel {kernel:.1f} µs of {kernel:.0f}")


def test_the_timer_is_measured() -> None:
    resolution, cost = timer_checks()
    assert resolution.found is not None
    assert resolution.found >= 1, "whole nanoseconds"
    assert cost.found is not None
    assert measured(resolution).endswith(" ns")
    assert required(resolution) == "at most 1,000 ns"


@pytest.fixture(scope="module")
def hasty() -> SelfCheck:
    """A self-check without any time."""
    return run_selfcheck(0, silent)


def test_without_time_it_fails_and_names_the_missing_checks(hasty: SelfCheck) -> None:
    assert [check.name for check in hasty.checks] == CHECKS
    assert not hasty.passed
    assert all("not decided within the time" in check.remark for check in hasty.checks[-3:-1])
    assert "too few" in hasty.checks[-1].remark
    assert [check.found for check in hasty.checks[2:]] == [None] * 5


def test_a_runtime_warmed_when_time_ran_out_was_not_timed() -> None:
    """Samples that contain only a warm-up, as a busy machine leaves them."""
    settings = Settings(threads=1, cores=(0,))
    trial = Trial(Group("floor/28/t1", (REFERENCE, NULL), (1,), settings, Path("images.npy")))
    warm = [(trial.group.cell_name(1, one.label), 0, -1, 0, "warm-up", 1000, 0) for one in (REFERENCE, NULL)]
    trial.parts.append(polars.DataFrame(warm, schema=SAMPLE_COLUMNS, orient="row"))
    assert trial.median_us(NULL) is None
    assert trial.ratio(NULL) is None


@pytest.mark.slow
def test_the_real_thing(tmp_path: Path) -> None:
    """One real trial, as in a study: with real processes the measured slowdowns are close to the planted ones."""
    images = tmp_path / "images.npy"
    np.save(images, np.zeros((4, *SPEC.image_shape), np.float32))
    trial = Trial(_grouping(images)("comparison", CANDIDATES))
    for _ in range(DESIGN.processes):
        trial.add_process(tmp_path, time.monotonic() + 600, DESIGN.blocks, silent)
    same, three, ten = (comparisons_with([trial], share) for share in PAIRS)
    assert [len(one.ratios) for one in (same, three, ten)] == [3, 1, 1]
    assert {*same.processes, *three.processes, *ten.processes} == {DESIGN.processes}
    assert all(one.value == pytest.approx(1, abs=0.05) for one in same.ratios)
    assert 0.98 < three.ratios[0].value < 1.08
    assert 1.05 < ten.ratios[0].value < 1.15
    assert [len(trial.logs(*pair)) for pair in IDENTICAL] == [DESIGN.processes] * 3


def test_a_record_of_before_is_read() -> None:
    """Its processes were added one by one, so it has no design and no detectable difference."""
    published = Path(__file__).parents[3] / "artifacts/reference/results.json"
    today = read_results(published).selfcheck
    assert today is not None
    before = today.model_dump(mode="json", exclude={"design", "told"})
    found = SelfCheck.model_validate_json(json.dumps(before))
    assert (found.design, found.told) == (None, {})


def test_a_record_speaks_for_its_own_machine_and_versions_only(hasty: SelfCheck, tmp_path: Path) -> None:
    other = hasty.model_copy(update={"machine": hasty.machine | {"processor": "another"}})
    store_selfcheck(other, tmp_path)
    assert stored_selfcheck(tmp_path) is None
    store_selfcheck(hasty, tmp_path)
    assert stored_selfcheck(tmp_path) == hasty


@pytest.mark.parametrize("content", ["", "{", "[]", '{"created": 1}'])
def test_an_unreadable_record_is_none(content: str, tmp_path: Path) -> None:
    assert stored_selfcheck(tmp_path) is None
    (tmp_path / SELFCHECK_FILE).write_text(content)
    assert stored_selfcheck(tmp_path) is None


def test_the_command_prints_one_document_and_exits_1_when_it_failed(tmp_path: Path) -> None:
    done = assay("selfcheck", "--minutes", "0.1", "--json", "--out", str(tmp_path))
    assert done.returncode == 1, done.stderr
    found = SelfCheck.model_validate(json.loads(done.stdout))
    assert not found.passed
    assert SelfCheck.model_validate_json((tmp_path / SELFCHECK_FILE).read_bytes()) == found


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = assay("selfcheck", "--minutes", "0.1", "--out", str(tmp_path / "file"))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "--out" in done.stderr
