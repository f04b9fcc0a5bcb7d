"""What was found of a server, on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from assay.records import Interval
from assay.verification import Verification


def render_verification(found: Verification, console: Console) -> None:
    """Each way with its worst difference and its accuracy, and the verdict with its reasons."""
    console.print(f"{found.deployment}, version {found.version}, on {found.server or 'a server'}", markup=False)
    console.print(f"{found.tolerance:.3g} tolerated: {found.derivation}", markup=False, soft_wrap=True)
    table = Table("way", title="The whole test split over the wire", title_justify="left")
    for name in ("requests", "images", "failed", "wrong", "worst difference", "accuracy %"):
        table.add_column(name, justify="right")
    for way in found.ways:
        table.add_row(
            way.way,
            f"{way.requests:,}",
            f"{way.images:,}",
            str(way.failed),
            str(way.wrong),
            f"{way.max_absolute:.3g}",
            _percent(way.accuracy),
        )
    console.print(table)
    for name, why in found.skipped.items():
        console.print(f"{name} was not tried: {why}", markup=False)
    reasons = [*found.metadata, *(reason for way in found.ways for reason in way.reasons)]
    audited = f"audited: {_percent(found.audited_accuracy)} %"
    console.print(
        f"{'The server gives the audited answers' if found.passed else 'DIFFERENT'} ({audited})", style="bold"
    )
    for reason in reasons:
        console.print(f"  {reason}", markup=False, soft_wrap=True)


def _percent(share: Interval) -> str:
    return f"{100 * share.value:.2f} ({100 * share.low:.2f} to {100 * share.high:.2f})"
