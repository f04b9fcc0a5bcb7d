"""An audit on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from assay.audit import Audit, ModelAudit
from bench.terminal import shown


def render(audit: Audit, console: Console) -> None:
    """Tolerances and where they come from, every subject's worst, and the verdict with its reasons."""
    for model in audit.models:
        console.print(shown(model.name, "bold") + shown(f": reference {model.reference}"), soft_wrap=True)
        for one in model.tolerances:
            if not one.for_subject:
                text = one.problem or f"{one.value:.3g} tolerated: {one.derivation}"
                console.print(shown(f"  {one.inputs}: {text}"), soft_wrap=True)
        console.print(_table(model))
        for found in model.localisations:
            console.print(shown(f"  {found}"), soft_wrap=True)
    console.print(f"Verdict: {audit.verdict}", style="bold")
    for reason in audit.reasons:
        console.print(shown(f"  {reason}"), soft_wrap=True)
    if audit.findings:
        console.print("Findings that do not fail it", style="bold")
    for finding in audit.findings:
        console.print(shown(f"  {finding}"), soft_wrap=True)


def _table(model: ModelAudit) -> Table:
    """One row for each subject: how much of the tolerance it takes at worst, over all inputs, batches and threads."""
    table = Table(title="worst over all inputs, batches and threads", title_justify="left")
    table.add_column("subject", no_wrap=True)
    for name in ("of tolerance", "bits", "flips", ""):
        table.add_column(name, justify="right")
    for subject in dict.fromkeys(one.subject for one in model.comparisons):
        table.add_row(*map(shown, (subject, *_cells(model, subject))))
    return table


def _cells(model: ModelAudit, subject: str) -> tuple[str, str, str, str]:
    comparisons = [one for one in model.comparisons if one.subject == subject]
    loses_nan = any(one.subject == subject and not one.passed for one in model.propagation)
    failed = [one for one in comparisons if not one.passed]
    outcome = f"{len(failed)} FAILED" if failed else "loses NaN" if loses_nan else "ok"
    measured = [one.measured for one in comparisons if one.measured]
    if not measured:
        return "-", "-", "-", outcome
    shares = [one.measured.max_absolute / one.tolerance for one in comparisons if one.measured and one.tolerance]
    whole = {one.inputs: one.measured for one in reversed(comparisons) if one.measured}
    return (
        f"{max(shares):.0%}" if shares else "-",
        f"{min(one.effective_bits for one in measured):.1f}",
        " + ".join(f"{one.flip_count} {name}" for name, one in reversed(whole.items()) if one.flip_count) or "0",
        outcome,
    )
