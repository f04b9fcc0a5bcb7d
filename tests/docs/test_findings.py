"""Figures in README and on the page of the reference study are those of the published results."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from assay.bench.atlas.versions.changes import KINDS
from assay.bench.judging.judged import judged
from assay.bench.words.numbers import inverse, ratio
from assay.records.audit import read_audit
from assay.records.load import Load, read_load
from assay.records.races import SpeedComparison
from assay.records.results import Interval, Results, read_results
from tools.findings.studies import STUDIES, StudyPage, page, read

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "findings" / "reference-study.md").read_text(encoding="utf-8")
PUBLISHED = ("artifacts/reference", "artifacts/reference/quick")


def interval(found: Interval) -> str:
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def row(comparison: SpeedComparison, results: Results) -> str:
    """A comparison as the page's tables show it, with a verdict unless it is "faster".

    The last column is the gain of int8 over fp32 in ONNX Runtime, or that its outputs failed the audit.
    """
    group = f"{comparison.architecture}/{comparison.size}/b{comparison.batch}/t{comparison.threads}"
    cells = {cell.label: cell for cell in results.cells if cell.name.startswith(f"{group}/")}
    native, onnx = (cells[label].host for label in (comparison.native, comparison.onnx))
    assert native is not None
    assert onnx is not None
    places = [
        f"{comparison.architecture} {comparison.size}x{comparison.size}, {comparison.batch}",
        comparison.native,
        f"{native.median_ms.value:.2f}",
        comparison.onnx,
        f"{onnx.median_ms.value:.2f}",
        interval(comparison.speedup) + ("" if comparison.verdict == "faster" else f", {comparison.verdict}"),
    ]
    for label, cell in cells.items():
        if (cell.runtime, cell.precision) == ("ort.cpu", "int8"):
            known = comparison.gains[label]
            places.append(interval(known) if label in comparison.ratios else "**int8 FAILED its audit**")
    return f"| {' | '.join(places)} |"


def shorter(row: str) -> str:
    """A row of the page as README has it: without int8, which is the last column."""
    cells = row.strip("| ").split(" | ")
    return f"| {' | '.join(cells[:-1])} |"


def rows(folder: Path) -> list[str]:
    audit = folder / "audit.json"
    results = judged(read_results(folder / "results.json"), read_audit(audit) if audit.is_file() else None)
    return [row(comparison, results) for comparison in results.comparisons]


@pytest.mark.parametrize("folder", PUBLISHED)
def test_the_tables_are_those_of_the_published_results(folder: str) -> None:
    found = rows(ROOT / folder)
    assert found
    assert [line for line in found if line not in PAGE] == []


def test_a_row_of_the_readme_is_one_of_the_page() -> None:
    found = re.findall(r"^\| (?:bloodnet|resnet18) \d.*$", README, re.MULTILINE)
    assert found
    assert [line for line in found if not any(line == shorter(whole) for whole in PAGE.splitlines())] == []


def test_rows_that_failed_are_marked_and_come_first() -> None:
    table = [line for line in PAGE.splitlines() if re.match(r"\| (bloodnet|resnet18) \d", line)]
    failed = [line for line in table if "FAILED" in line]
    assert len(failed) == 2  # int8 of resnet18 at 128 pixels, in both batches
    assert table[: len(failed)] == failed


@pytest.mark.parametrize("study", STUDIES, ids=lambda one: one.study)
def test_a_page_on_native_at_its_best_is_written_from_the_published_records(study: StudyPage) -> None:
    assert study.folder.exists() == study.page.exists()
    assert not study.folder.exists() or study.page.read_text(encoding="utf-8") == read(study.folder)


def test_readme_has_the_gain_of_int8_at_28_pixels() -> None:
    results = read_results(ROOT / "artifacts/reference/reduced/results.json")
    race = next(one for one in results.races if one.precision == "int8")
    assert race.speedup
    assert (race.native, race.verdict) == ("litert.int8", "slower")
    assert f"LiteRT in int8 is {ratio(inverse(race.speedup))} faster than the best int8" in README


def test_the_page_on_speed_has_each_cell_once_and_those_that_failed_the_audit() -> None:
    folder = ROOT / "artifacts/reference"
    results = read_results(folder / "results.json")
    told = page(results, read_audit(folder / "audit.json"), {})
    for comparison in results.comparisons:
        assert f"## {comparison.architecture} at {comparison.size} pixels\n" in told
    part = told.partition("## resnet18 at 128 pixels\n")[2].partition("\n## ")[0]
    assert (
        len(re.findall(r"^\| ort.cpu@torch-dynamo\+int8 \| int8 \|.* \*\*FAILED its audit\*\*", part, re.MULTILINE)) > 0
    )
    part = told.partition("## bloodnet at 224 pixels\n")[2].partition("\n## ")[0]
    row = re.search(r"^\| ort.cpu@torch-dynamo\+int8 \| int8 \|.*$", part, re.MULTILINE)
    assert row
    assert " 3,421 |" in row[0]


def load_lines(load: Load) -> list[str]:
    """A load test as the page shows it: the rows of its table, and the sentences on the server's cost and rate."""
    lines = []
    for loop in load.closed_loop:
        per_second = loop.images_per_second
        rate = [f"{float(f'{one:.3g}'):,.0f}" for one in (per_second.value, per_second.low, per_second.high)]
        times = (interval(loop.median_ms), interval(loop.p99_ms))
        lines.append(f"| {loop.clients} | {rate[0]} ({rate[1]} to {rate[2]}) | {' | '.join(times)} |")
    cost = {one.way: one for one in load.overheads}
    assert load.highest_rate is not None
    return [
        *lines,
        f"Up to {load.highest_rate.rate:,.0f} requests a second",
        f"within {load.highest_rate.bound_ms:.2f} ms",
        f"adds {interval(cost['grpc'].overhead_ms)} ms to one image of one client over gRPC",
        f"{interval(cost['http'].overhead_ms)} ms over HTTP",
        f"to {cost['grpc'].in_process_ms.value:.2f} ms in the client's own process",
    ]


