"""The report's section on the instrument itself."""

from __future__ import annotations

from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Listing, Paragraphs, Table
from assay.bench.report.sections.times.selfcheck import selfcheck
from tests.bench.report.sample_results import sample_results
from tests.bench.report.sample_selfcheck import sample_selfcheck

RESULTS = sample_results((28,), (1,), ("bloodnet",))


def evidence(**update: object) -> Evidence:
    return Evidence(RESULTS.model_copy(update={"selfcheck": sample_selfcheck()} | update))


def test_every_check_and_comparison_is_shown_with_its_outcome() -> None:
    section = selfcheck(evidence())
    checks, advice, comparisons = section.blocks
    assert isinstance(checks, Table)
    assert isinstance(comparisons, Table)
    assert [row[3].text for row in checks.rows] == ["FAIL", "FAIL", "pass", "pass", "pass"]  # worst first
    assert len(comparisons.rows) == 12
    assert {row[3].text for row in comparisons.rows} == {"same", "slower", "undecided"}
    assert isinstance(advice, Listing)
    assert "did not pass its self-check" in section.lead


def test_a_passed_one_needs_no_advice() -> None:
    section = selfcheck(evidence(selfcheck=sample_selfcheck().model_copy(update={"passed": True})))
    assert "fit for use" in section.lead
    assert not any(isinstance(block, Listing) for block in section.blocks)


def test_without_one_the_report_says_so_and_how_to_get_it() -> None:
    (block,) = selfcheck(evidence(selfcheck=None)).blocks
    assert isinstance(block, Paragraphs)
    assert "assay selfcheck" in block.texts[0]


def test_how_comparisons_were_made_is_said_beside_how_the_study_made_its_own() -> None:
    assert "3 processes of at most 4 blocks" in selfcheck(evidence()).lead
    more = [one.model_copy(update={"processes": 5}) for one in RESULTS.comparisons]
    assert (
        "The study has 5; the smallest detectable slowdown here is "
        "3.1 % with 5." in selfcheck(evidence(comparisons=more)).lead
    )
    old = sample_selfcheck().model_copy(update={"design": None, "told": {}})
    assert "blocks" not in selfcheck(evidence(selfcheck=old)).lead
