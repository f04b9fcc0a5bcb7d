"""Timing several instances: so many fresh processes of one runtime at the same time, each on cores of its own.

The throughput of several processes is not that of one times their number: they share the machine's memory and its last
cache. So they run together, call without a pause for the same stretch, and stamp every call.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field

from assay.bench.machine.disturbance import Disturbance
from assay.bench.machine.host import Host
from assay.bench.timing.trials import WARM_SECONDS, Group
from assay.bench.timing.workers import Candidate, Worker
from assay.errors import AssayError, DiskError
from assay.files.disk import short_name
from assay.infer.commands import CalledTogether
from assay.records.base import Record

STRETCH_SECONDS, CALLS_OF_A_STRETCH = 2.0, 12
"""Duration of the calls of all: two seconds, or so many calls where these take longer."""


class BatchSeen(Record):
    """Observations of one set at one batch size; `reason` says why there are no stamps.

    Attributes:
        busy: processor time over wall time, for each thread, of the process that had least.
        switches_per_second: rate at which the system took the processor away, of the process that lost it most
            often.
        stolen_share: processor time that a hypervisor kept, over the time that all cores had; None where not shown.
        throttle_events: number of times a core was slowed down; None where not shown.
        peak_mib: highest resident memory of all processes together.
    """

    batch: int
    reason: str = ""
    busy: float = 0.0
    switches_per_second: float = 0.0
    stolen_share: float | None = None
    throttle_events: int | None = None
    peak_mib: float = 0.0


class SetFacts(Record):
    """The manifest's facts of one set."""

    seconds: float
    batches: list[BatchSeen] = Field(default_factory=list)


def stamps_name(batch: int, instance: int) -> str:
    """Return the file name of the stamps of one process."""
    return f"stamps-b{batch}-{instance}.npy"


def cores_of(usable: Sequence[int], threads: int, instances: int) -> list[tuple[int, ...]]:
    """Return the cores of each instance, none of them shared, the last ones of the machine as elsewhere."""
    last = list(usable)[-threads * instances :]
    return [tuple(last[place : place + threads]) for place in range(0, len(last), threads)]


@dataclass(frozen=True)
class InstanceSet:
    """One set of fresh processes of one candidate.

    Attributes:
        group: group with the batches that are wanted; its candidates do not matter.
        limit_seconds: limit of a single command of a process.
        folder: folder for logs and stamps.
        compile_cache: folder for compilers that keep one.
    """

    group: Group
    candidate: Candidate
    instances: int
    limit_seconds: float
    folder: Path
    compile_cache: Path
    host: Host

    def run(self) -> list[BatchSeen]:
        """Start, load and warm each, then let all call at the same time; one that fails ends the set."""
        found: list[BatchSeen] = []
        try:
            with ExitStack() as stack:
                workers = self._started(stack)
                found += (self._together(workers, batch) for batch in self.group.batches)
        except DiskError:
            raise  # the machine's failure, not this candidate's
        except AssayError as error:
            found += (BatchSeen(batch=batch, reason=str(error)) for batch in self.group.batches[len(found) :])
        return found

    def _started(self, stack: ExitStack) -> list[Worker]:
        threads = self.group.settings.threads
        places = cores_of(self.host.cores(), threads, self.instances)
        workers = []
        for number, cores in enumerate(places):
            name = f"{short_name(self.group.name.replace('/', '-'))}-{self.candidate.label}-i{number}.log"
            worker = Worker(
                self.candidate,
                limit_seconds=self.limit_seconds,
                log=self.folder / "logs" / name,
                answers=self.folder,
                compile_cache=self.compile_cache / str(number),
                host=self.host,
            )
            stack.callback(worker.kill)
            worker.begin_import(cores, self.group.settings.device)
            workers.append(worker)
        for worker in workers:
            worker.wait_for_import()
        for worker, cores in zip(workers, places, strict=True):
            with worker.awake():
                worker.load(replace(self.group.settings, cores=cores))
        return workers

    def _together(self, workers: Sequence[Worker], batch: int) -> BatchSeen:
        cores = [core for one in cores_of(self.host.cores(), self.group.settings.threads, len(workers)) for core in one]
        slowest_ns = 0
        for worker in workers:
            with worker.awake():
                slowest_ns = max(slowest_ns, worker.warm(self.group.images, batch, WARM_SECONDS).median_ns)
        seconds = max(STRETCH_SECONDS, CALLS_OF_A_STRETCH * slowest_ns / 1e9)
        with ExitStack() as stack:
            for worker in workers:
                stack.enter_context(worker.awake())
            before = self.host.disturbance(cores)
            for number, worker in enumerate(workers):
                worker.begin_calls(seconds, self.folder / stamps_name(batch, number))
            told = [worker.end_calls() for worker in workers]
            during = self.host.disturbance(cores).since(before)
            peak = sum(worker.peak_memory_mib() for worker in workers)
        return self._seen(batch, told, during, peak)

    def _seen(self, batch: int, told: Sequence[CalledTogether], during: Disturbance, peak: float) -> BatchSeen:
        threads, wall = self.group.settings.threads, max(one.wall_ns for one in told) / 1e9
        stolen = during.stolen_seconds
        return BatchSeen(
            batch=batch,
            busy=min(one.processor_ns / one.wall_ns for one in told) / threads,
            switches_per_second=max(one.involuntary_switches * 1e9 / one.wall_ns for one in told),
            stolen_share=None if stolen is None else stolen / (wall * threads * len(told)),
            throttle_events=during.throttle_events,
            peak_mib=peak,
        )
