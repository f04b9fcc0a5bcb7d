"""A wrong export of our weights is traced to the canonical layer, to the node, and to a repro that runs alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from assay.export.localise.localise_job import PARTINGS, PartingsRequest
from assay.export.localise.on_numpy_layers import follow
from assay.export.localise.on_onnx_localize import partings, read_feeds, source_of, trace
from assay.export.localise.on_onnx_repro import shows, write_repro
from assay.jobs.running import run_job
from assay.train.built import BuiltModel
from assay.train.weights import save_weights
from tests.contract.training_steps import moved_weights
from tests.export.localise.test_localize import pool_model
from tests.export.models import Workspace, workspace
from tests.export.pairs.pair_models import WIDTH, save_classifier, wrong_sign


@pytest.fixture(scope="module")
def bloodnet(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return workspace("bloodnet", tmp_path_factory)


def test_native_values_are_named_by_canonical_layer(bloodnet: Workspace, tmp_path: Path) -> None:
    save_weights(tmp_path / "weights.safetensors", moved_weights(bloodnet.spec))
    images = np.load(bloodnet.folder / "images.npy")[:2]
    source = follow(bloodnet.spec, tmp_path / "weights.safetensors", images)
    layers = list(dict.fromkeys(step.layer for step in source.steps))
    assert layers[:4] == ["stage1.unit1.conv", "stage1.unit1.norm", "stage1", "stage1.unit2.conv"]
    assert layers[-1] == "head"
    assert sum("max_pool2d" in step.text for step in source.steps) == 2
    assert source.values[source.steps[-1].outputs[0]].shape == (2, bloodnet.spec.classes)
    assert {value.dtype for value in source.values.values()} == {np.dtype(np.float64)}


def test_a_repro_is_one_node_and_runs_without_assay(tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(size=(1, 9, 9, 3)).astype(np.float32)
    np.savez(tmp_path / "inputs.npz", image=images)
    reference = pool_model(tmp_path / "reference.onnx", [1, 1, 1, 1], moved=False)
    candidate = pool_model(tmp_path / "candidate.onnx", [0, 0, 0, 0], moved=True)
    feeds = read_feeds(tmp_path / "inputs.npz")
    source, wrong = source_of(reference, feeds), trace(candidate, feeds)
    (found,) = partings(source, wrong, source.values)
    assert write_repro(onnx.load(candidate), wrong, found, tmp_path / "repro")
    model = onnx.load(tmp_path / "repro" / "model.onnx")
    assert [node.op_type for node in model.graph.node] == ["MaxPool"]
    assert "assay" not in (tmp_path / "repro" / "run.py").read_text().replace("nothing of Assay", "")
    done = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "repro" / "run.py")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "expected are" in done.stdout or "relative error" in done.stdout


def test_a_repro_says_so_once_the_defect_is_gone(tmp_path: Path) -> None:
    np.savez(tmp_path / "inputs.npz", image=np.random.default_rng(0).normal(size=(1, WIDTH)).astype(np.float32))
    reference = save_classifier(tmp_path / "reference.onnx")
    candidate = save_classifier(tmp_path / "candidate.onnx", wrong_sign)
    feeds = read_feeds(tmp_path / "inputs.npz")
    source, wrong = source_of(reference, feeds), trace(candidate, feeds)
    (found,) = partings(source, wrong, source.values)
    assert write_repro(onnx.load(candidate), wrong, found, tmp_path / "repro")
    path = tmp_path / "repro" / "model.onnx"
    model = onnx.load(path)
    (offset,) = (one for one in model.graph.initializer if one.name == "offset")
    offset.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(offset), "offset"))
    onnx.save(model, path)
    assert not shows(tmp_path / "repro")


@pytest.mark.slow
def test_a_spoiled_export_is_followed_to_its_layer_and_node(bloodnet: Workspace, tmp_path: Path) -> None:
    record = bloodnet.export("torch-script")
    model = onnx.load(bloodnet.model("torch-script"))
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    spoiled = convolutions[2]
    (weight,) = (one for one in model.graph.initializer if one.name == spoiled.input[1])
    weight.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(weight), weight.name))
    onnx.save(model, tmp_path / "spoiled.onnx")
    request = PartingsRequest(
        model=BuiltModel(spec=bloodnet.spec, weights=bloodnet.folder / "weights" / "weights.safetensors"),
        file=tmp_path / "spoiled.onnx",
        layout=record.made_by["layout"],
        records=bloodnet.folder / "images.npy",
        repro=tmp_path / "study" / "repro",
    )
    (found,) = run_job(PARTINGS, request, tmp_path / "job.log", limit_seconds=900).found
    assert found.node == (spoiled.name or spoiled.output[0])
    assert found.layer.startswith("stage2.unit1")
    assert found.repro == "study/repro/0"
    assert shows(tmp_path / found.repro)
