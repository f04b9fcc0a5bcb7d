"""An audit in sections: the content of the standalone page, and of the report's section."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from assay.bench.report.page.audit_tables import (
    comparisons_table,
    failed_table,
    models_table,
    share_of,
    subjects_table,
    tolerances_table,
)
from assay.bench.report.page.blocks import (
    Block,
    Code,
    Fact,
    FactList,
    Item,
    Listing,
    Paragraphs,
    Recommendation,
    Section,
    Table,
    Value,
    headings,
)
from assay.bench.tasks.task import task, task_of
from assay.bench.words.numbers import SPACE, count, counted, duration, listed, moment, scientific
from assay.fingerprint import fingerprint_in
from assay.records.audit import Audit, Comparison, ModelAudit

INPUTS = headings("Inputs | # Images | What they are | sha256 of the .npy")
TWO_COLUMNS = headings("What | Value")


def audit_sections(audit: Audit) -> list[Section]:
    """Every section of the page: the verdict with what failed, all models, and the rest folded by model."""
    failed_first = sorted(audit.models, key=lambda model: not any(not one.passed for one in model.comparisons))
    everything = [section for section in (_verdict(audit), _models(audit)) if section.blocks]
    return [*everything, *(_of_model(audit, model) for model in failed_first), _method(audit), _record(audit)]


def headline(audit: Audit) -> str:
    """Return the verdict in one sentence, with how much was compared."""
    changed = "".join(f", and {one}" for one in _changed(audit))
    said = f"The audit {'passed' if audit.passed else 'FAILED'}: {_outcome(audit)}"
    return f"{said}{'' if _fails_otherwise(audit) else changed}."


def _outcome(audit: Audit) -> str:
    """State the basis of the verdict: "2 of 3,214 comparisons with float64 did not agree"."""
    comparisons = _judged(audit)
    failed = sum(not one.passed for one in comparisons)
    compared = f"{counted(len(comparisons), 'comparison')} with float64"
    if audit.passed:
        return f"all {compared} are within their tolerances"
    if not comparisons:
        return "nothing could be compared with float64"
    if not failed:
        return f"all {compared} agree, and it fails for another reason, given below"
    return f"{count(failed)} of {compared} did not agree"


def _fails_otherwise(audit: Audit) -> bool:
    return not audit.passed and all(one.passed for one in _judged(audit))


def _judged(audit: Audit) -> list[Comparison]:
    """The comparisons that are not on record only."""
    return [one for model in audit.models for one in model.comparisons if not one.note]


def of_whom(audit: Audit) -> str:
    """Return which comparisons of a failed audit did not agree: "2 of 3,134 comparisons with float64 did not agree:
    ...".
    """
    comparisons = _judged(audit)
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
    yield from _why_it_failed(audit, audit.reasons)
    yield from _findings_of(audit)


def _why_it_failed(audit: Audit, reasons: list[str]) -> Iterator[Listing]:
    """Name the culprit, with these reasons for the verdict."""
    guilt = [f"{model.name}: {said}" for model in audit.models for said in model.guilt]
    if guilt:
        yield Listing("Who is wrong", tuple(Item(said) for said in guilt))
    if reasons:
        yield Listing("Why it failed", tuple(Item(reason, "FAILED", "bad") for reason in reasons))


def _findings_of(audit: Audit) -> Iterator[Listing]:
    """List the folded remarks, which do not fail it."""
    if audit.findings:
        found = tuple(_findings(audit))
        yield Listing(
            "",
            found,
            summary=f"{counted(len(found), 'finding')} that {'does' if len(found) == 1 else 'do'} not fail it",
        )


def _findings(audit: Audit) -> Iterator[Item]:
    """Iterate over each finding once, with the models that it is about."""
    for finding, names in _models_of_findings(audit).items():
        everywhere = len(names) == len(audit.models) > 1
        yield Item(finding, "finding", "notice", "every model" if everywhere else ", ".join(names))


def _models_of_findings(audit: Audit) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for model in audit.models:
        for finding in model.findings():
            found.setdefault(finding, []).append(model.name)
    return found


def _verdict(audit: Audit) -> Section:
    """The first screen: the verdict in one sentence, the facts beside it, and each comparison that did not agree."""
    facts = tuple(fact for fact in _facts_beside(audit) if fact.text)
    sentence = f"{'Passed' if audit.passed else 'FAILED'}: {_outcome(audit)}."
    rests_on = (
        "Every subject, a runtime or a file in one, is compared with the same model in float64, never with "
        "another subject. Tolerances are derived from how far correct native runs in fp32 are from that reference."
    )
    failed = failed_table(audit)
    in_table = {
        f"{model.name}: {one.subject}, {one.inputs}: {one.reason}"
        for model in audit.models
        for one in model.comparisons
        if not one.passed
    }
    others = [reason for reason in audit.reasons if reason not in in_table]
    blocks: tuple[Block, ...] = (*([failed] if failed.rows else []), *_why_it_failed(audit, others), FactList(facts))
    return Section("verdict", "Numerical audit", "", (Recommendation(sentence, rests_on), *blocks))


def _facts_beside(audit: Audit) -> Iterator[Fact]:
    subjects = {one.subject for model in audit.models for one in model.comparisons}
    yield Fact("Compared", f"{counted(len(audit.models), 'model')} in {counted(len(subjects), 'subject')}.")
    closest = max(
        ((share_of(one), one.subject, model.name) for model in audit.models for one in model.comparisons if one.passed),
        default=(0.0, "", ""),
    )
    if closest[0]:
        share, subject, name = closest
        told = f"{subject} with {name} takes {100 * share:.0f}{SPACE}% of its tolerance."
        yield Fact("Nearest to its limit", f"Among those that agree in fp32, {told}")
    yield Fact("Decisions", "".join(f"{one[:1].upper()}{one[1:]}. " for one in _changed(audit)).strip())
    found = len(_models_of_findings(audit))
    if found:
        yield Fact("Findings", f"{counted(found, 'finding')} that {'does' if found == 1 else 'do'} not fail it, below.")
    known = isinstance(audit.environment.get("processor"), str)
    yield Fact("Machine", f"{fingerprint_in(audit.environment).words}." if known else "")
    yield Fact("Made by", f"Assay {audit.assay_version}, {moment(audit.created, time=True)}.")


def _models(audit: Audit) -> Section:
    """Each model's worst, and what was found beside."""
    table = [models_table(audit)] if len(audit.models) > 1 else []
    return Section("models", "All models", "", (*table, *_findings_of(audit)))


