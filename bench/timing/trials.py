"""Timing: fresh processes, pinned cores, blocks of calls interleaved in random order over everything compared.

The design is the randomised multiple interleaved trials of Abedi & Brecht 2017 ("Conducting repeatable experiments in
highly variable cloud computing environments"). One *unit* is one fresh process for every candidate of a group; while
one is timed, the others are frozen. Repeating units with new processes gives the sample.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars
from pydantic import Field

from assay.bench.machine.gpu_rows import GpuRow, beside, gpu_row
from assay.bench.machine.host import Host
from assay.bench.timing.behind import clearly_behind
from assay.bench.timing.limits import Limits
from assay.bench.timing.starting import end_together, start_all
from assay.bench.timing.timed_cell import TimedCell
from assay.bench.timing.workers import Candidate, Worker, sides_of
from assay.errors import AssayError, DiskError
from assay.files.columns import BURST_COLUMNS, SAMPLE_COLUMNS
from assay.files.disk import short_name
from assay.infer.commands import SessionLoaded
from assay.jobs.killed import KilledError
from assay.jobs.running import LateError
from assay.records.base import Record
from assay.spec import Settings

WARM_SECONDS = 2.0
FINISHING_SECONDS, OBSERVING_SECONDS = 0.05, 0.25
"""About what it takes to ask a worker for what it kept, and to look at a call of it."""
BEGUN_BY, WARM_BY = 0.25, 0.7
"""Parts of the budget after which a first process, whose cost nobody knew, begins and warms no more than it has of each
side: on a busy machine some are timed, and not all of them merely started.
"""
BLOCKS_OF_SLOWER = 2
LEAST_BLOCKS = 4
"""Fewest blocks: with two processes they make the eight calls that a valid cell needs, even where one call fills a
burst.
"""

WARM_UP_BLOCK = -1
STARTING = 0
"""Stands for no batch, where seconds are kept by batch."""

AUDITED_IMAGES = 32
BUDGET_SPENT = "bench.budget_minutes was spent before it could be timed"
MINUTES_SPENT = "--minutes were spent before it could be timed"
"""The same for a user who has no study file."""
LATE: dict[str, Any] = {"skipped": True, "reason": BUDGET_SPENT}

Row = tuple[str, int, int, int, str, int, int]
BurstRow = tuple[str, int, int, int, int, int, int, float | None, int | None]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Group:
    """Candidates compared with each other: all on one model, at one thread count.

    Attributes:
        name: beginning of its cells' names, "bloodnet/28/t1".
        candidates: candidates that are timed.
        batches: batch sizes, ascending; a process does one after the other.
        settings: settings, the same for every candidate.
        images, others: .npy file of images (count, H, W, C) for calls, and those of other sizes that are mixed in.
        audited: number of them for which the first process leaves its outputs.
        refused: candidates that cannot be timed, since their runtime's format could not be made, and why.
        nodes_on_cpu: whether, on a GPU, nodes that ONNX Runtime leaves on the CPU do not count against a cell.
    """

    name: str
    candidates: tuple[Candidate, ...]
    batches: tuple[int, ...]
    settings: Settings
    images: Path
    audited: int = AUDITED_IMAGES
    refused: tuple[tuple[Candidate, str], ...] = ()
    nodes_on_cpu: bool = False
    others: tuple[Path, ...] = ()

    def cell_name(self, batch: int, label: str) -> str:
        model, _, threads = self.name.rpartition("/")
        return f"{model}/b{batch}/{threads}/{label}"


class Observation(Record):
    """Device and precision of a process's computation, see `infer.observing.observed`; "" where they cannot be seen."""

    device: str
    precision: str
    computed: str
    model: str


class CellFacts(Record):
    """Facts that one process of one cell gave besides its samples; `reason` says why there are none.

    Attributes:
        ended_from_outside: whether there are none since somebody else ended the process.
        precision: precision that the runtime says it computes in.
        seen: observation of a call instead, in a cell's first process.
        first_calls: seconds of the first call at each size, where sizes are mixed.
    """

    cell: str
    process: int
    reason: str = ""
    skipped: bool = False
    ended_from_outside: bool = False
    import_seconds: float = math.nan
    load_seconds: float = math.nan
    first_call_seconds: float = math.nan
    first_calls: tuple[float, ...] = ()
    peak_mib: float = math.nan
    precision: str = ""
    seen: Observation | None = None
    facts: dict[str, str] = Field(default_factory=dict)


