"""What a person sees while a study runs: stages, bars and one line of what is happening now, on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from assay.jobs import Message
from assay.results import Export, Training
from assay.texts import printable
from bench.terminal import Terminal, shown


class Narrator:
    """Tells how a study goes. On a terminal there are bars; elsewhere only finished things are printed."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Terminal(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, detail="", visible=False)

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Bars move inside this block, on a terminal."""
        with self._progress if self.console.is_terminal else nullcontext():
            yield

    def stage(self, title: str) -> None:
        """A new part of the study begins."""
        self.console.print(shown(title, "bold"))

    def note(self, text: str) -> None:
        """Something finished that stays on the screen."""
        self.console.print(shown(f"  {text}"), soft_wrap=True)

    def bar(self, label: str, done: int, total: int) -> None:
        """How far something is; total 0 when that is not known."""
        self._show(label, done, total or None, "")

    def tell(self, text: str) -> None:
        """What is happening now."""
        self._show(text, 0, None, "")

    def training(self, label: str, event: Message) -> None:
        """An event of `train.job`: a step, or the end of an epoch."""
        if event["event"] == "step":
            left = cast("float", event["left"])
            detail = f"loss {event['loss']:.3f}, {left / 60:.1f} min left"
            self._show(label, cast("int", event["step"]), cast("int", event["steps"]), detail)
        else:
            self.note(
                f"{label}: epoch {event['epoch']:.4g}, loss {event['training_loss']:.4f}, "
                f"validation accuracy {100 * cast('float', event['validation_accuracy']):.2f} %"
            )

    def trained(self, training: Training) -> None:
        accuracy = training.test.accuracy
        self.note(
            f"{training.architecture} at {training.size} in {training.framework}, seed {training.seed}: "
            f"test accuracy {100 * accuracy.value:.2f} % ({100 * accuracy.low:.2f} to {100 * accuracy.high:.2f})"
        )

    def exported(self, export: Export) -> None:
        outcome = f"ok, opset {export.opset}, {export.nodes} nodes" if export.status == "ok" else "FAILED"
        reason = f": {export.reason}" if export.reason else ""
        at = f" at {export.size}" if export.size else ""
        self.note(f"{export.architecture}{at} by {export.exporter}: {outcome}{reason}")

    def _show(self, label: str, done: float, total: float | None, detail: str) -> None:
        self._progress.update(
            self._task,
            description=printable(label),
            completed=done,
            total=total,
            detail=printable(detail),
            visible=True,
        )
