"""Small models with planted layers that must not be int8, in ONNX Runtime's real quantiser."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import helper, numpy_helper

from assay.export.checking.records import Against
from assay.export.variants.mixed_job import MixedRequest
from assay.records.localisation import Calibration
from assay.records.results import Export
from assay.train.brought.arrays import record_type
from tests.onnx_files import save_onnx
from tests.user_models import tensor, user_model

WIDTH, ROWS = 16, 64
UNHEARD = 300.0
"""A weight that only multiplies zeros and is a thousand times as large as the others of its channel. Integers have one
step for all of them, so the others are lost.
"""


def write_layers(path: Path, depth: int, bad: Collection[int], names: bool = True) -> None:
    """A chain of matrix products with rectifiers between; number 0 of every activation is always zero."""
    chance = np.random.default_rng(0)
    nodes, known, last = [], [], "numbers"
    for place in range(depth):
        weights = chance.normal(size=(WIDTH, WIDTH)).astype(np.float32) / WIDTH**0.5
        bias = chance.normal(size=WIDTH).astype(np.float32) / 4
        if place < depth - 1:
            weights[:, 0] = bias[0] = 0
        weights[0] = UNHEARD if place in bad else 0
        known += [numpy_helper.from_array(weights, f"w{place}"), numpy_helper.from_array(bias, f"b{place}")]
        out = "scores" if place == depth - 1 else f"product{place}"
        name = {"name": f"layer{place}"} if names else {}
        nodes.append(helper.make_node("Gemm", [last, f"w{place}", f"b{place}"], [out], **name))
        if place < depth - 1:
            nodes.append(helper.make_node("Relu", [out], [f"kept{place}"]))
            last = f"kept{place}"
    save_onnx(path, nodes, {"numbers": ["batch", WIDTH]}, {"scores": ["batch", WIDTH]}, known)


def asked(folder: Path, depth: int, bad: Collection[int], seconds: float = 60.0, *, names: bool = True) -> MixedRequest:
    """The conductor's request for such a file, whose own fp32 is the reference."""
    file, made = folder / "layers.onnx", folder / "made"
    write_layers(file, depth, bad, names)
    model = user_model((tensor("numbers", WIDTH),), (tensor("scores", WIDTH),), path=file)
    records = np.zeros(ROWS, record_type(model.inputs))
    records["numbers"] = np.random.default_rng(1).normal(size=(ROWS, WIDTH))
    records["numbers"][:, 0] = 0
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    rows = np.asarray(session.run(["scores"], {"numbers": np.ascontiguousarray(records["numbers"])})[0])
    for name, array in (("records", records), ("native", rows), ("reference", rows.astype(np.float64))):
        np.save(folder / f"{name}.npy", array)
    made.mkdir(exist_ok=True)
    calibration = Calibration(method="least and greatest value", images=ROWS, seed=0, sha256="0" * 64)
    record = Export(
        architecture="layers", size=0, exporter="given+int8-mixed", status="failed", weights="f", opset_asked=18,
        seconds=0, made_by={"transforms": ""}, precision="int8", calibration=calibration,
    )  # fmt: skip
    against = Against(
        records=folder / "records.npy", native=folder / "native.npy", reference=folder / "reference.npy", exact=True
    )
    return MixedRequest(
        source=file, model=model, record=record, against=against, calibration=folder / "records.npy",
        percentile=100.0, leave_out=(), folder=made, why="it is far off", notes=folder / "notes",
        budget_seconds=seconds,
    )  # fmt: skip
