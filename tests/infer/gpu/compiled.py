"""Fakes of NVIDIA's libraries, compiled from C."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def compiled(source: str, folder: Path, *options: str) -> str:
    """The library of a file beside this one."""
    assert COMPILER
    library = folder / f"lib{Path(source).stem}.so"
    subprocess.run(
        [COMPILER, "-shared", "-fPIC", *options, "-o", library, Path(__file__).with_name(source)], check=True
    )
    return str(library)
