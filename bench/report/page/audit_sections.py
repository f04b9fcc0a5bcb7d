"""An audit in sections: the content of the standalone page, and of the report's section."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydantic import JsonValue

from assay.bench.report.page.blocks import (
    Block,
    Code,
    Column,
    Item,
    Listing,
    Paragraphs,
    Section,
    Table,
    Value,
)
from assay.bench.tasks.task import ColumnOfSubject, task, task_of
from assay.bench.words.numbers import count, counted, duration, listed, moment, scientific, significant
from assay.records.audit import Audit, Comparison, ModelAudit

SUBJECTS = (
    Column("Subject"),
    Column("Outcome"),
    Column("Share of what is tolerated", numeric=True),
    Column("Effective bits", numeric=True),
    Column("Arithmetic seen"),
)
"""The columns after those that the task adds."""
SUBJECTS_AFTER = (Column("Again, other batch, other threads"), Column("NaN and infinity"))
MODELS = (
    Column("Model"),
    Column("Comparisons", numeric=True),
    Column("Failed"),
    Column("Most that fp32 takes of its tolerance", numeric=True),
    Column("By"),
)
TOLERANCES = (
    Column("Inputs"),
    Column("For"),
    Column("Tolerated", numeric=True),
    Column("Largest output", numeric=True),
    Column("Where it comes from"),
)
COMPARISONS = (
    Column("Subject"),
    Column("Inputs"),
    Column("Images", numeric=True),
    Column("Batch", numeric=True),
    Column("Threads", numeric=True),
    Column("Largest error", numeric=True),
    Column("Relative", numeric=True),
    Column("ulps", numeric=True),
    Column("Bits", numeric=True),
    Column("Least cosine", numeric=True),
)
"""The columns of comparisons after those that the task adds."""
COMPARISONS_AFTER = (Column("Agrees"),)
INPUTS = (
    Column("Inputs"),
    Column("Images", numeric=True),
    Column("What they are"),
    Column("sha256 of the .npy"),
)
TWO_COLUMNS = (Column("What"), Column("Value"))


def audit_sections(audit: Audit) -> list[Section]:
    """Return every section of the page, in order."""
    return [
        _verdict(audit),
        *(section for model in audit.models for section in _of_model(audit, model)),
        _record(audit),
    ]


def headline(audit: Audit) -> str:
    """Return the verdict in one sentence, with how much was compared."""
    comparisons = [one for model in audit.models for one in model.comparisons if not one.note]
    failed = sum(not one.passed for one in comparisons)
    changed = "".join(f", and {one}" for one in _changed(audit))
    compared = f"{counted(len(comparisons), 'comparison')} with float64"
    if audit.passed:
        return f"The audit passed: all {compared} are within what is tolerated{changed}."
    if not comparisons:
        return "The audit FAILED: nothing could be compared with float64."
    if not failed:
        return f"The audit FAILED: all {compared} agree, and it fails for another reason, given below."
    return f"The audit FAILED: {count(failed)} of {compared} did not agree{changed}."


def of_whom(audit: Audit) -> str:
    """Return which comparisons of a failed audit did not agree: "2 of 3,134 comparisons with float64 did not agree:
    ...".
    """
    comparisons = [one for model in audit.models for one in model.comparisons if not one.note]
    failed = {
        model.name: list(dict.fromkeys(one.subject for one in model.comparisons if not one.passed))
        for model in audit.models
    }
    whom = "; ".join(f"{name} in {listed(subjects)}" for name, subjects in failed.items() if subjects)
    if not whom:
        return "; ".join(audit.reasons) + "."
    count_failed = sum(not one.passed for one in comparisons)
    return f"{count(count_failed)} of {counted(len(comparisons), 'comparison')} with float64 did not agree: {whom}."


def _changed(audit: Audit) -> Iterator[str]:
    """Iterate over what changed in the decisions of all models of a task, task by task."""
    for name in dict.fromkeys(model.task for model in audit.models):
        if said := task(name).changed_in_audit([model for model in audit.models if model.task == name]):
            yield said


def outcome_items(audit: Audit) -> Iterator[Block]:
    """Iterate over why it failed, and what else a reader has to know."""
    guilt = [f"{model.name}: {said}" for model in audit.models for said in model.guilt]
    if guilt:
        yield Listing("Who is wrong", tuple(Item(said) for said in guilt))
    if audit.reasons:
        yield Listing("Why it failed", tuple(Item(reason, "FAILED", "bad") for reason in audit.reasons))
    if audit.findings:
        found = tuple(_findings(audit))
        yield Listing(
            "",
            found,
            summary=f"{counted(len(found), 'finding')} that {'does' if len(found) == 1 else 'do'} not fail it",
        )


def _findings(audit: Audit) -> Iterator[Item]:
    """Iterate over each finding once, with the models that it is about."""
    found: dict[str, list[str]] = {}
    for model in audit.models:
        for finding in model.findings():
            found.setdefault(finding, []).append(model.name)
    for finding, names in found.items():
        everywhere = len(names) == len(audit.models) > 1
        yield Item(finding, "finding", "notice", "every model" if everywhere else ", ".join(names))


def models_table(audit: Audit) -> Table:
    """Return one row for each model: those that failed first, and then by the share of their tolerance that they
    use.
    """
    rows = [_model_row(model) for model in audit.models]
    rows.sort(key=lambda row: (not row[2].number, -(row[3].number or 0)))
    caption = "The worst of each model; audit.html has every subject and comparison"
    return Table("audit-models-worst", caption, MODELS, tuple(rows))


def _model_row(model: ModelAudit) -> tuple[Value, ...]:
    compared = [one for one in model.comparisons if not one.note]
    failed = sum(not one.passed for one in compared)
    measured = [(one.measured, one.tolerance, one.subject) for one in compared if one.measured and one.tolerance]
    share, worst = max(((found.max_absolute / most, name) for found, most, name in measured), default=(0.0, ""))
    return (
        Value(model.name),
        _number(len(compared)),
        Value(f"{failed} FAILED", failed, tone="bad") if failed else Value("none", 0, tone="good"),
        Value(_share(share), 100 * share) if worst else Value("not compared", tone="muted"),
        Value(worst),
    )


def subjects_table(model: ModelAudit, number: int = 0) -> Table:
    """Return one row for each subject, those that failed first: its worst over all inputs, batches and threads."""
    failed = {one.subject for one in model.comparisons if not one.passed}
    names = dict.fromkeys(one.subject for one in model.comparisons)
    rows = tuple(_subject(model, name) for name in sorted(names, key=lambda name: name not in failed))
    caption = f"{model.name}: the worst of each subject, over all inputs, batch sizes and threads"
    columns = (*SUBJECTS, *(one.column for one in task_of(model).subject_columns()), *SUBJECTS_AFTER)
    return Table(f"audit-subjects-{number}", caption, columns, rows)


def _verdict(audit: Audit) -> Section:
    method = (
        "Every subject is compared with the same model in float64, never with its neighbour. A tolerance is "
        "derived from how far correct native runs in fp32 are from that reference on the same inputs.",
        f"NaN and infinity: {audit.special_values_policy}." + (" --strict-nan was given." if audit.strict_nan else ""),
        f"Reduced precision (fp16, bf16, int8): {audit.reduced_precision_policy}.",
    )
    again = Code("To make this audit again from the same artifacts", audit.command, "sh")
    return Section("verdict", "Verdict", headline(audit), (*outcome_items(audit), again, Paragraphs(method)))


def _of_model(audit: Audit, model: ModelAudit) -> Iterator[Section]:
    number = audit.models.index(model)
    check = "" if model.reference_check is None else f" (they agree to {scientific(model.reference_check)})"
    blocks: list[Block] = [subjects_table(model, number)]
    if model.localisations:
        blocks.append(Listing("Where it goes wrong", tuple(Item(str(one)) for one in model.localisations)))
    if model.missing:
        items = tuple(Item(f"{name}: {reason}") for name, reason in model.missing.items())
        blocks.append(Listing("What could not be audited", items))
    blocks += [_tolerances(model, number), _comparisons(model, number)]
    yield Section(f"model-{number}", model.name, f"Reference: {model.reference}{check}.", tuple(blocks))
    said = " ".join(text for text in (audit.notice, audit.data) if text)
    shown = task_of(model).audit_section(model, said, f"flips-{number}")
    if shown:
        yield shown


def _subject(model: ModelAudit, subject: str) -> tuple[Value, ...]:
    mine = [one for one in model.comparisons if one.subject == subject]
    failed = sum(not one.passed for one in mine)
    measured = [one.measured for one in mine if one.measured]
    shares = [one.measured.max_absolute / one.tolerance for one in mine if one.measured and one.tolerance]
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
    return Value("lost", tone="notice") if found.is_the_runtimes_own else Value("NOT as the reference", tone="bad")


def _tolerances(model: ModelAudit, number: int) -> Table:
    rows = tuple(
        (
            Value(one.inputs),
            Value(one.for_subject or "all others"),
            Value(scientific(one.value), one.value),
            Value(significant(one.scale), one.scale),
            Value(one.problem or one.derivation),
        )
        for one in model.tolerances
    )
    caption = "What is tolerated, and where it comes from"
    return Table(f"audit-tolerances-{number}", caption, TOLERANCES, rows, summary="How the tolerances were derived")


def _comparisons(model: ModelAudit, number: int) -> Table:
    added = task_of(model).comparison_columns()
    rows = tuple(_comparison(one, added) for one in model.comparisons)
    caption = f"Every comparison of {model.name} with its reference"
    summary = f"All {counted(len(rows), 'comparison')}"
    columns = (*COMPARISONS, *(one.column for one in added), *COMPARISONS_AFTER)
    return Table(f"audit-comparisons-{number}", caption, columns, rows, summary=summary)


def _comparison(one: Comparison, added: Sequence[ColumnOfSubject]) -> tuple[Value, ...]:
    agrees = _agrees(one)
    conditions = (Value(one.subject), Value(one.inputs), *(_number(n) for n in (one.images, one.batch, one.threads)))
    found = one.measured
    if found is None:
        return (*conditions, *[Value("")] * (5 + len(added)), agrees)
    return (
        *conditions,
        Value(scientific(found.max_absolute), found.max_absolute),
        Value(scientific(found.max_relative), found.max_relative),
        Value(significant(found.max_ulps, 2), found.max_ulps),
        Value(f"{found.effective_bits:.1f}", found.effective_bits),
        Value(f"1 - {scientific(max(0.0, 1 - found.min_cosine))}", found.min_cosine),
        *(column.of([one]) for column in added),
        agrees,
    )


def _agrees(one: Comparison) -> Value:
    if one.note:
        return Value(f"not judged: {one.note}", tone="muted")
    return Value("yes", tone="good") if one.passed else Value(f"NO: {one.reason}", tone="bad")


def _number(value: int) -> Value:
    return Value(count(value), value)


def _record(audit: Audit) -> Section:
    rows = tuple(
        (
            Value(f"{model.name}, {one.name}"),
            Value(
                count(one.images) + (f" of {count(one.sampled_from)}" if one.sampled_from != one.images else ""),
                one.images,
            ),
            Value(one.what),
            Value(one.sha256),
        )
        for model in audit.models
        for one in model.inputs
    )
    models = {f"{model.name}, {name}": sha256 for model in audit.models for name, sha256 in model.models.items()}
    said = {"Images": audit.data, "Notice": audit.notice}
    lead = f"Made by Assay {audit.assay_version}, {moment(audit.created, time=True)}."
    blocks = (
        Table("audit-inputs", "Inputs", INPUTS, rows),
        _facts("audit-models", "Models: sha256 of the weights and of every ONNX file", models),
        _facts("audit-environment", "Environment", audit.environment),
        _facts("audit-data", "Whose images", {name: text for name, text in said.items() if text}),
        _facts("audit-seconds", "Time", {name: duration(value) for name, value in audit.seconds.items()}, folded=True),
    )
    return Section("record", "Record", lead, tuple(one for one in blocks if one.rows))


def _facts(identifier: str, caption: str, facts: Mapping[str, JsonValue], *, folded: bool = False) -> Table:
    rows = tuple((Value(name), Value(_text(value))) for name, value in facts.items() if value not in (None, ""))
    return Table(identifier, caption, TWO_COLUMNS, rows, sortable=False, summary=caption if folded else "")


def _text(value: JsonValue) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(_text(part) for part in value)
    return str(value)
