"""The audit of a user's model uses the same rule as its cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.bench.brought.audit import audit_user_model
from assay.bench.brought.exports import Brought
from assay.bench.brought.work import Wanted, Work
from assay.bench.words.progress import Narrator
from assay.records.results import read_results
from assay.train.brought.model import Location
from tests.bench.compared_model import make_comparison, model_of

WANTED = Wanted(Location(path=Path("Pair.onnx"), form="onnx", kind="onnx"), command="assay compare-model Pair.onnx")


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp64"])
def test_a_precision_is_named_and_buys_no_tolerance(precision: str, tmp_path: Path) -> None:
    """An output beyond the tolerance fails in bf16 too, as in `brought.agreement`, so no two pages contradict each
    other.
    """
    folder = make_comparison(tmp_path)
    brought = Brought(model_of("rows"), folder / "model", "NumPy in float64", exact=True, drawn=True)
    work = Work(WANTED, tmp_path, Narrator())
    cell = read_results(folder / "results.json").cells[0].model_copy(update={"precision": precision})
    for error, passed in ((0.0, True), (1.0, False)):
        np.save(tmp_path / "found.npy", brought.reference.astype(np.float32) + np.float32(error))
        audit = audit_user_model(work, brought, [cell], {cell.name: tmp_path / "found.npy"}, [])
        comparisons = audit.models[0].comparisons
        assert {(one.precision, one.passed) for one in comparisons} == {(precision, passed)}
        assert all(one.tolerance > 0 for one in comparisons)
