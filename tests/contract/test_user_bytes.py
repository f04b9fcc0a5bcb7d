"""A model of bytes like magika's (257 words, a convolution, their mean, a dense layer): inputs of all kinds of bytes
are drawn, and both commands identify its copy in dynamic int8.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from assay.bench.auditing.pairs.pair import PairRequest, audit_pair
from assay.export.probing.probe import RECORDS_FILE, ProbeRequest, probe
from tests.onnx_files import save_onnx
from tests.user_models import to_probe

WORDS, LENGTH, HIDDEN, KINDS = 257, 64, 32, 7


def save_reader(path: Path) -> Path:
    """A model from `bytes` [batch, 64] of int32 to `kinds` [batch, 7]."""
    random = np.random.default_rng(0)
    tensors = {
        "words": random.normal(0, 1, (WORDS, 16)),
        "filters": random.normal(0, 0.3, (HIDDEN, 16, 5)),
        "scale": np.ones(HIDDEN),
        "offset": np.zeros(HIDDEN),
        "dense": random.normal(0, 0.3, (HIDDEN, KINDS)),
    }
    nodes = [
        helper.make_node("Gather", ["words", "bytes"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["columns"], perm=[0, 2, 1]),
        helper.make_node("Conv", ["columns", "filters"], ["found"]),
        helper.make_node("Relu", ["found"], ["positive"]),
        helper.make_node("ReduceMean", ["positive", "axes"], ["mean"], keepdims=0),
        helper.make_node("LayerNormalization", ["mean", "scale", "offset"], ["even"], axis=-1),
        helper.make_node("MatMul", ["even", "dense"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["kinds"], axis=-1),
    ]
    return save_onnx(
        path,
        nodes,
        {"bytes": (TensorProto.INT32, ["batch", LENGTH])},
        {"kinds": ["batch", KINDS]},
        [
            *(numpy_helper.from_array(array.astype(np.float32), name) for name, array in tensors.items()),
            numpy_helper.from_array(np.array([2]), "axes"),
        ],
        ir_version=9,
    )


def save_quantised(source: Path, path: Path) -> Path:
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415

    quantize_dynamic(source, path, weight_type=QuantType.QInt8)
    return path


def asked(path: Path, folder: Path) -> ProbeRequest:
    return to_probe(folder, path, batches=(1, 32))


@pytest.mark.slow
def test_bytes_of_all_kinds_are_drawn_and_the_model_has_a_reference(tmp_path: Path) -> None:
    reader = save_reader(tmp_path / "reader.onnx")
    found = probe(asked(reader, tmp_path / "looked"))
    assert found.reference, found.reason
    drawn = np.load(tmp_path / "looked" / RECORDS_FILE)["bytes"]
    assert len(np.unique(drawn)) > WORDS / 2, "0 and 1 alone would make all rows alike"
    assert audit_pair(PairRequest(reader, reader, None, {})).passed


@pytest.mark.slow
def test_both_commands_identify_a_copy_that_quantises_each_call(tmp_path: Path) -> None:
    reader = save_reader(tmp_path / "reader.onnx")
    quantised = save_quantised(reader, tmp_path / "int8.onnx")
    found = probe(asked(quantised, tmp_path / "looked"))
    assert (found.model.arithmetic, found.model.whole) == ("int8", False)  # its rows change by what int8 rounds
    assert found.reference, found.reason
    (model,) = audit_pair(PairRequest(reader, quantised, None, {})).models
    assert "quantises each call with its own scale (DynamicQuantizeLinear" in model.guilt[0]
    assert "between calls of 8 rows and of one" in model.guilt[0]
    assert not model.localisations
