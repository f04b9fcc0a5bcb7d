"""The page in a real browser: it draws, shows the content of results.json, requests nothing from the network, and
behaves.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from assay.bench.report.evidence import Evidence
from assay.bench.report.page.page import render_page
from assay.bench.report.sections.order import sections_of
from assay.bench.words.numbers import ELLIPSIS
from assay.records.results import Results
from tests.bench.report.sample_explanations import explained_results

PHONE, DESKTOP, LARGE = (390, 844), (1280, 900), (1400, 900)
DRAWN = "html[data-charts=drawn]"
OPEN_ALL = "document.querySelectorAll('details').forEach(one => one.open = true)"
ALL_DRAWN = "[...document.querySelectorAll('[data-chart]')].every(one => one.querySelector('svg'))"


@dataclass
class Visit:
    """An open page and every event that should not have happened on it."""

    page: Page
    problems: list[str] = field(default_factory=list)


Visitor = Callable[..., Visit]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visitor]:
    """Open a report from disk, offline, with everything unfolded, wait until its charts are drawn, and report any
    problem at the end.
    """
    visits: list[Visit] = []

    def go(file: Path, size: tuple[int, int] = DESKTOP, scheme: str = "light", *, opened: bool = True) -> Visit:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce", offline=True
        )
        visit = Visit(context.new_page())
        watch(visit)
        visit.page.goto(file.as_uri())
        visit.page.wait_for_selector(DRAWN, state="attached")
        if opened:
            visit.page.evaluate(OPEN_ALL)
            visit.page.wait_for_function(ALL_DRAWN)
            visit.page.wait_for_function("!document.querySelector('table[data-rows]')")
        visits.append(visit)
        return visit

    yield go
    for visit in visits:
        visit.page.context.close()
        assert visit.problems == []


def watch(visit: Visit) -> None:
    page, problems = visit.page, visit.problems
    page.on("console", lambda message: problems.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: request.url.startswith("file:") or problems.append(f"request: {request.url}"))


def test_every_chart_is_drawn_with_its_marks_and_its_words(visit: Visitor, report: Path) -> None:
    page = visit(report / "report.html").page
    charts = page.eval_on_selector_all(
        "[data-chart]",
        """all => all.map(one => ({name: one.dataset.chart, words: one.parentElement.getAttribute('aria-label'),
             role: one.parentElement.getAttribute('role'),
             marks: one.querySelectorAll('svg .role-mark path, svg .role-mark text, svg .role-mark line').length,
             wide: one.querySelector('svg')?.getBoundingClientRect().width ?? 0}))""",
    )
    specs = packed(page)["charts"]
    assert {chart["name"] for chart in charts} == set(specs)
    assert len(charts) >= 40
    for chart in charts:
        assert chart["marks"] > 3, chart["name"]
        assert chart["wide"] > 150, chart["name"]
        assert chart["role"] == "img"
        assert len(chart["words"]) > 20


def test_the_drawn_values_are_the_measured_ones(visit: Visitor, report: Path, results: Results) -> None:
    specs = packed(visit(report / "report.html").page)["charts"]
    medians = {cell.name: cell.host.median_ms for cell in results.cells if cell.host and cell.framework}
    drawn = {}
    for name, spec in specs.items():
        if name.startswith("latency-"):
            for row in next(part["values"] for part in spec["data"] if "values" in part):
                drawn[row["cell"]] = (row["value"], row["low"], row["high"])
    assert drawn == {name: (median.value, median.low, median.high) for name, median in medians.items()}


def test_the_numbers_shown_are_those_of_the_record(visit: Visitor, report: Path) -> None:
    page = visit(report / "report.html").page
    record = json.loads((report / "results.json").read_text(encoding="utf-8"))
    assert record_in(page) == record
    shown = page.eval_on_selector_all(
        "[data-path]",
        "all => all.map(one => [one.dataset.path, one.dataset.value, one.dataset.factor ?? '1', one.textContent])",
    )
    assert len(shown) > 5000
    for path, value, factor, text in shown:
        number = float(value)
        assert number == pytest.approx(looked_up(record, path) * float(factor), rel=1e-12), path
        if not re.search("min|[hs]$", text):
            assert abs(first_number(text) - number) <= half_of_last_digit(text) * 1.001, (path, text)


def test_a_cell_of_the_table_is_findable_by_hand(visit: Visitor, report: Path, results: Results) -> None:
    page = visit(report / "report.html").page
    index = next(i for i, cell in enumerate(results.cells) if cell.name == "bloodnet/64/b1/t1/ort.cpu@tf2onnx")
    shown = page.text_content(f"#table-all-cells [data-path='/cells/{index}/host/median_ms/value']") or ""
    host = results.cells[index].host
    assert host is not None
    assert shown.startswith(f"{host.median_ms.value:.2f} (")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_never_scrolls_the_page_sideways(visit: Visitor, report: Path, scheme: str) -> None:
    page = visit(report / "report.html", PHONE, scheme).page
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    outside = page.evaluate(
        """width => [...document.querySelectorAll('main > section > *, header > *, nav, .panel, table')]
             .filter(one => one.getBoundingClientRect().right > width + 0.5).map(one => one.outerHTML.slice(0, 80))""",
        PHONE[0],
    )
    assert outside == []


def test_dark_is_dark_in_page_and_charts_and_follows_the_system(visit: Visitor, report: Path) -> None:
    page = visit(report / "report.html", scheme="light").page
    light = look(page)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("before => (" + CHART_INK + ") !== before", arg=light["ink"])
    dark = look(page)
    assert sum(light["paper"]) > 700
    assert sum(dark["paper"]) < 120
    assert light["ink"] != dark["ink"]
    assert light["line"] != dark["line"]


def test_paper_is_light_and_has_what_the_reader_opened(visit: Visitor, report: Path) -> None:
    page = visit(report / "report.html", scheme="dark", opened=False).page
    before = look(page)
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.wait_for_function("before => (" + CHART_INK + ") !== before", arg=before["ink"])
    assert sum(look(page)["paper"]) > 700
    for seen in (".answer", "summary.lane", ".lanes details > p", "#validity h3", "#validity > .lead"):
        assert page.locator(seen).first.is_visible(), seen
    assert not page.locator("#table-validity").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert not page.locator(".lanes details > p").first.is_visible()
    assert not page.locator("#validity > .lead").is_visible()


def test_a_report_prints_on_a_dozen_pages(visit: Visitor, report: Path) -> None:
    page = visit(report / "report.html", LARGE, opened=False).page
    printed = page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) <= 12


def test_tables_sort_by_number_with_mouse_and_keyboard(visit: Visitor, report: Path) -> None:
    page = visit(report / "report.html").page
    heading = page.locator("#table-all-cells thead th", has_text="Median, ms")
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    values = column(page, "all-cells", 6)
    filled = [value for value in values if value is not None]
    assert filled == sorted(filled)
    assert values[len(filled) :] == [None] * (len(values) - len(filled))
    assert len(filled) < len(values)
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    values = column(page, "all-cells", 6)
    assert values[: len(filled)] == sorted(filled, reverse=True)


def test_tables_filter_by_words(visit: Visitor, report: Path, results: Results) -> None:
    page = visit(report / "report.html").page
    page.fill("[data-filters=all-cells]", "ort.cpu@ resnet18")
    expected = sum(cell.runtime == "ort.cpu" and cell.architecture == "resnet18" for cell in results.cells)
    assert page.locator("#table-all-cells tbody tr:visible").count() == expected
    assert page.inner_text(".filter:has([data-filters=all-cells]) output") == f"{expected} of {len(results.cells)} rows"


def test_the_legend_highlights_one_framework(visit: Visitor, report: Path) -> None:
    page = visit(report / "report.html").page
    family = page.locator("#figure-latency .legend > button", has_text=re.compile("^JAX$"))
    family.click()
    assert family.get_attribute("aria-pressed") == "true"
    opacities = page.eval_on_selector_all(
        "#chart-latency-1 .mark-symbol path", "all => all.map(one => one.getAttribute('opacity') ?? '1')"
    )
    assert sorted(set(opacities)) == ["0.1", "1"]
    assert opacities.count("1") == 2 * 4
    family.click()
    assert family.get_attribute("aria-pressed") == "false"


def test_pointing_at_a_mark_says_what_it_is(visit: Visitor, report: Path) -> None:
    page = visit(report / "report.html").page
    mark = page.locator("#chart-cold-1 .mark-rect path").first
    mark.scroll_into_view_if_needed()
    mark.hover()
    words = page.inner_text(".tip")
    assert "import" in words
    assert "together" in words
    page.keyboard.press("Escape")
    assert not page.is_visible(".tip")


def test_synthetic_images_are_named_in_the_banner_and_in_every_chart(visit: Visitor, tmp_path: Path) -> None:
    file = written_page(explained_results((28, 64), (1,), ("bloodnet",), synthetic=True), tmp_path)
    page = visit(file).page
    assert "SYNTHETIC images." in page.inner_text(".banner")
    charts = page.eval_on_selector_all("[data-chart]", "all => all.map(one => one.textContent)")
    assert len(charts) > 8
    assert all("SYNTHETIC images" in text for text in charts)


def test_hostile_names_stay_text(visit: Visitor, tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    results = explained_results((28, 64), (1,), ("resnet18",))
    record = results.model_dump_json()
    for name in ("basophil", "does not load in onnxruntime", "Acevedo et al.", "torch.eager", "2.13.0"):
        record = record.replace(name, hostile)
    results = Results.model_validate_json(record).model_copy(
        update={"title": "</script><img src=x onerror=alert(2)>", "study": "'\"><svg onload=alert(3)>"}
    )
    page = visit(written_page(results, tmp_path)).page
    assert page.inner_text("h1") == "</script><img src=x onerror=alert(2)>"
    assert hostile in page.inner_text("#data")
    assert page.locator("main script, main img, header svg").count() == 0
    assert Results.model_validate(record_in(page)) == results


def test_the_first_screen_says_what_to_run_and_how_far_to_trust_it(visit: Visitor, report: Path) -> None:
    page = visit(report / "report.html", LARGE, opened=False).page
    seen = page.eval_on_selector_all(
        "h1, .byline, .answer, .rests-on, .bars li, .facts-list > div",
        f"""all => all.filter(one => one.getBoundingClientRect().bottom <= {LARGE[1]})
                      .map(one => one.innerText.replace(/\\s+/g, ' '))""",
    )
    said = "\n".join(seen)
    assert re.search(
        r"Run (bloodnet|resnet18) at \S+ in .+: [\d.]+ ms, \S+ as fast as the fastest native fp32, acc", said
    )
    for name in ("Without reduced precision", "Numbers", "All cases", "Machine", "Ruler", "How certain"):
        assert name in said


@pytest.mark.parametrize("size", [PHONE, LARGE])
def test_nothing_overflows_scrolls_inside_or_is_cut(visit: Visitor, report: Path, size: tuple[int, int]) -> None:
    page = visit(report / "report.html", size).page
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.evaluate(BEYOND, size[0]) == []
    assert page.evaluate(CUT_LABELS) == []
    assert ELLIPSIS not in page.inner_text("body")


def test_the_page_is_small_and_short_before_its_details(visit: Visitor, report: Path) -> None:
    assert (report / "report.html").stat().st_size < 3e6
    page = visit(report / "report.html", LARGE, opened=False).page
    assert page.evaluate("document.getElementById('details').getBoundingClientRect().top") < 12 * LARGE[1]
    assert not page.evaluate("[...document.querySelectorAll('details')].some(one => one.open)")


def test_a_link_to_a_folded_part_opens_it(visit: Visitor, report: Path) -> None:
    page = visit(report / "report.html", LARGE, opened=False).page
    page.evaluate("location.hash = '#cells'")
    page.wait_for_selector("#cells tbody tr")
    assert page.evaluate("document.getElementById('cells').open")


def test_each_case_is_a_lane_that_opens_to_its_verdict(visit: Visitor, report: Path, results: Results) -> None:
    page = visit(report / "report.html", LARGE, opened=False).page
    assert page.locator("summary.lane").count() == len(results.comparisons)
    assert page.locator("summary.lane .mark").count() > 4 * len(results.comparisons)
    page.locator("summary.lane").first.click()
    assert "than the fastest native runtime" in page.locator(".lanes details").first.inner_text()


def packed(page: Page) -> dict[str, Any]:
    """The charts and the long tables in the page."""
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(page.text_content("#packed") or "")))
    return found


def record_in(page: Page) -> Any:
    """The record in the page that a reader can save."""
    _, _, letters = (page.get_attribute("#results", "href") or "").partition(",")
    return json.loads(gzip.decompress(base64.b64decode(letters)))


BEYOND = """width => [...document.querySelectorAll('main *, header *, footer *')]
    .filter(one => !one.closest('svg, table.pairs thead')).filter(one => {
        const {overflowX, overflowY} = getComputedStyle(one);
        const scrolls = [overflowX, overflowY].some(kind => ['auto', 'scroll'].includes(kind));
        return scrolls || one.getBoundingClientRect().right > width + 0.5; })
    .map(one => one.outerHTML.slice(0, 80))"""
CUT_LABELS = """[...document.querySelectorAll('[data-chart]')].flatMap(chart => {
    const drawn = chart.querySelector('svg').getBoundingClientRect();
    return [...chart.querySelectorAll('svg text')].filter(text => text.textContent).filter(text => {
        const box = text.getBoundingClientRect();
        return box.left < drawn.left - 1 || box.right > drawn.right + 1; }).map(text => text.textContent); })"""


def written_page(results: Results, folder: Path) -> Path:
    file = folder / "report.html"
    file.write_text(render_page(results, sections_of(Evidence(results))), encoding="utf-8")
    return file


CHART_INK = "document.querySelector('#chart-latency-1 .role-title-text text').getAttribute('fill')"


def look(page: Page) -> dict[str, object]:
    paper = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    line = "document.querySelector('#chart-latency-1 .mark-line path').getAttribute('stroke')"
    return {
        "paper": [int(part) for part in re.findall(r"\d+", paper)][:3],
        "ink": page.evaluate(CHART_INK),
        "line": page.evaluate(line),
    }


def column(page: Page, table: str, place: int) -> list[float | None]:
    texts = page.eval_on_selector_all(
        f"#table-{table} tbody tr", f"rows => rows.map(row => row.children[{place}].dataset.value ?? null)"
    )
    return [None if text is None else float(text) for text in texts]


def looked_up(record: object, pointer: str) -> float:
    for part in pointer.removeprefix("/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        record = record[int(key)] if isinstance(record, list) else record[key]
    return float(record)


def first_number(text: str) -> float:
    found = re.match(r"-?[\d,]+(\.\d+)?(e-?\d+)?", text)
    assert found, text
    return float(found[0].replace(",", ""))


def half_of_last_digit(text: str) -> float:
    found = re.match(r"-?[\d,]+(?:\.(\d+))?(?:e(-?\d+))?", text)
    assert found, text
    return 0.5 * 10.0 ** (int(found[2] or 0) - len(found[1] or ""))
