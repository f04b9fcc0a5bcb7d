"""The tables of an audit: the worst of each model and subject, what failed, tolerances, and every comparison."""

from __future__ import annotations

from collections.abc import Sequence

from assay.bench.report.page.blocks import Column, Table, Value, headings, without_empty_columns
from assay.bench.report.page.values import amount, tiny, whole
from assay.bench.tasks.task import ColumnOfSubject, task_of
from assay.bench.words.numbers import counted, scientific, significant
from assay.records.audit import Audit, Comparison, ModelAudit

SUBJECTS = headings("Subject | Outcome | # Share of the tolerance | # Effective bits | Observed arithmetic")
"""The columns after those that the task adds."""
SUBJECTS_AFTER = headings("Repeated, other batch, other threads | NaN and infinity")
MODELS = headings("Model | # Comparisons | Failed | # Largest share of the tolerance in fp32 | By")
TOLERANCES = headings("Inputs | For | # Tolerated | # Largest output | Derivation")
OWN = Column("Your own tolerance", numeric=True)
COMPARISONS = headings(
    "Subject | Inputs | # Images | # Batch | # Threads | # Largest error | # Relative | # ulps | # Bits | "
    "# Least cosine"
)
"""The columns of comparisons after those that the task adds."""
COMPARISONS_AFTER = headings("Agrees")
FAILED = headings(
    "Model | Subject | Inputs | # Images | # Batch | # Threads | # Largest error | # Tolerated | Why it does not agree"
)


def models_table(audit: Audit) -> Table:
    """Return one row for each model: those that failed first, then by the share of tolerance that they use."""
    rows = [_model_row(model) for model in audit.models]
    rows.sort(key=lambda row: (not row[2].number, -(row[3].number or 0)))
    return Table("audit-models-worst", "The worst of each model", MODELS, tuple(rows))


def _model_row(model: ModelAudit) -> tuple[Value, ...]:
    compared = [one for one in model.comparisons if not one.note]
    failed = sum(not one.passed for one in compared)
    share, worst = max(((share_of(one), one.subject) for one in compared if one.tolerance), default=(0.0, ""))
    return (
        Value(model.name),
        whole(len(compared)),
        Value(f"{failed} FAILED", failed, tone="bad") if failed else Value("none", 0, tone="good"),
        Value(_share(share), 100 * share) if worst else Value("not compared", tone="muted"),
        Value(worst),
    )


def failed_table(audit: Audit) -> Table:
    """Every comparison that did not agree, of all models, the furthest beyond its tolerance first."""
    failed = [(model, one) for model in audit.models for one in model.comparisons if not one.passed]
    failed.sort(key=lambda pair: -share_of(pair[1]))
    rows = tuple(_failed(model, one) for model, one in failed)
    return Table("audit-failed", "What did not agree", FAILED, rows)


def share_of(one: Comparison) -> float:
    """How much of its tolerance a comparison takes; 0 where it has none."""
    return one.measured.max_absolute / one.tolerance if one.measured and one.tolerance else 0.0


def _failed(model: ModelAudit, one: Comparison) -> tuple[Value, ...]:
    numbers = (whole(number) for number in (one.images, one.batch, one.threads))
    error = significant(one.measured.max_absolute, 2) if one.measured else "not compared"
    tolerated = significant(one.tolerance, 2) if one.tolerance else "by its policy"
    names = (Value(model.name), Value(one.subject), Value(one.inputs))
    return (*names, *numbers, Value(error), Value(tolerated), Value(one.reason, tone="bad"))


def subjects_table(model: ModelAudit, number: int = 0) -> Table:
    """Return one row for each subject, those that failed first: its worst over all inputs, batches and threads."""
    failed = {one.subject for one in model.comparisons if not one.passed}
    worst: dict[str, float] = {}
    for one in model.comparisons:
        worst[one.subject] = max(worst.get(one.subject, 0.0), share_of(one))
    rows = tuple(_subject(model, name) for name in sorted(worst, key=lambda name: (name not in failed, -worst[name])))
    caption = "The worst of each subject, over all inputs, batch sizes and threads"
    columns = (*SUBJECTS, *(one.column for one in task_of(model).subject_columns()), *SUBJECTS_AFTER)
    return without_empty_columns(Table(f"audit-subjects-{number}", caption, columns, rows))


