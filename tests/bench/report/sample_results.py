"""A study's record as a real run would leave it, computed by formula: no framework, no timing, no image.

`sample_results()` has two architectures at four sizes and two batches, three frameworks with two seeds, five export
routes of which one fails, every runtime, and cells that failed and were skipped.
"""

from __future__ import annotations

import math
import random

import polars

from assay.bench.words.numbers import DASH, SPACE, TIMES, inverse
from assay.files.columns import SAMPLE_COLUMNS
from assay.records.base import Interval, Verdict
from assay.records.races import SpeedComparison
from assay.records.results import Agreement, Cell, DataSummary, Export, Results
from assay.records.timings import ColdStart, Steadiness, Timing
from assay.records.trainings import Epoch, Metrics, Parity, Training
from assay.registry import TASK_OF_ARCHITECTURES
from tests.bench.report.sample_selfcheck import sample_selfcheck

CLASSES = [
    "basophil",
    "eosinophil",
    "erythroblast",
    "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)",
    "lymphocyte",
    "monocyte",
    "neutrophil",
    "platelet",
]
TEST_COUNTS = [244, 624, 311, 579, 243, 284, 666, 470]
FRAMEWORKS = {"torch": "PyTorch", "tf": "TensorFlow", "jax": "JAX"}
EXPORTERS = ["torch-dynamo", "torch-script", "tf2onnx", "jax2onnx", "jax2tf"]

# Milliseconds of the framework, and of kernels at 28 pixels and batch 1; with which power of pixels and batch the
# kernels grow; seconds to import, load, call first.
Speed = tuple[float, float, float, tuple[float, float, float]]
NATIVE: dict[str, Speed] = {
    "torch.eager": (0.5, 1.9, 0.98, (1.9, 0.06, 0.03)),
    "torch.channels_last": (0.5, 1.4, 0.97, (1.9, 0.07, 0.03)),
    "torch.script": (0.2, 1.5, 0.98, (1.9, 0.42, 0.21)),
    "torch.compile": (0.1, 2.8, 0.95, (1.9, 0.1, 24.6)),
    "tf.predict": (44.4, 1.6, 0.97, (3.1, 0.35, 0.42)),
    "tf.eager": (17.4, 1.6, 0.97, (3.1, 0.35, 0.09)),
    "tf.function": (0.4, 1.1, 0.98, (3.1, 0.36, 0.61)),
    "tf.xla": (0.3, 5.8, 0.92, (3.1, 0.36, 1.9)),
    "jax.jit": (0.1, 5.5, 0.92, (1.2, 0.31, 1.4)),
    "jax.eager": (5.4, 5.5, 0.92, (1.2, 0.31, 2.2)),
}
ORT: Speed = (0.02, 0.53, 1.0, (0.21, 0.03, 0.012))
EXPORTER_SLOWNESS = {"torch-dynamo": 1.0, "torch-script": 1.01, "tf2onnx": 1.09, "jax2onnx": 1.3, "jax2tf": 1.16}
# Runtimes that only two exports are run by, and how much longer their kernels take than ONNX Runtime's.
OTHER_ONNX = {"ort.cpu.no-opt": 1.24, "openvino": 1.07}
OTHER_ONNX_EXPORTERS = ("torch-dynamo", "tf2onnx")
FAILED_EXPORT = ("resnet18", "jax2onnx")
FAILURE = (
    "the optimised graph does not load in onnxruntime: Incompatible dimensions for Add node 'block_2_add' (64 by 128)"
)


