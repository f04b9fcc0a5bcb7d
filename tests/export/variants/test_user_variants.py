"""int8 of a user's model: made from its file, calibrated with its records, and judged by whether it follows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from assay.errors import ExportFailedError
from assay.export.checking.records import Against
from assay.export.variants.variant_job import VariantRequest, work
from assay.numerics.following import LARGEST_SHARE
from assay.records.results import Export
from assay.train.brought.arrays import inputs_of, record_type, rows_of
from tests.onnx_files import save_onnx
from tests.user_models import tensor, user_model

WIDTH, ROWS, FIXED = 12, 40, 4


def write(path: Path, rows: str | int, offset: float = 0.0, bias: str = "row") -> None:
    """Two inputs, a matrix product with a bias of some form, and its numbers with an offset."""
    chance = np.random.default_rng(0)
    biases = {"row": chance.normal(size=8), "none": 0.0, "one": 0.25, "matrix": chance.normal(size=(1, 8))}
    beta = 0.0 if bias == "none" else 1.0
    nodes = [
        helper.make_node("Add", ["left", "right"], ["both"]),
        helper.make_node("Gemm", ["both", "weights", "bias"], ["hidden"], beta=beta),
        helper.make_node("Relu", ["hidden"], ["kept"]),
        helper.make_node("MatMul", ["kept", "more"], ["product"]),
        helper.make_node("Add", ["product", "offset"], ["scores"]),
    ]
    known = {
        "weights": chance.normal(size=(WIDTH, 8)),
        "bias": np.asarray(biases[bias]),
        "more": chance.normal(size=(8, 3)),
        "offset": np.asarray(offset),
    }
    made = [numpy_helper.from_array(one.astype(np.float32), name) for name, one in known.items()]
    _save(path, nodes, made, rows)


def write_without_products(path: Path) -> None:
    """No operator for which ONNX Runtime has an integer version."""
    nodes = [helper.make_node("Mul", ["left", "right"], ["both"]), helper.make_node("Erf", ["both"], ["scores"])]
    _save(path, nodes, [], "batch", WIDTH)


def _save(
    path: Path, nodes: list[onnx.NodeProto], known: list[onnx.TensorProto], rows: str | int, out: int = 3
) -> None:
    save_onnx(path, nodes, {"left": [rows, WIDTH], "right": [rows, WIDTH]}, {"scores": [rows, out]}, known)


def asked(folder: Path, takes: str = "rows", precision: str = "int8", out: int = 3) -> VariantRequest:
    """The conductor's request for the file in the folder, whose own fp32 is the reference here."""
    whole = takes == "a call"
    shape = (FIXED,) if whole else ()
    model = user_model(
        tuple(tensor(name, *shape, WIDTH) for name in ("left", "right")),
        (tensor("scores", *shape, out),),
        path=folder / "pair.onnx",
        whole=whole,
        batch=FIXED if takes == "four rows" else None,
    )
    records = np.zeros(ROWS, record_type(model.inputs))
    for number, name in enumerate(("left", "right")):
        records[name] = np.random.default_rng(number).normal(size=records[name].shape)
    session = ort.InferenceSession(folder / "pair.onnx", providers=["CPUExecutionProvider"])
    count = 1 if whole else FIXED
    rows = np.concatenate(
        [
            rows_of(model, session.run(["scores"], dict(zip(("left", "right"), inputs_of(model, part), strict=True))))
            for part in np.split(records, ROWS // count)
        ]
    )
    for name, array in (("records", records), ("native", rows), ("reference", rows.astype(np.float64))):
        np.save(folder / f"{name}.npy", array)
    made = folder / "made"
    made.mkdir()
    record = Export(
        architecture="pair", size=0, exporter=f"given+{precision}", status="failed", weights="f", opset_asked=18,
        seconds=0, made_by={"transforms": ""}, precision=precision,
    )  # fmt: skip
    against = Against(
        records=folder / "records.npy", native=folder / "native.npy", reference=folder / "reference.npy", exact=True
    )
    return VariantRequest(
        source=folder / "pair.onnx", model=model, record=record, against=against,
        calibration=folder / "records.npy", percentile=100.0, leave_out=(), folder=made,
    )  # fmt: skip


@pytest.mark.parametrize(("takes", "rows"), [("rows", "batch"), ("four rows", FIXED), ("a call", FIXED)])
def test_a_user_s_file_is_made_in_int8_and_follows_it(takes: str, rows: str | int, tmp_path: Path) -> None:
    write(tmp_path / "pair.onnx", rows)
    made = work(asked(tmp_path, takes))
    assert (made.status, made.precision) == ("ok", "int8"), made.reason
    assert "in integers" in made.made_by["transforms"]
    assert made.agreement
    assert all(one.max_absolute > 0 and one.tolerance > 0 for one in made.agreement), "int8 has errors of its own"
    assert f"at most {LARGEST_SHARE:.0%} of what varies" in made.agreement[0].derivation


@pytest.mark.parametrize("bias", ["none", "one", "matrix"])
def test_a_bias_that_is_not_a_row_is_quantised_too(bias: str, tmp_path: Path) -> None:
    """jax2onnx writes a single zero that is multiplied by zero."""
    write(tmp_path / "pair.onnx", "batch", bias=bias)
    made = work(asked(tmp_path))
    assert made.status == "ok", made.reason
    assert "in fp32" not in made.made_by["transforms"], "every product is in integers"


def test_numbers_that_integers_lose_are_refused(tmp_path: Path) -> None:
    """The step of an output around 1000 is larger than all its variation."""
    write(tmp_path / "pair.onnx", "batch", offset=5000.0)
    made = work(asked(tmp_path))
    assert made.status == "failed"
    assert "of what varies in the reference" in made.reason
    assert "or ONNX Runtime is" not in made.reason, "nobody is to blame for what a precision cannot hold"
    assert not made.file_is_right


def test_a_file_that_is_quantised_already_is_not_made_int8_again(tmp_path: Path) -> None:
    write(tmp_path / "pair.onnx", "batch")
    made = asked(tmp_path)
    work(made)
    again = made.model_copy(update={"source": made.folder / "model.onnx"})
    with pytest.raises(ExportFailedError, match="quantised already"):
        work(again)


def test_an_int8_file_that_is_computed_in_fp32_is_not_int8(tmp_path: Path) -> None:
    write_without_products(tmp_path / "pair.onnx")
    request = asked(tmp_path, out=WIDTH)
    with pytest.raises(ExportFailedError, match="computes the int8 graph in fp32"):
        work(request)
