"""What a session reports after a call, in every framework: where it ran and in which precision.

The models are made here, so the right answers are known: fp32, bf16 weights, autocast inside, integers.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import keras
import numpy as np
import onnx
import onnxruntime as ort
import openvino as ov
import pytest
import tensorflow as tf
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_dynamic, quantize_static
from torch import Tensor, nn

from assay.infer.observing import on_jax as on_jax_observed
from assay.infer.observing import on_openvino as on_openvino_observed
from assay.infer.observing import on_ort as on_ort_observed
from assay.infer.observing import on_tf as on_tf_observed
from assay.infer.observing import on_torch as on_torch_observed
from assay.infer.observing.on_onnx import counts_of_file

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.standard_normal((2, 3, 8, 8)).astype(np.float32)


class Net(nn.Module):
    """A convolution and a matrix product, the second under autocast if requested."""

    def __init__(self, autocast: bool = False) -> None:
        super().__init__()
        self.convolution, self.head, self.autocast = nn.Conv2d(3, 4, 3), nn.Linear(4, 2), autocast

    def forward(self, rows: Tensor) -> Tensor:
        rows = self.convolution(rows.to(self.convolution.weight.dtype)).mean((2, 3))
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            return self.head(rows).float()


class Doubled(nn.Module):
    """No arithmetic that a network would do."""

    def forward(self, rows: Tensor) -> Tensor:
        return (rows.half() + 1).float()


def of_torch(module: Callable[[Tensor], object], rows: Tensor | None = None) -> tuple[str, str]:
    seen = on_torch_observed.observe(lambda: module(torch.from_numpy(ROWS) if rows is None else rows))
    return seen.device, seen.precision


@pytest.mark.parametrize(
    ("module", "precision"),
    [
        (Net(), "fp32"),
        (Net(autocast=True), "bf16"),
        (Net().half(), "fp16"),
        (Net().to(torch.bfloat16), "bf16"),
        (Net().double(), "fp64"),
        (Doubled(), "fp16"),
    ],
    ids=["fp32", "autocast inside", "half", "bf16", "double", "elementwise"],
)
def test_torch_computes_in_what_its_operators_do(module: nn.Module, precision: str) -> None:
    assert of_torch(module.eval()) == ("cpu", precision)


def test_integers_that_are_multiplied_are_seen_and_others_are_not() -> None:
    eights, indices = torch.ones((32, 32), dtype=torch.int8), torch.ones((32,), dtype=torch.int64)
    assert of_torch(lambda _: torch._int_mm(eights, eights)) == ("cpu", "int8")
    assert of_torch(lambda rows: rows.flatten(1)[:, indices] @ rows.flatten(1)[:, indices].T) == ("cpu", "fp32")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_frozen_script_computes_in_what_was_traced() -> None:
    with torch.inference_mode():
        frozen = torch.jit.freeze(torch.jit.trace(Net(autocast=True).eval(), torch.from_numpy(ROWS)))
    assert of_torch(frozen) == ("cpu", "bf16")


def test_matrices_that_torch_is_set_to_round_are_recognised() -> None:
    """ "medium" means bf16 on a processor that has it: 0.17 off in a product of 256 by 256, where fp32 is 4e-5 off."""
    torch.set_float32_matmul_precision("medium")
    try:
        seen = on_torch_observed.observe(lambda: Net()(torch.from_numpy(ROWS)))
    finally:
        torch.set_float32_matmul_precision("highest")
    assert (seen.precision, seen.facts["float32 matmul precision"]) == ("bf16", "medium")
    assert "TF32 of convolutions on CUDA" in seen.facts


@pytest.mark.parametrize(
    ("backend", "precision"), [("mkldnn.matmul", "bf16"), ("mkldnn.conv", "bf16"), ("cuda.matmul", "fp32")]
)
def test_rounding_set_for_one_backend_of_torch_is_recognised(backend: str, precision: str) -> None:
    """PyTorch then refuses to report it in the older way. In bf16 a convolution of 64 channels is 0.006 off."""
    told = functools.reduce(getattr, backend.split("."), torch.backends)
    before, told.fp32_precision = told.fp32_precision, "tf32" if "cuda" in backend else "bf16"
    net = nn.Conv2d(3, 3, 3) if "conv" in backend else nn.Linear(3, 3)
    try:
        seen = on_torch_observed.observe(lambda: net(torch.ones(2, 3, 3, 3)))
    finally:
        told.fp32_precision = before
    assert (seen.device, seen.precision) == ("cpu", precision)
    assert seen.facts["TF32 of products of matrices on CUDA"] == ("on" if "cuda" in backend else "off")


@pytest.fixture
def mixed_keras() -> Iterator[None]:
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    yield
    keras.mixed_precision.set_dtype_policy(before)


def of_tf(function: Callable[[tf.Tensor], tf.Tensor]) -> tuple[str, str]:
    compiled = tf.function(function, input_signature=[tf.TensorSpec((None, 8), tf.float32)])
    seen = on_tf_observed.observe(compiled.get_concrete_function().graph, [compiled(tf.ones((2, 8)))])
    assert seen.facts["TF32"] in {"on", "off"}
    return seen.device, seen.precision


def test_tensorflow_computes_in_what_its_graph_does(mixed_keras: None) -> None:
    del mixed_keras
    inside = [keras.Input((8,)), keras.layers.Dense(4), keras.layers.Reshape((2, 2)), keras.layers.LSTM(3)]
    mixed = keras.Sequential([*inside, keras.layers.Dense(2, dtype="float32")])
    assert of_tf(lambda rows: mixed(rows, training=False)) == ("cpu", "bf16")
    plain = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4, dtype="float32")])
    assert of_tf(lambda rows: plain(rows, training=False)) == ("cpu", "fp32")


@pytest.mark.filterwarnings("ignore")
def test_a_quantised_keras_model_computes_in_integers() -> None:
    layer = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    layer.layers[-1].quantize("int8")
    assert of_tf(lambda rows: layer(rows, training=False)) == ("cpu", "int8")


def test_bf16_set_for_tensorflows_optimiser_is_recognised() -> None:
    tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
    try:
        assert of_tf(lambda rows: rows @ tf.ones((8, 8))) == ("cpu", "bf16")
    finally:
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": False})
    assert of_tf(lambda rows: rows @ tf.ones((8, 8))) == ("cpu", "fp32")


def half_in_a_loop(rows: jax.Array) -> jax.Array:
    def body(carry: jax.Array, _: None) -> tuple[jax.Array, None]:
        half = carry.astype(jnp.bfloat16)
        return (half @ half).astype(jnp.float32), None

    return jax.lax.scan(body, rows, None, length=2)[0]


@pytest.mark.parametrize(
    ("function", "precision"), [(lambda rows: rows @ rows, "fp32"), (half_in_a_loop, "bf16"), (jnp.tanh, "fp32")]
)
def test_jax_computes_in_what_its_equations_do(function: Callable[[jax.Array], jax.Array], precision: str) -> None:
    rows = jnp.ones((4, 4))
    jitted = jax.jit(function)
    seen = on_jax_observed.observe(jitted, [rows], jitted(rows))
    assert (seen.device, seen.precision) == ("cpu", precision)
    assert seen.facts["jax matmul precision"] == "None"


class Batches(CalibrationDataReader):
    def __init__(self) -> None:
        self._rows = iter([{"rows": ROWS}])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._rows, None)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One small network in ONNX: unchanged, in fp16, with quantising nodes, with integer operators, with integer
    weights only.
    """
    folder = tmp_path_factory.mktemp("onnx")
    found = {name: folder / f"{name}.onnx" for name in ("fp32", "fp16", "qdq", "dynamic", "weights")}
    onnx.save(network(TensorProto.FLOAT), found["fp32"])
    onnx.save(network(TensorProto.FLOAT16), found["fp16"])
    onnx.save(with_integer_weights(), found["weights"])
    quantize_static(found["fp32"], found["qdq"], Batches(), quant_format=QuantFormat.QDQ)
    quantize_dynamic(found["fp32"], found["dynamic"])
    return found


