"""Comparisons: planted changes are found, identical runs pass, and runs that cannot be compared are refused
with words.
"""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import polars
import pytest

from assay.bench.comparing.compare import DIFFERENCES, Side, compare_runs, unpaired_ratio
from assay.bench.comparing.files import read_side, write_junit, write_markdown
from assay.bench.judging.summary import by_cell, timing
from assay.bench.statistics.stats import Samples
from assay.errors import InputError
from assay.files.columns import SAMPLE_COLUMNS
from assay.records.results import Cell, Results
from tests.bench.cli.test_cli import one_line_error
from tests.bench.report.sample_results import sample_results
from tests.command import command

PROCESSES, BLOCKS, CALLS = 8, 4, 6
PROCESS_SPREAD, CALL_SPREAD = 0.014, 0.02


def small_results() -> Results:
    """One model, one size, one batch."""
    return sample_results(sizes=(28,), batches=(1,), architectures=("bloodnet",))


def samples_of(results: Results, seed: int, factors: dict[str, float] | None = None) -> polars.DataFrame:
    """Samples of independent processes around the record's medians, multiplied by a factor for some labels."""
    random = np.random.default_rng(seed)
    rows: list[tuple[str, int, int, int, str, int, int]] = []
    for cell in results.cells:
        if cell.host is None:
            continue
        truth = cell.host.median_ms.value * (factors or {}).get(cell.label, 1.0) * 1e6
        for process in range(PROCESSES):
            own = truth * np.exp(random.normal(0, PROCESS_SPREAD))
            for block in range(BLOCKS):
                times = own * np.exp(random.normal(0, CALL_SPREAD, CALLS))
                rows += [
                    (cell.name, process, block, call, "host", int(time), int(time)) for call, time in enumerate(times)
                ]
    return polars.DataFrame(rows, schema=SAMPLE_COLUMNS, orient="row")


def side(results: Results, seed: int, factors: dict[str, float] | None = None) -> Side:
    """A run whose medians are those of its samples."""
    timed = by_cell(samples_of(results, seed, factors))
    cells = [
        cell.model_copy(update={"host": timing(timed[cell.name]["host"])}) if cell.host else cell
        for cell in results.cells
    ]
    return Side(f"run {seed}", results.model_copy(update={"cells": cells}), timed)


def changed(results: Results, label: str, **fields: object) -> Results:
    """The results with one cell changed."""
    cells = [cell.model_copy(update=fields) if cell.label == label else cell for cell in results.cells]
    return results.model_copy(update={"cells": cells})


def test_a_planted_slowdown_is_a_regression_and_a_speedup_is_not() -> None:
    results = small_results()
    planted = {"torch.eager": 1.15, "jax.jit": 0.8}
    outcome = compare_runs(side(results, 1), side(results, 2, planted))
    found = {change.name.rpartition("/")[2]: change for change in outcome.changes}
    assert [change.name.rpartition("/")[2] for change in outcome.regressions] == ["torch.eager"]
    assert found["torch.eager"].verdict == "slower"
    assert found["jax.jit"].verdict == "faster"
    ratio = found["torch.eager"].ratio
    assert ratio is not None
    assert ratio.low < 1.15 < ratio.high


def test_a_slowdown_within_the_threshold_is_not_a_regression() -> None:
    results = small_results()
    base, new = side(results, 1), side(results, 2, {"torch.eager": 1.15})
    assert compare_runs(base, new, threshold=0.25).passed


@pytest.mark.slow
def test_identical_runs_are_seldom_judged_different() -> None:
    """In 60 comparisons of 15 cells, at 5 % for each family, more than 8 false alarms have a chance of 0.3 %."""
    results = small_results()
    wrong = sum(
        any(change.verdict in {"faster", "slower"} for change in outcome.changes)
        for outcome in (compare_runs(side(results, 2 * n), side(results, 2 * n + 1), threshold=0) for n in range(60))
    )
    assert wrong <= 8


def test_welch_on_logarithms_covers_the_truth() -> None:
    """Of 400 intervals of 95 %, with unequal spreads and counts, 362 to 397 contain the truth except for a chance of 1
    in 1000.
    """
    random = np.random.default_rng(5)

    def samples(centre: float, spread: float, processes: int) -> Samples:
        own = centre * np.exp(random.normal(0, spread, processes))
        place = np.repeat(np.arange(processes), 4)
        return Samples(place, np.tile(np.arange(4), processes), own[place])

    covered = 0
    for _ in range(400):
        interval = unpaired_ratio(samples(3.0, 0.03, 4), samples(2.0, 0.01, 9)).interval
        covered += interval.low <= 1.5 <= interval.high
    assert 362 <= covered <= 397


