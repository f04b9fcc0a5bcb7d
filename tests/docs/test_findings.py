"""Figures in README and on the page of the reference study are those of the published results."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from assay.bench.atlas.versions.changes import KINDS
from assay.bench.words.numbers import inverse, ratio
from assay.records.audit import read_audit
from assay.records.load import Load, read_load
from assay.records.results import read_results
from tools.findings.reference import compared, raced, told
from tools.findings.studies import STUDIES, StudyPage, images_a_call, page, read
from tools.findings.tables import TABLES, filled

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "findings" / "reference-study.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", list(dict(filled())), ids=lambda page: page.name)
def test_the_tables_of_a_page_are_those_of_the_published_records(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == dict(filled())[page]


def test_every_table_has_rows() -> None:
    assert [table.name for table in TABLES if not [*table.rows()]] == []


def test_a_page_without_a_place_for_its_table_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one place between"):
        TABLES[0].put("a page without marks")


def test_rows_that_failed_are_marked_and_come_first() -> None:
    failed = ["FAILED" in row for row in compared()]
    assert sum(failed) == 2  # int8 of resnet18 at 128 pixels, in both batches
    assert failed == sorted(failed, reverse=True)


def test_races_compare_like_with_like_in_each_precision() -> None:
    """Of the study at 224 pixels, whose own page has these figures too."""
    rows = [row.strip("| ").split(" | ") for row in raced(ROOT / "artifacts/reference/speed")]
    bloodnet, resnet18 = sorted(rows)
    assert [row[0] for row in (bloodnet, resnet18)] == ["bloodnet 224x224, 1", "resnet18 224x224, 1"]
    assert [row[3] for row in (bloodnet, resnet18)] == ["openvino.nncf@torch-dynamo"] * 2
    assert float(resnet18[5].split()[0]) == pytest.approx(3.57, abs=0.01)


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
        at = f"## {comparison.architecture} at {comparison.size} pixels, {images_a_call(comparison.batch)}\n"
        assert told.count(at) == 1
    part = told.partition("## resnet18 at 128 pixels, one image a call\n")[2].partition("\n## ")[0]
    assert (
        len(re.findall(r"^\| ort.cpu@torch-dynamo\+int8 \| int8 \|.* \*\*FAILED its audit\*\*", part, re.MULTILINE)) > 0
    )
    part = told.partition("## bloodnet at 224 pixels, one image a call\n")[2].partition("\n## ")[0]
    row = re.search(r"^\| ort.cpu@torch-dynamo\+int8 \| int8 \|.*$", part, re.MULTILINE)
    assert row
    assert " 3,421 |" in row[0]


def load_in_words(load: Load) -> list[str]:
    """The sentences on a server's cost and rate, as the page has them; its table has the closed loops."""
    cost = {one.way: one for one in load.overheads}
    assert load.highest_rate is not None
    return [
        f"Up to {load.highest_rate.rate:,.0f} requests a second",
        f"within {load.highest_rate.bound_ms:.2f} ms",
        f"adds {told(cost['grpc'].overhead_ms)} ms to one image of one client over gRPC",
        f"{told(cost['http'].overhead_ms)} ms over HTTP",
        f"to {cost['grpc'].in_process_ms.value:.2f} ms in the client's own process",
    ]


def test_the_load_is_the_published_one() -> None:
    page = " ".join(PAGE.split())
    assert [text for text in load_in_words(read_load(ROOT / "artifacts/reference/load.json")) if text not in page] == []


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
