"""The sample record with everything that explains its times: attribution, work, ceilings, bounds, graph or runtime.

The results of profilers and counters are invented; everything derived from them is derived by the real functions.
"""

from __future__ import annotations

from assay.bench.explaining.estimate import affine_fits, crossovers, judged
from assay.bench.explaining.factors import factors_of
from assay.bench.explaining.layers import computing_layers
from assay.bench.explaining.roofline import bounds_of
from assay.bench.judging.summary import by_cell
from assay.records.attribution import Attribution, OperatorTime, ProfiledEstimate, SkeletonEstimate
from assay.records.base import Interval
from assay.records.results import Cell, Export, Results
from assay.records.roofline import Bandwidth, Ceilings, GraphWork, LayerWork, Rate
from assay.spec import ModelSpec
from tests.bench.report.sample_results import CLASSES, sample_results, sample_samples, spread, true_parts

EXPLANATIONS = ("works", "ceilings", "bounds", "attributions", "fits", "crossovers", "factors")

MILLION_OPERATIONS = {"bloodnet": 52, "resnet18": 70}  # at 28 pixels, one image
PARAMETERS = {"bloodnet": 287_560, "resnet18": 11_180_616}
CONVOLUTIONS = {"torch": "mkldnn_convolution", "tf": "_FusedConv2D", "jax": "convolution", "onnx": "Conv"}
FUSED = ("jax.jit", "tf.xla")
# In its profile, the operators of this runtime contain what dispatches them.
DISPATCHING_INSIDE = "jax.eager"
INFLATED = "tf.eager"


def explained_results(
    sizes: tuple[int, ...] = (28, 64, 128, 224),
    batches: tuple[int, ...] = (1, 32),
    architectures: tuple[str, ...] = ("bloodnet", "resnet18"),
    synthetic: bool = False,
) -> Results:
    """`sample_results` with its times explained; the same numbers every time."""
    results = sample_results(sizes, batches, architectures, synthetic)
    works = [_work(export, batch) for export in results.exports if export.status == "ok" for batch in batches]
    attributions = [attribution(cell) for cell in results.cells if cell.host and cell.framework]
    found = {
        "works": works,
        "ceilings": [CEILINGS],
        "bounds": bounds_of(results.cells, works, [CEILINGS]),
        "attributions": attributions,
        "fits": affine_fits(results.cells),
        "crossovers": crossovers(results.cells, attributions),
        "factors": factors_of(results.cells, by_cell(sample_samples(results))),
    }
    return results.model_copy(update=found)


def attribution(cell: Cell) -> Attribution:
    """The results of two estimators that work well on a timed cell; two runtimes have the problems of real ones."""
    assert cell.host is not None
    assert cell.device is not None
    wall = cell.device.median_ms
    framework, kernels = true_parts(cell)
    overhead = spread(min(wall.value, 0.93 * framework), 0.03)
    return judged(
        Attribution(
            cell=cell.name,
            wall_ms=wall,
            transfer_ms=cell.host.median_ms.value - wall.value,
            profiled=_profiled(cell, wall.value, kernels / (framework + kernels)),
            skeleton=SkeletonEstimate(overhead_ms=overhead, kernel_ms=_rest(wall.value, overhead)),
            operators=[] if cell.runtime == "openvino" else _operators(cell, wall.value),
        )
    )


def _profiled(cell: Cell, wall: float, share: float) -> ProfiledEstimate:
    if cell.runtime == "openvino":
        return ProfiledEstimate(reason="there is no reader for a profile of openvino")
    if cell.runtime == DISPATCHING_INSIDE:
        share = 0.5 + share / 2
    kernels = spread(wall * share, min(0.02, (1 - share) / share))
    inflation = 1.9 if cell.runtime == INFLATED else 1.07
    return ProfiledEstimate(
        kernel_ms=kernels,
        overhead_ms=_rest(wall, kernels),
        inflation=spread(inflation),
        trusted=inflation < 1.5,
        calls=240,
        events=34,
        reason="" if inflation < 1.5 else f"the profiler makes a call {inflation} times as long",
    )


