"""What a signal leaves of a command: no process, no temporary file, one line, and the exit code a shell expects."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.alone import FOLDER_VARIABLE
from assay.bench.deployment.deploy import write_deployment
from assay.bench.deployment.subject import read_study
from assay.bench.words.progress import Narrator
from assay.boxed.processes import marked
from assay.records.results import read_results
from tests.bench.cli.test_cli import ASSAY
from tests.bench.finished_study import CELL, finished_study
from tests.test_end_to_end import DRAWN

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
SLOW_MODEL = "import time\n\ndef build():\n    time.sleep(600)\n"
STUDY = DRAWN.replace("epochs = [1]", "epochs = [400]")
START_SECONDS, END_SECONDS = 240, 60


@pytest.fixture(autouse=True)
def as_in_a_terminal() -> Iterator[None]:
    """The parent of the tests may have them ignore the end of a terminal, as nohup does, and commands inherit that."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


class Running:
    """A command, its own temporary folder, and a mark in the environment of everything that it starts."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.mark, self.folder, self.temporary = uuid.uuid4().hex, folder, folder / "temporary"
        self.temporary.mkdir(exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
        environment |= {"TMPDIR": str(self.temporary), "ASSAY_TEST_MARK": self.mark, "HOME": str(folder)}
        environment[FOLDER_VARIABLE] = os.environ[FOLDER_VARIABLE]
        self.popen = subprocess.Popen(
            [str(ASSAY), *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for_processes(self, least: int) -> None:
        """Wait until it has started this many processes."""
        limit = time.monotonic() + START_SECONDS
        while len(marked(self.mark)) < least and time.monotonic() < limit:
            assert self.popen.poll() is None, self.popen.communicate()
            time.sleep(0.05)

    def wait_for_file(self, path: Path) -> None:
        limit = time.monotonic() + START_SECONDS
        while not path.exists() and time.monotonic() < limit:
            assert self.popen.poll() is None, self.popen.communicate()
            time.sleep(0.05)

    def stop(self, number: signal.Signals) -> str:
        """Send a signal, and return its standard error."""
        self.popen.send_signal(number)
        return self.popen.communicate(timeout=END_SECONDS)[1]

    def check(self, number: signal.Signals, told: str) -> None:
        assert self.popen.returncode == 128 + number, told
        assert "Traceback" not in told
        assert told.splitlines()[-1].startswith(f"assay: interrupted ({number.name}); finished work is kept")
        assert told.count("assay: ") == 1
        assert marked(self.mark) == set()
        assert list(self.temporary.iterdir()) == []
        assert half_done(self.folder) == []


def half_done(folder: Path) -> list[Path]:
    """Work folders and unfinished files; a training continues from its checkpoint."""
    names = (path for path in folder.rglob(".*") if not path.name.endswith(".training"))
    return [
        path for path in names if path.name not in {".cache", ".config", ".keras", ".local", ".assay-lock", ".lock"}
    ]


@pytest.mark.parametrize("number", SIGNALS)
def test_comparing_a_model(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW_MODEL)
    running = Running(tmp_path, "compare-model", "slow.py:build", "--shape", "x=1,4", "--out", "out")
    running.wait_for_processes(3)
    running.check(number, running.stop(number))


def test_the_next_run_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW_MODEL)
    running = Running(tmp_path, "compare-model", "slow.py:build", "--shape", "x=1,4", "--out", "out")
    running.wait_for_processes(3)
    os.kill(running.popen.pid, signal.SIGKILL)
    running.popen.communicate(timeout=END_SECONDS)
    limit = time.monotonic() + END_SECONDS
    while marked(running.mark) and time.monotonic() < limit:
        time.sleep(0.05)
    assert marked(running.mark) == set()
    assert len(list(running.temporary.iterdir())) == 1
    after = Running(tmp_path, "compare-model", "none.onnx")
    assert "There is no model none.onnx" in after.popen.communicate(timeout=END_SECONDS)[1]
    assert list(running.temporary.iterdir()) == []


def test_a_continuing_run_keeps_its_folder(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW_MODEL)
    running = Running(tmp_path, "compare-model", "slow.py:build", "--shape", "x=1,4", "--out", "out")
    running.wait_for_processes(3)
    before = set(running.temporary.rglob("*"))
    other = Running(tmp_path, "compare-model", "none.onnx")
    assert "There is no model none.onnx" in other.popen.communicate(timeout=END_SECONDS)[1]
    assert before <= set(running.temporary.rglob("*"))
    running.check(signal.SIGTERM, running.stop(signal.SIGTERM))


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "small.toml"),
        pytest.param(("run", "small.toml"), marks=pytest.mark.slow),
        pytest.param(("export", "small.toml"), marks=pytest.mark.slow),
        pytest.param(("bench", "small.toml"), marks=pytest.mark.slow),
        pytest.param(("attribute", "small.toml"), marks=pytest.mark.slow),
        pytest.param(("audit", "small.toml"), marks=pytest.mark.slow),
        pytest.param(
            ("compare", "small.toml", "--env", sys.executable, "--env", sys.executable), marks=pytest.mark.slow
        ),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_study_under_way(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(STUDY)
    running = Running(tmp_path, *arguments)
    running.wait_for_processes(3)
    running.check(signal.SIGTERM, running.stop(signal.SIGTERM))


@pytest.mark.slow
def test_a_training_that_has_something_to_go_on_from(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(STUDY)
    running = Running(tmp_path, "train", "small.toml")
    checkpoint = tmp_path / "artifacts/small/weights/.bloodnet-28-torch-s0.training/progress.json"
    running.wait_for_file(checkpoint)
    running.check(signal.SIGTERM, running.stop(signal.SIGTERM))
    assert checkpoint.is_file()


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("selfcheck",), ("doctor",)], ids=lambda arguments: arguments[0])
def test_measuring_the_instrument(arguments: tuple[str, ...], tmp_path: Path) -> None:
    running = Running(tmp_path, *arguments)
    running.wait_for_processes(3)
    running.check(signal.SIGTERM, running.stop(signal.SIGTERM))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished study and its deployment."""
    study = finished_study(tmp_path_factory)
    write_deployment(read_study(study), CELL, study.parent / "cells", Narrator())
    return study.parent


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.3, 1.0, 2.5, 5.0])
@pytest.mark.parametrize(
    "command",
    [
        "report small --out report",
        "choose small --batch 1",
        "deploy small --cell " + CELL + " --out more",
        "deploy --check cells",
        "data show synthetic",
        "verify-server http://{server} --deployment cells",
        "load http://{server} --deployment cells",
    ],
)
def test_at_any_moment_of_a_short_command(command: str, seconds: float, finished: Path, tmp_path: Path) -> None:
    """Whether it had started, was at work, waited for a server that never answers, or had ended."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        running = Running(tmp_path, *command.format(server=address).split())
        time.sleep(seconds)
        told = running.stop(signal.SIGHUP)
    assert running.popen.returncode in {0, 1, 128 + signal.SIGHUP, -signal.SIGHUP}, told
    assert "Traceback" not in told
    assert marked(running.mark) == set()
    assert list(running.temporary.iterdir()) == []
    assert half_done(tmp_path) == half_done(finished)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.3, 1.0, 2.0, 3.0, 5.0, 8.0])
def test_at_any_moment_of_building_data(seconds: float, tmp_path: Path) -> None:
    """Whether it had started, was at work or had ended."""
    running = Running(tmp_path, "data", "build", "synthetic", "--out", "drawn.npz")
    time.sleep(seconds)
    told = running.stop(signal.SIGTERM)
    assert running.popen.returncode in {0, 143, -signal.SIGTERM}, told
    assert "Traceback" not in told
    assert marked(running.mark) == set()
    assert list(running.temporary.iterdir()) == []
    assert half_done(tmp_path) == []


RELU = """
import numpy as np, onnx
from onnx import TensorProto, helper
ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 64]) for name in "xy"]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", ends[:1], ends[1:])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), "relu.onnx")
"""


@pytest.mark.slow
def test_ctrl_c_while_a_model_is_timed_keeps_the_results_and_writes_the_report(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", RELU], cwd=tmp_path, check=True)
    few = ("--runtime", "ort.cpu", "--runtime", "ort.cpu.no-opt", "--minutes", "9", "--interval-width", "0.0001")
    running = Running(tmp_path, "model", "relu.onnx", *few, "--out", "out")
    limit = time.monotonic() + START_SECONDS
    while len(list(tmp_path.glob("out/model-relu/units/*/facts.json"))) < 2 and time.monotonic() < limit:
        assert running.popen.poll() is None, running.popen.communicate()
        time.sleep(0.1)
    running.popen.send_signal(signal.SIGINT)
    told = running.popen.communicate(timeout=2 * END_SECONDS)[1]
    assert running.popen.returncode in {0, 1}, told
    assert "Interrupted: timed results are kept" in told
    assert "not judged yet" in told, "the first table, where there is no terminal"
    assert "Traceback" not in told
    assert (tmp_path / "out/model-relu/report/report.html").is_file()
    assert read_results(tmp_path / "out/model-relu/results.json").cells
    assert marked(running.mark) == set()
    assert half_done(tmp_path) == []
