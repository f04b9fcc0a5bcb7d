"""The audit's own page and the report's section on it: their content, and the page in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from assay.bench.auditing.record import write_audit
from assay.bench.report.evidence import Evidence
from assay.bench.report.page.audit_page import render_audit
from assay.bench.report.page.audit_sections import audit_sections, headline, outcome_items
from assay.bench.report.page.audit_tables import subjects_table
from assay.bench.report.page.blocks import Column, Listing, Paragraphs, Recommendation, Section, Table, Value
from assay.bench.report.page.table_styles import table_styles
from assay.bench.report.sections.models.audit import audit
from assay.bench.report.write import write_report
from assay.records.audit import AUDIT_FILE, PAGE_FILE, Audit, read_audit, reasons_of
from tests.bench.report.sample_audit import HASH, NOTICE, sample_audit
from tests.bench.report.sample_results import sample_results

RESULTS = sample_results((28,), (1,), ("bloodnet",))
PHONE, DESKTOP = (390, 844), (1280, 900)
PAGE_PIXELS = """() => document.documentElement.scrollWidth - document.documentElement.clientWidth"""


@pytest.fixture(scope="module")
def failed() -> Audit:
    return sample_audit()


def test_the_section_says_the_verdict_why_and_what_has_to_be_known(failed: Audit) -> None:
    section = audit(Evidence(RESULTS, audit=failed))
    assert "FAILED: 1 of 4 comparisons" in section.lead
    assert "3 images change class in some runtime or export (boundary 3)" in section.lead
    reasons, findings, models, _ = section.blocks
    assert isinstance(reasons, Listing)
    assert "a different function" in reasons.items[0].text
    assert isinstance(findings, Listing)
    assert "tf.function turns NaN" in findings.items[0].text
    assert "max-pooling loses NaN everywhere" in findings.items[0].text
    assert isinstance(models, Table)
    assert [value.text for value in models.rows[0][1:3]] == ["4", "1 FAILED"]
    subjects = subjects_table(failed.models[0])
    assert [row[1].text for row in subjects.rows] == ["1 FAILED", "agrees", "agrees", "agrees"]
    assert sorted(row[9].text for row in subjects.rows) == ["lost", "passed on", "passed on", "passed on"]
    shares = [row[2].number or 0 for row in subjects.rows[1:]]
    assert shares == sorted(shares, reverse=True)
    plain = failed.models[0].model_copy(update={"propagation": [], "determinism": []})
    unseen = {"Repeated, other batch, other threads", "NaN and infinity"}
    headings = [column.heading for column in subjects.columns]
    assert [one.heading for one in subjects_table(plain).columns] == [one for one in headings if one not in unseen]


def test_a_finding_of_several_models_appears_once(failed: Audit) -> None:
    (model,) = failed.models
    others = [model.model_copy(update={"name": name}) for name in ("other", "third")]
    others[1] = others[1].model_copy(update={"propagation": []})
    for models, note in (
        ([model], model.name),
        ([model, others[0]], "every model"),
        ([model, *others], f"{model.name}, other"),
    ):
        listing = next(
            block
            for block in outcome_items(failed.model_copy(update={"models": models}))
            if isinstance(block, Listing) and "not fail it" in block.summary
        )
        assert [(item.text, item.note) for item in listing.items] == [(model.findings()[0], note)]


def test_a_runtime_that_loses_nan_by_itself_does_not_fail_an_audit_that_is_not_strict() -> None:
    passed = sample_audit(wrong=False)
    assert (passed.verdict, passed.reasons) == ("passed", [])
    assert len(passed.findings) == 1
    assert "The audit passed: all 3 comparisons" in audit(Evidence(RESULTS, audit=passed)).lead
    assert passed.models[0].failures(strict_nan=True) == [str(passed.models[0].propagation[1])]


def test_outdated_parts_are_named_and_not_shown(failed: Audit) -> None:
    keys = failed.models[0].keys | {"onnx@jax2onnx": "f" * 64}
    stale = failed.model_copy(update={"models": [failed.models[0].model_copy(update={"keys": keys})]})
    section = audit(Evidence(RESULTS, audit=stale))
    assert section.lead.startswith("The audit passed: all 3 comparisons")
    assert "Parts that are out of date are left out" in section.lead
    out_of_date, _, models, _ = section.blocks
    assert isinstance(out_of_date, Listing)
    assert "the export by jax2onnx: it covers the file ffffffffffff" in out_of_date.items[0].text
    assert isinstance(models, Table)
    (row,) = models.rows
    assert (row[0].text, row[1].number, row[2].text) == (stale.models[0].name, 3, "none")


def test_an_audit_of_other_weights_says_nothing_about_the_results(failed: Audit) -> None:
    keys = failed.models[0].keys | {"weights": "f" * 64}
    stale = failed.model_copy(update={"models": [failed.models[0].model_copy(update={"keys": keys})]})
    section = audit(Evidence(RESULTS, audit=stale))
    assert "says nothing about these results" in section.lead
    assert not any(isinstance(block, Table) for block in section.blocks)


def test_without_an_audit_the_report_says_how_to_make_one() -> None:
    (block,) = audit(Evidence(RESULTS)).blocks
    assert isinstance(block, Paragraphs)
    assert "assay audit" in block.texts[0]


def test_the_report_carries_the_audits_page_and_record(failed: Audit, tmp_path: Path) -> None:
    files = write_report(RESULTS, None, tmp_path, failed)
    assert {tmp_path / PAGE_FILE, tmp_path / AUDIT_FILE} <= set(files)
    assert read_audit(tmp_path / AUDIT_FILE) == failed
    assert "Numerical audit" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_page_has_hashes_derivations_command_and_notice(failed: Audit, tmp_path: Path) -> None:
    write_audit(failed, tmp_path)
    page = (tmp_path / PAGE_FILE).read_text(encoding="utf-8")
    for said in (HASH, failed.models[0].tolerances[0].derivation[:40], failed.command, NOTICE, "CC BY 4.0", "pool_1"):
        assert said in page
    assert page.count("data:image/png;base64,") == len(failed.models[0].flipped)
    assert "<script" not in page


def test_what_a_record_says_stays_text(failed: Audit) -> None:
    evil = failed.model_copy(update={"notice": "<script>alert(1)</script>", "reasons": ["<img src=x onerror=y>"]})
    page = render_audit(evil)
    assert "<script" not in page
    assert "<img src=x" not in page


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_self_contained_and_fits(
    size: tuple[int, int], scheme: str, failed: Audit, browser: Browser, tmp_path: Path
) -> None:
    write_audit(failed, tmp_path)
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, offline=True)
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto((tmp_path / PAGE_FILE).as_uri())
    assert page.evaluate(PAGE_PIXELS) <= 0
    pictures = page.eval_on_selector_all(".gallery img", "all => all.map(one => one.naturalWidth)")
    assert pictures == [28, 28, 28]
    if size == PHONE:  # a row is a card there, and each of its lines has the heading of its column
        named = (
            "getComputedStyle(document.querySelector('#table-audit-subjects-0 td:nth-child(4)'), '::before').content"
        )
        assert page.evaluate(named) == '"Effective bits"'
    else:
        assert page.locator("#table-audit-subjects-0 thead th:has-text('Effective bits')").is_visible()
    background = page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")
    assert background == ("rgb(253, 252, 250)" if scheme == "light" else "rgb(21, 23, 27)")
    context.close()
    assert problems == []


def test_the_page_prints(failed: Audit, browser: Browser, tmp_path: Path) -> None:
    write_audit(failed, tmp_path)
    page = browser.new_page()
    page.goto((tmp_path / PAGE_FILE).as_uri())
    printed = page.pdf(format="A4")
    page.close()
    assert printed.startswith(b"%PDF")
    assert len(printed) > 20_000


def test_an_audit_that_compared_nothing_counts_no_comparisons() -> None:
    audit = sample_audit()
    empty = [model.model_copy(update={"comparisons": []}) for model in audit.models]
    assert headline(audit.model_copy(update={"models": empty, "verdict": "failed"})) == (
        "The audit FAILED: nothing could be compared with float64."
    )


def test_the_wrong_part_comes_first_and_nothing_is_counted_as_zero(failed: Audit) -> None:
    (model,) = failed.models
    guilty = failed.model_copy(update={"models": [model.model_copy(update={"guilt": ["it: OpenVINO is wrong"]})]})
    first = next(iter(outcome_items(guilty)))
    assert isinstance(first, Listing)
    assert (first.heading, first.items[0].text) == ("Who is wrong", f"{model.name}: it: OpenVINO is wrong")
    agreeing = [one for one in model.comparisons if one.passed]
    crashed = model.model_copy(update={"comparisons": agreeing, "missing": {"tf.eager": "it crashed"}})
    said = headline(failed.model_copy(update={"models": [crashed]}))
    assert "did not agree" not in said
    assert said.endswith("agree, and it fails for another reason, given below.")


def several(audit: Audit) -> Audit:
    """The same audit of three models, of which only the second fails."""
    wrong, right = audit.models[0], sample_audit(wrong=False).models[0]
    names = {"first/28": right, "second/28": wrong, "third/28": right}
    models = [model.model_copy(update={"name": name}) for name, model in names.items()]
    return audit.model_copy(update={"models": models, "reasons": reasons_of(models)})


def test_the_page_begins_with_the_verdict_and_what_failed_and_folds_the_rest_by_model(failed: Audit) -> None:
    audit = several(failed)
    verdict, models, *folded = audit_sections(audit)
    answer, table, _ = verdict.blocks
    assert isinstance(answer, Recommendation)
    assert answer.sentence == "FAILED: 1 of 10 comparisons with float64 did not agree."
    assert isinstance(table, Table)
    ((name, subject, *_, why),) = table.rows
    (wrong,) = (one for one in audit.models[1].comparisons if not one.passed)
    assert (name.text, subject.text, why.text) == ("second/28", wrong.subject, wrong.reason)
    assert isinstance(models.blocks[0], Table)
    assert models.blocks[0].rows[0][0].text == "second/28"
    assert [section.title for section in folded] == [
        "second/28: 1 of 4 comparisons did not agree", "first/28: all 3 comparisons agree",
        "third/28: all 3 comparisons agree", "How it is judged", "Record",
    ]  # fmt: skip
    assert all(section.detail for section in folded)


def test_a_reason_other_than_a_comparison_is_below_them(failed: Audit) -> None:
    reasons = [*failed.reasons, "bloodnet/28: tf.eager was not audited: it crashed"]
    _, _, others, _ = audit_sections(failed.model_copy(update={"reasons": reasons}))[0].blocks
    assert isinstance(others, Listing)
    assert [item.text for item in others.items] == reasons[-1:]


def test_a_page_of_thousands_of_comparisons_is_small(failed: Audit) -> None:
    (model,) = failed.models
    one = model.comparisons[-1]
    many = [one.model_copy(update={"inputs": f"inputs {number}"}) for number in range(3000)]
    page = render_audit(failed.model_copy(update={"models": [model.model_copy(update={"comparisons": many})]}))
    assert page.count("<tr>") > 3000
    assert len(page) < 700 * 3000


def test_no_heading_leaves_its_place_in_the_style_sheet() -> None:
    columns = tuple(Column(text) for text in ("a", "b", '"}</style><script>\\', "é"))
    table = Table("one", "", columns, ((Value("1"),) * 4,))
    styles = table_styles([Section("one", "", "", (table,))])
    assert "</style" not in styles
    assert "\\22 \\7d \\3c \\2f style" in styles


def test_paper_has_the_verdict_and_what_failed_and_of_each_fold_its_headline(
    failed: Audit, browser: Browser, tmp_path: Path
) -> None:
    write_audit(several(failed), tmp_path)
    page = browser.new_page()
    page.goto((tmp_path / PAGE_FILE).as_uri())
    page.emulate_media(media="print")
    assert page.locator("#table-audit-failed tbody tr").is_visible()
    assert page.locator("#model-1 > summary").is_visible()
    assert page.locator("#model-1 > .lead").is_visible()
    assert not page.locator("#table-audit-subjects-1").is_visible()
    page.evaluate("document.getElementById('model-1').open = true")
    assert page.locator("#table-audit-subjects-1").is_visible()
    assert not page.locator("#table-audit-subjects-0").is_visible()
    page.close()
