"""The files of a report, and that a report can be made from whatever a study left."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import altair
import polars
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.bench.report.cells_table import SCHEMA, cells_frame
from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Figure
from assay.bench.report.page.page import render_markdown, render_page
from assay.bench.report.sections.environment import study_toml
from assay.bench.report.sections.order import ALSO, DETAILS, REPORT, sections_of
from assay.bench.report.write import write_report
from assay.bench.tasks.task import task_of
from assay.errors import InputError
from assay.records.results import Results, read_results
from assay.study import Study
from tests.bench.report.sample_explanations import EXPLANATIONS, explained_results
from tests.bench.report.sample_results import sample_samples

GOLDEN = Path(__file__).parents[2] / "golden"
SMALL = explained_results((28, 64), (1,), ("bloodnet",))
LISTS = ("trainings", "parity", "exports", "cells", "comparisons", *EXPLANATIONS)


def test_a_report_is_a_page_markdown_the_record_tables_and_figures(written: list[Path], report: Path) -> None:
    names = [str(path.relative_to(report)) for path in written]
    assert names[:5] == ["report.html", "report.md", "results.json", "cells.csv", "cells.parquet"]
    figures = [Path(name).stem for name in names if name.endswith(".svg")]
    assert [Path(name).stem for name in names if name.endswith(".png")] == figures
    assert figures[:3] == ["latency", "throughput", "attribution"]
    assert all(path.stat().st_size > 500 for path in written)


def test_the_page_names_no_place_it_could_load_from(report: Path) -> None:
    page = (report / "report.html").read_text(encoding="utf-8")
    markup = re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.DOTALL)
    assert re.findall(r"""(?:src|href)=["'](?!#|data:)[^"']*""", markup) == []
    policy = html.unescape(re.findall(r'Content-Security-Policy" content="([^"]*)"', markup)[0])
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert page.count("<script") == 3


def test_markdown_shows_figures_that_exist_and_rows_that_fit_their_headings(report: Path) -> None:
    text = (report / "report.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\((figures/[^)]+)\)", text)
    assert len(linked) == len(list((report / "figures").glob("*.svg")))
    assert all((report / link).is_file() for link in linked)
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_markdown_keeps_hostile_names_text() -> None:
    record = SMALL.model_dump_json().replace("basophil", "a|b <img src=x> `c` [d](e) *f*")
    text = render_markdown(results := Results.model_validate_json(record), sections_of(Evidence(results)))
    line = next(line for line in text.splitlines() if line.startswith("| Classes"))
    assert r"a\|b \<img src=x\> \`c\` \[d\](e) \*f\*" in line


def test_the_cells_table_has_every_cell_with_full_precision(report: Path, results: Results) -> None:
    frame = polars.read_parquet(report / "cells.parquet")
    assert frame.schema == polars.Schema(SCHEMA)
    assert frame["cell"].to_list() == [cell.name for cell in results.cells]
    medians = [cell.host.median_ms.value if cell.host else None for cell in results.cells]
    assert frame["host_median_ms_value"].to_list() == medians
    assert polars.read_csv(report / "cells.csv")["host_median_ms_value"].to_list() == medians
    assert cells_frame(results.model_copy(update={"cells": []})).schema == polars.Schema(SCHEMA)


def test_the_record_beside_the_report_keeps_its_bytes_where_it_is_the_same(tmp_path: Path) -> None:
    record = tmp_path / "results.json"
    small = SMALL.model_copy(update={name: [] for name in LISTS})
    record.write_text(json.dumps(small.model_dump(mode="json")), encoding="utf-8")
    before = record.read_bytes()
    write_report(small, None, tmp_path)
    assert record.read_bytes() == before
    other = small.model_copy(update={"study": "other"})
    write_report(other, None, tmp_path)
    assert read_results(record) == other


def test_a_folder_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    in_the_way = tmp_path / "report"
    in_the_way.write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=r"Cannot write .*report"):
        write_report(SMALL, None, in_the_way)


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_golden_records_of_every_version_still_read_and_render(version: int) -> None:
    golden = read_results(GOLDEN / f"results-v{version}.json")
    page = render_page(golden, sections_of(Evidence(golden, sample_samples(golden))))
    assert golden.title in page


def test_the_golden_record_of_version_2_has_a_value_in_every_part_of_it() -> None:
    golden = read_results(GOLDEN / "results-v2.json")
    explaining = {"attribution", "roofline", "operators", "factors", "validity", "selfcheck", "not-run"}
    assert all(getattr(golden, name) for name in ("fits", *LISTS))
    assert any(cell.invalid for cell in golden.cells)
    assert explaining <= {section.identifier for section in sections_of(Evidence(golden))}


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(
    kept=st.sets(st.sampled_from(LISTS)),
    bare=st.booleans(),
    sampled=st.booleans(),
)
def test_a_report_can_be_made_of_whatever_there_is(kept: set[str], bare: bool, sampled: bool) -> None:
    """Any subset of the record's parts, with or without samples, environment and settings."""
    update: dict[str, object] = {name: [] for name in LISTS if name not in kept}
    if bare:
        update |= {"environment": {}, "settings": {}, "seconds": {}, "title": ""}
    results = SMALL.model_copy(update=update)
    sections = sections_of(Evidence(results, sample_samples(results) if sampled else None))
    page = render_page(results, sections)
    assert sections[0].identifier == "verdict"
    assert all(f'id="{section.identifier}"' in page for section in sections)
    assert ("latency" in [section.identifier for section in sections]) == ("cells" in kept)
    assert render_markdown(results, sections).startswith("# ")


def test_every_section_shows_in_the_full_report(results: Results) -> None:
    """All sections except those of a load test, which is not part of a study (test_load_section.py), of several
    instances, of sizes of a dimension, of a metric, of single defaults, and of layers that must not be int8
    (test_mixed_section.py).
    """
    task = task_of(results)
    every = (*REPORT, *task.sections(), *ALSO, *task.details(), *DETAILS)
    assert len(sections_of(Evidence(results, sample_samples(results)))) == len(every) - 6


def test_every_chart_is_valid_vega_lite() -> None:
    sections = sections_of(Evidence(SMALL, sample_samples(SMALL)))
    figures = [block for section in sections for block in section.blocks if isinstance(block, Figure)]
    assert len(figures) == 12
    for figure in figures:
        spec = figure.panels[0].spec
        altair.LayerChart.from_dict({**spec, "data": {"values": []}}, validate=True)


def test_the_study_file_shown_is_the_study_that_ran(results: Results) -> None:
    text = study_toml(results.settings)
    assert text is not None
    assert Study.model_validate(tomllib.loads(text)) == Study.model_validate(results.settings)


def test_reports_need_no_framework() -> None:
    code = (
        "import sys, assay.bench.report; "
        "print([name for name in ('torch', 'tensorflow', 'jax', 'onnxruntime', 'onnx') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