def sample_results(
    sizes: tuple[int, ...] = (28, 64, 128, 224),
    batches: tuple[int, ...] = (1, 32),
    architectures: tuple[str, ...] = ("bloodnet", "resnet18"),
    synthetic: bool = False,
) -> Results:
    """The record; the same numbers every time."""
    chance = random.Random(20240531)
    trainings = [
        _training(chance, architecture, size, framework, seed)
        for architecture in architectures
        for size in sizes
        for framework in FRAMEWORKS
        for seed in (0, 1)
    ]
    exports = [
        _export(chance, architecture, size, exporter)
        for architecture in architectures
        for size in sizes
        for exporter in EXPORTERS
    ]
    cells = [
        cell
        for architecture in architectures
        for size in sizes
        for batch in batches
        for cell in _cells(chance, architecture, size, batch)
    ]
    groups = [(a, s, b) for a in architectures for s in sizes for b in batches]
    return Results(
        task=TASK_OF_ARCHITECTURES,
        study="sample",
        title="Blood cells, natively and through ONNX",
        created="2026-03-14T09:26:53+00:00",
        assay_version="0.1.0",
        settings={
            "name": "sample",
            "title": "Blood cells, natively and through ONNX",
            "data": {"name": "synthetic" if synthetic else "pbc:cells.zip", "root": None, "limit": 0, "seed": 0},
            "models": [
                {"architecture": name, "sizes": list(sizes), "epochs": [6.0] * len(sizes)} for name in architectures
            ],
            "train": {"frameworks": list(FRAMEWORKS), "seed": 0, "repeat_seeds": [1], "parity_steps": 20},
            "export": {"exporters": EXPORTERS, "opset": 18},
            "bench": {"batches": list(batches), "threads": [1], "processes": 3, "budget_minutes": 40.0},
        },
        environment={
            "processor": "An x86-64 processor with AVX-512",
            "cores": 2,
            "memory_gib": 24.0,
            "gpus": [],
            "python": "3.11.9",
            "packages": {"torch": "2.13.0", "tensorflow-cpu": "2.21.0", "jax": "0.10.2", "onnxruntime": "1.32.0"},
            "frameworks": {"torch": {"threads": "1 intra-op"}, "openvino": {"missing": "not installed"}},
        },
        data=_data(synthetic),
        trainings=trainings,
        parity=[_parity(chance, architecture, size) for architecture in architectures for size in sizes],
        exports=exports,
        cells=cells,
        comparisons=[_comparison(cells, group) for group in groups],
        seconds={"data": 41.0, "train": 3912.4, "export": 288.1, "bench": 2391.7, "report": 9.2},
        selfcheck=sample_selfcheck(),
    )


def sample_samples(results: Results, calls: int = 6) -> polars.DataFrame:
    """Raw samples that fit the record: three processes per cell, four blocks, a few calls each."""
    chance = random.Random(1)
    columns: dict[str, list[str | int]] = {name: [] for name in SAMPLE_COLUMNS}
    for cell in results.cells:
        if cell.host is None:
            continue
        for process in range(cell.host.processes):
            shift = chance.gauss(1, 0.012)
            for block in range(4):
                for call in range(calls):
                    wall = int(cell.host.median_ms.value * 1e6 * shift * chance.lognormvariate(0, 0.02))
                    row = (cell.name, process, block, call, "host", wall, int(wall * 0.99))
                    for name, value in zip(columns, row, strict=True):
                        columns[name].append(value)
    return polars.DataFrame(columns, schema=SAMPLE_COLUMNS)


def agreement(subject: str, error: float = 4e-6, tolerance: float = 6.4e-5, flips: int = 0) -> Agreement:
    """One comparison with the reference; it fails if the error exceeds the tolerance."""
    passed = error <= tolerance
    return Agreement(
        subject=subject,
        images=256,
        max_absolute=error,
        max_relative=error / 18.2,
        tolerance=tolerance,
        derivation=f"16 x {tolerance / 16:.2g}, the largest error of torch.eager in fp32 against float64 on 256 images",
        largest_moved=flips,
        passed=passed,
        reason="" if passed else f"differs by {error:.3g}, where {tolerance:.3g} is tolerated",
    )


def spread(value: float, relative: float = 0.02) -> Interval:
    """An estimate with an interval of that relative half-width."""
    return Interval(value=value, low=value * (1 - relative), high=value * (1 + relative))


def plain(text: str) -> str:
    """The report's typography in ASCII."""
    return text.replace(TIMES, "x").replace(DASH, "-").replace(SPACE, " ")