def _rest(whole: float, part: Interval) -> Interval:
    return Interval(value=whole - part.value, low=whole - part.high, high=whole - part.low)


def _operators(cell: Cell, wall: float) -> list[OperatorTime]:
    """A convolution or product for each layer; one operator for all of them where the compiler fuses them."""
    if cell.runtime in FUSED:
        return [
            OperatorTime(name="ynn_fusion", kind="ynn_fusion", ms=0.97 * wall, share=0.98),
            OperatorTime(name="multiply_fusion", kind="multiply_fusion", ms=0.02 * wall, share=0.02),
        ]
    layers = computing_layers(ModelSpec(cell.architecture, cell.size, len(CLASSES)), cell.framework)
    weight = {layer: _cost_of(cell, layer) for layer in layers}
    whole = sum(weight.values()) / 0.95
    found = [
        OperatorTime(
            name=f"/{layer.replace('.', '/')}/Conv" if cell.framework == "onnx" else CONVOLUTIONS[cell.framework],
            kind=CONVOLUTIONS[cell.framework],
            layer=layer,
            aligned_by="name" if cell.framework == "onnx" else "order",
            ms=0.9 * wall * cost / whole,
            share=cost / whole,
        )
        for layer, cost in weight.items()
    ]
    found.append(OperatorTime(name="max_pool", kind="MaxPool", ms=0.9 * wall * 0.05, share=0.05))
    return sorted(found, key=lambda one: -one.ms)


def _cost_of(cell: Cell, layer: str) -> float:
    """The share of each layer in the time; PyTorch computes one of them badly."""
    if cell.framework == "torch" and layer in {"stage3.unit2.conv", "stage4.block2.unit2.conv"}:
        return 3.0
    return 0.3 if "unit1" in layer else 1.0


def _work(export: Export, batch: int) -> GraphWork:
    flops = int(MILLION_OPERATIONS[export.architecture] * 1e6 * (export.size / 28) ** 2) * batch
    input_bytes = 4 * 3 * export.size**2 * batch
    weight_bytes = 4 * PARAMETERS[export.architecture]
    names = computing_layers(ModelSpec(export.architecture, export.size, len(CLASSES)), "torch")
    return GraphWork(
        architecture=export.architecture,
        size=export.size,
        exporter=export.exporter,
        batch=batch,
        flops=int(1.08 * flops),
        least_flops=flops,
        elementwise=flops // 60,
        weight_bytes=weight_bytes,
        input_bytes=input_bytes,
        output_bytes=4 * len(CLASSES) * batch,
        traffic_bytes=weight_bytes + 40 * input_bytes,
        layers=[
            LayerWork(
                name=name,
                operator="Conv" if name.endswith("conv") else "Gemm",
                flops=int(1.08 * flops) // len(names),
                least_flops=flops // len(names),
                weight_bytes=weight_bytes // len(names),
                activation_bytes=4 * input_bytes,
            )
            for name in names
        ],
    )


def _rate(best: float, by: str) -> Rate:
    return Rate(best=best, median=0.94 * best, by=by, repetitions=31, all_best={by: best, "numpy": 0.93 * best})


def _bandwidth(level: str, capacity_bytes: int, gb_s: float) -> Bandwidth:
    array_bytes = capacity_bytes // 2 or 400_000_000
    return Bandwidth(
        level=level, capacity_bytes=capacity_bytes, array_bytes=array_bytes, gb_s=_rate(gb_s, "numpy copy")
    )


CEILINGS = Ceilings(
    threads=1,
    cores=(1,),
    gflop_s={"fp32": _rate(110, "onnxruntime"), "bf16": _rate(210, "torch"), "int8": _rate(430, "onnxruntime")},
    bandwidths=[
        _bandwidth("L2", 2**20, 99),
        _bandwidth("L3", 2**25, 90),
        _bandwidth("memory", 0, 40),
    ],
    versions={"numpy": "2.4.6", "torch": "2.13.0", "onnxruntime": "1.32.0"},
    notes=["L1d is too small to be measured from here"],
)
