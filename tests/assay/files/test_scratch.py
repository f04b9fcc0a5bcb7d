"""Temporary files have one folder for each command (what a killed one leaves: `tests/hostile/test_signals.py`)."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from assay.files.scratch import PREFIX
from assay.jobs.process import Process


def test_tests_have_one_as_commands_do() -> None:
    own = Path(tempfile.gettempdir())
    assert own.name.startswith(PREFIX)
    assert os.environ["TMPDIR"] == str(own)


def test_a_process_has_its_own_inside_of_it(tmp_path: Path) -> None:
    process = Process("tests.assay.boxed_job", tmp_path / "log")
    try:
        (scratch,) = Path(tempfile.gettempdir()).glob("assay-job-*")
        variables = Path(f"/proc/{process.pid}/environ")
        while not (told := variables.read_bytes()):  # it is between one program and the next
            time.sleep(0.01)
        assert f"TMPDIR={scratch}" in told.decode().split("\0")
    finally:
        process.kill()
    assert not scratch.exists()
