"""One operator judged, each sample by each route, in a process that may die.

The process imports what the suite needs, is kept for the next operators, and judges each in a fork of itself. Every
beginning is told, so that it knows what was going on when a fork ended, and goes on behind it in another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from assay.bench.atlas.attempts import BOUNDS, Attempt, News, OperatorRequest, finding_on
from assay.bench.atlas.record import Verdict
from assay.bench.atlas.suites.entries import SUITES
from assay.bench.atlas.suites.suite import Suite
from assay.errors import WorkerError
from assay.jobs.forked import SilentError, in_a_fork
from assay.jobs.job import Job, Message, Nothing, Send, TellingJob
from assay.jobs.killed import KilledError
from assay.jobs.serving import serve_job
from assay.records.base import Record


class ListRequest(Record):
    """A suite whose operators are asked for."""

    suite: str
    dtype: str


class Listed(Record):
    """Names of operators."""

    operators: list[str]


JUDGE = TellingJob("assay.bench.atlas.operator_job", "judge", OperatorRequest, Nothing, News)
LIST = Job("assay.bench.atlas.operator_job", "list", ListRequest, Listed)


def judge(request: OperatorRequest, tell: Callable[[News], None]) -> Nothing:
    """Judge one operator, and tell every finding as it is made.

    Raises:
        InputError: the suite has no such operator.
        NotInstalledError: a package is missing.
    """
    suite = SUITES[request.suite]
    suite.reader().prepare()
    judged = _judge_of(suite)
    done, last = list(request.done), Attempt(sample=0)

    def heard(message: Message) -> None:
        nonlocal last
        news = JUDGE.event.model_validate(message)
        last = news.begun or last
        if news.finding:
            done.append(last.key)
        tell(news)

    def work(send: Send) -> None:
        for news in judged(request.model_copy(update={"done": tuple(done)}), suite):
            send(news.model_dump(mode="json"))

    while True:
        try:
            in_a_fork(work, heard, BOUNDS)
        except (KilledError, SilentError, WorkerError) as error:
            if last.key in done:  # it ended between two attempts, and would do so again
                raise
            heard({"finding": finding_on(request, last, _verdict_on_end(error), str(error)).model_dump(mode="json")})
        else:
            return Nothing()


def _judge_of(suite: Suite) -> Callable[[OperatorRequest, Suite], Iterator[News]]:
    """Return the judge of a suite; what it imports is imported before any fork."""
    if suite.has_files:
        from assay.bench.atlas.on_onnx_case import judged_cases  # noqa: PLC0415  onnx is imported in the job alone

        return judged_cases
    from assay.bench.atlas.exported import judged_samples  # noqa: PLC0415

    return judged_samples


def _verdict_on_end(error: WorkerError) -> Verdict:
    if isinstance(error, KilledError):
        return "crashed" if error.is_fault else "given up"
    return "given up" if isinstance(error, SilentError) else "not judged"


def listed(request: ListRequest) -> Listed:
    """List a suite's operators; errors as of `judge`."""
    return Listed(operators=SUITES[request.suite].reader().operators(request.dtype))


if __name__ == "__main__":
    serve_job(JUDGE.told_by(judge), LIST.done_by(listed))
