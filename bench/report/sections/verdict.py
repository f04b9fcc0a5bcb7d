"""The first section: the verdict in words."""

from __future__ import annotations

from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Item, Listing, Section, Tone
from assay.bench.tasks.task import task_of
from assay.bench.words.agreement import numbers_in_words
from assay.bench.words.explanation import explanations
from assay.bench.words.races import Outcome
from assay.bench.words.verdict import Verdict, headline, verdicts

SIGNS: dict[Outcome, tuple[str, Tone]] = {
    "faster": ("faster", "good"),
    "slower": ("slower", "bad"),
    "same": ("same", "good"),
    "undecided": ("undecided", "notice"),
    "invalid": ("invalid", "bad"),
    "missing": ("no verdict", "muted"),
}


def verdict(evidence: Evidence) -> Section:
    """All verdicts in one sentence, then one for each group with what explains it, architecture by architecture.

    A user is told first whether the numbers of their model agree.
    """
    by_architecture: dict[str, list[Item]] = {}
    for found in verdicts(evidence.results):
        by_architecture.setdefault(found.group.architecture, []).extend(_items(found, evidence))
    listings = tuple(Listing(architecture, tuple(items)) for architecture, items in by_architecture.items())
    if evidence.results.kind == "model":
        told = [*numbers_in_words(evidence.results), *task_of(evidence.results).told(evidence.results)]
        numbers = tuple(Item(sentence) for sentence in told)
        listings = (Listing("Numbers", numbers), *listings)
    return Section("verdict", "Verdict", headline(evidence.results), listings)


def _items(found: Verdict, evidence: Evidence) -> list[Item]:
    """The verdict, and below it what the other precisions say."""
    sign, tone = SIGNS[found.outcome]
    note = " ".join(explanations(evidence.results, found))
    beside = [Item(f"{found.place}: {one.text}", *SIGNS[one.outcome]) for one in found.beside]
    return [Item(f"{found.place}, {found.finding}", sign, tone, note), *beside]