def test_a_cell_that_broke_is_a_regression_and_one_that_was_not_reached_is_not() -> None:
    results = small_results()
    base, new = side(results, 1), side(results, 2)
    gone = {"host": None, "device": None}
    broken = changed(new.results, "torch.eager", status="failed", reason="it crashed", **gone)
    outcome = compare_runs(base, Side("new", changed(broken, "jax.jit", status="skipped", **gone), new.timed))
    found = {change.name.rpartition("/")[2]: change for change in outcome.changes}
    assert found["torch.eager"].verdict == "broken"
    assert found["torch.eager"].regression
    assert "it crashed" in found["torch.eager"].reason
    assert found["jax.jit"].verdict == "not judged"
    assert not found["jax.jit"].regression


def test_a_wrong_output_is_broken_however_fast() -> None:
    results = small_results()
    base, new = side(results, 1), side(results, 2, {"torch.eager": 0.1})
    cell = next(cell for cell in new.results.cells if cell.label == "torch.eager")
    assert cell.agreement is not None
    wrong = changed(new.results, "torch.eager", agreement=cell.agreement.model_copy(update={"passed": False}))
    outcome = compare_runs(base, Side("new", wrong, new.timed))
    assert [change.verdict for change in outcome.regressions] == ["broken"]


def in_every_cell(results: Results, **fields: object) -> Results:
    return results.model_copy(update={"cells": [cell.model_copy(update=fields) for cell in results.cells]})


def with_threads(results: Results, threads: int) -> Results:
    def moved(cell: Cell) -> Cell:
        return cell.model_copy(update={"threads": threads, "name": cell.name.replace("/t1/", f"/t{threads}/")})

    return results.model_copy(update={"cells": [moved(cell) for cell in results.cells]})


def otherwise(difference: str) -> Results:
    """The small results with one difference that is refused."""
    results = small_results()
    return {
        "threads": with_threads(results, 2),
        "device": in_every_cell(results, device_kind="cuda"),
        "precision": in_every_cell(results, precision="bf16"),
        "data": results.model_copy(update={"data": results.data.model_copy(update={"content_hash": "0" * 64})}),
        "weights": in_every_cell(results, weights="f" * 64),
        "machine": results.model_copy(update={"environment": {**results.environment, "processor": "another"}}),
    }[difference]


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_what_makes_times_incomparable_is_refused_unless_it_is_the_question(difference: str) -> None:
    base, new = side(small_results(), 1), side(otherwise(difference), 2)
    with pytest.raises(InputError, match=f"--allow {difference}"):
        compare_runs(base, new)
    outcome = compare_runs(base, new, allowed=[difference])
    assert any(line.startswith(difference) for line in outcome.allowed)
    assert any(change.ratio for change in outcome.changes)


FINGERPRINT = {"name": "AMD EPYC Processor", "family": "25", "model": "1", "stepping": "1", "flags": "a" * 16}


def on_machine(results: Results, **fields: str) -> Results:
    told = {"processor": "AMD EPYC Processor", "fingerprint": FINGERPRINT | fields}
    return results.model_copy(update={"environment": results.environment | told})


def test_one_masked_name_of_two_processors_is_two_machines() -> None:
    base = side(on_machine(small_results()), 1)
    with pytest.raises(InputError, match="--allow machine") as refused:
        compare_runs(base, side(on_machine(small_results(), stepping="2"), 2))
    assert "stepping 1" in str(refused.value)
    assert "stepping 2" in str(refused.value)
    same = compare_runs(base, side(on_machine(small_results()), 2))
    assert not same.machine_unsure


def test_a_machine_that_is_known_by_its_name_alone_is_said() -> None:
    older = small_results()
    told = {"processor": "AMD EPYC Processor", "features": []}
    older = older.model_copy(update={"environment": told})
    outcome = compare_runs(side(older, 1), side(on_machine(small_results()), 2))
    assert outcome.machine_unsure.startswith("base tells only the name of the machine, AMD EPYC Processor")


def test_an_unknown_difference_and_no_common_cell_are_refused() -> None:
    base = side(small_results(), 1)
    with pytest.raises(InputError, match="--allow"):
        compare_runs(base, base, allowed=["weather"])
    other = sample_results(sizes=(64,), batches=(1,), architectures=("resnet18",))
    with pytest.raises(InputError, match="no cell in common"):
        compare_runs(base, side(other, 2), allowed=DIFFERENCES)


