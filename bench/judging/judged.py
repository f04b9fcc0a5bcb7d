"""Results in the light of their audit: a cell that failed it does not agree, and is not ranked. Pure functions. Timing
comes before the audit, and checks fewer images: a cell may agree in its timed calls and fail on the whole test split.
`results.json` stays as it was measured. The report and the terminal show the results that this module returns.
"""

from __future__ import annotations

from collections.abc import Sequence

from assay.bench.explaining.precisions import precision_factors_of
from assay.bench.judging.races import races_of
from assay.bench.judging.summary import CellSamples, group_key
from assay.bench.judging.validity import reasons
from assay.records.attribution import PrecisionFactors
from assay.records.audit import Audit
from assay.records.races import SpeedComparison
from assay.records.results import Agreement, Cell, Results
from assay.records.stale import Stale, is_of, stale_parts


def judged(results: Results, audit: Audit | None, timed: CellSamples | None = None) -> Results:
    """Return the results, in which every cell that an audit of exactly what was timed refused has a failed agreement.

    Such a cell loses its place among the ratios of its group, like a cell whose timed outputs do not agree. If it is
    one of the two that are compared it stays, and the comparison is worth nothing. The races are run again without it
    if the calls behind them are available; if not, a race that it won is worth nothing.

    Args:
        timed: samples by cell name and boundary.
    """
    return _as_it_is(_as_audited(results, audit, timed))


def _as_audited(results: Results, audit: Audit | None, timed: CellSamples | None) -> Results:
    failed = failures(results, audit) if audit else {}
    if not failed:
        return results
    cells = [_failed(cell, failed[cell.name]) if cell.name in failed else cell for cell in results.cells]
    wrong = [cell for cell in results.cells if cell.name in failed]
    comparisons = [_without(one, wrong) for one in results.comparisons]
    races = races_of(cells, timed) if timed and results.races else results.races
    precisions = (
        precision_factors_of(cells, timed) if timed and results.races else _without_failed(results.precisions, wrong)
    )
    return results.model_copy(
        update={"cells": cells, "comparisons": comparisons, "races": races, "precisions": precisions}
    )


def _as_it_is(results: Results) -> Results:
    """With runtimes that yield the processor by design judged as today: older records held it against it.

    It is shown as VALID then; who was compared with whom stays as it was.
    """
    cells = [
        cell.model_copy(update={"invalid": [reason for reason in cell.invalid if reason in reasons(cell)]})
        if cell.waits and cell.invalid and cell.host
        else cell
        for cell in results.cells
    ]
    return results if cells == results.cells else results.model_copy(update={"cells": cells})


def failures(results: Results, audit: Audit) -> dict[str, str]:
    """Return the first reason of each cell that did not pass its audit, by the cell's name; an audit that is out of
    date does not count.
    """
    stale = stale_parts(audit, results)
    found = {}
    for cell in results.cells:
        model = next((one for one in audit.models if is_of(cell, one)), None)
        if model is None or stale.get(model.name, Stale()).reason(cell.exporter):
            continue
        if reasons := model.failures_of(cell.label, strict_nan=audit.strict_nan):
            found[cell.name] = reasons[0]
    return found


def _failed(cell: Cell, reason: str) -> Cell:
    """Return the cell with an agreement that failed; if the cell had one, its numbers are kept."""
    said = f"its audit: {reason}"
    known = cell.agreement or Agreement(
        subject=cell.name, images=0, max_absolute=-1, max_relative=-1, tolerance=0, derivation="", largest_moved=0,
        passed=False,
    )  # fmt: skip
    if not known.passed and known.reason:
        said = f"{known.reason}; {said}"
    return cell.model_copy(update={"agreement": known.model_copy(update={"passed": False, "reason": said})})


def _without(comparison: SpeedComparison, wrong: list[Cell]) -> SpeedComparison:
    """Return a comparison without the ratios of wrong cells, except those of the two that are compared."""
    compared = {comparison.native, comparison.onnx}
    place = (comparison.architecture, comparison.size, comparison.batch, comparison.threads)
    labels = {one.label for one in wrong if (one.architecture, one.size, one.batch, one.threads) == place} - compared
    if not labels:
        return comparison
    return comparison.model_copy(
        update={
            "ratios": {label: ratio for label, ratio in comparison.ratios.items() if label not in labels},
            "verdicts": {label: one for label, one in comparison.verdicts.items() if label not in labels},
        }
    )


def _without_failed(found: Sequence[PrecisionFactors], wrong: Sequence[Cell]) -> list[PrecisionFactors]:
    """Return the tables of precisions in which no cell failed."""
    failed = {(*group_key(one), one.label) for one in wrong}
    return [
        one
        for one in found
        if not any((one.architecture, one.size, one.batch, one.threads, label) in failed for label in one.runtimes)
    ]