def _of_model(audit: Audit, model: ModelAudit) -> Section:
    """All about one model, folded where there are several."""
    number = audit.models.index(model)
    check = "" if model.reference_check is None else f" (they agree to {scientific(model.reference_check)})"
    blocks: list[Block] = [subjects_table(model, number)]
    if model.localisations:
        blocks.append(Listing("Where it goes wrong", tuple(Item(str(one)) for one in model.localisations)))
    if model.missing:
        items = tuple(Item(f"{name}: {reason}") for name, reason in model.missing.items())
        blocks.append(Listing("What could not be audited", items))
    blocks += [tolerances_table(model, number), comparisons_table(model, number)]
    said = " ".join(text for text in (audit.notice, audit.data) if text)
    if shown := task_of(model).audit_section(model, said, f"flips-{number}"):
        blocks += [Paragraphs((shown.lead,)), *shown.blocks]
    judged = [one for one in model.comparisons if not one.note]
    failed, compared = sum(not one.passed for one in judged), counted(len(judged), "comparison")
    title = f"{model.name}: {f'{count(failed)} of {compared} did not agree' if failed else f'all {compared} agree'}"
    lead = f"Reference: {model.reference}{check}."
    return Section(f"model-{number}", title, lead, tuple(blocks), detail=len(audit.models) > 1)


def _method(audit: Audit) -> Section:
    texts = (
        f"NaN and infinity: {audit.special_values_policy}." + (" --strict-nan was given." if audit.strict_nan else ""),
        f"Reduced precision (fp16, bf16, int8): {audit.reduced_precision_policy}."
        if audit.reduced_precision_policy
        else "",
    )
    again = Code("To repeat this audit from the same artifacts", audit.command, "sh")
    return Section("method", "How it is judged", "", (Paragraphs(tuple(filter(None, texts))), again), detail=True)


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
    lead = "What was audited, by its hashes, and on what machine."
    blocks = (
        Table("audit-inputs", "Inputs", INPUTS, rows),
        _facts("audit-models", "Models: sha256 of the weights and of every ONNX file", models),
        _facts("audit-environment", "Environment", audit.environment),
        _facts("audit-data", "Whose images", {name: text for name, text in said.items() if text}),
        _facts("audit-seconds", "Time", {name: duration(value) for name, value in audit.seconds.items()}, folded=True),
    )
    return Section("record", "Record", lead, tuple(one for one in blocks if one.rows), detail=True)


def _facts(identifier: str, caption: str, facts: Mapping[str, JsonValue], *, folded: bool = False) -> Table:
    rows = tuple((Value(name), Value(_text(value))) for name, value in facts.items() if value not in (None, ""))
    return Table(identifier, caption, TWO_COLUMNS, rows, sortable=False, summary=caption if folded else "")


def _text(value: JsonValue) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(_text(part) for part in value)
    return str(value)