def test_the_load_is_the_published_one() -> None:
    told = " ".join(PAGE.split())
    assert [line for line in load_lines(read_load(ROOT / "artifacts/reference/load.json")) if line not in told] == []


def test_counts_of_the_atlas_are_those_of_its_summary() -> None:
    folder = ROOT / "artifacts" / "atlas"
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    counts, judged = summary["counts"], summary["operators"]["opinfo"]
    dynamo, script = (counts[f"opinfo {route}"] for route in ("torch-dynamo", "torch-script"))
    readme = " ".join(README.split())
    told = f"{judged} PyTorch operators has {dynamo['wrong']} that `torch.onnx.export` exports silently wrong"
    assert told in readme
    assert f"with `dynamo=True`, and {script['wrong']} with `dynamo=False`" in readme
    page = (ROOT / "docs" / "how-to" / "atlas.md").read_text(encoding="utf-8")
    for key, row in counts.items():
        suite, route = key.split()
        in_runtime = row.get("wrong in the runtime", 0) + row.get("only unoptimised", 0)
        told = (
            f"{sum(row.values())} | {row['right']} | {row.get('wrong', 0)} | {in_runtime} | {row.get('undecided', 0)}"
        )
        assert sum(row.values()) == summary["operators"][suite]
        assert (f"| {told} |" if suite == "onnx" else f"| {route} | {told} |") in page
    for key, row in summary["other versions"].items():
        route, _, words = key.partition(", with ")
        kinds = " | ".join(str(row.get(kind, 0)) for kind in KINDS)
        assert f"| {words} | {route} | {row['judged']} of {row['of']} | {kinds} |" in page
        assert row["judged"] == sum(row.get(kind, 0) for kind in KINDS)
    programs = list((folder / "defects").glob("*/run.py"))
    assert f"each of the {len(programs)} pairs" in page
    assert len(programs) == len(summary["confirmed"])
