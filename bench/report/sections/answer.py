"""The first screen: what to run, the gain, and in short the basis for it."""

from __future__ import annotations

from assay.bench.judging.summary import is_short_of_samples
from assay.bench.report.contenders import Case, called, cases, not_told_from, recommended
from assay.bench.report.drawing.palette import series_of
from assay.bench.report.evidence import Evidence, agreement_fails, median_of
from assay.bench.report.page.audit_sections import headline as headline_of_audit
from assay.bench.report.page.audit_sections import of_whom
from assay.bench.report.page.blocks import Bar, Fact, FactList, Recommendation, Section, Tone
from assay.bench.report.quality import qualities
from assay.bench.report.sections.times.speed import what_is_told
from assay.bench.tasks.measure import measure_of
from assay.bench.tasks.task import task_of
from assay.bench.words.agreement import numbers_in_words, told_of_model
from assay.bench.words.names import verified
from assay.bench.words.no_verdict import said_once_of_invalid
from assay.bench.words.numbers import SPACE, counted, interval, listed, pixels, ratio, significant
from assay.bench.words.selfcheck import VERDICTS, measured
from assay.bench.words.verdict import headline
from assay.fingerprint import fingerprint_in
from assay.records.audit import Audit
from assay.records.results import Cell
from assay.records.stale import current_part, stale_parts

IDENTIFIER, TITLE = "verdict", "What to run"
GOOD: Tone = "good"
BAD: Tone = "bad"
FIT: dict[bool, tuple[str, Tone]] = {True: ("fit", GOOD), False: ("FAILED", BAD)}


def answer(evidence: Evidence) -> Section:
    """Say what to run, or that nothing can be recommended, with the facts that say how far to trust it."""
    found = cases(evidence)
    chosen = recommended(found, evidence)
    facts = tuple(fact for fact in _facts(evidence, found, chosen) if fact.text)
    if chosen is None:
        block = Recommendation("Nothing can be recommended.", headline(evidence.results))
    else:
        says, rests_on = _sentence(evidence, found, *chosen), _rests_on(evidence, *chosen)
        block = Recommendation(says, rests_on, _bars(*chosen))
    return Section(IDENTIFIER, TITLE, "", (block, FactList(facts)))


def _sentence(evidence: Evidence, found: list[Case], case: Case, cell: Cell) -> str:
    """Return "Run ONNX Runtime int8: 0.20 ms, 5.1x as fast as the fastest native fp32, accuracy 98.5 %."."""
    several = len({(one.group.architecture, one.group.size) for one in found}) > 1
    which = f"{case.group.architecture} at {pixels(case.group.size)} in " if several else ""
    quality = qualities(evidence).get(cell.name)
    measure = measure_of(evidence.results)
    value = (
        ""
        if quality is None
        else f"{100 * quality.value:.1f}{SPACE}%"
        if measure.share
        else measure.short(quality.value)
    )
    right = f", {measure.name} {value}" if quality else ""
    time = f"{significant(median_of(cell).value, 2)}{SPACE}ms"
    return f"Run {which}{called(cell)}: {time}{_gain_in_short(case, cell)}{right}."


def _gain_in_short(case: Case, cell: Cell) -> str:
    gain, verdict, native = case.gain(cell), case.verdict(cell), case.native
    if native is not None and native.name == cell.name:
        return ", and no export is faster"
    if gain is None or case.comparison is None:
        return ""
    rival = f"the fastest native {case.comparison.precision}"
    if verdict == "faster":
        return f", {ratio(gain).partition(' ')[0]} as fast as {rival}"
    return f", as fast as {rival} within 2{SPACE}%" if verdict == "same" else f", not distinguishable from {rival}"


def _rests_on(evidence: Evidence, case: Case, cell: Cell) -> str:
    """Say which model and file it is about, over what and with which intervals."""
    place = f"{case.group.architecture}, {pixels(case.group.size)}, " if case.group.size else ""
    made = f" of the {cell.exporter} export" if cell.exporter else ""
    parts = [f"{place}batch {case.group.batch}{made}: {interval(median_of(cell), f'{SPACE}ms')} a call"]
    gain, native = case.gain(cell), case.native
    if gain is not None and native is not None and native.name != cell.name:
        parts.append(f"{ratio(gain)} over {called(native)}, which takes {interval(median_of(native), f'{SPACE}ms')}")
    if quality := qualities(evidence).get(cell.name):
        measure = measure_of(evidence.results)
        parts.append(f"{measure.name} {measure.words(quality)}")
    alike = not_told_from(cell, case, evidence)
    tied = f" The samples do not distinguish it from {listed([called(one) for one in alike])}." if alike else ""
    return f"{'; '.join(parts)}.{tied}"


def _bars(case: Case, cell: Cell) -> tuple[Bar, ...]:
    """Return bars for the recommended cell, the fastest exact one, the fastest native one and the first of the other
    side.
    """
    first_exported = next((one for one in case.ranked if not one.is_native and not one.reduced_precision), None)
    shown = [cell, case.exact, first_exported, case.native]
    cells = {one.name: one for one in shown if one is not None}
    longest = max(median_of(one).value for one in cells.values())
    return tuple(
        Bar(
            called(one),
            f"{significant(median_of(one).value)}{SPACE}ms",
            median_of(one).value / longest,
            series_of(one.label, one.framework).token,
        )
        for one in sorted(cells.values(), key=lambda one: median_of(one).value)
    )


