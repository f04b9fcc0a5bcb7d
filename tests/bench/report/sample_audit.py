"""An audit as `assay audit` writes it: exports that agree, one that does not, a runtime that loses NaN, flips."""

from __future__ import annotations

import numpy as np

from assay.bench.tasks.classification.flipped import picture
from assay.numerics.agreement import tolerance_of_errors
from assay.numerics.numbers import Measured
from assay.records.audit import (
    Audit,
    AuditedTolerance,
    Comparison,
    Determinism,
    FlippedImage,
    InputSet,
    ModelAudit,
    Propagation,
    reasons_of,
)
from assay.records.localisation import Localisation
from assay.records.results import Results
from assay.registry import TASK_OF_ARCHITECTURES
from tests.bench.report.sample_results import sample_results
from tests.measured_classes import measure_classes

IMAGES, CLASSES = 60, 8
NOTICE = "Unofficial split: these are not the images of MedMNIST."
NAMES = ["basophil", "eosinophil", "erythroblast", "ig", "lymphocyte", "monocyte", "neutrophil", "platelet"]
HASH = "5d41402abc4b2a76b9719d911017c592ae5f4e2e6b1f7d6d0c1d2f1a9b8c7d6e"
TIMED = sample_results((28,), (1,), ("bloodnet",))
"""The subjects of the audit."""


def keys_of(results: Results, architecture: str = "bloodnet", size: int = 28) -> dict[str, str]:
    """The weights and exports as named by an audit of exactly what these results timed."""
    exports = [one for one in results.exports if (one.architecture, one.size) == (architecture, size)]
    return {"weights": exports[0].weights} | {f"onnx@{one.exporter}": one.key for one in exports}


def sample_audit(*, wrong: bool = True) -> Audit:
    """The record; `wrong` adds an export of another function, which fails."""
    errors = {"torch.eager": 1e-6, "tf.function": 2e-6, "ort.cpu@torch-dynamo": 1.5e-6} | (
        {"ort.cpu@jax2onnx": 0.7} if wrong else {}
    )
    model = _model(errors, wrong=wrong)
    reasons = reasons_of([model])
    return Audit(
        created="2026-03-14T09:26:53+00:00",
        assay_version="0.1.0",
        verdict="failed" if reasons else "passed",
        reasons=reasons,
        findings=[f"{model.name}: {finding}" for finding in model.findings()],
        data="pbc: Acevedo and others 2020. Licence: CC BY 4.0",
        notice=NOTICE,
        command="assay audit reference.toml",
        environment={"processor": "A processor", "cores": 2, "packages": {"torch": "2.13.0", "onnxruntime": "1.32.0"}},
        models=[model],
        seconds={"audit": 431.2, "ort.cpu@torch-dynamo on bloodnet/28": 4.4},
    )


def _model(errors: dict[str, float], *, wrong: bool) -> ModelAudit:
    reference = np.random.default_rng(0).normal(0, 5, (IMAGES, CLASSES))
    labels = reference.argmax(axis=1)
    measured = {
        name: measure_classes(
            reference, (reference + np.random.default_rng(1).normal(0, error, reference.shape)), labels
        )
        for name, error in errors.items()
    }
    scale = float(np.abs(reference).max())
    natives = {name: found.max_absolute for name, found in measured.items() if "@" not in name}
    tolerance = tolerance_of_errors(scale, natives, IMAGES)
    return ModelAudit(
        name="bloodnet/28",
        task=TASK_OF_ARCHITECTURES,
        reference="PyTorch in float64, checked by JAX in float64",
        reference_check=3.1e-16,
        models={"weights": HASH, "onnx@torch-dynamo": HASH},
        keys=keys_of(TIMED),
        data_hash=TIMED.data.content_hash,
        inputs=[InputSet(name="test", sha256=HASH, images=IMAGES, sampled_from=3419, what="images of the test split")],
        tolerances=[
            AuditedTolerance(
                inputs="test",
                value=tolerance.value,
                derivation=tolerance.derivation,
                scale=scale,
                native_errors=natives,
                noise=0.0,
            )
        ],
        comparisons=[_comparison(name, found, tolerance.value) for name, found in measured.items()],
        determinism=[
            Determinism(subject=name, images=32, repeated=0.0, batches=2.4e-7, threads=0.0) for name in errors
        ],
        propagation=[_propagation(name) for name in errors],
        localisations=[_localisation()] if wrong else [],
        classes=NAMES,
        flipped=[_flipped(number) for number in range(3)],
    )


def _comparison(subject: str, found: Measured, tolerance: float) -> Comparison:
    passed = found.max_absolute <= tolerance
    return Comparison(
        subject=subject,
        inputs="test",
        batch=32,
        threads=1,
        images=IMAGES,
        measured=found,
        tolerance=tolerance,
        delivered="fp32" if passed else "less than bf16",
        passed=passed,
        reason="" if passed else "fewer bits than any arithmetic explains: it is a different function",
    )


def _propagation(subject: str) -> Propagation:
    names = ["all NaN", "one infinity"]
    lost = subject == "tf.function"
    return Propagation(
        subject=subject,
        inputs=names,
        swallowed=names if lost else [],
        invented=[],
        operators={"max-pooling": "NaN everywhere"} if lost else {},
        passed=not lost,
    )


def _localisation() -> Localisation:
    return Localisation(
        node="pool_1",
        operator="MaxPool",
        attributes={"kernel_shape": "[3, 3]"},
        inputs=["r"],
        output="p",
        error_before=1e-16,
        error_after=0.2,
        runs=True,
        reference_nodes=["MaxPool(pads=[1, 1, 1, 1])"],
    )


def _flipped(number: int) -> FlippedImage:
    image = np.random.default_rng(number).uniform(-1, 1, (28, 28, 3)).astype(np.float32)
    return FlippedImage(
        inputs="boundary",
        image=number,
        split_image=100 + number,
        label=None,
        reference_class=1,
        reference_margin=2e-7,
        classes={"torch.eager": 2, "ort.cpu@torch-dynamo": 2},
        margins={"torch.eager": 1e-7, "ort.cpu@torch-dynamo": 3e-7},
        picture=picture(image),
    )
