"""The sections on the machine's limits and on graph or runtime: correct shares, real pointers, charts that draw."""

from __future__ import annotations

import altair as alt
import pytest
from pydantic import JsonValue

from assay.bench.explaining.factors import factors_of
from assay.bench.explaining.roofline import bounds_of
from assay.bench.judging.summary import by_cell
from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Figure, Section, Table
from assay.bench.report.sections.reasons.factors import factors
from assay.bench.report.sections.reasons.roofline import roofline, split
from assay.bench.words.numbers import DASH
from assay.records.attribution import Attribution, ProfiledEstimate, SkeletonEstimate
from assay.records.base import Interval
from assay.records.results import Results
from tests.bench.explaining.test_roofline import CEILINGS, ON_GPU, work
from tests.bench.report.sample_results import sample_results, sample_samples


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    """The sample's cells with bounds from the real functions, and the effects of its exporters and runtimes."""
    results = sample_results(sizes=(28, 64), batches=(1,), architectures=("bloodnet",))
    works = [work(5 * 10**7 * size // 28, 10**6, size=size) for size in (28, 64)]
    found = {
        "works": works,
        "ceilings": [CEILINGS],
        "bounds": bounds_of(results.cells, works, [CEILINGS]),
        "factors": factors_of(results.cells, by_cell(sample_samples(results))),
    }
    return Evidence(results.model_copy(update=found))


def tables(section: Section | None) -> dict[str, Table]:
    assert section is not None
    return {block.identifier: block for block in section.blocks if isinstance(block, Table)}


def at(results: Results, pointer: str) -> JsonValue:
    """The value behind a JSON pointer."""
    value: JsonValue = results.model_dump(mode="json")
    for part in pointer.split("/")[1:]:
        value = value[int(part)] if isinstance(value, list) else value[part]  # type: ignore[index, call-overload]
    return value


@pytest.mark.parametrize("section", [roofline, factors])
def test_every_number_is_where_it_says(section: object, evidence: Evidence) -> None:
    assert callable(section)
    found = tables(section(evidence))
    values = [value for table in found.values() for row in table.rows for value in row if value.path]
    assert len(values) > 20
    for value in values:
        assert value.number == pytest.approx(float(str(at(evidence.results, value.path))) * value.factor)


def test_the_ceilings_of_a_gpu_have_its_name_its_bus_and_no_threads(evidence: Evidence) -> None:
    ways = {"to the GPU, pinned": ON_GPU.gflop_s["fp32"]}
    ceilings = [ON_GPU.model_copy(update={"transfers": ways})]
    on_gpu = Evidence(evidence.results.model_copy(update={"ceilings": ceilings}))
    found = tables(roofline(on_gpu))["ceilings"]
    assert found.caption.endswith("of a fake, by its own clock")
    assert {row[1].text for row in found.rows} == {DASH}
    assert found.rows[-1][0].text == "copy to the GPU, pinned"
    assert found.rows[-1][2].number == at(on_gpu.results, found.rows[-1][2].path)


def test_bars_are_whole_and_begin_with_the_bound(evidence: Evidence) -> None:
    section = roofline(evidence)
    assert section is not None
    figure = next(block for block in section.blocks if isinstance(block, Figure))
    known = {bound.cell: bound for bound in evidence.results.bounds}
    for panel in figure.panels:
        alt.Chart.from_dict(dict(panel.spec))
        rows = panel.spec["data"]["values"]  # type: ignore[index, call-overload]
        for name in {row["name"] for row in rows}:
            parts = [row for row in rows if row["name"] == name]
            assert sum(row["share"] for row in parts) == pytest.approx(100)
            cell = next(cell for cell in evidence.results.cells if cell.name == parts[0]["cell"])
            assert cell.host is not None
            share = 100 * known[cell.name].bound_ms / cell.host.median_ms.value
            assert parts[0]["share"] == pytest.approx(min(share, 100))


def test_an_attributed_cell_has_all_four_parts(evidence: Evidence) -> None:
    cell = next(cell for cell in evidence.timed if cell.name in {bound.cell for bound in evidence.results.bounds})
    bound = next(one for one in evidence.results.bounds if one.cell == cell.name)
    kernels = bound.bound_ms * 3
    told = Attribution(
        cell=cell.name,
        wall_ms=Interval(value=kernels + 0.5, low=kernels, high=kernels + 1),
        transfer_ms=0.25,
        profiled=ProfiledEstimate(
            kernel_ms=Interval(value=kernels, low=kernels, high=kernels),
            overhead_ms=Interval(value=0.5, low=0.4, high=0.6),
            trusted=True,
        ),
        skeleton=SkeletonEstimate(),
    )
    with_it = Evidence(evidence.results.model_copy(update={"attributions": [told]}))
    parts = split(with_it, cell, bound)
    assert parts == pytest.approx(
        {"physical bound": kernels / 3, "kernels beyond it": 2 * kernels / 3, "framework": 0.5, "transfer": 0.25}
    )


def test_nothing_to_show_gives_no_section() -> None:
    bare = Evidence(sample_results(sizes=(28,), batches=(1,), architectures=("bloodnet",)))
    assert roofline(bare) is None
    assert factors(bare) is None


def test_a_cell_beyond_its_bound_is_said(evidence: Evidence) -> None:
    first, *rest = evidence.results.bounds
    bounds = [first.model_copy(update={"fraction": 1.3}), *rest]
    section = roofline(Evidence(evidence.results.model_copy(update={"bounds": bounds})))
    assert section is not None
    assert any("beyond the bound" in item.text for block in section.blocks for item in getattr(block, "items", ()))