def _facts(evidence: Evidence, found: list[Case], chosen: tuple[Case, Cell] | None) -> list[Fact]:
    several = [Fact("All cases", headline(evidence.results))] if len(found) > 1 and chosen else []
    exact = [_exact(*chosen)] if chosen else []
    sizes = [Fact("Sizes", verified(evidence.results))]
    return [
        *exact,
        _numbers(evidence, chosen),
        *_answers(evidence),
        *sizes,
        *several,
        _machine(evidence),
        _ruler(evidence),
        _sure(evidence),
    ]


def _exact(case: Case, cell: Cell) -> Fact:
    name, best = "Without reduced precision", case.exact
    if best is None:
        return Fact(name, "No cell that computes in fp32 can be ranked here.")
    if best.name == cell.name:
        return Fact(name, "The same: it computes in fp32.")
    gain = case.gain(best)
    over = (
        f", {ratio(gain)} as fast as {called(case.native)}" if gain and case.native and case.native is not best else ""
    )
    return Fact(name, f"{called(best)}: {interval(median_of(best), f'{SPACE}ms')}{over}.")


def _numbers(evidence: Evidence, chosen: tuple[Case, Cell] | None) -> Fact:
    """Return the audit in words and numbers; without one, the agreement of the timed outputs."""
    audit = _audit_of(evidence)
    if audit is None:
        return _timed_numbers(evidence)
    stale = stale_parts(audit, evidence.results)
    current = current_part(audit, stale) if stale else audit
    if not current.models:
        return Fact(
            "Audit", "The audit beside these results is of other files and says nothing about them.", "stale", "bad"
        )
    if current.passed:
        return Fact("Audit", headline_of_audit(current), "passed", "good")
    told = f"{of_whom(current)}{_and_the_recommended(evidence, chosen)}"
    return Fact("Audit", told, "FAILED", "bad")


def _audit_of(evidence: Evidence) -> Audit | None:
    """Return the audit, if it compared anything or says why it did not."""
    return None if evidence.audit is None or evidence.audit.is_empty else evidence.audit


def _answers(evidence: Evidence) -> list[Fact]:
    """Return what is said of a user's model and its decisions, where `_numbers` has the audit alone."""
    results = evidence.results
    if _audit_of(evidence) is None or results.kind != "model":
        return []
    return [Fact("Model", " ".join([*told_of_model(results), *task_of(results).told(results)]))]


def _timed_numbers(evidence: Evidence) -> Fact:
    results, name = evidence.results, "Numbers"
    said = [*numbers_in_words(results), *task_of(results).told(results)] if results.kind == "model" else []
    compared = [cell for cell in evidence.timed if cell.agreement is not None]
    wrong = sum(agreement_fails(cell, results) for cell in evidence.timed)
    if not compared:
        return Fact(name, " ".join(said) or "Nothing was compared with float64.", "not compared", "notice")
    if not said:
        agree = f"{len(evidence.timed) - wrong} of {counted(len(evidence.timed), 'cell')} agree with float64"
        said = [
            f"{agree} on the timed outputs. Not audited: assay audit also compares the whole test split "
            "and the decision boundary."
        ]
    sign, tone = f"{wrong} wrong" if wrong else "agree", BAD if wrong else GOOD
    return Fact(name, " ".join(said), sign, tone)


def _and_the_recommended(evidence: Evidence, chosen: tuple[Case, Cell] | None) -> str:
    return " The recommended cell passed." if chosen and chosen[1].name in qualities(evidence) else ""


def _machine(evidence: Evidence) -> Fact:
    """Return the processor, its cores, and how many threads each runtime had."""
    known = evidence.results.environment
    if not isinstance(known.get("processor"), str):
        return Fact("Machine", "")
    cores = known.get("cores")
    threads = listed([str(count) for count in sorted({cell.threads for cell in evidence.timed})])
    parts = [fingerprint_in(known).words]
    parts += [counted(cores, "core")] if isinstance(cores, int) else []
    parts += [f"{threads} thread{'' if threads == '1' else 's'} a runtime"] if threads else []
    return Fact("Machine", f"{', '.join(parts)}.")


def _ruler(evidence: Evidence) -> Fact:
    name, found = "Ruler", evidence.results.selfcheck
    if found is None:
        return Fact(
            name, "Its own error on this machine is not known: assay selfcheck measures it.", "not checked", "notice"
        )
    shown = [f"{one.name} {measured(one)}" for one in found.checks if one.unit == "share" and one.found is not None]
    told = f"{VERDICTS[found.passed]} {listed(shown).capitalize()}".rstrip()
    return Fact(name, f"{told}." if shown else told, *FIT[found.passed])


def _sure(evidence: Evidence) -> Fact:
    """Say how many processes were timed, which differences could be detected, and what was not to be trusted."""
    results = evidence.results
    judged = [cell for cell in evidence.timed if cell.steadiness is not None]
    invalid = sum(bool(cell.invalid) and not is_short_of_samples(cell) for cell in judged)
    told = what_is_told([one for one in results.comparisons if one.ratios])
    shares = f"{invalid} of {counted(len(judged), 'cell')} are INVALID and ranked nowhere" if invalid else ""
    parts = [f"All intervals are 95{SPACE}% intervals over fresh processes.", told, f"{shares}." if shares else ""]
    parts += said_once_of_invalid(results)
    return Fact("How certain", " ".join(filter(None, parts))) if judged else Fact("How certain", "")
