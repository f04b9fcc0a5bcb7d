"""The results of `assay compare-model` for a small ONNX file, made without timing: a real file and a real audit.

The file has three inputs, one of them a single number per row, and two outputs, one of which is a single number.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from pydantic import JsonValue

from assay.bench.brought.audit import audit_user_model
from assay.bench.brought.exports import Brought
from assay.bench.brought.work import Wanted, Work
from assay.bench.words.progress import Narrator
from assay.export.probing.probe import DESCRIPTION_FILE, NATIVE_FILE, RECORDS_FILE, REFERENCE_FILE
from assay.export.record import MODEL_FILE
from assay.export.run import KIND
from assay.records.deployment import served_by
from assay.records.results import Cell, DataSummary, Export, Results
from assay.registry import GIVEN, PLAIN_TASK
from assay.store import KEY_CHARACTERS, file_sha256, write_artifact
from assay.train.brought.arrays import inputs_of, record_type, rows_of
from assay.train.brought.model import Location, Tensor, UserModel
from tests.bench.report.sample_results import _timed, sample_results
from tests.onnx_files import onnx_model

WIDTH, ROWS, FIXED = 6, 8, 4
FINGERPRINT = "f" * 64
Takes = Literal["rows", "four rows", "a call"]
"""Any number of independent rows, exactly four, or four that are one call."""


def batch_of(takes: Takes) -> int:
    return 1 if takes in {"rows", "a call"} else FIXED


def cell_name(takes: Takes, runtime: str = "ort.cpu") -> str:
    return f"Pair/0/b{batch_of(takes)}/t1/{runtime}@{GIVEN}"


def model_of(takes: Takes, more: str = "") -> UserModel:
    """The model; `more` is appended to the names of its inputs and outputs."""
    rows = (FIXED,) if takes == "a call" else ()
    return UserModel(
        location=Location(path=Path("Pair.onnx"), form="onnx", kind="onnx"),
        kind="onnx",
        inputs=(
            Tensor(name=f"left{more}", dtype="float32", shape=(*rows, WIDTH)),
            Tensor(name=f"right{more}", dtype="float32", shape=(*rows, WIDTH)),
            Tensor(name=f"times{more}", dtype="int64", shape=rows),
        ),
        outputs=(
            Tensor(name=f"likeness{more}", dtype="float32", shape=rows),
            Tensor(name=f"sum{more}", dtype="float32", shape=(*rows, WIDTH)),
        ),
        whole=takes == "a call",
        batch=FIXED if takes == "four rows" else None,
        fingerprint=FINGERPRINT,
    )


def write_model(path: Path, takes: Takes, more: str = "") -> None:
    left, right, times, likeness, total = (f"{one}{more}" for one in ("left", "right", "times", "likeness", "sum"))
    rows = "batch" if takes == "rows" else FIXED
    nodes = [
        helper.make_node("Mul", [left, right], ["products"], name=f"products{more}", doc_string=more),
        helper.make_node("ReduceSum", ["products", "last"], [likeness], keepdims=0),
        helper.make_node("Add", [left, right], ["both"]),
        helper.make_node("Cast", [times], ["factor"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["factor", "last"], ["column"]),
        helper.make_node("Mul", ["both", "column"], [total]),
    ]
    tensor = helper.make_tensor_value_info
    model = onnx_model(
        nodes,
        [
            tensor(left, TensorProto.FLOAT, [rows, WIDTH]),
            tensor(right, TensorProto.FLOAT, [rows, WIDTH]),
            tensor(times, TensorProto.INT64, [rows]),
        ],
        [tensor(likeness, TensorProto.FLOAT, [rows]), tensor(total, TensorProto.FLOAT, [rows, WIDTH])],
        {"last": np.array([1])},
    )
    onnx.checker.check_model(model)
    onnx.save(model, path)


def make_comparison(folder: Path, takes: Takes = "rows", more: str = "", runtime: str = "ort.cpu") -> Path:
    """Make the folder that `assay compare-model` would write for one runtime, and return it; `more` is appended to
    tensor names.
    """
    model = model_of(takes, more)
    brought = _brought(folder / "model", model)

    def fill(work: Path) -> dict[str, JsonValue]:
        write_model(work / MODEL_FILE, takes, more)
        return {}

    key = write_artifact(folder / "made", KIND, {"takes": takes}, made_by={}, fill=fill).key
    (folder / "onnx").mkdir()
    place = folder / "onnx" / f"Pair-0-{GIVEN}-{key[:KEY_CHARACTERS]}"
    (folder / "made").rename(place)
    file = place / MODEL_FILE
    export = Export(
        architecture="Pair",
        size=0,
        exporter=GIVEN,
        status="ok",
        key=key,
        weights=FINGERPRINT,
        opset=18,
        opset_asked=18,
        seconds=0,
    )
    results = _results(export, brought, takes, runtime)
    (folder / "results.json").write_text(results.model_dump_json())
    (cell, *_) = results.cells
    np.save(folder / "rows.npy", _answers(file, model, runtime))
    outputs = {cell.name: folder / "rows.npy"}
    wanted = Wanted(model.location, command="assay compare-model Pair.onnx")
    audit = audit_user_model(Work(wanted, folder, Narrator()), brought, [cell], outputs, [export])
    assert audit.passed, audit.reasons
    (folder / "audit.json").write_text(audit.model_dump_json())
    return folder


def _brought(folder: Path, model: UserModel) -> Brought:
    folder.mkdir(parents=True)
    chance = np.random.default_rng(0)
    shapes = {one.name: (ROWS, *one.shape) for one in model.inputs}
    records = np.zeros(ROWS, record_type(model.inputs))
    left, right, times = (one.name for one in model.inputs)
    for name in (left, right):
        records[name] = chance.normal(size=shapes[name])
    records[times] = chance.integers(1, 9, shapes[times])
    exact = _exact(records)
    np.save(folder / RECORDS_FILE, records)
    np.save(folder / REFERENCE_FILE, exact)
    np.save(folder / NATIVE_FILE, exact.astype(np.float32))
    (folder / DESCRIPTION_FILE).write_text(model.model_dump_json())
    return Brought(model, folder, "NumPy in float64", exact=True, drawn=True)


def _exact(records: NDArray[np.void]) -> NDArray[np.float64]:
    """The model computed in float64: (records, width)."""
    left, right, times = (records[name].astype(np.float64) for name in records.dtype.names or ())
    likeness, both = (left * right).sum(axis=-1), (left + right) * times[..., np.newaxis]
    return np.concatenate([likeness.reshape(ROWS, -1), both.reshape(ROWS, -1)], axis=1)


def _answers(file: Path, model: UserModel, runtime: str) -> NDArray[np.generic]:
    inputs, outputs = ({one.name: one.dtype for one in some} for some in (model.inputs, model.outputs))
    opened = served_by(runtime).open(file, served_by(runtime).options_of(1), inputs, outputs, device="cpu")
    records = np.load(file.parents[2] / "model" / RECORDS_FILE)
    step = 1 if model.whole else model.batch or ROWS
    names = [one.name for one in model.inputs]
    starts = range(0, ROWS, step)
    calls = [dict(zip(names, inputs_of(model, records[start : start + step]), strict=True)) for start in starts]
    return np.concatenate([rows_of(model, opened(one, list(outputs))) for one in calls])


def _results(export: Export, brought: Brought, takes: Takes, runtime: str) -> Results:
    sample = sample_results()
    like = next(one for one in sample.cells if one.name == "bloodnet/28/b1/t1/ort.cpu@torch-script")
    batches = {1: 1.0, 8: 3.0} if takes == "rows" else {batch_of(takes): 2.0}
    data = DataSummary(
        name="drawn from the signature",
        content_hash=file_sha256(brought.folder / RECORDS_FILE),
        counts={"inputs": ROWS},
        classes=[],
        attribution="",
        licence="",
        notice="Random inputs.",
        synthetic=False,
    )
    cells = [_cell(like, batch, median_ms, runtime) for batch, median_ms in batches.items()]
    return sample.model_copy(
        update={
            "study": "model-Pair",
            "task": PLAIN_TASK,
            "kind": "model",
            "data": data,
            "trainings": [],
            "exports": [export],
            "cells": cells,
            "comparisons": [],
        }
    )


def _cell(like: Cell, batch: int, median_ms: float, runtime: str) -> Cell:
    changes = {
        "name": f"Pair/0/b{batch}/t1/{runtime}@{GIVEN}",
        "runtime": runtime,
        "architecture": "Pair",
        "size": 0,
        "batch": batch,
        "exporter": GIVEN,
        "label": f"{runtime}@{GIVEN}",
        "weights": FINGERPRINT,
    }
    return _timed(like.model_copy(update=changes), median_ms, (0.1, 0.1, 0.1), random.Random(batch))