def network(kind: int) -> onnx.ModelProto:
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    weights = [
        numpy_helper.from_array(RANDOM.standard_normal(shape).astype(dtype), name)
        for name, shape in (("kernel", (4, 3, 3, 3)), ("matrix", (4, 2)))
    ]
    nodes = [
        helper.make_node("Conv", ["rows", "kernel"], ["features"]),
        helper.make_node("GlobalAveragePool", ["features"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["logits"]),
    ]
    return model_of(nodes, weights, kind)


def with_integer_weights() -> onnx.ModelProto:
    """Its weights are stored in int8 and its arithmetic is fp32."""
    weights = [
        numpy_helper.from_array(RANDOM.integers(-9, 9, (3, 4)).astype(np.int8), "stored"),
        numpy_helper.from_array(np.float32(0.1), "scale"),
    ]
    nodes = [
        helper.make_node("GlobalAveragePool", ["rows"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("DequantizeLinear", ["stored", "scale"], ["matrix"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["logits"]),
    ]
    return model_of(nodes, weights, TensorProto.FLOAT)


def model_of(nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto], kind: int) -> onnx.ModelProto:
    rows = helper.make_tensor_value_info("rows", kind, ["batch", 3, 8, 8])
    logits = helper.make_tensor_value_info("logits", kind, ["batch", None])
    graph = helper.make_graph(nodes, "network", [rows], [logits], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    return model


OF_FILES = {"fp32": "fp32", "fp16": "fp16", "qdq": "int8", "dynamic": "int8", "weights": "fp32"}


@pytest.mark.parametrize("name", OF_FILES)
def test_onnx_runtime_computes_in_what_the_file_says(name: str, files: dict[str, Path]) -> None:
    options = ort.SessionOptions()
    options.add_session_config_entry(on_ort_observed.RECORD_PLACES, "1")
    session = ort.InferenceSession(files[name], options, providers=["CPUExecutionProvider"])
    seen = on_ort_observed.observe(files[name], session, {})
    assert (seen.device, seen.precision, seen.model) == ("cpu", OF_FILES[name], OF_FILES[name])
    if platform.machine() == "x86_64":  # where ONNX Runtime has no kernels of fp16, and adds casts
        assert seen.computed == ("fp32" if name == "fp16" else "")


def test_types_inside_a_function_and_a_branch_are_seen(tmp_path: Path) -> None:
    half = network(TensorProto.FLOAT16).graph
    cast = [helper.make_node("Cast", ["given"], ["rows"], to=TensorProto.FLOAT16)]
    back = [helper.make_node("Cast", ["logits"], ["wide"], to=TensorProto.FLOAT)]
    wide = helper.make_tensor_value_info("wide", TensorProto.FLOAT, ["batch", 2])
    branch = helper.make_graph([*cast, *half.node, *back], "branch", [], [wide], half.initializer)
    condition = numpy_helper.from_array(np.array(True), "always")
    node = helper.make_node("If", ["always"], ["out"], then_branch=branch, else_branch=branch)
    given = helper.make_tensor_value_info("given", TensorProto.FLOAT, ["batch", 3, 8, 8])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", 2])
    graph = helper.make_graph([node], "graph", [given], [out], [condition])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), tmp_path / "if.onnx")
    assert set(counts_of_file(tmp_path / "if.onnx")[0]) == {"fp16"}


@pytest.mark.parametrize(
    ("name", "asked", "precision", "computed"),
    [
        ("fp32", "f32", "fp32", "fp32"),
        ("fp32", "bf16", "bf16", "bf16"),
        ("fp16", "f32", "fp16", "fp32"),
        ("qdq", "f32", "int8", "int8"),
    ],
)
def test_openvino_computes_in_what_its_layers_run_in(
    name: str, asked: str, precision: str, computed: str, files: dict[str, Path]
) -> None:
    if asked == "bf16" and "BF16" not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bf16 arithmetic")
    compiled = ov.Core().compile_model(files[name], "CPU", {"INFERENCE_PRECISION_HINT": asked})
    seen = on_openvino_observed.observe(files[name], compiled)
    assert (seen.device, seen.precision, seen.computed) == ("cpu", precision, computed)
