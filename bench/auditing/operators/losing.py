"""A test of whether a runtime's own operators explain that it loses NaN, apart from any model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from assay.bench.auditing.operators.special_job import SPECIAL, SpecialRequest
from assay.errors import AssayError, DiskError
from assay.jobs.host import Starter
from assay.jobs.running import run_job
from assay.registry import RUNTIMES
from assay.spec import CPU_ONLY
from assay.steps import MOST_SECONDS, Limit


def operators_that_lose_nan(runtimes: Iterable[str], logs: Path, host: Starter) -> dict[str, dict[str, str]]:
    """Return the operators of each runtime that lose a NaN, and which (`lost_by` in `special_job`).

    A runtime whose operators cannot be tested is left out: then nothing explains how it treats NaN.
    """
    found = {}
    for name in dict.fromkeys(runtimes):
        environment = CPU_ONLY if "cpu" in RUNTIMES[name].devices else {}
        try:
            answer = run_job(
                SPECIAL,
                SpecialRequest(runtime=name),
                logs / f"special-{name}.log",
                limit_seconds=Limit(MOST_SECONDS, f"Searching for operators of {name} that lose NaN"),
                environment=environment,
                host=host,
            )
        except DiskError:
            raise  # the machine's failure, not this one's
        except AssayError:
            continue
        found[name] = answer.lost
    return found
