"""int8 and half-precision variants of an export.

int8 is static quantisation with QuantizeLinear and DequantizeLinear around every operator (QDQ), weights symmetric and
per output channel, activations asymmetric and per tensor (Jacob et al. 2018, "Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference"; Krishnamoorthi 2018, "Quantizing deep convolutional networks
for efficient inference: a whitepaper", section 3). The ranges of activations come from calibration images: each is the
interval that holds a given percentile of the values seen, so that a few outliers do not coarsen all the others.

The ranges are collected piece by piece, so the values of all layers over all images are never in memory together.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assay.errors import AssayError, ExportFailedError
from assay.export.graph.inspect import one_line, read_model
from assay.runtimes.openvino import BF16

if TYPE_CHECKING:
    import onnx
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import TensorsData

Feeds = Mapping[str, NDArray[np.generic]]
"""The inputs of one call, by name."""
INTEGER_OPERATORS = {"QLinearConv", "QLinearMatMul", "QGemm", "MatMulInteger", "ConvInteger", "QLinearAdd"}
"""Operators into which ONNX Runtime turns a quantised operator that it computes in integers."""
QUANTISING_OPERATORS = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", *INTEGER_OPERATORS}
HEAVY_OPERATORS = {"Conv", "MatMul", "Gemm", "FusedConv", "FusedMatMul", "FusedGemm"}


@dataclass(frozen=True)
class Int8Settings:
    """The choice of activations' ranges, and the nodes left in fp32.

    Attributes:
        percentile: percentage of a tensor's values that its range holds; 100 for the least and the greatest value seen.
        leave_out: names of nodes that stay in fp32.
    """

    percentile: float
    leave_out: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """The choice of ranges, in words."""
        return "least and greatest value" if self.percentile >= 100 else f"percentile {self.percentile:g}"


def quantise_int8(source: Path, destination: Path, feeds: Iterable[Feeds], settings: Int8Settings) -> None:
    """Write the int8 variant of an export's file.

    Args:
        feeds: the inputs of calls to calibrate with.

    Raises:
        ExportFailedError: the file is already quantised, or onnxruntime's quantiser refuses the graph.
    """
    with calibrated(source, feeds, settings) as quantiser:
        quantiser.write(destination, settings.leave_out)


@contextmanager
def calibrated(source: Path, feeds: Iterable[Feeds], settings: Int8Settings) -> Iterator[Quantiser]:
    """Prepare a file and take its ranges, so that variants can be made that differ in the layers left in fp32;
    arguments and errors are those of `quantise_int8`.
    """
    from onnxruntime.quantization import CalibrationMethod, quant_pre_process  # noqa: PLC0415
    from onnxruntime.quantization.calibrate import save_tensors_data  # noqa: PLC0415

    quantising = [node.op_type for node in read_model(source).graph.node if node.op_type in QUANTISING_OPERATORS]
    if quantising:
        raise ExportFailedError("The file is quantised already", found=_counted(Counter(quantising)))
    method = CalibrationMethod.MinMax if settings.percentile >= 100 else CalibrationMethod.Percentile
    with tempfile.TemporaryDirectory(prefix="assay-int8-") as text:
        prepared, ranges = Path(text) / "prepared.onnx", Path(text) / "ranges.json"
        with _refusals():
            quant_pre_process(_with_rows_for_biases(source, Path(text)), prepared, skip_symbolic_shape=True)
            name_nodes(prepared)
            save_tensors_data(_ranges(prepared, feeds, method, settings), ranges)
        yield Quantiser(prepared, ranges, method)


@dataclass(frozen=True)
class Quantiser:
    """Makes int8 variants of one file.

    Attributes:
        prepared: the file for onnxruntime's quantiser, in which every node has a name of its own.
        ranges: ranges of all tensors; `method` is how they were taken.
    """

    prepared: Path
    ranges: Path
    method: CalibrationMethod

    def write(self, destination: Path, leave_out: Iterable[str] = ()) -> None:
        """
        Args:
            leave_out: names of nodes that stay in fp32.

        Raises:
            ExportFailedError: the quantiser refuses the graph.
        """
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static  # noqa: PLC0415

        from assay.export.variants.on_onnx_layers import keep_in_fp32  # noqa: PLC0415

        left = set(leave_out)
        with _refusals():
            quantize_static(
                self.prepared,
                destination,
                None,
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=sorted(left),
                calibrate_method=self.method,
                calibration_cache_path=self.ranges,
            )
            if left:
                keep_in_fp32(destination, left)


def name_nodes(path: Path) -> None:
    """Give every node of a file a name of its own: nodes are left in fp32 by name, and exporters need not give any."""
    import onnx  # noqa: PLC0415

    model = read_model(path)
    seen: set[str] = set()
    for place, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{place}"
        while node.name in seen:
            node.name += "_"
        seen.add(node.name)
    onnx.save(model, path)


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn exceptions of onnxruntime's quantiser into errors of ours."""
    try:
        yield
    except AssayError:
        raise
    except Exception as error:  # the quantiser raises whatever its parts raise
        raise ExportFailedError(
            "onnxruntime's quantiser failed", found=f"{type(error).__name__}: {one_line(error)}"
        ) from error


def convert_half(source: Path, destination: Path, precision: str) -> None:
    """Write the fp16 variant of an export's file, with float32 at its input and output.

    Raises:
        ExportFailedError: the file cannot be converted.
    """
    import onnx  # noqa: PLC0415
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415

    if precision != "fp16":
        raise ExportFailedError(
            f"A {precision} file cannot be made",
            found="onnxruntime converts to fp16 only",
            remedy=f"OpenVINO computes an fp32 file in bf16: time the runtime {BF16.name}",
        )
    try:
        onnx.save(convert_float_to_float16(read_model(source), keep_io_types=True), destination)
    except Exception as error:  # the converter raises whatever its parts raise
        raise ExportFailedError("The conversion to fp16 failed", found=one_line(error)) from error


