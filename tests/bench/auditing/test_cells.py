"""One function compares the outputs of timed cells with float64, for models of a study and of users."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import polars
import pytest

from assay.bench.auditing.cells import compared_cells
from assay.bench.timing.measurements import Measurements
from assay.bench.timing.trials import CellFacts, Group
from assay.bench.timing.workers import Candidate
from assay.infer.runtime import ModelFiles
from assay.numerics.agreement import JudgeOfImages
from assay.numerics.reduced import rule_of
from assay.spec import ModelSpec, Settings
from assay.train.built import BuiltModel

IMAGES, CLASSES = 64, 8
LOGITS = np.random.default_rng(0).normal(0, 3, (IMAGES, CLASSES))
IN_FP32 = LOGITS.astype(np.float32)
IN_BF16 = LOGITS.astype(ml_dtypes.bfloat16).astype(np.float32)


@pytest.mark.parametrize(
    ("runtime", "told", "rows", "passed"),
    [
        ("torch.eager", "fp32", IN_FP32, True),
        ("torch.eager", "fp32", IN_FP32 + np.float32(0.1), False),
        ("openvino.bf16", "bf16", IN_BF16, True),
        ("openvino.default", "bf16", IN_BF16, True),
        ("openvino.default", "fp32", IN_BF16, False),
        ("openvino", "bf16", IN_BF16, False),  # it was told to compute in fp32
    ],
)
def test_a_cell_is_judged_by_what_was_asked_and_else_by_what_its_runtime_chose(
    runtime: str, told: str, rows: np.ndarray, passed: bool, tmp_path: Path
) -> None:
    model = ModelFiles(model=BuiltModel(spec=ModelSpec("net", 4, CLASSES, 3)))
    candidates = tuple(Candidate(name, "", model) for name in (runtime, "null"))
    group = Group("net/4/t1", candidates, (2,), Settings(1, (0,)), tmp_path / "images.npy")
    cell, ruler = (group.cell_name(2, one.label) for one in candidates)
    places = np.array([63, 40, 2, 3])
    np.save(tmp_path / "rows.npy", rows[:32])
    np.savez(tmp_path / "timed.npz", logits=rows[places], places=places)
    measured = Measurements(
        polars.DataFrame(),
        polars.DataFrame(),
        [CellFacts(cell=cell, process=0, precision=told)],
        dict.fromkeys((cell, ruler), tmp_path / "rows.npy"),
        {cell: [tmp_path / "timed.npz"] * 2},
        1.0,
    )
    judge = JudgeOfImages(LOGITS, {"torch": IN_FP32}, rule_of("classification"))
    images, calls = compared_cells(group, measured, judge)
    assert set(images) == set(calls) == {cell}
    assert (images[cell].images, calls[cell].images) == (32, 8)
    assert (images[cell].passed, calls[cell].passed) == (passed, passed)
