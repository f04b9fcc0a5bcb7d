"""The display while a study runs: stages, bars and one line on the present work, on standard error."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from assay.bench.words.terminal import Terminal, shown
from assay.bench.words.times import times_table
from assay.records.results import Cell, Export
from assay.records.trainings import Training
from assay.steps import Step, heard_by
from assay.texts import printable
from assay.train.loop import TrainingNews

SILENT_SECONDS = 15.0
"""Where there is no terminal, a step that takes longer than this is announced."""
SILENT_AGAIN_SECONDS = 60.0
"""Interval of further announcements of the same work, by however many jobs it is done."""
OVERDUE = "it has not yet had the processor time that it may use"
"""The reason why a step is waited for after its limit, see `assay.jobs.patience`."""
LOOKING_SECONDS = 0.5
"""Interval of looking whether something is to be announced."""


class TimeLeftColumn(TimeRemainingColumn):
    """The time that is left until the step's limit, where it has one; otherwise until it is done."""

    def render(self, task: Task) -> Text:
        deadline: float = task.fields["deadline"]
        if not deadline:
            return super().render(task)
        left = deadline - time.monotonic()
        return Text(f"given up in {left:.0f} s" if left > 0 else OVERDUE, style="progress.remaining")


class _Shown(Progress):
    """Bars, and above them the times so far."""

    table: RenderableType | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        if self.table is not None:
            yield self.table
        yield from super().get_renderables()


class Narrator:
    """Reporter of a study's progress. On a terminal there are bars; elsewhere only finished things are printed."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Terminal(stderr=True)
        self._progress = _Shown(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, ratio=1)),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[detail]}", markup=False, table_column=Column(no_wrap=True)),
            TimeElapsedColumn(),
            TimeLeftColumn(),
            console=self.console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, detail="", deadline=0.0, visible=False)
        self._told = ""
        self._under_way: dict[int, tuple[Step, float]] = {}
        self._said: dict[str, float] = {}

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Let bars move inside this block, on a terminal; elsewhere announce what takes long."""
        with self._progress if self.console.is_terminal else self._announcing(), heard_by(self.waiting):
            yield

    def stage(self, title: str) -> None:
        """Announce a new part of the study."""
        self.console.print(shown(title, "bold"))

    def note(self, text: str) -> None:
        """Print a finished item that stays on the screen."""
        self.console.print(shown(f"  {text}"), soft_wrap=True)

    def bar(self, label: str, done: int, total: int) -> None:
        """Show how far something is; total 0 when that is not known."""
        self._show(label, done, total or None, "")

    def tell(self, text: str) -> None:
        """Show the present work."""
        self._told = text
        self._show(text, 0, None, "")

    def times(self, cells: list[Cell]) -> None:
        """Show the times so far: on a terminal in place of the previous ones, elsewhere once."""
        table, first = times_table(cells), self._progress.table is None
        self._progress.table = table
        if first and not self.console.is_terminal:
            self.console.print(table)

    def training(self, label: str, news: TrainingNews) -> None:
        """Show a step of a training, or the end of an epoch."""
        if (at := news.step) is not None:
            self._show(label, at.step, at.steps, f"loss {at.loss:.3f}, {at.left / 60:.1f} min left")
        if (epoch := news.epoch) is not None:
            still = f"; {news.left / 60:.1f} min left" if news.left else ""
            self.note(
                f"{label}: epoch {epoch.epoch:.4g} of {news.epochs:.4g}, loss {epoch.training_loss:.4f}, "
                f"validation accuracy {100 * epoch.validation_accuracy:.2f} %{still}"
            )

    def waiting(self, step: Step) -> None:
        """Show the present work of a job, and how long it may still take. Each thread waits for one job at a time."""
        thread = threading.get_ident()
        if step.doing:
            self._under_way[thread] = step, time.monotonic()
        else:
            self._under_way.pop(thread, None)
        present = step if step.doing else next((one for one, _ in tuple(self._under_way.values())), step)
        self._show(present.doing or self._told, 0, None, "", present.deadline if present.doing else 0.0)

    @contextmanager
    def _announcing(self) -> Iterator[None]:
        over = threading.Event()

        def look() -> None:
            while not over.wait(LOOKING_SECONDS):
                for text in self.due(time.monotonic()):
                    self.note(text)

        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        try:
            yield
        finally:
            over.set()
            looking.join()

    def due(self, now: float) -> Iterator[str]:
        """Yield what is to be said, at this time, of work that takes long and has not ended: each text once in a while,
        however many jobs do the same.
        """
        for step, since in tuple(self._under_way.values()):
            lately = now - self._said.get(step.doing, -SILENT_AGAIN_SECONDS) < SILENT_AGAIN_SECONDS
            if now - since >= SILENT_SECONDS and not lately:
                self._said[step.doing] = now
                left = step.deadline - now
                yield f"{step.doing} is still running; {f'it is given up in {left:.0f} s' if left > 0 else OVERDUE}"

    def trained(self, training: Training) -> None:
        """Tell of a finished training."""
        accuracy = training.test.accuracy
        self.note(
            f"{training.architecture} at {training.size} in {training.framework}, seed {training.seed}: "
            f"test accuracy {100 * accuracy.value:.2f} % ({100 * accuracy.low:.2f} to {100 * accuracy.high:.2f})"
        )

    def exported(self, export: Export) -> None:
        """Tell of an export, good or failed."""
        outcome = f"ok, opset {export.opset}, {export.nodes} nodes" if export.status == "ok" else "FAILED"
        reason = f": {export.reason}" if export.reason else ""
        at = f" at {export.size}" if export.size else ""
        self.note(f"{export.architecture}{at} by {export.exporter}: {outcome}{reason}")

    def _show(self, label: str, done: float, total: float | None, detail: str, deadline: float = 0.0) -> None:
        self._progress.update(
            self._task,
            description=printable(label),
            completed=done,
            total=total,
            detail=printable(detail),
            deadline=deadline,
            visible=True,
        )
