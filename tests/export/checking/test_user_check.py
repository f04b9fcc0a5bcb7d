"""An export is checked on every record that has a reference, in as many calls as that takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from assay.errors import InputError
from assay.export.job import check
from assay.export.probing.exact import check_reference
from assay.export.probing.probe import probe
from assay.export.probing.undecided import UnsoundError, keep_doubt
from assay.export.record import Judged
from assay.train.brought.arrays import record_type
from assay.train.brought.model import Tensor, UserModel
from tests.onnx_files import save_onnx
from tests.user_models import tensor, to_check, to_probe, user_model

WIDTH, RECORDS = 5, 32


def traced(path: Path, batch: int | str) -> Path:
    """x * 2, as a trace records a model that gives x * 2 if the first number is positive and x otherwise."""
    shape = [batch, WIDTH]
    return save_onnx(
        path, [helper.make_node("Mul", ["x", "two"], ["y"])], {"x": shape}, {"y": shape}, {"two": np.float32(2)}
    )


def checked(
    folder: Path, batch: int | None, expected: np.ndarray, records: np.ndarray, *, exact: bool = True
) -> Judged:
    model = read_model_of(folder, batch)
    np.save(folder / "records.npy", records)
    np.save(folder / "reference.npy", expected.astype(np.float64))
    np.save(folder / "native.npy", expected.astype(np.float32))
    file = traced(folder / "model.onnx", "batch" if batch is None else batch)
    return check(to_check(folder, model, file, "torch-script", exact=exact))


@pytest.mark.parametrize("batch", [1, 4, None])
def test_a_branch_that_a_trace_lost_is_found_wherever_its_records_are(batch: int | None, tmp_path: Path) -> None:
    records = np.zeros(RECORDS, record_type((Tensor(name="x", dtype="float32", shape=(WIDTH,)),)))
    records["x"] = np.random.default_rng(0).normal(size=(RECORDS, WIDTH))
    twice = records["x"] * np.float32(2)
    fine = checked(tmp_path, batch, twice, records)
    assert fine.reason == ""
    assert {one.images for one in fine.agreement} == {RECORDS}
    last = np.where(np.arange(RECORDS)[:, None] == RECORDS - 1, records["x"], twice)
    answer = checked(tmp_path, batch, last, records)
    assert "differs by" in answer.reason
    assert not any(one.passed for one in answer.agreement)


def test_a_size_that_a_file_declares_open_and_does_not_take_is_said(tmp_path: Path) -> None:
    """The time dimension is frozen inside: pytorch/pytorch#191855."""
    shape = numpy_helper.from_array(np.array([1, 6]), "six")
    graph = helper.make_graph(
        [helper.make_node("Expand", ["x", "six"], ["y"])],
        "frozen",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "steps"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "steps"])],
        [shape],
    )
    path = tmp_path / "frozen.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    for steps in (6, 9):
        folder = tmp_path / str(steps)
        folder.mkdir()
        request = to_probe(folder, path, dimensions={"steps": steps})
        if steps == 6:
            assert (probed := probe(request)).reference, probed.reason
            continue
        with pytest.raises(InputError, match=r"frozen.onnx does not run with batch=\d, steps=9: found .*try those"):
            probe(request)


def test_nothing_that_is_as_close_as_the_models_own_float64_is_called_wrong(tmp_path: Path) -> None:
    records = np.zeros(RECORDS, record_type((Tensor(name="x", dtype="float32", shape=(WIDTH,)),)))
    records["x"] = np.random.default_rng(0).normal(size=(RECORDS, WIDTH))
    twice = records["x"] * np.float32(2)
    off = twice * np.float32(1.01)
    with pytest.raises(UnsoundError) as caught:  # the model in fp32 is 0.0099 from this float64
        check_reference(read_model_of(tmp_path), twice.astype(np.float64), off)
    assert caught.value.relative == pytest.approx(0.01, rel=0.01)
    assert "wrong" in checked(tmp_path, None, off, records, exact=False).reason
    keep_doubt(tmp_path, caught.value)
    answer = checked(tmp_path, None, off, records, exact=False)
    assert "undecided on these inputs" in answer.reason
    assert "Give real inputs with --inputs" in answer.reason
    assert (answer.undecided, answer.file_is_right) == (True, False)
    far = checked(tmp_path, None, twice * np.float32(1.1), records, exact=False)
    assert "undecided on these inputs" not in far.reason
    assert checked(tmp_path, None, twice, records, exact=False).reason == ""


def read_model_of(folder: Path, batch: int | None = None) -> UserModel:
    return user_model((tensor("x", WIDTH),), (tensor("y", WIDTH),), "torch", folder / "model.py", batch=batch)