def _subject(model: ModelAudit, subject: str) -> tuple[Value, ...]:
    mine = [one for one in model.comparisons if one.subject == subject]
    failed = sum(not one.passed for one in mine)
    measured = [one.measured for one in mine if one.measured]
    shares = [share_of(one) for one in mine if one.measured and one.tolerance]
    bits = min((one.effective_bits for one in measured), default=None)
    return (
        Value(subject),
        Value(f"{failed} FAILED", tone="bad") if failed else Value("agrees", tone="good"),
        _tolerated(shares, mine),
        Value("" if bits is None else f"{bits:.1f}", bits),
        Value(", ".join(dict.fromkeys(one.delivered for one in mine if one.delivered))),
        *(one.of(mine) for one in task_of(model).subject_columns()),
        Value(_determinism(model, subject)),
        _propagation(model, subject),
    )


def _tolerated(shares: list[float], comparisons: list[Comparison]) -> Value:
    """Return the largest share of its tolerance that a subject uses; reduced precision has none."""
    if shares:
        return Value(_share(max(shares)), 100 * max(shares))
    reduced = any(one.measured and one.precision != "fp32" for one in comparisons)
    return Value("by the policy for reduced precision" if reduced else "not compared", tone="muted")


def _share(share: float) -> str:
    return f"{share:.1%}" if share < 10 else f"{significant(share, 2)} times"


def _determinism(model: ModelAudit, subject: str) -> str:
    """Return "same bits; 2.1e-7; same bits" for running again, in another batch, with other threads."""
    found = next((one for one in model.determinism if one.subject == subject), None)
    if found is None:
        return ""
    differences = [found.repeated, found.batches, *([] if found.threads is None else [found.threads])]
    return "; ".join("same bits" if not value else scientific(value) for value in differences)


def _propagation(model: ModelAudit, subject: str) -> Value:
    found = next((one for one in model.propagation if one.subject == subject), None)
    if found is None:
        return Value("")
    if found.passed:
        return Value("passed on", tone="good")
    return Value("lost", tone="notice") if found.is_the_runtimes_own else Value("NOT as in the reference", tone="bad")


def tolerances_table(model: ModelAudit, number: int) -> Table:
    """Return the table of a model's tolerances.

    Args:
        number: place of the model in the audit, for the table's identifier.
    """
    has_own = any(one.own is not None for one in model.tolerances)
    rows = tuple(
        (
            Value(one.inputs),
            Value(one.for_subject or "all others"),
            tiny(one.value),
            *((Value("") if one.own is None else tiny(one.own),) if has_own else ()),
            amount(one.scale),
            Value(one.problem or one.derivation),
        )
        for one in model.tolerances
    )
    columns = (*TOLERANCES[:3], *((OWN,) if has_own else ()), *TOLERANCES[3:])
    caption = "Tolerances, and how they were derived"
    return Table(f"audit-tolerances-{number}", caption, columns, rows, summary="How the tolerances were derived")


def comparisons_table(model: ModelAudit, number: int) -> Table:
    """Return the table of a model's comparisons; see `tolerances_table`."""
    added = task_of(model).comparison_columns()
    worst_first = sorted(model.comparisons, key=lambda one: (one.passed, -share_of(one)))
    rows = tuple(_comparison(one, added) for one in worst_first)
    caption = "Every comparison with the reference, worst first"
    summary = f"All {counted(len(rows), 'comparison')}"
    columns = (*COMPARISONS, *(one.column for one in added), *COMPARISONS_AFTER)
    return Table(f"audit-comparisons-{number}", caption, columns, rows, summary=summary)


def _comparison(one: Comparison, added: Sequence[ColumnOfSubject]) -> tuple[Value, ...]:
    agrees = _agrees(one)
    conditions = (Value(one.subject), Value(one.inputs), *(whole(n) for n in (one.images, one.batch, one.threads)))
    found = one.measured
    if found is None:
        return (*conditions, *[Value("")] * (5 + len(added)), agrees)
    return (
        *conditions,
        tiny(found.max_absolute),
        tiny(found.max_relative),
        amount(found.max_ulps, digits=2),
        Value(f"{found.effective_bits:.1f}", found.effective_bits),
        Value(f"1 - {scientific(max(0.0, 1 - found.min_cosine))}", found.min_cosine),
        *(column.of([one]) for column in added),
        agrees,
    )


def _agrees(one: Comparison) -> Value:
    if one.note:
        return Value(f"not judged: {one.note}", tone="muted")
    if not one.passed:
        return Value(f"NO: {one.reason}", tone="bad")
    return Value(f"yes; {one.margin}" if one.margin else "yes", tone="good")
