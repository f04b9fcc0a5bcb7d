"""The self-check: its rules on known numbers, its verdicts by simulation, and the real thing on this machine."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import polars
import pytest

from assay.records import Interval, Verdict
from assay.results import SAMPLE_COLUMNS
from assay.selfcheck import SELFCHECK_FILE, PlantedComparisons, SelfCheck
from assay.spec import Settings
from bench.ruler import attribution_check, floor_check, found_check, mistaken_check, timer_checks
from bench.selfcheck import (
    LEAST_PROCESSES,
    NULL,
    PRECISION,
    REFERENCE,
    Trial,
    run_selfcheck,
    store_selfcheck,
    stored_selfcheck,
    width_of,
)
from bench.selfcheck_table import measured, required
from bench.stats import Ratio
from bench.trials import Group
from bench.verdicts import judge
from infer.calibrated import KERNEL_NS, OVERHEAD_NS
from tests.bench.test_cli import assay

CHECKS = [
    "timer resolution", "timer overhead", "harness floor", "attribution error", "identical judged different",
    "slowdown of 3% found", "slowdown of 10% found",
]  # fmt: skip


def silent(text: str) -> None:
    """Nobody listens."""


def planted(share: float, verdicts: list[str]) -> PlantedComparisons:
    ratio = Interval(value=1 + share, low=0.99 + share, high=1.01 + share)
    count = len(verdicts)
    return PlantedComparisons.model_validate(
        {"planted": share, "ratios": [ratio] * count, "verdicts": verdicts, "processes": [5] * count}
    )


def test_one_false_alarm_of_twenty_passes_and_two_do_not() -> None:
    one, two = planted(0, ["slower"] + ["same"] * 19), planted(0, ["slower", "faster"] + ["undecided"] * 18)
    assert mistaken_check(one, 20).passed
    assert not mistaken_check(two, 20).passed
    assert mistaken_check(two, 20).found == 0.1


def test_nineteen_of_twenty_found_pass_and_eighteen_do_not() -> None:
    assert found_check(planted(0.03, ["slower"] * 19 + ["undecided"]), 20).passed
    assert not found_check(planted(0.03, ["slower"] * 18 + ["undecided", "same"]), 20).passed
    assert not found_check(planted(0.03, ["faster"] * 20), 20).passed, "the wrong direction is not found"


def test_fewer_comparisons_than_wanted_do_not_pass() -> None:
    check = found_check(planted(0.1, ["slower"] * 7), 20)
    assert (check.found, check.passed) == (1.0, False)
    assert "only 7 of 20" in check.remark
    assert mistaken_check(planted(0, []), 20).found is None


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


def test_the_timer_is_measured() -> None:
    resolution, cost = timer_checks()
    assert resolution.found is not None
    assert resolution.found >= 1, "whole nanoseconds"
    assert cost.found is not None
    assert measured(resolution).endswith(" ns")
    assert required(resolution) == "at most 1,000 ns"


def simulated(random: np.random.Generator, spread: float, most: int) -> list[Verdict]:
    """One comparison's verdicts on identical, 3 % and 10 %, with processes added by the rule of a study."""
    own = random.normal(0, spread / math.sqrt(2), (4, most))
    logs = own[1:] - own[0] + np.log([[1.0], [1.03], [1.1]])
    ratios: list[Ratio] = []
    for count in range(LEAST_PROCESSES, most + 1):
        part = logs[:, :count]
        errors = part.std(axis=1, ddof=1) / math.sqrt(count)
        ratios = [
            Ratio(float(mean), float(error), count - 1, count, 4 * count)
            for mean, error in zip(part.mean(axis=1), errors, strict=True)
        ]
        if max(map(width_of, ratios)) <= PRECISION:
            break
    return judge(ratios)


@pytest.mark.parametrize(("spread", "most"), [(0.004, 5), (0.007, 6), (0.014, 8)])
def test_how_often_the_verdicts_are_right(spread: float, most: int) -> None:
    """With the spread that real processes have, and as many as fit the time, the rates are those required.

    1000 comparisons tell a rate of 2 %, the true one at the widest spread, to 0.45 %: the required 5 % is more than
    four of these deviations away, although sampling stops by what was seen so far.
    """
    random = np.random.default_rng(int(spread * 1e4))
    found = [simulated(random, spread, most) for _ in range(1000)]
    assert np.mean([same in {"faster", "slower"} for same, _, _ in found]) <= 0.05
    assert np.mean([three == "slower" for _, three, _ in found]) >= 0.95
    assert np.mean([ten == "slower" for _, _, ten in found]) >= 0.99


@pytest.fixture(scope="module")
def hasty() -> SelfCheck:
    """A self-check that had no time."""
    return run_selfcheck(0, silent)


def test_without_time_it_fails_and_says_what_is_missing(hasty: SelfCheck) -> None:
    assert [check.name for check in hasty.checks] == CHECKS
    assert not hasty.passed
    assert all("only 0 of 20" in check.remark for check in hasty.checks[-3:])
    assert [check.found for check in hasty.checks[2:]] == [None] * 5


def test_a_runtime_warmed_when_time_ran_out_was_not_timed() -> None:
    """Samples with nothing but a warm-up, as a busy machine leaves them."""
    settings = Settings(threads=1, cores=(0,))
    trial = Trial(Group("floor/28/t1", (REFERENCE, NULL), (1,), settings, Path("images.npy")))
    warm = [(trial.group.cell_name(1, one.label), 0, -1, 0, "warm-up", 1000, 0) for one in (REFERENCE, NULL)]
    trial.parts.append(polars.DataFrame(warm, schema=SAMPLE_COLUMNS, orient="row"))
    assert trial.median_us(NULL) is None
    assert trial.ratio(NULL) is None


@pytest.mark.slow
def test_the_real_thing(tmp_path: Path) -> None:
    """One real comparison of each kind: with real processes the planted slowdowns come out near what was planted."""
    found = run_selfcheck(600, silent, comparisons=1)
    assert [check.name for check in found.checks] == CHECKS
    assert all(check.found is not None for check in found.checks)
    identical, three, ten = (one.ratios[0].value for one in found.comparisons)
    assert identical == pytest.approx(1, abs=0.05)
    assert 0.98 < three < 1.08
    assert 1.05 < ten < 1.15
    assert all(one.processes[0] >= LEAST_PROCESSES for one in found.comparisons)
    store_selfcheck(found, tmp_path)
    assert stored_selfcheck(tmp_path) == found


def test_a_record_speaks_for_its_own_machine_and_versions_only(hasty: SelfCheck, tmp_path: Path) -> None:
    store_selfcheck(hasty, tmp_path)
    assert stored_selfcheck(tmp_path) == hasty
    other = hasty.model_copy(update={"machine": hasty.machine | {"processor": "another"}})
    store_selfcheck(other, tmp_path)
    assert stored_selfcheck(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"created": 1}'])
def test_a_record_that_cannot_be_read_is_none(content: str, tmp_path: Path) -> None:
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