def test_cells_of_one_side_alone_are_named() -> None:
    results = small_results()
    fewer = results.model_copy(update={"cells": [cell for cell in results.cells if cell.label != "jax.jit"]})
    assert [name.rpartition("/")[2] for name in compare_runs(side(results, 1), side(fewer, 2)).only_in_base] == [
        "jax.jit"
    ]


def stored(folder: Path, seed: int, factors: dict[str, float] | None = None) -> Path:
    """A run's folder."""
    folder.mkdir()
    results = small_results()
    (folder / "results.json").write_text(side(results, seed, factors).results.model_dump_json())
    samples_of(results, seed, factors).write_parquet(folder / "samples.parquet")
    return folder


def test_the_command_exits_with_one_on_a_regression_and_writes_for_people_and_ci(tmp_path: Path) -> None:
    base, new = stored(tmp_path / "base", 1), stored(tmp_path / "new", 2, {"torch.eager": 1.4})
    files = ("--markdown", str(tmp_path / "pr.md"), "--junit", str(tmp_path / "ci.xml"))
    done = command("compare", str(base), str(new), "--json", *files)
    assert done.returncode == 1, done.stderr
    regressed = [change["name"] for change in json.loads(done.stdout)["changes"] if change["regression"]]
    assert regressed == ["bloodnet/28/b1/t1/torch.eager"]
    suite = ElementTree.parse(tmp_path / "ci.xml").getroot().find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")
    assert suite.get("tests") == str(len(cases))
    assert suite.get("failures") == "1"
    assert [case.get("name") for case in cases if case.find("failure") is not None] == ["torch.eager"]
    text = (tmp_path / "pr.md").read_text()
    assert text.startswith("### Regression: 1 cell slower by more than 5.0 %")
    assert text.index("torch.eager") < text.index("<details>")
    same = command("compare", str(base / "results.json"), str(base))
    assert same.returncode == 0, same.stderr
    assert "No regression" in same.stdout


def test_a_folder_that_is_not_a_run_is_one_message(tmp_path: Path) -> None:
    base = stored(tmp_path / "base", 1)
    one_line_error(command("compare", str(base), str(tmp_path)), 2, "results.json")
    bad = stored(tmp_path / "bad", 2)
    (bad / "samples.parquet").write_bytes(b"PAR1 and no more")
    one_line_error(command("compare", str(base), str(bad)), 2, "samples.parquet", "cannot be read")
    (bad / "samples.parquet").unlink()
    one_line_error(command("compare", str(base), str(bad)), 2, "no samples.parquet")
    (bad / "results.json").write_text('{"schema_version": 99}')
    one_line_error(command("compare", str(base), str(bad)), 2, "unknown version", "found 99")
    one_line_error(command("compare", str(base), str(base), "--allow", "weather"), 2, "--allow", "weather")


def test_wrong_usage_is_usage(tmp_path: Path) -> None:
    for arguments in (("one",), ("a", "b", "c"), ("--env", "a", "study.toml"), ("--env", "a", "--env", "b", "c", "d")):
        done = command("compare", *arguments, folder=tmp_path)
        one_line_error(done, 2, "assay compare")


def test_a_sample_table_without_its_columns_is_refused(tmp_path: Path) -> None:
    run = stored(tmp_path / "run", 1)
    polars.DataFrame({"cell": ["a"]}).write_parquet(run / "samples.parquet")
    with pytest.raises(InputError, match="no column"):
        read_side(run)


def test_files_are_whole_for_an_outcome_where_nothing_was_judged(tmp_path: Path) -> None:
    results = small_results()
    nothing = in_every_cell(results, status="skipped", host=None, device=None)
    outcome = compare_runs(Side("a", nothing, {}), Side("b", nothing, {}))
    write_markdown(outcome, tmp_path / "pr.md")
    write_junit(outcome, tmp_path / "ci.xml")
    suite = ElementTree.parse(tmp_path / "ci.xml").getroot().find("testsuite")
    assert suite is not None
    assert suite.get("skipped") == suite.get("tests") == str(len(outcome.changes))
    text = (tmp_path / "pr.md").read_text()
    assert text.startswith("### Nothing was compared")
    assert "0 of them the same" in text
    assert not outcome.passed
