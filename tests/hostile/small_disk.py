"""A command on a disk that is nearly full or read-only: run as root in a mount namespace of its own, gone afterwards.

    unshare --mount python -P -m tests.hostile.small_disk PLACE < plan.json

The disk is a tmpfs at PLACE/disk, with TMPDIR on it. A filler leaves so many bytes, the command runs, the filler goes;
so with every number of bytes, and at last with room for all. Then comes the next command.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ASSAY = Path(sys.executable).with_name("assay")
FILLER = "filler"
SETTLE_SECONDS = 20


def fill(disk: Path, free: int) -> None:
    """Leave this many bytes, as far as whole pages allow."""
    room = os.statvfs(disk)
    wanted = max(room.f_bavail * room.f_frsize - free, 0)
    with (disk / FILLER).open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, wanted)


def files(disk: Path) -> dict[str, str]:
    """The sha256 of every file by its path, except the filler and temporary files."""
    found = sorted(path for path in disk.rglob("*") if path.is_file() and path.name != FILLER)
    return {
        str(path.relative_to(disk)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
        if path.relative_to(disk).parts[0] != "tmp"
    }


def assay(disk: Path, arguments: list[str]) -> dict[str, Any]:
    environment = {**os.environ, "TMPDIR": str(disk / "tmp"), "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "500"}
    done = subprocess.run(
        [str(ASSAY), *arguments], cwd=disk, env=environment, capture_output=True, text=True, check=False, timeout=900
    )
    return {"status": done.returncode, "stdout": done.stdout, "stderr": done.stderr, "files": files(disk)}


def make_read_only(disk: Path) -> None:
    """Wait until the system has released the files of a command that has ended; name the process that still has one
    open.
    """
    limit = time.monotonic() + SETTLE_SECONDS
    while (
        done := subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=False, capture_output=True)
    ).returncode:
        if time.monotonic() > limit:
            raise AssertionError(done.stderr, holders(disk))
        time.sleep(0.1)


def holders(disk: Path) -> list[str]:
    """The processes that have a file there open, and which file."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if str(entry.readlink()).startswith(str(disk)):
                found.append(f"{(entry.parents[1] / 'cmdline').read_bytes()!r} {entry.readlink()}")
    return found


def tried(disk: Path, command: list[str], free: int | None) -> dict[str, Any]:
    """One try on a disk with room for this many more bytes; None means a read-only disk."""
    before = files(disk)
    if free is None:
        make_read_only(disk)
    else:
        fill(disk, free)
    found = assay(disk, command)
    if free is None:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    else:
        (disk / FILLER).unlink()
    return {"free": free, "before": before, **found}


def main(place: Path, plan: dict[str, Any]) -> list[dict[str, Any]]:
    disk = place / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(disk)], check=True)
    (disk / "tmp").mkdir()
    for source in plan["seeds"]:
        copy = shutil.copytree if Path(source).is_dir() else shutil.copy
        copy(source, disk / Path(source).name)
    found = []
    for command in plan["commands"]:
        tries = [tried(disk, command, free) for free in plan["free"]]
        found.append({"command": command, "tries": tries, "last": assay(disk, command)})
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), json.load(sys.stdin))))
