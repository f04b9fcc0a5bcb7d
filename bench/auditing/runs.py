"""What every subject of an audit computes: each runtime in its worker, on all inputs, batch sizes and threads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from assay.spec import Settings
from bench.machine import usable_cores
from bench.workers import Candidate, Worker

BATCHES = (1, 3, 32)
FULL_BATCH = 32


@dataclass(frozen=True)
class Inputs:
    """One set of inputs on disk.

    Attributes:
        path: .npy of normalised float32 images (images, height, width, channels).
        labels: .npy of their classes, None where they have none.
    """

    name: str
    path: Path
    images: int
    labels: Path | None = None


@dataclass(frozen=True)
class Call:
    """One way of running one set of inputs: the first `images` of it, `batch` at a time."""

    inputs: str
    batch: int
    threads: int
    images: int
    repeated: bool = False


@dataclass(frozen=True)
class Plan:
    """What is run of every subject.

    Attributes:
        sets: inputs that go through whole, at batch 32 and with all threads; the first is the test split.
        special: inputs that are not finite, which go through likewise and are judged apart.
        sample: how many of the first set also go through at every batch size, with one thread and with all.
        device: "cpu" or "cuda".
        limit_seconds: longest that one command of a worker may take.
    """

    sets: tuple[Inputs, ...]
    special: Inputs
    sample: int
    device: str
    limit_seconds: float

    @property
    def threads(self) -> tuple[int, ...]:
        """All, and one where all are more."""
        return tuple(sorted({1, len(usable_cores())}, reverse=True))

    def whole(self, name: str) -> Call:
        """The run of a whole set."""
        images = next(one.images for one in (*self.sets, self.special) if one.name == name)
        return Call(name, FULL_BATCH, self.threads[0], images)

    def sampled(self, batch: int, threads: int, *, repeated: bool = False) -> Call:
        """A run of the sample."""
        test = self.sets[0]
        return Call(test.name, batch, threads, min(self.sample, test.images), repeated)

    def calls(self, threads: int) -> list[Call]:
        """All runs with this many threads, each once."""
        found = [self.sampled(batch, threads) for batch in BATCHES]
        found.append(self.sampled(FULL_BATCH, threads, repeated=True))
        if threads == self.threads[0]:
            found += [self.whole(one.name) for one in (*self.sets, self.special)]
        return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Outputs:
    """What one subject computed: .npy of logits by run, and the precision that it says it computes in."""

    candidate: Candidate
    precision: str
    files: dict[Call, Path]


def run_subject(candidate: Candidate, plan: Plan, folder: Path) -> Outputs:
    """Run one subject through the plan, in a fresh process for each number of threads.

    Args:
        folder: takes logits and logs.

    Raises:
        AssayError: it does not load or run, crashed, or took too long.
    """
    paths = {one.name: one.path for one in (*plan.sets, plan.special)}
    files: dict[Call, Path] = {}
    precision = ""
    for threads in plan.threads:
        place = folder / candidate.label / f"t{threads}"
        place.mkdir(parents=True)
        with _worker(candidate, plan, place) as worker:
            precision = worker.load(Settings(threads, usable_cores()[-threads:], plan.device)).precision
            for number, call in enumerate(plan.calls(threads)):
                files[call] = place / f"{number}.npy"
                worker.write_logits(paths[call.inputs], call.images, call.batch, files[call])
    return Outputs(candidate, precision, files)


@contextlib.contextmanager
def _worker(candidate: Candidate, plan: Plan, place: Path) -> Iterator[Worker]:
    worker = Worker(
        candidate, limit_seconds=plan.limit_seconds, log=place / "worker.log", compile_cache=place / "cache"
    )
    try:
        yield worker
    finally:
        worker.kill()
