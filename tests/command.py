"""Commands of Assay, each in a fork of a process that has imported what commands import: a fresh `assay` spends most of
a second on imports, and what most tests are about is what comes after them. `tests.bench.cli.test_cli.assay` runs the
installed command itself.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, cast

from assay.alone import FOLDER_VARIABLE

IMPORTED = (
    "assay.bench.cli.main",
    "assay.bench.auditing.localise",
    "assay.bench.brought.score_job",
    "assay.bench.brought.work",
    "assay.bench.choosing.reasons",
    "assay.bench.comparing.compare",
    "assay.bench.deployment.audited_images",
    "assay.bench.deployment.checking.check",
    "assay.bench.report.page.audit_sections",
    "assay.bench.stages.roofline",
    "assay.bench.stages.skeletons",
    "assay.bench.stages.train",
    "assay.export.pairs.pair_jobs",
)
"""What the commands import that does without polars, which starts threads as soon as it is imported: a fork loses them.
"""


def variables_for(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command: no variable of Assay's but the one for the turns of this test run, and these."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    known[FOLDER_VARIABLE] = os.environ[FOLDER_VARIABLE]
    return known | {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"} | variables


def command(*arguments: str, folder: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `assay` with arguments in a folder."""
    with tempfile.TemporaryDirectory(prefix="command-") as place:
        printed, told = Path(place) / "printed", Path(place) / "told"
        asked = (arguments, str(folder or Path.cwd()), variables_for(variables), str(printed), str(told))
        server = _server()
        given = cast("IO[str]", server.stdin)
        given.write(f"{json.dumps(asked)}\n")
        given.flush()
        status = int(cast("IO[str]", server.stdout).readline())
        return subprocess.CompletedProcess(["assay", *arguments], status, printed.read_text(), told.read_text())


@functools.cache
def _server() -> subprocess.Popen[str]:
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": ""}
    server = subprocess.Popen(
        [sys.executable, "-P", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    atexit.register(server.communicate)
    return server


def serve() -> None:
    """Answer each line, a command, with its exit status; returns where a command has ended, in its own process."""
    for module in IMPORTED:
        importlib.import_module(module)
    assert len(os.listdir("/proc/self/task")) == 1
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            _command(*json.loads(line))
            return
        _, ended = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(ended)}\n")
        sys.stdout.flush()


def _command(arguments: list[str], folder: str, environment: dict[str, str], printed: str, told: str) -> None:
    from assay.bench.cli.main import main  # noqa: PLC0415

    for number, path in enumerate((os.devnull, printed, told)):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    tempfile.tempdir = None
    sys.argv = ["assay", *arguments]
    main()


if __name__ == "__main__":
    serve()
