"""The sections on where the time goes, from a record with known figures."""

from __future__ import annotations

import pytest

from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Figure, Listing, Table
from assay.bench.report.sections.reasons.attribution import attribution, operators, what_intervals_rest_on
from assay.records.attribution import Attribution, Crossover, OperatorTime, ProfiledEstimate, SkeletonEstimate
from assay.records.results import Cell, Results
from tests.bench.report.sample_results import spread


def explained(cell: Cell) -> Attribution:
    """Three quarters in kernels by the profile, nine tenths by the skeleton."""
    assert cell.device is not None
    assert cell.host is not None
    wall = cell.device.median_ms.value
    profiled = ProfiledEstimate(
        kernel_ms=spread(0.75 * wall), overhead_ms=spread(0.25 * wall), inflation=spread(1.1), trusted=True, calls=9
    )
    return Attribution(
        cell=cell.name,
        wall_ms=cell.device.median_ms,
        transfer_ms=cell.host.median_ms.value - wall,
        profiled=profiled,
        skeleton=SkeletonEstimate(kernel_ms=spread(0.9 * wall), overhead_ms=spread(0.1 * wall)),
        agree=False,
        remark="they differ for a reason",
        operators=[
            OperatorTime(
                name="convolution.7", kind="conv", layer="stage1.unit1.conv", aligned_by="order", ms=2, share=0.5
            ),
            OperatorTime(name="mean", kind="reduce", ms=2, share=0.5),
        ],
    )


@pytest.fixture
def evidence(results: Results) -> Evidence:
    timed = [cell for cell in results.cells if cell.status == "ok" and cell.framework]
    crossover = Crossover(
        architecture="bloodnet",
        batch=1,
        threads=1,
        label="jax.jit",
        estimator="profiled",
        place="above",
        sizes=[28, 64],
    )
    found = {"attributions": [explained(cell) for cell in timed], "crossovers": [crossover]}
    return Evidence(results.model_copy(update=found))


def test_nothing_is_shown_where_nothing_was_attributed(results: Results) -> None:
    empty = Evidence(results.model_copy(update={"attributions": [], "crossovers": []}))
    assert attribution(empty) is None
    assert operators(empty) is None


def test_bars_are_milliseconds_of_the_fastest_eight_in_order(evidence: Evidence) -> None:
    section = attribution(evidence)
    assert section is not None
    (figure,) = [block for block in section.blocks if isinstance(block, Figure)]
    for panel in figure.panels:
        bars: dict[str, float] = {}
        for row in panel.spec["data"]["values"]:  # type: ignore[index, call-overload, union-attr]
            bars[row["name"]] = bars.get(row["name"], 0) + row["ms"]  # type: ignore[index, call-overload, operator]
        assert len(bars) <= 8
        assert list(bars.values()) == sorted(bars.values())
        assert all(one > 0 for one in bars.values())


def test_disagreement_and_crossover_are_said(evidence: Evidence) -> None:
    section = attribution(evidence)
    assert section is not None
    (listing,) = [block for block in section.blocks if isinstance(block, Listing)]
    assert "they differ for a reason" in listing.items[0].text
    crossings = next(b for b in section.blocks if isinstance(b, Table) and b.identifier == "crossovers")
    assert [value.text for value in crossings.rows[0]][-2:] == ["above 64", "\N{EN DASH}"]


def test_layers_are_shown_side_by_side(evidence: Evidence) -> None:
    section = operators(evidence)
    assert section is not None
    for table in section.blocks:
        assert isinstance(table, Table)
        assert [row[0].text for row in table.rows] == ["stage1.unit1.conv", "everything else", "longest operator"]
        assert {value.number for row in table.rows[:2] for value in row[1:]} == {2}
        assert {value.text for value in table.rows[2][1:]} == {"convolution.7"}


def test_the_cost_of_a_call_and_of_an_image_are_shown(evidence: Evidence) -> None:
    section = attribution(evidence)
    assert section is not None
    fits = next(block for block in section.blocks if isinstance(block, Table) and block.identifier == "fits")
    assert len(fits.rows) == len(evidence.results.fits)
    label, size, fixed = fits.rows[0][0].text, fits.rows[0][2].number, fits.rows[0][4].number
    first = evidence.results.fits[0]
    assert (label, size, fixed) == (first.label, first.size, first.fixed_ms)
    assert fits.rows[0][-1].number is None  # two batches are met exactly


def test_what_the_intervals_rest_on_is_said(evidence: Evidence) -> None:
    """Older records do not mention processes: they had one."""
    old = list(evidence.results.attributions)
    assert "one process each" in what_intervals_rest_on(old)
    part = old[0].profiled.model_copy(update={"processes": 3})
    new = old[0].model_copy(update={"profiled": part, "skeleton": SkeletonEstimate(reason="none")})
    assert "over 3 fresh processes" in what_intervals_rest_on([new])
    assert "over 1 to 3 fresh processes" in what_intervals_rest_on([new, old[0]])
    assert what_intervals_rest_on([]) == ""
    section = attribution(evidence)
    assert section is not None
    (table,) = (one for one in section.blocks if isinstance(one, Table) and one.identifier == "attribution-cells")
    assert what_intervals_rest_on(old) in table.caption


def test_what_a_gpu_waits_between_kernels_is_a_column_where_a_cell_was_on_one(evidence: Evidence) -> None:
    def table_of(evidence: Evidence) -> Table:
        section = attribution(evidence)
        assert section is not None
        assert ("On a GPU" in section.lead) == any(one.profiled.gaps_ms for one in evidence.results.attributions)
        return next(one for one in section.blocks if isinstance(one, Table) and one.identifier == "attribution-cells")

    first, *others = evidence.results.attributions
    on_gpu = first.model_copy(update={"profiled": first.profiled.model_copy(update={"gaps_ms": spread(0.125)})})
    found = table_of(Evidence(evidence.results.model_copy(update={"attributions": [on_gpu, *others]})))
    place = [one.heading for one in found.columns].index("between kernels")
    assert {len(row) for row in found.rows} == {len(found.columns)}
    assert [row[place].number for row in found.rows if row[place].number is not None] == [0.125]
    assert "between kernels" not in [one.heading for one in table_of(evidence).columns]