def check_computes_in(path: Path, precision: str, left: Collection[str] = ()) -> str:
    """Make sure that ONNX Runtime's CPU provider really computes a variant in its precision.

    The graph that ONNX Runtime makes of the file is examined: a quantised operator without an integer kernel is still
    between its DequantizeLinear and QuantizeLinear, and the weights of an fp16 operator without a kernel have become
    fp32.

    Args:
        left: names of nodes of an int8 file that are to be computed in fp32.

    Returns:
        The operators that ONNX Runtime makes of the file, in words.

    Raises:
        ExportFailedError: it computes in fp32, or computes in integers what was left in fp32.
    """
    graph = _optimised(path).graph
    operators = Counter(node.op_type for node in graph.node)
    if precision == "int8":
        integer = sum(operators[name] for name in INTEGER_OPERATORS)
        heavy = {name: operators[name] for name in sorted(HEAVY_OPERATORS) if operators[name]}
        if not integer:
            raise ExportFailedError(
                "onnxruntime computes the int8 graph in fp32", expected="integer operators", found=_counted(operators)
            )
        asked = sum(node.name in left and node.op_type in HEAVY_OPERATORS for node in read_model(path).graph.node)
        if sum(heavy.values()) < asked:
            raise ExportFailedError(
                "onnxruntime computes layers in integers that were to stay in fp32",
                expected=f"{asked} in fp32",
                found=_counted(heavy) or "none",
            )
        beside = f"; in fp32: {_counted(heavy)}" if heavy else ""
        return f"{integer} operators in integers{beside}"
    wide = _heavy_in_fp32(graph)
    if wide:
        raise ExportFailedError(
            f"onnxruntime's CPU provider has no {precision} kernels for this graph here",
            expected=f"every {', '.join(sorted(HEAVY_OPERATORS))} in {precision}",
            found=f"{wide} of them, and their weights, turned to fp32",
        )
    return f"{precision} kernels"


def _with_rows_for_biases(source: Path, folder: Path) -> Path:
    """Return the file itself, or one in the folder with a number for each column where a Gemm has another form of bias,
    which onnxruntime's quantiser does not take: jax2onnx writes a single zero that is multiplied by zero.
    """
    import onnx  # noqa: PLC0415

    model = read_model(source)
    known = {one.name: one for one in model.graph.initializer}
    changed = [_with_row_for_bias(node, model.graph, known) for node in model.graph.node if node.op_type == "Gemm"]
    if not any(changed):
        return source
    onnx.save(model, folder / "biases.onnx")
    return folder / "biases.onnx"


def _with_row_for_bias(gemm: onnx.NodeProto, graph: onnx.GraphProto, known: Mapping[str, onnx.TensorProto]) -> bool:
    """Give a Gemm a bias with a number for each column if it has another form or none; return whether it changed."""
    import onnx  # noqa: PLC0415

    settings = {one.name: onnx.helper.get_attribute_value(one) for one in gemm.attribute}
    matrix, bias = (known.get(name) for name in (*gemm.input[1:3], "")[:2])
    if len(gemm.input) == 3 and settings.get("beta", 1.0) == 0:
        del gemm.input[2]
        return True
    if matrix is None or bias is None or len(bias.dims) == 1:
        return False
    columns = matrix.dims[0 if settings.get("transB") else 1]
    numbers = onnx.numpy_helper.to_array(bias).reshape(-1)
    if len(numbers) not in {1, columns}:
        return False
    row = np.ascontiguousarray(np.broadcast_to(numbers, (columns,)))
    graph.initializer.append(onnx.numpy_helper.from_array(row, f"{gemm.input[2]}_of_{gemm.output[0]}"))
    gemm.input[2] = graph.initializer[-1].name
    return True


def _ranges(prepared: Path, feeds: Iterable[Feeds], method: object, settings: Int8Settings) -> TensorsData:
    """Return the range of every tensor over all calls, one call at a time."""
    from onnxruntime.quantization.calibrate import create_calibrator  # noqa: PLC0415

    options = {} if settings.percentile >= 100 else {"percentile": settings.percentile}
    calibrator = create_calibrator(
        prepared,
        None,
        augmented_model_path=str(prepared.with_name("augmented.onnx")),
        calibrate_method=method,
        providers=["CPUExecutionProvider"],
        extra_options=options,
    )
    for one in feeds:
        calibrator.collect_data(_Reader(one))
    return calibrator.compute_data()


class _Reader:
    """One call, in the form that onnxruntime's calibrators read."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds: Iterator[Feeds] = iter([feeds])

    def get_next(self) -> Feeds | None:
        return next(self._feeds, None)


def _optimised(path: Path) -> onnx.ModelProto:
    """Return the graph that ONNX Runtime makes of a file with all optimisations."""
    import onnxruntime as ort  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="assay-graph-") as text:
        made = Path(text) / "optimised.onnx"
        options = ort.SessionOptions()
        options.optimized_model_filepath = str(made)
        options.log_severity_level = 4
        try:
            ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions share no base but this
            raise ExportFailedError("onnxruntime does not load the variant", found=one_line(error)) from error
        return read_model(made)


def _heavy_in_fp32(graph: onnx.GraphProto) -> int:
    """Count the convolutions and matrix products with fp32 weights."""
    import onnx  # noqa: PLC0415

    wide = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    return sum(node.op_type in HEAVY_OPERATORS and bool(wide & set(node.input)) for node in graph.node)


def _counted(operators: dict[str, int] | Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(operators.items()))
