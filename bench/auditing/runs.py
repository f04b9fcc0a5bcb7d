"""The computations of every subject of an audit: each runtime in its worker, on all inputs, batch sizes and threads."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from assay.bench.machine.host import Host
from assay.bench.timing.workers import Candidate, Worker
from assay.errors import AssayError, DiskError, WorkerError
from assay.infer.commands import NOT_OBSERVED, SessionObserved
from assay.infer.observing.observed import not_as_asked
from assay.numerics.precisions import is_less_exact
from assay.records.audit import Comparison, Ran
from assay.records.results import Cell
from assay.spec import Settings

TEST, HARD, EXTREME, BOUNDARY, SPECIAL = "test", "hard", "extreme", "boundary", "special"
WHOLE = "whole test split"
"""The sets of inputs of a study's audit, by name."""
BATCHES = (1, 3, 32)
FULL_BATCH = 32
MOST_AT_ONCE = 4
"""The most processes at once; each takes up to a gigabyte."""


@dataclass(frozen=True)
class Inputs:
    """One set of inputs on disk.

    Attributes:
        path: .npy file of normalised float32 images (images, height, width, channels).
        labels: .npy file of their classes, None where they have none.
    """

    name: str
    path: Path
    images: int
    labels: Path | None = None


@dataclass(frozen=True)
class AuditCall:
    """One way of running one set of inputs: the first `images` of it, `batch` at a time."""

    inputs: str
    batch: int
    threads: int
    images: int
    repeated: bool = False


@dataclass(frozen=True)
class AuditPlan:
    """The plan of what every subject runs.

    Attributes:
        sets: inputs that are run whole, at batch 32 and with one thread; the first is the test split.
        special: inputs that are not finite, which are run in the same way and judged separately.
        sample: how many of the first set are also run at every batch size, with one thread and with all.
        device: "cpu" or "cuda".
        limit_seconds: time limit of one command of a worker.
        split: the whole test split, where the first set is a part of it. It is run in less than fp32, whose accuracy
            takes many images to show, by the runtimes in `served`.
        served: the runtimes that may be chosen for serving, as the study times them. The others, ONNX Runtime's lower
            levels, compute integers in fp32 and would take longer than all else.
    """

    sets: tuple[Inputs, ...]
    special: Inputs
    sample: int
    device: str
    limit_seconds: float
    split: Inputs | None = None
    served: frozenset[str] = frozenset()
    host: Host = field(kw_only=True)

    @property
    def inputs(self) -> tuple[Inputs, ...]:
        """All sets of inputs."""
        return (*self.sets, self.special, *((self.split,) if self.split else ()))

    @property
    def threads(self) -> tuple[int, ...]:
        """The numbers of threads: all, and one if all are more."""
        return tuple(sorted({1, len(self.host.cores())}, reverse=True))

    def whole(self, name: str) -> AuditCall:
        """Return the run of a whole set."""
        images = next(one.images for one in self.inputs if one.name == name)
        return AuditCall(name, FULL_BATCH, self.threads[-1], images)

    def sampled(self, batch: int, threads: int, *, repeated: bool = False) -> AuditCall:
        """Return a run of the sample."""
        test = self.sets[0]
        return AuditCall(test.name, batch, threads, min(self.sample, test.images), repeated)

    def takes_whole_split(self, runtime: str, precision: str) -> bool:
        """Return whether this runtime runs the whole test split, where the first set is a part of it."""
        return precision != "fp32" and runtime in self.served

    def calls(self, threads: int, runtime: str, precision: str = "fp32") -> list[AuditCall]:
        """Return all runs of a runtime with this many threads, each once.

        Args:
            precision: precision that it computes in.
        """
        found = [self.sampled(batch, threads) for batch in BATCHES]
        found.append(self.sampled(FULL_BATCH, threads, repeated=True))
        if threads == self.threads[-1]:
            every = self.takes_whole_split(runtime, precision)
            found += [self.whole(one.name) for one in self.inputs if one is not self.split or every]
        return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Outputs:
    """The outputs of one subject.

    Attributes:
        precision: precision by which it is judged: the one asked for, else the one that a call showed.
        files: .npy file of logits, by run.
        ran: device and precision of its computation.
    """

    candidate: Candidate
    precision: str
    files: dict[AuditCall, Path]
    ran: Ran