def logits_name(cell: str) -> str:
    """Return the file name under which the first process of a cell leaves the logits of the audited images."""
    return f"{short_name(cell.replace('/', '~'))}.npy"


def timed_name(cell: str) -> str:
    """Return the file name under which every process of a cell leaves the outputs it kept of timed calls."""
    return f"{short_name(cell.replace('/', '~'))}.timed.npz"


def computed_in(facts: Sequence[CellFacts]) -> str:
    """Return the precision of a cell's numbers, as observed in a call, otherwise as the runtime says."""
    seen = [fact.seen.precision for fact in facts if fact.seen and fact.seen.precision]
    return next(iter(seen + [fact.precision for fact in facts if fact.precision]), "")


@dataclass
class Unit:
    """One fresh process for every candidate of a group, and their samples.

    Attributes:
        process: number of this process among those of its cells, from 0.
        folder: folder for logs and the logits of the first process.
        compile_cache: folder shared by the processes of a run.
        host: where the processes run, and who says what disturbs them.
        firsts: labels of those that had no process before: their outputs are audited, and a call of them is looked at.
        rows: every call, see `assay.files.columns.SAMPLE_COLUMNS`.
        bursts: every burst, see `assay.files.columns.BURST_COLUMNS`.
        spent: seconds of each candidate's own by label: at each batch up to the least number of blocks, and at
            `STARTING`, which several do together.
    """

    group: Group
    process: int
    limits: Limits
    folder: Path
    compile_cache: Path
    host: Host
    firsts: frozenset[str] = frozenset()
    rows: list[Row] = field(default_factory=list)
    bursts: list[BurstRow] = field(default_factory=list)
    facts: list[CellFacts] = field(default_factory=list)
    spent: dict[str, dict[int, float]] = field(default_factory=dict)
    _gpu_rows: list[GpuRow] = field(default_factory=list)
    _started: list[Worker] = field(default_factory=list)
    _workers: list[tuple[Worker, SessionLoaded]] = field(default_factory=list)
    _further_seconds: float = 0.0
    _began: float = 0.0

    def run(self, tell: Tell) -> float:
        """Start, warm and time everything until the deadline; a failure costs its own cells.

        Returns:
            The seconds it took without the blocks beyond the least number.
        """
        begun = self._began = time.monotonic()
        with ExitStack() as stack:
            stack.callback(end_together, self._started)
            workers = self._begun(tell)
            self._workers = start_all(workers, self.group.settings, self.host.cores(), self._costing_its_start)
            for worker, loaded in self._workers:
                self._spend(worker.candidate.label, STARTING, loaded.import_seconds + loaded.load_seconds)
            for place, batch in enumerate(self.group.batches):
                left = self.limits.share - time.monotonic()
                even = time.monotonic() + left / (len(self.group.batches) - place)
                deadline = min(even, self.limits.share - self.limits.later.get(batch, 0.0))
                self._time_batch(batch, deadline, tell)
        return time.monotonic() - begun - self._further_seconds

    def samples(self) -> polars.DataFrame:
        return polars.DataFrame(self.rows, schema=SAMPLE_COLUMNS, orient="row")

    def burst_table(self) -> polars.DataFrame:
        return beside(polars.DataFrame(self.bursts, schema=BURST_COLUMNS, orient="row"), self._gpu_rows)

    def _begun(self, tell: Tell) -> Iterator[Worker]:
        """A process for each candidate, when it is asked for and there is time left."""
        group = short_name(self.group.name.replace("/", "-"))
        for candidate in self.group.candidates:
            if time.monotonic() > self.limits.end or self._has_enough(BEGUN_BY, self._started):
                self._without(candidate.label, self.group.batches, **LATE)
                continue
            tell(f"{self.group.name}: starting {candidate.label}")
            self._spend(candidate.label, STARTING, 0.0)
            worker = Worker(
                candidate,
                limit_seconds=self.limits.call,
                log=self.folder / "logs" / f"{group}-{candidate.label}-p{self.process}.log",
                answers=self.folder,
                compile_cache=self.compile_cache,
                host=self.host,
                ready_by=self._ready_by(candidate.label),
            )
            self._started.append(worker)
            yield worker

    def _has_enough(self, part: float, ready: Iterable[Worker]) -> bool:
        """Whether a first process has some of each side when so much of the budget is gone."""
        late = time.monotonic() > self._began + part * (self.limits.end - self._began)
        return (
            late and self.process == 0 and sides_of(one.candidate for one in ready) == sides_of(self.group.candidates)
        )

    @contextmanager
    def _costing_its_start(self, worker: Worker) -> Iterator[None]:
        """Leave a worker that cannot start without samples from this unit."""
        begun = time.monotonic()
        try:
            yield
        except DiskError:
            raise  # the machine's failure, not this one's
        except AssayError as error:
            worker.kill()
            self._spend(worker.candidate.label, STARTING, time.monotonic() - begun)
            self._end(worker.candidate.label, self.group.batches, error)

    def _spend(self, label: str, batch: int, seconds: float) -> None:
        mine = self.spent.setdefault(label, {})
        mine[batch] = mine.get(batch, 0.0) + seconds

    def _ready_by(self, label: str) -> float:
        return min(self.limits.end, self.limits.ready if label in self.firsts else math.inf)

    def _end(self, label: str, batches: tuple[int, ...], error: AssayError) -> None:
        """Have no times of these cells: for the reason of a failure, or since the budget ended before it was ready."""
        if isinstance(error, LateError) and time.monotonic() >= self._ready_by(label):
            self._without(label, batches, **LATE)
        else:
            outside = isinstance(error, KilledError) and error.is_from_outside
            self._without(label, batches, reason=str(error), ended_from_outside=outside)

    def _without(self, label: str, batches: tuple[int, ...], **why: Any) -> None:
        names = [self.group.cell_name(batch, label) for batch in batches]
        self.facts += [CellFacts(cell=name, process=self.process, **why) for name in names]

    @contextmanager
    def _costing_its_own_cell(self, worker: Worker, batch: int, *, counted: bool = True) -> Iterator[None]:
        """Take a worker that fails out of the unit: this batch and the ones after it have no samples from it.

        Args:
            counted: whether the seconds count as those that every process of this cell takes.
        """
        begun = time.monotonic()
        try:
            with worker.awake():
                yield
        except DiskError:
            raise
        except AssayError as error:
            worker.kill()
            self._workers = [(other, loaded) for other, loaded in self._workers if other is not worker]
            later = tuple(other for other in self.group.batches if other >= batch)
            self._end(worker.candidate.label, later, error)
        finally:
            if counted:
                self._spend(worker.candidate.label, batch, time.monotonic() - begun)

    def _time_batch(self, batch: int, deadline: float, tell: Tell) -> None:
        cells = self._warmed_cells(batch, tell)
        end = self.limits.end - sum(self._finishing_seconds(cell, batch) for cell in cells.values())
        order = random.Random(f"{self.group.name}/{batch}/{self.process}")  # noqa: S311  an order, not a secret
        for block in range(self.limits.blocks):
            if time.monotonic() >= (min(deadline, end) if block >= LEAST_BLOCKS else end):
                break
            tell(f"{self.group.name}: batch {batch}, block {block + 1}, {len(cells)} runtimes")
            begun = time.monotonic()
            for cell in order.sample(list(cells.values()), len(cells)):
                with self._costing_its_own_cell(cell.worker, batch, counted=block < LEAST_BLOCKS):
                    self._burst(cell, block)
            cells = {worker: cells[worker] for worker, _ in self._workers if worker in cells}
            if self.limits.leave_behind and block + 1 == BLOCKS_OF_SLOWER:
                self._leave_behind(cells, batch)
            self._further_seconds += time.monotonic() - begun if block >= LEAST_BLOCKS else 0
        for cell in cells.values():
            self._finish(cell, batch)

    def _leave_behind(self, cells: dict[Worker, TimedCell], batch: int) -> None:
        """Time no further block of what is clearly out of the running."""
        medians = {one.worker.candidate: statistics.median(one.medians_ns) for one in cells.values()}
        behind = clearly_behind(medians)
        for worker in [one for one in cells if one.candidate in behind]:
            self._finish(cells.pop(worker), batch)

    def _finishing_seconds(self, cell: TimedCell, batch: int) -> float:
        """About what `_finish` takes of a cell: in the first process, the calls that are audited and looked at."""
        if cell.worker.candidate.label not in self.firsts:
            return FINISHING_SECONDS
        return FINISHING_SECONDS + OBSERVING_SECONDS + self.group.audited / batch * cell.warmed.median_ns / 1e9

    def _warmed_cells(self, batch: int, tell: Tell) -> dict[Worker, TimedCell]:
        cells: dict[Worker, TimedCell] = {}
        for worker, loaded in list(self._workers):
            name = self.group.cell_name(batch, worker.candidate.label)
            if time.monotonic() > self.limits.end or self._has_enough(WARM_BY, cells):
                self._without(worker.candidate.label, (batch,), **LATE)
                continue
            tell(f"{self.group.name}: batch {batch}, warming {worker.candidate.label}")
            with self._costing_its_own_cell(worker, batch):
                warmed = worker.warm(self.group.images, batch, WARM_SECONDS, self.group.others)
                cells[worker] = TimedCell(worker, name, loaded, warmed, 1 + len(self.group.others))
                self._keep(name, WARM_UP_BLOCK, "warm-up", warmed.calls_ns)
        return cells

    def _burst(self, cell: TimedCell, block: int) -> None:
        """Time one burst of one cell, and record its disturbance."""
        cores = self.group.settings.cores
        before, begun = self.host.disturbance(cores), time.monotonic_ns()
        burst = cell.worker.burst(cell.calls if block < LEAST_BLOCKS else cell.further_calls, cell.drop)
        during = self.host.disturbance(cores).since(before)
        each = burst.processor_ns // (2 * len(burst.host_ns) * cell.sizes)
        self._keep(cell.name, block, "dropped", burst.dropped_ns)
        self._keep(cell.name, block, "host", burst.host_ns, each)
        self._keep(cell.name, block, "device", burst.device_ns, each)
        timed = (burst.wall_ns, burst.processor_ns, burst.involuntary_switches)
        self.bursts.append(
            (cell.name, self.process, block, begun, *timed, during.stolen_seconds, during.throttle_events)
        )
        self._gpu_rows.append(gpu_row(burst.gpu, cell.loaded.pid, [one.pid for _, one in self._workers]))
        cell.bursts += 1
        cell.medians_ns.append(statistics.median(burst.host_ns))

    def _keep(self, name: str, block: int, boundary: str, calls_ns: list[int], processor_ns: int = 0) -> None:
        self.rows += [
            (name, self.process, block, call, boundary, time_ns, processor_ns) for call, time_ns in enumerate(calls_ns)
        ]

    def _finish(self, cell: TimedCell, batch: int) -> None:
        """Ask for memory and the outputs of timed calls, and in the first process for the outputs that the audit
        compares.
        """
        if cell.bursts == 0:
            self.facts.append(CellFacts(cell=cell.name, process=self.process, skipped=True, reason=BUDGET_SPENT))
            return
        with self._costing_its_own_cell(cell.worker, batch):
            peak = cell.worker.peak_memory_mib()
            cell.worker.write_timed(self.folder / timed_name(cell.name))
            if cell.worker.candidate.label in self.firsts:
                cell.worker.write_logits(
                    self.group.images, self.group.audited, batch, self.folder / logits_name(cell.name)
                )
            self.facts.append(
                CellFacts(
                    cell=cell.name,
                    process=self.process,
                    import_seconds=cell.loaded.import_seconds,
                    load_seconds=cell.loaded.load_seconds,
                    first_call_seconds=cell.warmed.calls_ns[0] / 1e9,
                    first_calls=cell.first_calls,
                    peak_mib=peak,
                    precision=cell.loaded.precision,
                    facts=cell.loaded.facts,
                )
            )
            self._observe(cell, batch)

    def _observe(self, cell: TimedCell, batch: int) -> None:
        """Add where it computed and in what, which a first process is asked; one that this ends costs no time taken."""
        if cell.worker.candidate.label not in self.firsts:
            return
        with self._costing_its_own_cell(cell.worker, batch + 1, counted=False):
            seen = cell.worker.observe()
            told = self.facts[-1]
            observation = Observation.model_validate(seen.model_dump(exclude={"facts"}))
            self.facts[-1] = told.model_copy(update={"seen": observation, "facts": told.facts | seen.facts})
