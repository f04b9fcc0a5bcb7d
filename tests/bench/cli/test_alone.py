"""Every command that times waits for its turn, whatever its folder, and names the process on standard error."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from assay.alone import timing_alone
from assay.bench.cli.main import PANELS
from assay.bench.fleet.on_machine import TIME_GROUP, ToTimeGroup
from assay.jobs.process import HERE
from assay.study import Study
from tests.serving_folder import images, write_folder

ROOT = Path(__file__).parents[3]
ASSAY = Path(sys.executable).with_name("assay")
START_SECONDS = 60.0
NOBODY = "http://127.0.0.1:9"
NET = "docs/examples/torch_mlp.py:build"
COMMANDS = {
    "selfcheck": ["selfcheck", "--minutes", "0.1"],
    "run": ["run", "studies/quick.toml"],
    "bench": ["bench", "studies/quick.toml"],
    "attribute": ["attribute", "studies/quick.toml"],
    "compare-model": ["compare-model", NET, "--shape", "features=batch,256"],
    "regress": ["regress", NET, NET, "--shape", "features=batch,256"],
    "compare": ["compare", "studies/quick.toml", "--env", sys.prefix, "--env", sys.prefix],
}

TIMES_NOTHING = {
    "atlas", "audit", "choose", "train", "export", "report", "deploy", "serve", "doctor", "list_names", "join",
    "history", "publish",
}  # fmt: skip
"""Commands that compare numbers, read results, or prepare what is timed later: none of their times is a result."""


@pytest.fixture(autouse=True)
def a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is identified by its arguments, which other tests may have changed."""
    monkeypatch.setattr(sys, "argv", ["assay", "selfcheck"])


def waits(command: list[str], out: Path | None = None) -> None:
    """
    Raises:
        AssertionError: the command's first line is not that it waits for this process.
    """
    given = ["--out", str(out)] if out else []
    with (
        timing_alone(pytest.fail),
        subprocess.Popen([ASSAY, *command, *given], cwd=ROOT, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stderr
        try:
            said = process.stderr.readline()
            assert said.startswith(f"assay: waiting for process {os.getpid()}, `assay selfcheck`"), said
        finally:
            process.kill()


def test_every_command_takes_its_turn_or_is_known_to_time_nothing() -> None:
    """A new command has to be added to one of the two."""
    commands = {command.__name__: command for panel in PANELS.values() for command, _ in panel}
    waiting = {name for name, command in commands.items() if "alone_on_this_machine()" in inspect.getsource(command)}
    assert waiting | TIMES_NOTHING == set(commands)
    assert waiting & TIMES_NOTHING == set()
    tried = {name.replace("-", "_") for name in COMMANDS} | {"verify_server", "load"}
    assert waiting == tried, "each is tried below"


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in COMMANDS if name != "selfcheck"]


@pytest.mark.parametrize("name", ["selfcheck", *SLOW])
def test_a_command_that_times_waits_for_the_one_before(name: str, tmp_path: Path) -> None:
    waits(COMMANDS[name], tmp_path)


@pytest.mark.parametrize("name", ["verify-server", pytest.param("load", marks=pytest.mark.slow)])
def test_what_asks_a_server_waits_too(name: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "deployment")
    np.save(tmp_path / "images.npy", images())
    given = ["--deployment", str(folder), "--images", str(tmp_path / "images.npy")]
    waits([name, NOBODY, *given], tmp_path / "out" if name == "load" else None)


@pytest.mark.slow
def test_a_group_of_a_fleet_waits_for_commands_of_its_machine(tmp_path: Path) -> None:
    models = [{"architecture": "bloodnet", "sizes": [28], "epochs": [1]}]
    request = ToTimeGroup(
        study=Study.model_validate({"name": "small", "models": models}),
        images=None,
        groups=("bloodnet/28/t1",),
        course="small-0",
        shelf=None,
        out=tmp_path / "out",
    )
    log, deadline = tmp_path / "log", time.monotonic() + START_SECONDS
    with timing_alone(pytest.fail):
        process = HERE.start(TIME_GROUP.module, log, environment={"ASSAY_CACHE": str(tmp_path / "cache")})
        try:
            process.send(TIME_GROUP.message(request), START_SECONDS)
            while "waiting for" not in log.read_text():
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            said = next(line for line in log.read_text().splitlines() if "waiting for" in line)
            assert json.loads(said)["waiting for"].startswith(f"process {os.getpid()}, `assay selfcheck`")
        finally:
            process.kill()
    assert not (tmp_path / "out").exists()
