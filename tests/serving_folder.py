"""A small deployment folder with a real model, in the form that `assay deploy` writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from assay.bench.deployment.config import WARM_UP, config_of, config_text
from assay.bench.deployment.folder import write_checksums
from assay.numerics.served import Records, ServedTensor, as_records, records_of
from assay.records.base import Interval
from assay.records.deployment import Deployment, ServedTolerance, Version
from assay.records.results import DataSummary
from tests.onnx_files import onnx_model

SIDE, CLASSES, IMAGES, MOST = 12, 4, 96, 16
NAME = "cells"
INPUTS = [ServedTensor(name="images", datatype="UINT8", shape=[SIDE, SIDE, 3])]
OUTPUTS = [
    ServedTensor(name="probabilities", datatype="FP32", shape=[CLASSES]),
    ServedTensor(name="label", datatype="INT64", shape=[], index_of="probabilities"),
]


def images() -> NDArray[np.uint8]:
    """The test split: (IMAGES, SIDE, SIDE, 3), no two alike."""
    return np.random.default_rng(0).integers(0, 256, (IMAGES, SIDE, SIDE, 3), np.uint8)


def records() -> Records:
    """The test split in the form of requests."""
    return as_records(images(), INPUTS)


def weights_of(version: int) -> NDArray[np.float32]:
    return np.random.default_rng(version).normal(0, 0.05, (SIDE * SIDE * 3, CLASSES)).astype(np.float32)


def probabilities(version: int) -> NDArray[np.float32]:
    """The answers that a version has to give, computed in float64."""
    pixels = images().reshape(IMAGES, -1).astype(np.float64) / 255
    logits = pixels @ weights_of(version).astype(np.float64)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def answers(shares: NDArray[np.float32], outputs: Sequence[ServedTensor] = OUTPUTS) -> Records:
    """The outputs of a version with these probabilities."""
    return records_of({"probabilities": shares, "label": shares.argmax(axis=1)}, outputs)


def labels() -> NDArray[np.int64]:
    """The true classes: those of version 1, except for every tenth image."""
    found = probabilities(1).argmax(axis=1).astype(np.int64)
    found[::10] = (found[::10] + 1) % CLASSES
    return found


def write_model(path: Path, version: int) -> None:
    """A linear classifier on pixels: uint8 NHWC in, probabilities and label out."""
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["floats"], ["pixels"], axis=1),
        helper.make_node("Div", ["pixels", "scale"], ["scaled"]),
        helper.make_node("MatMul", ["scaled", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    model = onnx_model(
        nodes,
        {"images": (TensorProto.UINT8, ["batch", SIDE, SIDE, 3])},
        {"probabilities": ["batch", CLASSES], "label": (TensorProto.INT64, ["batch"])},
        {"scale": np.float32(255), "weights": weights_of(version)},
        ir_version=9,
    )
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True)
    onnx.save(model, path)


def version(number: int, folder: Path) -> Version:
    path = folder / "models" / NAME / str(number) / "model.onnx"
    share = float((probabilities(number).argmax(axis=1) == labels()).mean())
    return Version(
        number=number,
        cell=f"cells/12/b1/t1/v{number}",
        precision="fp32",
        model_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        weights="0" * 64,
        quality=Interval(value=share, low=share, high=share),
        tolerances={
            "probabilities": ServedTolerance(value=1e-5, derivation="float32 rounding of a product of 432 terms")
        },
        created="2026-11-24T12:00:00+00:00",
    )


def write_folder(folder: Path, versions: int = 1, serving: int = 1) -> Path:
    """A whole deployment folder."""
    for number in range(1, versions + 1):
        write_model(folder / "models" / NAME / str(number) / "model.onnx", number)
        audited = folder / "audited" / str(number)
        audited.mkdir(parents=True)
        np.save(audited / "outputs.npy", answers(probabilities(number)))
        np.save(audited / "labels.npy", labels())
        (audited / "audit.json").write_text("{}")
    (folder / "models" / NAME / "labels.txt").write_text("".join(f"class {i}\n" for i in range(CLASSES)))
    warm_up = folder / "models" / NAME / WARM_UP
    warm_up.mkdir()
    (warm_up / "image.raw").write_bytes(images()[0].tobytes())
    return serve_version(folder, serving, [version(number, folder) for number in range(1, versions + 1)])


def serve_version(folder: Path, serving: int, versions: list[Version] | None = None) -> Path:
    """Make a folder serve this version: its record, configuration and checksums."""
    found = Deployment(
        name=NAME,
        serving=serving,
        versions=versions or Deployment.model_validate_json((folder / "deployment.json").read_bytes()).versions,
        unit="image",
        inputs=INPUTS,
        outputs=OUTPUTS,
        classes=[f"class {i}" for i in range(CLASSES)],
        threads=1,
        most_records=MOST,
        preferred_batches=[MOST],
        data=DataSummary(
            name="random",
            content_hash=hashlib.sha256(images().tobytes()).hexdigest(),
            counts={"test": IMAGES},
            classes=[f"class {i}" for i in range(CLASSES)],
            attribution="",
            licence="",
            notice="random pixels",
            synthetic=True,
        ),
    )
    (folder / "deployment.json").write_text(json.dumps(found.model_dump(mode="json"), indent=1))
    (folder / "models" / NAME / "config.pbtxt").write_text(config_text(config_of(found)))
    return with_checksums(folder)


def with_checksums(folder: Path) -> Path:
    """The folder with its checksums rewritten."""
    write_checksums(folder)
    return folder
