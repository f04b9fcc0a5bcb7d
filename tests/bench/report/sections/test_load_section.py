"""The section on the model behind a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Listing, Paragraphs, Table
from assay.bench.report.sections.times.load import load
from assay.bench.report.write import write_report
from assay.records.base import Interval
from assay.records.load import ClosedLoop, Conditions, HighestRate, LatencySplit, Load, Overhead, RateTried, Scenario
from tests.bench.report.sample_results import sample_results

IS_ON_TOP = """element => {
    const box = element.getBoundingClientRect();
    return element === document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
}"""


def about(value: float) -> Interval:
    return Interval(value=value, low=value * 0.9, high=value * 1.1)


def sample_load() -> Load:
    conditions = Conditions(client_use=0.4, stolen_share=0.0, throttle_events=None, others_busy=0.1)
    loop = ClosedLoop(
        way="grpc",
        clients=1,
        processes=3,
        requests=9000,
        failed=0,
        wrong=0,
        images_per_second=about(1500),
        median_ms=about(0.62),
        p90_ms=about(0.7),
        p99_ms=about(1.3),
        split=LatencySplit(client=0.11, network=0.25, queue=0.02, compute=0.2, server=0.04),
        conditions=[conditions] * 3,
        invalid=[],
    )
    scenario = Scenario(
        name="Server",
        processes=3,
        queries=4200,
        seconds=6.1,
        verdicts=["VALID", "INVALID", "INVALID"],
        samples_per_second=about(700),
        p50_ms=about(0.7),
        p90_ms=about(1.1),
        p99_ms=about(4.1),
        target_rate=710.0,
        bound_ms=6.2,
        failed=0,
        wrong=0,
        invalid=[],
    )
    drifting = ["drift: +9.0% over a process, at most 5% is tolerated"]
    return Load(
        created="2026-11-24T12:00:00+00:00",
        assay_version="0.1.0",
        deployment="cells",
        version=2,
        precision="int8",
        model_sha256="0" * 64,
        server="triton 2.51.0",
        way="grpc",
        server_cores=[0],
        environment={"cores": 4, "usable_cores": 3},
        closed_loop=[loop, loop.model_copy(update={"clients": 4, "split": None, "invalid": drifting})],
        overheads=[
            Overhead(
                way="grpc",
                processes=3,
                served_ms=about(0.61),
                in_process_ms=about(0.15),
                overhead_ms=about(0.46),
                invalid=[],
            )
        ],
        scenarios=[scenario],
        highest_rate=HighestRate(
            bound_ms=6.2, rate=710.0, fails_at=760.0, tried=[RateTried(rate=710.0, p99_ms=4.1, holds=True)]
        ),
        seconds=93.0,
    )


def test_it_has_every_measurement_and_says_which_are_invalid() -> None:
    section = load(Evidence(sample_results(), load=sample_load()))
    assert section is not None
    assert "cells, version 2 (int8), served by triton 2.51.0" in section.lead
    assert "Among this machine's 4 cores the server could use 1 (number 0), the clients 3." in section.lead
    unseen = load(Evidence(sample_results(), load=sample_load().model_copy(update={"server_cores": None})))
    assert unseen is not None
    assert "The server's cores are unknown." in unseen.lead
    tables = {block.identifier: block for block in section.blocks if isinstance(block, Table)}
    first, second = tables["load-closed-loop"].rows
    assert [value.text for value in first][-6:] == ["0.110", "0.250", "0.0200", "0.200", "0.0400", "VALID"]
    assert [value.text for value in second][-6:] == ["not reported"] * 5 + ["INVALID"]
    assert all(len(row) == len(table.columns) for table in tables.values() for row in table.rows)
    assert tables["load-costs"].rows[0][3].number == 0.46
    assert tables["load-scenarios"].rows[0][6].text == "INVALID in 2 of 3"
    texts = " ".join(text for block in section.blocks if isinstance(block, Paragraphs) for text in block.texts)
    assert "Up to 710 requests a second" in texts
    assert "not MLPerf-compliant" in texts
    (listing,) = [block for block in section.blocks if isinstance(block, Listing)]
    assert [item.text for item in listing.items] == [
        f"closed loop, clients 4: {sample_load().closed_loop[1].invalid[0]}"
    ]


def test_without_a_load_test_there_is_no_section() -> None:
    assert load(Evidence(sample_results())) is None


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    write_report(sample_results((28,), (1,), ("bloodnet",)), None, out, load=sample_load())
    return out


def test_a_report_has_it_in_the_page_and_in_markdown(report: Path) -> None:
    for name in ("report.html", "report.md"):
        text = (report / name).read_text()
        assert "Behind a server" in text
        assert "INVALID in 2 of 3" in text


def test_its_tables_have_headings_that_are_seen(browser: Browser, report: Path) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    page.goto((report / "report.html").as_uri())
    for table, heading in (("closed-loop", "Median ms"), ("costs", "Server overhead, ms"), ("scenarios", "p99 ms")):
        found = page.locator(f"#table-load-{table} thead th", has_text=heading)
        found.scroll_into_view_if_needed()
        assert found.evaluate(IS_ON_TOP)
    verdict = page.locator("#table-load-closed-loop tbody td", has_text="INVALID").bounding_box()
    assert verdict is not None
    assert verdict["width"] > verdict["height"]  # on one line
    context.close()
