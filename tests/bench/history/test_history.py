"""A history of runs with planted truths: what is judged, what is not, and what cannot be joined."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assay.bench.cli.main import app
from assay.bench.history.page import sections_of, spoken, write_history
from assay.bench.history.read import read_all
from assay.bench.history.record import History, RunSeries
from assay.bench.history.series import series_of
from assay.errors import ArtifactError, InputError
from tests.bench.fleet.planted import NATIVE, ONNX, Machine, kind, rewritten

OLD, NEW = {"torch": "2.13.0", "onnxruntime": "1.30.0"}, {"torch": "2.13.0", "onnxruntime": "1.32.0"}
HERE = kind("small")


def run(
    folder: Path, number: int, slower: float = 1.0, packages: dict[str, str] = OLD, machine: Machine | None = None
) -> Path:
    """A run of one day, on which ONNX Runtime takes so many times as long as on the first."""
    made = machine or Machine(HERE, "m", by_label={ONNX: slower})
    written = made.write(folder / f"run-{number}", number)
    told = json.loads((written / "results.json").read_text())["environment"] | {"packages": packages}
    return rewritten(written, environment=told, created=f"2026-11-{number + 1:02}T09:00:00+00:00")


def history_of(folders: list[Path], over: str = "") -> History:
    releases, turns = read_all(folders)
    runs = [one.told for one in releases]
    series = series_of(releases, over)
    return History(created="2026-11-28T09:00:00+00:00", assay_version="0", runs=runs, series=series, turns=turns)


def of(history: History, label: str, kind_of_series: str = "latency") -> RunSeries:
    return next(one for one in history.series if one.label == label and one.kind == kind_of_series)


def test_two_runs_have_a_change_with_its_versions_and_no_trend(tmp_path: Path) -> None:
    found = history_of([run(tmp_path, 1, 0.7, NEW), run(tmp_path, 0)])
    assert [one.folder for one in found.runs] == ["run-0", "run-1"], (
        "the oldest first, in whatever order they are given"
    )
    mine, other = of(found, ONNX), of(found, "ort.cpu@tf2onnx")
    assert (mine.over, len(mine.points), mine.changes) == ("torch.eager", 2, [])
    (step,) = mine.steps
    assert (step.before, step.after, step.verdict) == (0, 1, "faster")
    assert step.change.low < 0.7 < step.change.high
    assert step.packages == {"onnxruntime": ("1.30.0", "1.32.0")}
    assert other.steps[0].verdict != "faster"
    assert "No series has 8 runs" in spoken(found)[0]


def test_ratios_on_another_kind_of_machine_are_shown_and_not_judged(tmp_path: Path) -> None:
    elsewhere = Machine(kind("large"), "l", 0.5, {ONNX: 0.3})
    found = history_of([run(tmp_path, 0), run(tmp_path, 1, machine=elsewhere)])
    (step,) = of(found, ONNX).steps
    assert step.verdict == "not judged"
    assert step.change.value == pytest.approx(0.3, rel=0.1)


def test_ten_runs_show_where_a_change_is_and_eight_are_too_few_for_three_series(tmp_path: Path) -> None:
    """The least p-value of eight runs is 1/35, and Holm's correction multiplies it by the number of series."""
    folders = [run(tmp_path, n, 1.0 if n < 5 else 0.5, OLD if n < 5 else NEW) for n in range(10)]
    found = history_of(folders)
    (cut,) = of(found, ONNX).changes
    assert cut.run == 5
    assert cut.p_value == pytest.approx(3 * 2 / math.comb(10, 5), abs=0.01)
    assert cut.after / cut.before == pytest.approx(0.5, rel=0.05)
    assert spoken(found)[0] == "3 series of 8 runs or more: 1 change point."
    fewer = history_of(folders[1:9])
    assert of(fewer, ONNX).changes == []
    assert "from 9 runs on" in spoken(fewer)[0]


def test_the_denominator_can_be_named(tmp_path: Path) -> None:
    folders = [run(tmp_path, 0), run(tmp_path, 1)]
    found = history_of(folders, NATIVE)
    assert {one.over for one in found.series if one.kind == "latency"} == {NATIVE}
    with pytest.raises(InputError, match=r"--over jax.jit"):
        history_of(folders, "jax.jit")


def test_accuracies_of_one_recipe_are_a_series_and_a_copy_counts_once(tmp_path: Path) -> None:
    folders = [run(tmp_path, 0), run(tmp_path, 1)]
    trainings = json.loads((folders[1] / "results.json").read_text())["trainings"]
    again = [one | {"weights": f"again-{one['weights']}"} for one in trainings]
    rewritten(run(tmp_path, 2), trainings=again)
    found = history_of([*folders, tmp_path / "run-2"])
    mine = [one for one in found.series if one.kind == "accuracy"]
    assert mine
    assert all(list(one.points) == [0, 2] for one in mine), "the second run has the weights of the first"
    assert {step.verdict for one in mine for step in one.steps} == {"undecided"}


def test_bad_input_is_refused_in_words(tmp_path: Path) -> None:
    first = run(tmp_path, 0)
    with pytest.raises(InputError, match="One run has no history"):
        read_all([first])
    with pytest.raises(InputError, match="are the same run"):
        read_all([first, first])
    with pytest.raises(ArtifactError, match="There is no"):
        read_all([first, tmp_path / "nothing"])
    (tmp_path / "other.json").write_text('{"verdict": 1}')
    with pytest.raises(ArtifactError, match="not a comparison"):
        read_all([first, tmp_path / "other.json"])
    (first / "samples.parquet").unlink()
    with pytest.raises(ArtifactError, match=r"samples\.parquet"):
        read_all([first, run(tmp_path, 1)])


@pytest.mark.slow
def test_the_published_studies_give_what_the_page_says() -> None:
    root = Path(__file__).parents[3]
    folders = [root / "artifacts" / "reference", root / "artifacts" / "reference" / "quick"]
    page = (root / "docs" / "how-to" / "history.md").read_text(encoding="utf-8")
    said = spoken(history_of(folders))
    assert len(said) == 3
    assert [line for line in said if line not in page] == []


@pytest.mark.slow
def test_the_command_writes_a_page_with_runs_and_versions_in_turns(tmp_path: Path) -> None:
    turns = {
        "base": "old.txt", "new": "new.txt", "interleaved": True, "threshold": 0.05,
        "versions": {"onnxruntime": ["1.30.0", "1.32.0"]},
        "changes": [{"name": "bloodnet/28/b1/t1/ort.cpu", "verdict": "faster",
                     "ratio": {"value": 0.9, "low": 0.88, "high": 0.92}, "base_ms": 1.0, "new_ms": 0.9}],
    }  # fmt: skip
    file = tmp_path / "turns.json"
    file.write_text(json.dumps(turns))
    folders = [str(run(tmp_path, 0)), str(run(tmp_path, 1, 0.7, NEW))]
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["history", *folders, str(file), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "No series has 8 runs" in done.output
    found = History.model_validate_json((out / "history.json").read_text())
    assert (len(found.runs), len(found.turns)) == (2, 1)
    page, text = ((out / f"report.{kind_of_file}").read_text() for kind_of_file in ("html", "md"))
    for wanted in ("onnxruntime 1.30.0 to 1.32.0", "Versions in turns", "history.json"):
        assert wanted in page
    assert "0.90" in text
    assert (out / "figures" / "latency.svg").is_file()
    assert [section.identifier for section in sections_of(found)] == ["verdict", "turns", "latency", "accuracy", "runs"]
    assert write_history(found, tmp_path / "again")[0].name == "history.json"