def run_subjects(
    candidates: Sequence[Candidate], plan: AuditPlan, folder: Path, progress: Callable[[str, int, int], None]
) -> tuple[list[Outputs], dict[str, AssayError], dict[str, float]]:
    """Run every subject through the plan, in a fresh process for each number of threads.

    An audit is not timed, so as many processes run at once as there are cores, at most `MOST_AT_ONCE`; one that
    computes with one thread keeps to one core. On a GPU they run one after another: TensorFlow takes all its memory.

    Args:
        folder: folder for logits and logs.
        progress: called with a label, the number of processes that are done, and the total.

    Returns:
        The subjects that ran, in the order of the candidates; the reason why a subject did not load or run, by label;
        and the seconds of its processes, by label, which add up to more than the wall time.
    """
    cores = plan.host.cores()[-(MOST_AT_ONCE if plan.device == "cpu" else 1) :]
    free: SimpleQueue[int] = SimpleQueue()
    for core in cores:
        free.put(core)
    crew = Crew(plan, folder, free)
    tasks = [(candidate, threads) for candidate in candidates for threads in plan.threads]
    parts: dict[str, dict[int, Part]] = {}
    failed: dict[str, AssayError] = {}
    seconds: dict[str, float] = {}
    pool = ThreadPoolExecutor(len(cores))
    try:
        waiting = {
            pool.submit(crew.run, candidate, threads): (candidate.label, threads) for candidate, threads in tasks
        }
        for number, done in enumerate(_as_they_end(waiting), start=1):
            label, threads = waiting[done]
            try:
                part = done.result()
                parts.setdefault(label, {})[threads] = part
                seconds[label] = round(seconds.get(label, 0.0) + part.seconds, 1)
            except DiskError:
                raise  # the machine's failure, not this one's
            except AssayError as error:  # this costs its own part of the audit, which then fails
                failed.setdefault(label, error)
            progress(label, number, len(tasks))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        crew.kill()
    whole = [one for one in candidates if one.label not in failed]
    return [_joined(one, parts[one.label], plan) for one in whole], failed, seconds


def _as_they_end(futures: Iterable[Future[Part]]) -> Iterator[Future[Part]]:
    """Iterate over futures as they are done, checking once a second, so that Ctrl-C is noticed while all are at
    work.
    """
    left = set(futures)
    while left:
        done, left = wait(left, timeout=1, return_when=FIRST_COMPLETED)
        yield from done


@dataclass(frozen=True)
class Part:
    """The outputs of one process of a subject, and its device and precision."""

    ran: Ran
    files: dict[AuditCall, Path]
    seconds: float


def _joined(candidate: Candidate, parts: Mapping[int, Part], plan: AuditPlan) -> Outputs:
    files = {call: file for threads in plan.threads for call, file in parts[threads].files.items()}
    ran = next((part.ran for part in parts.values() if part.ran.otherwise), parts[plan.threads[0]].ran)
    return Outputs(candidate, ran.asked_precision or ran.precision, files, ran)


def _seen(worker: Worker) -> SessionObserved | str:
    """Observe one more call, after all calls that count, or return why nothing can be seen, which costs none of
    them.
    """
    try:
        return worker.observe()
    except DiskError:
        raise
    except AssayError as error:
        return str(error)


