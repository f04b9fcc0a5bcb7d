"""A disk that takes no more: the operating system's own limit on file size stands for it."""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path

from tests.bench.test_cli import ASSAY


def limited() -> None:
    """In the child: no file may grow beyond 200 kB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))


def test_what_was_finished_stays_and_one_message_says_why(tmp_path: Path) -> None:
    (tmp_path / "cells.npz").write_bytes(b"finished before")
    command = [str(ASSAY), "data", "build", "synthetic", "--size", "28", "--out", "cells.npz"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, preexec_fn=limited)
    assert done.returncode == 2, done.stderr
    message = done.stderr.splitlines()[-1]
    assert message.startswith("assay: Cannot write")
    assert "File too large" in message
    assert "Traceback" not in done.stderr
    assert (tmp_path / "cells.npz").read_bytes() == b"finished before"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["cells.npz"]
