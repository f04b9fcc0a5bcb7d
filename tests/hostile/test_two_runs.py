"""Two commands in one folder: the second is refused at once, and readers see either the old content or the new."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import polars
import pytest

from assay.bench.cli.main import app
from assay.bench.report.study_report import report_of
from assay.bench.stages.results import write_results
from assay.bench.timing.measurements import Measurements
from assay.errors import ArtifactError, InputError
from assay.files.columns import BURST_COLUMNS, SAMPLE_COLUMNS
from assay.files.locks import replacing, working_in
from assay.records.results import read_results
from assay.records.selfcheck import SELFCHECK_FILE
from assay.store import MANIFEST, Store, read_artifact, write_artifact
from tests.bench.cli.test_cli import assay
from tests.bench.report.sample_results import sample_results
from tests.small_study import small_study

STUDY = small_study("busy", epochs=1.0)
COMMANDS = {
    "run": ["run", "busy.toml"],
    "train": ["train", "busy.toml"],
    "export": ["export", "busy.toml"],
    "bench": ["bench", "busy.toml"],
    "attribute": ["attribute", "busy.toml"],
    "audit": ["audit", "busy.toml"],
    "audit of files": ["audit", "--reference", "a.onnx", "--candidate", "b.onnx"],
    "compare-model": ["compare-model", "a.onnx"],
    "compare --env": ["compare", "--env", sys.prefix, "--env", sys.prefix, "busy.toml"],
    "choose": ["choose", "artifacts/finished"],
    "report": ["report", "artifacts/finished"],
    "deploy": ["deploy", "artifacts/busy", "--out", "served"],
    "deploy from a busy study": ["deploy", "artifacts/busy", "--out", "elsewhere"],
    "roll back": ["deploy", "--rollback", "served"],
    "selfcheck": ["selfcheck"],
}
FOLDERS = ("busy", "audit-b", "model-a", "finished", "finished/report")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study file, a finished study, and two files that are not models."""
    place = tmp_path_factory.mktemp("two runs")
    (place / "busy.toml").write_text(STUDY)
    for name in ("a.onnx", "b.onnx"):
        (place / name).write_bytes(b"never opened")
    reference = Path(__file__).parents[2] / "artifacts" / "reference"
    finished = place / "artifacts" / "finished"
    finished.mkdir(parents=True)
    for name in ("results.json", "audit.json"):
        shutil.copy(reference / name, finished)
    return place


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_writes_is_refused_where_another_works(
    name: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    artifacts = place / "artifacts"
    with ExitStack() as others:
        for folder in FOLDERS:
            others.enter_context(working_in(artifacts / folder))
        others.enter_context(replacing(place / "served"))
        others.enter_context(replacing(artifacts / SELFCHECK_FILE))
        before = everything(place)
        with pytest.raises(InputError, match="is in use") as caught:
            app(COMMANDS[name], standalone_mode=False)
        assert everything(place) == before
    assert caught.value.exit_code == 2
    assert "found process" in str(caught.value)


def everything(place: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}


def test_the_second_process_ends_with_one_line_that_names_the_first(place: Path) -> None:
    with working_in(place / "artifacts" / "busy"):
        done = assay("run", "busy.toml", folder=place)
    assert done.returncode == 2
    assert done.stderr.startswith("assay: artifacts/busy is in use: expected one command at a time")
    assert done.stderr.count("\n") == 1


def test_a_folder_that_is_replaced_is_never_absent_and_never_half(tmp_path: Path) -> None:
    folder = tmp_path / "artifact"

    def write(number: int) -> None:
        def fill(work: Path) -> dict[str, int]:
            np.save(work / "array.npy", np.full(1000, number))
            return {"number": number}

        write_artifact(folder, "thing", {"number": number}, made_by={}, fill=fill)  # type: ignore[arg-type]

    write(0)
    done = threading.Event()
    absent: list[str] = []

    def look() -> None:
        while not done.is_set():
            absent.extend(name for name in ("array.npy", MANIFEST) if not (folder / name).is_file())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for number in range(1, 60):
            write(number)
    finally:
        done.set()
        looking.join()
    assert absent == []
    assert read_artifact(folder, "thing").manifest.facts == {"number": 59}
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_what_two_studies_share_is_made_once(tmp_path: Path) -> None:
    made: list[int] = []

    def fill(work: Path) -> dict[str, int]:
        made.append(1)
        (work / "file").write_text("content")
        return {}

    def make() -> None:
        Store(tmp_path, shared=True).kept("dataset", {}, fill, name="data", single=True)

    makers = [threading.Thread(target=make) for _ in range(4)]
    for one in makers:
        one.start()
    for one in makers:
        one.join()
    assert made == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def measured(cell: str) -> Measurements:
    samples = polars.DataFrame([(cell, 0, 0, 0, "host", 1, 1)], schema=SAMPLE_COLUMNS, orient="row")
    return Measurements(samples, polars.DataFrame(schema=BURST_COLUMNS), [], {}, {}, 0.0)


def test_a_report_is_never_made_of_the_results_of_one_run_and_the_samples_of_another(tmp_path: Path) -> None:
    results = sample_results()
    write_results(results, measured("first"), tmp_path)
    earlier = read_results(tmp_path / "results.json")
    assert set(earlier.tables) == {"samples.parquet", "bursts.parquet"}
    write_results(results, measured("second"), tmp_path)
    with pytest.raises(ArtifactError, match="from different runs"):
        report_of(tmp_path, earlier, tmp_path / "report")
    assert not (tmp_path / "report").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bursts.parquet", "results.json", "samples.parquet"]


KILLED = """
import os, signal, sys
from pathlib import Path
from assay import store
real = Path.replace
def killed(self, target):
    os.kill(os.getpid(), signal.SIGKILL)
Path.replace = killed if sys.argv[2] == "file" else real
if sys.argv[2] == "folder":
    store.put_in_place = lambda work, folder: os.kill(os.getpid(), signal.SIGKILL)
def fill(work):
    (work / "file").write_text("new")
    return {}
if sys.argv[2] == "file":
    store.write_atomically(Path(sys.argv[1]) / "file", b"new")
store.write_artifact(Path(sys.argv[1]) / "artifact", "thing", {"number": 2}, made_by={}, fill=fill)
"""


@pytest.mark.parametrize("what", ["file", "folder"])
def test_one_that_is_killed_before_the_last_step_leaves_the_old_content(tmp_path: Path, what: str) -> None:
    def fill(work: Path) -> dict[str, int]:
        (work / "file").write_text("old")
        return {}

    write_artifact(tmp_path / "artifact", "thing", {"number": 1}, made_by={}, fill=fill)  # type: ignore[arg-type]
    (tmp_path / "file").write_text("old")
    done = subprocess.run([sys.executable, "-P", "-c", KILLED, str(tmp_path), what], check=False)
    assert done.returncode == -9
    assert read_artifact(tmp_path / "artifact", "thing").file("file").read_text() == "old"
    assert (tmp_path / "file").read_text() == "old"
    with working_in(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == ["artifact", "file"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifact", "file"]