def ran_of(candidate: Candidate, device: str, said: str, seen: SessionObserved | str) -> Ran:
    """Return the device and precision of a subject, compared with those asked for.

    A subject that computes in more than was asked, as ONNX Runtime does with a file in fp16 on a CPU, is faulted where
    it is timed. Its numbers are those of the file, and are judged.

    Args:
        device: device that the audit asks for.
        said: precision that the runtime says it computes in.
        seen: observation of a call, or why there is none.
    """
    shown = SessionObserved(device="", precision="", computed="", model="", facts={}) if isinstance(seen, str) else seen
    precision = shown.precision or said
    return _held_against(
        Ran(
            subject=candidate.label,
            asked_device=candidate.asked_device(device),
            asked_precision=candidate.asked_precision,
            device=shown.device,
            precision=precision,
            computed_in=shown.computed if shown.computed != precision else "",
            unseen=seen if isinstance(seen, str) else shown.facts.get(NOT_OBSERVED, ""),
        )
    )


def ran_of_cell(cell: Cell) -> Ran:
    """Return the same for a timed cell, one of whose calls was observed then."""
    return _held_against(
        Ran(
            subject=cell.label,
            asked_device=cell.asked_device,
            asked_precision=cell.asked_precision,
            device=cell.device_kind,
            precision=cell.precision,
            computed_in=cell.computed_in,
        )
    )


def _held_against(ran: Ran) -> Ran:
    """Return the record with its deviations from what was asked."""
    asked = ran.asked_precision if is_less_exact(ran.precision, ran.asked_precision) else ""
    otherwise = not_as_asked(ran.asked_device, asked, ran.device, ran.precision)
    return ran.model_copy(update={"otherwise": otherwise})


def answering(comparison: Comparison, ran: Ran) -> Comparison:
    """Return the comparison, failed if the subject ran on another device or in another arithmetic than requested."""
    if not ran.otherwise:
        return comparison
    reason = "; ".join([*ran.otherwise, *filter(None, [comparison.reason])])
    return comparison.model_copy(update={"passed": False, "reason": reason, "note": ""})


@dataclass
class Crew:
    """The processes at work, so that an interruption can end them all."""

    plan: AuditPlan
    folder: Path
    free: SimpleQueue[int]
    workers: set[Worker] = field(default_factory=set)
    ended: bool = False

    def run(self, candidate: Candidate, threads: int) -> Part:
        """Run one subject with one number of threads.

        Raises:
            AssayError: the subject does not load or run, crashed, or took too long.
        """
        begun = time.monotonic()
        place = self.folder / candidate.label / f"t{threads}"
        place.mkdir(parents=True)
        core = self.free.get()
        try:
            with self._worker(candidate, place) as worker:
                cores = [core] if threads == 1 else self.plan.host.cores()[-threads:]
                said = worker.load(Settings(threads, tuple(cores), self.plan.device)).precision
                precision = candidate.asked_precision or said
                files = self._computed(worker, self.plan.calls(threads, candidate.runtime, precision), place)
                ran = ran_of(candidate, self.plan.device, said, _seen(worker))
        finally:
            self.free.put(core)
        return Part(ran, files, time.monotonic() - begun)

    def kill(self) -> None:
        """End every process, including one that is about to start."""
        self.ended = True
        for worker in list(self.workers):
            worker.kill()

    def _computed(self, worker: Worker, calls: Sequence[AuditCall], place: Path) -> dict[AuditCall, Path]:
        paths = {one.name: one.path for one in self.plan.inputs}
        files: dict[AuditCall, Path] = {}
        for number, call in enumerate(calls):
            files[call] = place / f"{number}.npy"
            worker.write_logits(paths[call.inputs], call.images, call.batch, files[call])
        return files

    @contextlib.contextmanager
    def _worker(self, candidate: Candidate, place: Path) -> Iterator[Worker]:
        worker = Worker(
            candidate,
            limit_seconds=self.plan.limit_seconds,
            log=place / "worker.log",
            answers=place,
            compile_cache=place / "cache",
            host=self.plan.host,
        )
        self.workers.add(worker)
        try:
            if not self.ended:
                yield worker
            else:
                raise WorkerError("The audit was interrupted")
        finally:
            self.workers.discard(worker)
            worker.kill()