def _data(synthetic: bool) -> DataSummary:
    return DataSummary(
        name="synthetic" if synthetic else "pbc",
        content_hash="5f0c1e6a" * 8,
        counts={"train": 11959, "validation": 1712, "test": sum(TEST_COUNTS)},
        classes=CLASSES,
        attribution="Acevedo et al., A dataset of microscopic peripheral blood cell images, Data in Brief 30, 2020",
        licence="CC BY 4.0",
        notice="Images are drawn by a program; nothing here is about real cells."
        if synthetic
        else "Unofficial split: drawn by Assay from the original PBC images, 7:1:2 by class.",
        synthetic=synthetic,
    )


def _training(chance: random.Random, architecture: str, size: int, framework: str, seed: int) -> Training:
    base = 0.981 + 0.0025 * math.log2(size / 28) + (0.002 if architecture == "bloodnet" else 0.0)
    accuracy = min(base + chance.gauss(0, 0.0011), 0.9965)
    right = [round(n * min(1.0, accuracy + chance.gauss(0, 0.006))) for n in TEST_COUNTS]
    history = [_epoch(chance, epoch, accuracy, size) for epoch in range(1, 7)]
    best = max(history, key=lambda epoch: epoch.validation_accuracy)
    return Training(
        architecture=architecture,
        size=size,
        framework=framework,
        seed=seed,
        weights=_weights(architecture, size, framework, seed),
        started_from=None if size == 28 else _weights(architecture, size // 2, framework, seed),
        parameters=287_560 if architecture == "bloodnet" else 11_180_616,
        best_epoch=best.epoch,
        validation_accuracy=best.validation_accuracy,
        seconds=sum(epoch.seconds for epoch in history),
        history=history,
        test=_metrics(chance, right),
    )


def _epoch(chance: random.Random, epoch: int, accuracy: float, size: int) -> Epoch:
    remaining = 0.5 * math.exp(-0.85 * epoch)
    return Epoch(
        epoch=float(epoch),
        training_loss=0.28 + 1.5 * remaining + chance.uniform(0, 0.02),
        validation_loss=0.30 + 1.7 * remaining + chance.uniform(0, 0.03),
        validation_accuracy=accuracy - remaining + chance.uniform(-0.004, 0.001),
        seconds=13.0 * (size / 28) ** 2 * chance.uniform(0.95, 1.1),
    )


def _metrics(chance: random.Random, right: list[int]) -> Metrics:
    confusion = []
    for index, (count, correct) in enumerate(zip(TEST_COUNTS, right, strict=True)):
        row = [0] * len(CLASSES)
        row[index] = correct
        for _ in range(count - correct):
            row[chance.choice([other for other in range(len(CLASSES)) if other != index])] += 1
        confusion.append(row)
    return Metrics(
        count=sum(TEST_COUNTS),
        accuracy=_wilson(sum(right), sum(TEST_COUNTS)),
        macro_auc=Interval(value=0.9991, low=0.9987, high=0.9994),
        recall={name: _wilson(right[i], TEST_COUNTS[i]) for i, name in enumerate(CLASSES)},
        confusion=confusion,
    )


def _wilson(right: int, count: int) -> Interval:
    z, share = 1.96, right / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return Interval(value=share, low=max(0.0, centre - half), high=min(1.0, centre + half))


def _parity(chance: random.Random, architecture: str, size: int) -> Parity:
    curve = [2.15 * math.exp(-0.07 * step) + 0.25 + chance.uniform(0, 0.08) for step in range(20)]
    losses = {
        framework: [loss * (1 + chance.gauss(0, 1e-7) * 1.4**step) for step, loss in enumerate(curve)]
        for framework in FRAMEWORKS
    }
    worst = max(
        abs(a - b) / max(abs(a), abs(b))
        for left in losses.values()
        for right in losses.values()
        for a, b in zip(left, right, strict=True)
    )
    return Parity(
        architecture=architecture, size=size, steps=len(curve), losses=losses, worst_relative_difference=worst
    )


def _export(chance: random.Random, architecture: str, size: int, exporter: str) -> Export:
    failed = (architecture, exporter) == FAILED_EXPORT
    weights = _weights(architecture, size, "torch", 0)
    if failed:
        return Export(
            architecture=architecture,
            size=size,
            exporter=exporter,
            status="failed",
            reason=FAILURE,
            weights=weights,
            opset=18,
            opset_asked=18,
            seconds=31.7,
            made_by={"jax2onnx": "0.17.1", "jax": "0.10.2"},
        )
    error = chance.uniform(2e-6, 1.2e-5) * (2 if architecture == "resnet18" else 1)
    subjects = [f"{exporter} at level {level}" for level in (0, 1, 2, 99)]
    subjects += [f"{exporter} at level 99, batch {batch}" for batch in (1, 3, 32)]
    parameters = 287_560 if architecture == "bloodnet" else 11_180_616
    return Export(
        architecture=architecture,
        size=size,
        exporter=exporter,
        status="ok",
        key=f"{architecture}{size}{exporter}".encode().hex()[:64],
        weights=weights,
        opset=20 if exporter == "torch-dynamo" else 18,
        opset_asked=18,
        file_bytes=parameters * 4 + 21_344,
        parameters=parameters,
        nodes=21 if architecture == "bloodnet" else 49,
        operators={"Conv": 6, "Relu": 6, "MaxPool": 2, "GlobalAveragePool": 1, "Gemm": 1},
        transposes=0 if exporter.startswith("torch") else 14,
        transposes_after_optimisation=0 if exporter.startswith("torch") else 1,
        seconds=chance.uniform(1.5, 14),
        made_by={"torch": "2.13.0"} if exporter.startswith("torch") else {"tf2onnx": "1.17.0"},
        agreement=[agreement(subject, error * chance.uniform(0.8, 1.0)) for subject in subjects],
    )


def _weights(architecture: str, size: int, framework: str, seed: int) -> str:
    return f"{architecture}-{size}-{framework}-{seed}".encode().hex().ljust(64, "0")[:64]


def _cells(chance: random.Random, architecture: str, size: int, batch: int) -> list[Cell]:
    cells = [_native_cell(chance, architecture, size, batch, runtime) for runtime in NATIVE]
    cells += [_onnx_cell(chance, architecture, size, batch, "ort.cpu", exporter) for exporter in EXPORTERS]
    cells += [
        _onnx_cell(chance, architecture, size, batch, runtime, exporter)
        for runtime in OTHER_ONNX
        for exporter in OTHER_ONNX_EXPORTERS
    ]
    cells.append(_timed(_cell(architecture, size, batch, "null"), 0.0021, (0.1, 0.001, 0.0), chance))
    return cells


def _cell(architecture: str, size: int, batch: int, runtime: str, exporter: str = "") -> Cell:
    label = f"{runtime}@{exporter}" if exporter else runtime
    framework = {"ort": "onnx", "openvino": "onnx", "null": ""}.get(
        runtime.partition(".")[0], runtime.partition(".")[0]
    )
    return Cell(
        name=f"{architecture}/{size}/b{batch}/t1/{label}",
        architecture=architecture,
        size=size,
        batch=batch,
        threads=1,
        device_kind="cpu",
        runtime=runtime,
        framework=framework,
        exporter=exporter,
        label=label,
        status="ok",
        weights=_weights(architecture, size, "torch", 0),
    )


def _native_cell(chance: random.Random, architecture: str, size: int, batch: int, runtime: str) -> Cell:
    cell = _cell(architecture, size, batch, runtime)
    if runtime == "torch.compile" and architecture == "resnet18" and size == 224:
        return cell.model_copy(update={"status": "skipped", "reason": "the time budget of 40 minutes was spent"})
    if runtime == "tf.xla" and (architecture, size, batch) == ("resnet18", 224, 32):
        reason = "the worker was killed by signal 9 (out of memory) during its first call"
        return cell.model_copy(update={"status": "failed", "reason": reason})
    return _timed(cell, sum(true_parts(cell)), NATIVE[runtime][-1], chance)


def _onnx_cell(chance: random.Random, architecture: str, size: int, batch: int, runtime: str, exporter: str) -> Cell:
    cell = _cell(architecture, size, batch, runtime, exporter)
    if (architecture, exporter) == FAILED_EXPORT:
        return cell.model_copy(update={"status": "skipped", "reason": f"its export failed: {FAILURE}"})
    return _timed(cell, sum(true_parts(cell)), ORT[-1], chance)


def true_parts(cell: Cell) -> tuple[float, float]:
    """Milliseconds of the sample's framework and kernels in a call."""
    framework, kernels, growth, _ = NATIVE.get(cell.runtime, ORT)
    kernels *= EXPORTER_SLOWNESS.get(cell.exporter, 1.0) * OTHER_ONNX.get(cell.runtime, 1.0)
    kernels *= ((cell.size / 28) ** 2 * cell.batch) ** growth
    return (2 * framework, 2.6 * kernels) if cell.architecture == "resnet18" else (framework, kernels)


def _timed(cell: Cell, median: float, cold: tuple[float, float, float], chance: random.Random) -> Cell:
    median *= chance.uniform(0.97, 1.03)
    base_memory = {"torch": 410, "tf": 690, "jax": 380, "onnx": 120}.get(cell.framework, 60)
    versions = {"torch": "2.13.0", "tf": "2.21.0", "jax": "0.10.2", "onnx": "1.32.0"}
    return cell.model_copy(
        update={
            "host": Timing(
                median_ms=spread(median, 0.012),
                p90_ms=spread(median * 1.06, 0.02),
                p99_ms=spread(median * 1.21, 0.06),
                samples=540,
                processes=3,
            ),
            "device": Timing(
                median_ms=spread(median * 0.97, 0.011),
                p90_ms=spread(median * 1.02, 0.02),
                p99_ms=spread(median * 1.15, 0.06),
                samples=540,
                processes=3,
            ),
            "throughput": spread(cell.batch / median * 1000, 0.012),
            "cold": ColdStart(import_seconds=cold[0], load_seconds=cold[1], first_call_seconds=cold[2]),
            "processor_use": 0.99 + chance.uniform(-0.01, 0.01),
            "steadiness": Steadiness(
                drift=chance.uniform(-0.01, 0.01),
                drift_p_value=chance.uniform(0.05, 1),
                autocorrelation=chance.uniform(-0.1, 0.4),
                involuntary_switches_per_second=chance.uniform(1, 9),
                stolen_share=0.0,
                floor_share=0.0021 / median if cell.framework else None,
            ),
            "peak_memory_mib": base_memory * (1 + 0.0006 * cell.batch * (cell.size / 28)) + chance.uniform(0, 15),
            "precision": "fp32",
            "provenance": {"version": versions.get(cell.framework, "0.1.0"), "threads": "1"},
            "agreement": agreement(cell.label, chance.uniform(1e-6, 2e-5)) if cell.framework else None,
            "timed_agreement": agreement(cell.label, chance.uniform(1e-6, 2e-5)) if cell.framework else None,
        }
    )


def _comparison(cells: list[Cell], group: tuple[str, int, int]) -> SpeedComparison:
    architecture, size, batch = group
    timed = [c for c in cells if (c.architecture, c.size, c.batch) == group and c.host and c.framework]
    medians = {c.label: c.host.median_ms.value for c in timed if c.host}
    native = min((c for c in timed if c.framework != "onnx"), key=lambda c: medians[c.label]).label
    onnx = min((c for c in timed if c.framework == "onnx"), key=lambda c: medians[c.label]).label
    speedup = spread(medians[native] / medians[onnx], 0.018)
    ratios = {label: spread(median / medians[native], 0.017) for label, median in medians.items()}
    return SpeedComparison(
        architecture=architecture,
        size=size,
        batch=batch,
        threads=1,
        native=native,
        onnx=onnx,
        speedup=speedup,
        verdict=_verdict(inverse(speedup)),
        ratios=ratios,
        verdicts={label: _verdict(ratio) for label, ratio in ratios.items() if label != native},
    )


def _verdict(ratio: Interval) -> Verdict:
    """The ratio of a time to that of the fastest native one."""
    return "faster" if ratio.high < 1 else "slower" if ratio.low > 1 else "undecided"
