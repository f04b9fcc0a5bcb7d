"""Section on the instrument itself: the findings of `assay selfcheck` on the machine of the study."""

from __future__ import annotations

from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Block, Item, Listing, Paragraphs, Section, Table, Value, headings
from assay.bench.report.page.values import whole
from assay.bench.words.numbers import counted, duration, in_processes, moment, percent, scaled, significant
from assay.bench.words.selfcheck import VERDICTS, measured, required
from assay.records.selfcheck import Check, PlantedComparisons, SelfCheck

CHECKS = headings("Check | # Measured | Required | Outcome | Remark")
COMPARISONS = headings("Planted | # Comparison | # Measured | Verdict | # Processes")


def selfcheck(evidence: Evidence) -> Section:
    """Show each check with its requirement, every comparison with a known truth, and advice where a check failed."""
    found = evidence.results.selfcheck
    identifier, title = "selfcheck", "The ruler itself"
    if found is None:
        on_gpu = any(cell.device_kind == "cuda" for cell in evidence.results.cells)
        command = f"assay selfcheck{' --device cuda' if on_gpu else ''}"
        text = (
            "No self-check of this machine with these versions was found, so the instrument's own error on it is not "
            f"known. To measure it: {command}. The next run in the same folder shows what it found."
        )
        return Section(identifier, title, "", (Paragraphs((text,)),))
    lead = (
        f"{VERDICTS[found.passed]} Measured in {duration(found.seconds)} on {moment(found.created, time=True)}, by the "
        f"same trials and verdicts as the study, with runtimes whose true times are known.{_design(evidence)}"
    )
    return Section(identifier, title, lead, (_checks(found), *_advice(found), _comparisons(found)))


def _design(evidence: Evidence) -> str:
    """Say how its comparisons were made, and whether the study made its own in the same way."""
    found = evidence.results.selfcheck
    if found is None or found.design is None:
        return ""
    here = found.design.processes
    text = f" Each comparison has {in_processes(here)} of at most {counted(found.design.blocks, 'block')}."
    study = sorted({one.processes for one in evidence.results.comparisons} - {0, here})
    if not study or not found.told:
        return text
    told = [f"{significant(100 * found.told[count], 2)} % with {count}" for count in study if count in found.told]
    known = f"; the smallest detectable slowdown here is {', '.join(told)}" if told else ""
    return f"{text} The study has {', '.join(map(str, study))}{known}."


def _checks(found: SelfCheck) -> Table:
    failed_first = sorted(enumerate(found.checks), key=lambda pair: pair[1].passed)
    rows = tuple(_check(check, f"/selfcheck/checks/{place}/found") for place, check in failed_first)
    return Table("selfcheck-checks", "What was measured and what is required", CHECKS, rows, sortable=False)


def _check(check: Check, path: str) -> tuple[Value, ...]:
    factor = 100 if check.unit == "share" else 1
    number = None if check.found is None else check.found * factor
    return (
        Value(check.name),
        Value(measured(check), number, path if number is not None else "", factor),
        Value(required(check)),
        Value("pass", tone="good") if check.passed else Value("FAIL", tone="bad"),
        Value(check.remark),
    )


def _advice(found: SelfCheck) -> tuple[Block, ...]:
    if found.passed or not found.advice:
        return ()
    return (Listing("To make the machine quieter", tuple(Item(sentence) for sentence in found.advice)),)


def _comparisons(found: SelfCheck) -> Table:
    rows = tuple(
        row
        for place, planted in enumerate(found.comparisons)
        for row in _planted(planted, f"/selfcheck/comparisons/{place}")
    )
    caption = "Every comparison with a known true ratio: the time of the slower over the reference's, less one"
    return Table("selfcheck-comparisons", caption, COMPARISONS, rows, summary="Every comparison")


def _planted(planted: PlantedComparisons, path: str) -> list[tuple[Value, ...]]:
    kind = f"{planted.planted:.0%} slower" if planted.planted else "identical"
    rows: list[tuple[Value, ...]] = []
    for place, (ratio, verdict, processes) in enumerate(
        zip(planted.ratios, planted.verdicts, planted.processes, strict=True)
    ):
        excess = ratio.model_copy(update={"value": ratio.value - 1, "low": ratio.low - 1, "high": ratio.high - 1})
        rows.append(
            (
                Value(kind),
                Value(str(place + 1), place + 1),
                Value(percent(excess), scaled(excess, 100).value),
                Value(verdict),
                whole(processes, f"{path}/processes/{place}"),
            )
        )
    return rows
