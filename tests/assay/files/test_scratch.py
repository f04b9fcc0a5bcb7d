"""Temporary files have one folder for each command (what a killed one leaves: `tests/hostile/test_signals.py`)."""

from __future__ import annotations

import os
import tempfile
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
        assert f"TMPDIR={scratch}" in Path(f"/proc/{process.pid}/environ").read_bytes().decode().split("\0")
    finally:
        process.kill()
    assert not scratch.exists()
