"""The request to a process that judges an operator, and its news."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from assay.bench.atlas.record import Finding, Numbers, Verdict
from assay.jobs.files import Written
from assay.jobs.forked import Bounds
from assay.records.base import Record
from assay.records.localisation import Localisation

BOUNDS = Bounds(processor_seconds=60.0, memory_bytes=4 << 30, silent_seconds=300.0)
"""Limits of a sample by one route."""
REASON_CHARACTERS = 600
DOUBTFUL = ("not comparable", "not exported", "not run", "not judged")
"""Verdicts whose reason may be the limit of memory."""
NO_MEMORY = re.compile(r"can't allocate memory|bad_alloc|MemoryError|[Ff]ailed to allocate|Unable to allocate")


class OperatorRequest(Record):
    """An operator to judge.

    Attributes:
        most: number of samples.
        routes: the routes to judge, of those of the suite.
        folder: an empty folder for the files of every sample.
        done: beginnings that are not to be made again, as `Attempt.key`.
    """

    suite: str
    operator: str
    dtype: str
    most: int
    routes: tuple[str, ...]
    opset: int
    folder: Written
    done: tuple[str, ...] = ()


class Attempt(Record):
    """A beginning: a sample, and a route, "" for the operator itself."""

    sample: int
    numbers: Numbers = "given"
    inputs: str = ""
    route: str = ""

    @property
    def key(self) -> str:
        return f"{self.sample}-{self.numbers} {self.route}"


class News(Record):
    """A beginning, or what came of it."""

    begun: Attempt | None = None
    finding: Finding | None = None


def finding_on(
    request: OperatorRequest,
    attempt: Attempt,
    verdict: Verdict,
    reason: str = "",
    apart: float = 0.0,
    nodes: Sequence[Localisation] = (),
    kernels: tuple[str, ...] = (),
) -> Finding:
    """Return what came of an attempt, without the place of its scratch files."""
    reason = reason.replace(f"{request.folder}/", "")
    return Finding(
        suite=request.suite,
        operator=request.operator,
        dtype=request.dtype,
        **dict(attempt),
        verdict="given up" if verdict in DOUBTFUL and NO_MEMORY.search(reason) else verdict,
        reason=reason[:REASON_CHARACTERS],
        apart=apart,
        nodes=list(nodes),
        kernels=kernels,
    )


def about_all(request: OperatorRequest, verdict: Verdict, reason: str) -> Iterator[News]:
    """Tell one finding for all samples of an operator."""
    attempt = Attempt(sample=0)
    if attempt.key not in request.done:
        yield News(begun=attempt)
        yield News(finding=finding_on(request, attempt, verdict, reason))
