"""A command on a disk that is nearly full or read-only: run as root in a mount namespace of its own, gone afterwards.

    unshare --mount python -P -m tests.hostile.small_disk PLACE < plan.json

The disk is a tmpfs at PLACE/disk, with TMPDIR on it. A filler leaves so many bytes, the command runs, the filler goes;
so with every number of bytes, and at last with room for all. Then comes the next command.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ASSAY = Path(sys.executable).with_name("assay")
FILLER = "filler"


def fill(disk: Path, free: int) -> None:
    """Leave so many bytes, as far as whole pages allow."""
    room = os.statvfs(disk)
    wanted = max(room.f_bavail * room.f_frsize - free, 0)
    with (disk / FILLER).open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, wanted)


def files(disk: Path) -> dict[str, str]:
    """sha256 of every file by its path, but those of the filler and of temporary files."""
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


def tried(disk: Path, command: list[str], free: int | None) -> dict[str, Any]:
    """One try on a disk that takes so many bytes more; None is a read-only one."""
    before = files(disk)
    if free is None:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
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
