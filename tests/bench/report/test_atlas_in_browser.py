"""The atlas' page in a real browser: it searches, filters and unfolds in place, and requests nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from assay.bench.atlas.page import render_atlas
from assay.bench.atlas.record import Finding, Verdict
from tests.bench.atlas.test_findings import atlas_of, finding

PHONE, DESKTOP = (390, 844), (1400, 900)
SHOWN = "[...document.querySelectorAll('[data-operator]')].filter(one => one.checkVisibility()).map(one => one.id)"
WIDTHS = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
OLD = "torch 2.12.1"


def layer(verdict: Verdict, name: str) -> Finding:
    return finding(verdict, operator=name, route="tf2onnx").model_copy(update={"suite": "keras"})


ATLAS = atlas_of(
    finding("right"),
    finding("wrong", route="torch-script"),
    finding("right").model_copy(update={"route": "torch-script", "other_versions": OLD}),
    finding("right", operator="nn.functional.avg_pool2d"),
    finding("not exported", operator="nn.functional.avg_pool2d", route="torch-script"),
    finding("wrong in the runtime", operator="nn.functional.binary_cross_entropy_with_logits"),
    layer("right", "AveragePooling2D"),
    layer("wrong", "GRU"),
)


@pytest.fixture
def pages(browser: Browser, tmp_path: Path) -> Iterator[dict[str, Page]]:
    """The page on a desktop and on a phone; any problem is reported at the end."""
    (tmp_path / "atlas.html").write_text(render_atlas(ATLAS), encoding="utf-8")
    problems: list[str] = []
    found = {}
    for name, (width, height) in {"desktop": DESKTOP, "phone": PHONE}.items():
        page = browser.new_context(viewport={"width": width, "height": height}, offline=True).new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: request.url.startswith("file:") or problems.append(request.url))
        page.goto((tmp_path / "atlas.html").as_uri())
        found[name] = page
    yield found
    for page in found.values():
        page.context.close()
    assert problems == []


def test_operators_are_searched_and_filtered(pages: dict[str, Page]) -> None:
    page = pages["desktop"]
    assert len(page.evaluate(SHOWN)) == 5
    page.fill("#search", "POOL")
    assert page.evaluate(SHOWN) == ["opinfo-nn.functional.avg_pool2d", "keras-AveragePooling2D"]
    assert page.inner_text("#shown") == "2 of 5 operators"
    page.fill("#search", "avg 2d")
    assert page.evaluate(SHOWN) == ["opinfo-nn.functional.avg_pool2d"]
    page.fill("#search", "")
    page.select_option("#route", "keras/tf2onnx")
    assert page.evaluate(SHOWN) == ["keras-AveragePooling2D", "keras-GRU"]
    page.select_option("#route", "")
    page.click("text=None of them")
    assert page.evaluate(SHOWN) == []
    assert page.inner_text("#shown") == "0 of 5 operators"
    page.check("[data-verdict='wrong']")
    assert page.evaluate(SHOWN) == ["opinfo-relu", "keras-GRU"]
    page.select_option("#route", "opinfo/torch-dynamo")
    assert page.evaluate(SHOWN) == []
    page.click("text=All of them")
    assert page.evaluate(SHOWN) == [
        "opinfo-nn.functional.avg_pool2d",
        "opinfo-nn.functional.binary_cross_entropy_with_logits",
        "opinfo-relu",
    ]


def test_a_row_unfolds_its_findings_with_those_of_other_versions(pages: dict[str, Page]) -> None:
    row = pages["desktop"].locator("#opinfo-relu")
    row.locator("summary").click()
    text = row.inner_text()
    assert "differs by 1 <b>" in text
    assert f"torch-script with {OLD}: right in 1 sample." in text


def test_a_link_to_a_row_unfolds_it(pages: dict[str, Page]) -> None:
    page = pages["desktop"]
    page.goto(page.url + "#keras-GRU")
    assert page.locator("#keras-GRU").get_attribute("open") is not None


@pytest.mark.parametrize("name", ["desktop", "phone"])
def test_nothing_is_cut_or_wider_than_the_screen(pages: dict[str, Page], name: str) -> None:
    page = pages[name]
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    wide, screen = page.evaluate(WIDTHS)
    assert wide <= screen
    cut = "[...document.querySelectorAll('.lane.operator > span')].filter(one => one.scrollWidth > one.clientWidth + 1)"
    assert page.evaluate(f"{cut}.map(one => one.textContent)") == []
