"""One change made in a copy of the repository, and its tests run there.

The tests run in a fork of a process that has imported the large libraries and nothing of ours, because importing them
would take longer than most tests. The limit is on processor time, because a test that is slow on a busy machine has not
noticed anything.
"""

from __future__ import annotations

import difflib
import os
import resource
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path

import hypothesis  # noqa: F401  (read here once for all the forks)
import numpy  # noqa: F401
import polars  # noqa: F401
import pydantic  # noqa: F401
import pytest
import scipy.stats  # noqa: F401
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator

SLOWER_WITH_A_CHANGE = 4
"""A change that slows the tests by this factor has been noticed."""
LIMIT_AT_LEAST_S = 20.0
WALL_FOR_A_LIMIT = 10
"""A waiting process takes no processor time: after this many times its limit in wall time it counts as hanging."""

SAID = "what-pytest-said.txt"


@dataclass(frozen=True)
class Change:
    """One change of one module.

    Attributes:
        occurrence: the operator's, from 0.
        variant: which of the operator's changes of the same place, from 0.
        line, column: from 1 and 0.
        text: the line.
    """

    module: str
    operator: str
    occurrence: int
    variant: int
    function: str
    line: int
    column: int
    text: str

    @property
    def family(self) -> str:
        """`ReplaceBinaryOperator` of `core/ReplaceBinaryOperator_Add_Sub`."""
        return self.operator.rpartition("/")[2].partition("_")[0]

    @property
    def place(self) -> str:
        """The change described by text that stays the same if other lines are edited."""
        return f"{self.module} {self.function} {self.operator} {self.variant} {self.column} {self.text}"


def usual_seconds(tests: Sequence[str], folder: Path) -> float:
    """The processor seconds that the tests may take.

    Raises:
        RuntimeError: they do not pass without any change.
    """
    before = _children_seconds()
    if not passes(tests, 3600.0, folder):
        said = (folder / SAID).read_text(encoding="utf-8")[-3000:]
        raise RuntimeError(f"Without any change these do not pass: {' '.join(tests)}\n{said}")
    return max(LIMIT_AT_LEAST_S, SLOWER_WITH_A_CHANGE * (_children_seconds() - before))


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tested(change: Change, tests: Sequence[str], limit_s: float, folder: Path) -> tuple[list[str], bool]:
    """The changed lines as a diff, and whether the tests pass with the change.

    Raises:
        RuntimeError: the change cannot be made.
    """
    path = folder / change.module
    with use_mutation(path, get_operator(change.operator)(), change.occurrence) as (before, after):
        if after is None:
            raise RuntimeError(f"{change} cannot be made.")
        diff = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0))
        _forget_bytecode(path)
        try:
            return diff, passes(tests, limit_s, folder)
        finally:
            _forget_bytecode(path)


def _forget_bytecode(path: Path) -> None:
    """Python reuses a compiled file if the source has the same size and was written in the same second."""
    Path(cache_from_source(str(path))).unlink(missing_ok=True)


def lines_of(diff: Sequence[str], sign: str) -> str:
    """The lines that begin with "-" or "+", without the sign."""
    return "\n".join(line[1:].strip() for line in diff if line.startswith(sign) and not line.startswith(sign * 3))


def passes(tests: Sequence[str], limit_s: float, folder: Path) -> bool:
    """Whether the tests in the copy pass, in a separate process with this many seconds of processor time."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setsid()
            code = _tested_here(tests, limit_s, folder)
        except BaseException:  # noqa: BLE001 (this process ends here, whatever happens)
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    ends = time.monotonic() + WALL_FOR_A_LIMIT * limit_s
    while time.monotonic() < ends:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.02)
    os.killpg(child, 9)
    os.waitpid(child, 0)
    return False


def _tested_here(tests: Sequence[str], limit_s: float, folder: Path) -> int:
    """The exit code of pytest until the first test that fails."""
    with (folder / SAID).open("wb") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    resource.setrlimit(resource.RLIMIT_CPU, (int(limit_s), int(limit_s)))
    os.chdir(folder)
    os.environ["PYTHONPATH"] = str(folder)
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = "off"
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = False  # what is compiled once need not be compiled for each change
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    quiet = ["-q", "-x", "-n", "0", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return int(pytest.main([*quiet, *tests]))
