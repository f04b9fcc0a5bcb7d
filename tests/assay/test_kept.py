"""Processes that do one job after the other, for any thread."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from assay.errors import InputError
from assay.jobs.job import Job
from assay.jobs.kept import Kept, keeping
from assay.jobs.process import HERE
from assay.jobs.running import run_job
from assay.jobs.side_by_side import side_by_side
from tests.assay.small_job import SMALL, Deed, Outcome


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let job processes find these tests' module."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def process_of(kept: Kept, kind: str, log: Path, do: str = "process") -> int:
    job = Job(SMALL.module, SMALL.name, Deed, Outcome)
    return run_job(job, Deed(do=do), log, limit_seconds=60, host=kept.of(kind)).sum


def test_one_process_does_the_jobs_of_a_kind_and_each_has_its_log(tmp_path: Path) -> None:
    """Threads that ask for jobs end, and Linux ends a process with the thread that started it."""
    with keeping(HERE, tmp_path / "logs") as kept:
        work = [partial(process_of, kept, kind, tmp_path / f"{kind}.log") for kind in ("torch", "jax")]
        torch, jax = side_by_side(work, 2)
        assert torch != jax
        again = [partial(process_of, kept, kind, tmp_path / f"{kind}-2.log") for kind in ("jax", "torch")]
        assert side_by_side(again, 2) == [jax, torch]
    first, second = ((tmp_path / name).read_text() for name in ("torch.log", "torch-2.log"))
    assert first == second
    printed = Path(first.removeprefix("What this job printed is in ").strip())
    assert printed.read_text() == f"process {torch}\n" * 2


def test_a_process_that_failed_is_not_used_again(tmp_path: Path) -> None:
    with keeping(HERE, tmp_path / "logs") as kept:
        first = process_of(kept, "torch", tmp_path / "a.log")
        with pytest.raises(InputError, match="a bad value"):
            process_of(kept, "torch", tmp_path / "b.log", "refuse")
        assert process_of(kept, "torch", tmp_path / "c.log") != first
