"""An audit on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from assay.bench.tasks.task import ColumnOfSubject, task_of
from assay.bench.words.numbers import listed, scientific
from assay.bench.words.terminal import shown
from assay.records.audit import Audit, ModelAudit

MANY_TIMES = 10.0
"""From this multiple of the tolerance on, the number itself says nothing more."""


def render(audit: Audit, console: Console) -> None:
    """Print the verdict, the culprit and the reason, then tolerances and their sources, and every subject's worst."""
    console.print(f"Verdict: {audit.verdict}", style="bold")
    for said in [said for model in audit.models for said in model.guilt] + reasons_told(audit):
        console.print(shown(f"  {said}"), soft_wrap=True)
    for model in audit.models:
        console.print(shown(model.name, "bold") + shown(f": reference {model.reference}"), soft_wrap=True)
        for one in model.tolerances:
            if not one.for_subject:
                text = one.problem or f"{one.value:.3g} tolerated: {one.derivation}"
                console.print(shown(f"  {one.inputs}: {text}"), soft_wrap=True)
        if model.left_out:
            console.print(shown(f"  left out: {', '.join(model.left_out)}"), soft_wrap=True)
        console.print(_table(model))
        for found in model.localisations:
            console.print(shown(f"  {found}"), soft_wrap=True)
    if audit.findings:
        console.print("Findings that do not fail it", style="bold")
    for finding in audit.findings:
        console.print(shown(f"  {finding}"), soft_wrap=True)


def reasons_told(audit: Audit) -> list[str]:
    """Return the reasons of an audit's failure, each once: subjects that share one are named together."""
    alike: dict[tuple[str, str], list[str]] = {}
    single: set[str] = set()
    for model in audit.models:
        for one in model.comparisons:
            if not one.passed:
                alike.setdefault((model.name, f"{one.inputs}: {one.reason}"), []).append(one.subject)
                single.add(f"{model.name}: {one.subject}, {one.inputs}: {one.reason}")
    together = [f"{name}: {_together(subjects)}, {reason}" for (name, reason), subjects in alike.items()]
    return together + [reason for reason in audit.reasons if reason not in single]


def _together(subjects: list[str]) -> str:
    """Name subjects briefly: "candidate in onnxruntime, no-opt, basic and all" where they begin alike."""
    subjects = list(dict.fromkeys(subjects))
    heads = {subject.rpartition(", ")[0] for subject in subjects}
    if len(subjects) > 1 and len(heads) == 1 and "" not in heads:
        return f"{heads.pop()}, {listed([subject.rpartition(', ')[2] for subject in subjects])}"
    return listed(subjects)


def _table(model: ModelAudit) -> Table:
    """Tabulate, for each subject, the share of the tolerance it takes at worst, over all inputs, batches and
    threads.
    """
    table = Table(title="worst over all inputs, batches and threads", title_justify="left")
    table.add_column("subject", no_wrap=True)
    added = [one for one in task_of(model).subject_columns() if one.short]
    for name in ("of tolerance", "bits", *(one.short for one in added), ""):
        table.add_column(name, justify="right")
    for subject in dict.fromkeys(one.subject for one in model.comparisons):
        table.add_row(*map(shown, (subject, *_cells(model, subject, added))))
    return table


def _share(share: float) -> str:
    return f"{share:.0%}" if share < MANY_TIMES else f"{scientific(share)} times"


def _cells(model: ModelAudit, subject: str, added: Sequence[ColumnOfSubject]) -> tuple[str, ...]:
    comparisons = [one for one in model.comparisons if one.subject == subject]
    loses_nan = any(one.subject == subject and not one.passed for one in model.propagation)
    failed = [one for one in comparisons if not one.passed]
    outcome = f"{len(failed)} FAILED" if failed else "loses NaN" if loses_nan else "ok"
    measured = [one.measured for one in comparisons if one.measured]
    if not measured:
        return "-", "-", *("-" for _ in added), outcome
    shares = [one.measured.max_absolute / one.tolerance for one in comparisons if one.measured and one.tolerance]
    return (
        _share(max(shares)) if shares else "-",
        f"{min(one.effective_bits for one in measured):.1f}",
        *(one.of(comparisons).text or "-" for one in added),
        outcome,
    )
