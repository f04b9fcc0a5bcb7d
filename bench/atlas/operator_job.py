"""One operator judged, each sample by each route, in a process that may die.

The process is kept for the next operators, so that a framework is imported once. Every beginning is reported, so that
the waiting process knows what was going on when the process ended.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from assay.bench.atlas.record import Finding, Numbers, Verdict
from assay.bench.atlas.suites import SUITES, Sample, Suite, with_further_numbers, written
from assay.bench.atlas.whole_call import WholeCall, probed
from assay.errors import AssayError, ExportFailedError
from assay.export.graph.inspect import one_line
from assay.export.job import CheckExportRequest, RouteRequest, check, work
from assay.export.localise.localise_job import PartingsRequest, partings_of
from assay.export.probing.undecided import UnsoundError
from assay.export.record import Judged
from assay.jobs.files import Written
from assay.jobs.job import Job, Nothing, TellingJob
from assay.jobs.serving import serve_job
from assay.numerics.guilt import UNOPTIMISED
from assay.records.base import Record
from assay.records.localisation import Localisation
from assay.steps import step

GIVEN_UP_SECONDS = 60.0
REASON_CHARACTERS = 600


class OperatorRequest(Record):
    """An operator to judge.

    Attributes:
        most: number of samples.
        folder: an empty folder for the files of every sample.
        done: beginnings that are not to be made again, as `Attempt.key`.
    """

    suite: str
    operator: str
    dtype: str
    most: int
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


class ListRequest(Record):
    """A suite whose operators are asked for."""

    suite: str
    dtype: str


class Listed(Record):
    """Names of operators."""

    operators: list[str]


JUDGE = TellingJob(
    "assay.bench.atlas.operator_job", "judge", OperatorRequest, Nothing, News, silence_seconds=GIVEN_UP_SECONDS
)
LIST = Job("assay.bench.atlas.operator_job", "list", ListRequest, Listed)


def judge(request: OperatorRequest, tell: Callable[[News], None]) -> Nothing:
    """Judge one operator, and tell every finding as it is made.

    Raises:
        InputError: the suite has no such operator.
        NotInstalledError: a package is missing.
    """
    suite = SUITES[request.suite]
    for sample in with_further_numbers(suite.reader().samples(request.operator, request.dtype, request.most)):
        for told in _sampled(request, suite, sample):
            tell(told)
    return Nothing()


def listed(request: ListRequest) -> Listed:
    """List a suite's operators; errors as of `judge`."""
    return Listed(operators=SUITES[request.suite].reader().operators(request.dtype))


def finding_on(
    request: OperatorRequest,
    attempt: Attempt,
    verdict: Verdict,
    reason: str = "",
    apart: float = 0.0,
    nodes: Sequence[Localisation] = (),
) -> Finding:
    """Return what came of an attempt."""
    return Finding(
        suite=request.suite,
        operator=request.operator,
        dtype=request.dtype,
        **dict(attempt),
        verdict=verdict,
        reason=reason[:REASON_CHARACTERS],
        apart=apart,
        nodes=list(nodes),
    )


def _sampled(request: OperatorRequest, suite: Suite, sample: Sample) -> Iterator[News]:
    shapes = ", ".join(f"{one.dtype.name} {list(one.shape)}" for one in sample.inputs.values())
    itself = Attempt(sample=sample.place, numbers=sample.numbers, inputs=shapes)
    if itself.key in request.done:
        return
    yield News(begun=itself)
    folder = request.folder / sample.name
    found = partial(finding_on, request, itself)
    try:
        with step(f"{request.operator} itself", GIVEN_UP_SECONDS):
            call = probed(suite, written(sample, suite, folder), sample.inputs)
    except UnsoundError as error:
        beyond = sample.numbers != "given"  # such as exp(1000), which fp32 has not
        yield News(finding=found("not comparable" if beyond else "native is off", str(error)))
        return
    except AssayError as error:
        yield News(finding=found("not comparable", str(error)))
        return
    except Exception as error:  # noqa: BLE001  whatever a suite's operator raises
        traceback.print_exc()
        yield News(finding=found("not judged", f"{type(error).__name__}: {one_line(error)}"))
        return
    for attempt in (itself.model_copy(update={"route": route}) for route in suite.routes):
        if attempt.key not in request.done:
            yield News(begun=attempt)
            yield News(finding=_routed(call, request, attempt, folder / attempt.route))


def _routed(call: WholeCall, request: OperatorRequest, attempt: Attempt, folder: Path) -> Finding:
    """Export by one route, check the file, and follow it to its node where it is wrong."""
    route, found = attempt.route, partial(finding_on, request, attempt)
    folder.mkdir(parents=True, exist_ok=True)
    asked = RouteRequest(model=call.model, exporter=route, opset=request.opset, key="", folder=folder)
    try:
        with step(f"The export by {route}", GIVEN_UP_SECONDS):
            work(asked)
    except AssayError as error:
        return found("not exported", str(error))
    checked = CheckExportRequest(model=call.model, exporter=route, file=asked.file, **dict(call.against))
    try:
        judged = check(checked)
    except ExportFailedError as error:
        return found("not run", str(error))
    except AssayError as error:
        return found("undecided", str(error))
    except Exception as error:  # noqa: BLE001  no file of an exporter may end the atlas
        traceback.print_exc()
        return found("not judged", f"{type(error).__name__}: {one_line(error)}")
    verdict = verdict_of(judged)
    nodes: list[Localisation] = []
    if verdict in ("wrong", "undecided"):
        repro = folder / "repro"
        repro.mkdir(exist_ok=True)
        with suppress(AssayError):  # what cannot be followed is wrong all the same
            nodes = partings_of(
                PartingsRequest(
                    model=call.model,
                    file=asked.file,
                    records=call.against.records,
                    native=call.against.native,
                    repro=repro,
                )
            )
    return found(verdict, judged.reason, _apart(judged), nodes)


def verdict_of(judged: Judged) -> Verdict:
    """Return the verdict on a file that was checked."""
    if not judged.reason:
        return "right"
    if judged.undecided:
        return "undecided"
    if not judged.file_is_right:
        return "wrong"
    return "only unoptimised" if judged.right_in == UNOPTIMISED else "wrong in the runtime"


def _apart(judged: Judged) -> float:
    """Return the largest distance over its tolerance."""
    return max((one.max_absolute / one.tolerance for one in judged.agreement if one.tolerance), default=0.0)


if __name__ == "__main__":
    serve_job(JUDGE.told_by(judge), LIST.done_by(listed))
