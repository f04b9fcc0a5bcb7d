"""The commands that `make install` runs, with replacements of pip and uv that only write down their arguments."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = ("Makefile", "pyproject.toml", "constraints.txt", "constraints-gpu.txt", "overrides-gpu.txt")


@pytest.mark.skipif(not shutil.which("g++") or not shutil.which("make"), reason="make or a compiler is not there")
@pytest.mark.parametrize(
    ("extras", "installs", "told"),
    [
        ("cpu,dev", "pip", "pip install --quiet --constraint constraints.txt --editable .[cpu,dev]"),
        ("gpu,dev", "uv", "uv pip install --quiet --python .venv/bin/python --override overrides-gpu.txt"),
    ],
)
def test_with_a_gpu_uv_installs_since_it_can_leave_onnxruntime_out(
    extras: str, installs: str, told: str, tmp_path: Path
) -> None:
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("python", "pip", "uv"):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >> told.txt\n', encoding="utf-8")
        (programs / name).chmod(0o755)
    subprocess.run(["make", "install", f"EXTRAS={extras}"], cwd=tmp_path, check=True, capture_output=True)
    lines = (tmp_path / "told.txt").read_text(encoding="utf-8").splitlines()
    assert lines[-1].startswith(told)
    assert lines[-1].endswith(f".[{extras}]")
    assert [line for line in lines if "--editable" in line and not line.startswith(f"{installs} ")] == []
