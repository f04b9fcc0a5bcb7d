"""A model whose results come in no order that is defined: its exports are compared in one, also at the edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.export.checking.records import Against, check_records
from assay.export.job import EXPORT, RouteRequest
from assay.export.probing.probe import NATIVE_FILE, PROBE, RECORDS_FILE, REFERENCE_FILE
from assay.jobs.running import run_job
from tests.user_models import to_probe

pytestmark = pytest.mark.slow
MODEL = """
import torch


class Top(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = torch.nn.Linear(8, 40)

    def forward(self, x):
        return self.linear(x).topk(12, sorted=False)


def build():
    return Top().eval()
"""


TF = """
import numpy as np
import tensorflow as tf

WEIGHTS = tf.constant(np.random.default_rng(0).normal(size=(8, 40)).astype(np.float32))


@tf.function
def top(x):
    found = tf.math.top_k(tf.matmul(x, WEIGHTS), 12, sorted=False)
    return found.values, found.indices


@tf.function(input_signature=[tf.TensorSpec([None, 8], tf.float32, name="x")])
def both(x):
    values, places = top(x)
    return {"a": values, "b": places}


@tf.function(input_signature=[tf.TensorSpec([None, 8], tf.float32, name="x")])
def alone(x):
    return tf.identity(top(x)[1])
"""
PLACES_ALONE = MODEL.replace("topk(12, sorted=False)", "topk(12, sorted=False)[1]")


def test_places_alone_agree_as_a_set(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(PLACES_ALONE)
    request = to_probe(tmp_path, f"{tmp_path / 'model.py'}:build", "x=1,8")
    model = run_job(PROBE, request, tmp_path / "probe.log", limit_seconds=300).model
    assert [one.lines for one in model.outputs] == [(0, 0)]
    against = Against(
        records=tmp_path / RECORDS_FILE, native=tmp_path / NATIVE_FILE, reference=tmp_path / REFERENCE_FILE
    )
    asked = RouteRequest(model=model, exporter="torch-script", opset=18, key="key", folder=tmp_path)
    run_job(EXPORT, asked, tmp_path / "export.log", limit_seconds=300)
    assert check_records(tmp_path / "model.onnx", model, against, "torch-script").reason == ""
    for path in (against.native, against.reference):
        np.save(path, (np.load(path) + 1) % 40)
    assert "numbers differ" in check_records(tmp_path / "model.onnx", model, against, "torch-script").reason


@pytest.mark.parametrize(("function", "outputs"), [("both", 2), ("alone", 1)])
def test_tensorflow_s_top_k_that_need_not_be_sorted_agrees(function: str, outputs: int, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(TF)
    request = to_probe(tmp_path, f"{tmp_path / 'model.py'}:{function}")
    model = run_job(PROBE, request, tmp_path / "probe.log", limit_seconds=300).model
    assert [one.lines for one in model.outputs] == [(0, 0)] * outputs
    against = Against(
        records=tmp_path / RECORDS_FILE, native=tmp_path / NATIVE_FILE, reference=tmp_path / REFERENCE_FILE
    )
    if not against.reference.is_file():
        np.save(against.reference, np.load(against.native).astype(np.float64))
    asked = RouteRequest(model=model, exporter="tf2onnx", opset=18, key="key", folder=tmp_path)
    run_job(EXPORT, asked, tmp_path / "export.log", limit_seconds=300)
    assert check_records(tmp_path / "model.onnx", model, against, "tf2onnx").reason == ""


def test_top_k_that_need_not_be_sorted_agrees_by_every_route_and_a_wrong_one_does_not(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    request = to_probe(tmp_path, f"{tmp_path / 'model.py'}:build", "x=1,8")
    model = run_job(PROBE, request, tmp_path / "probe.log", limit_seconds=300).model
    assert [one.lines for one in model.outputs] == [(0, 0), (0, 0)]
    against = Against(
        records=tmp_path / RECORDS_FILE, native=tmp_path / NATIVE_FILE, reference=tmp_path / REFERENCE_FILE
    )
    for route in ("torch-dynamo", "torch-script"):
        folder = tmp_path / route
        folder.mkdir()
        asked = RouteRequest(model=model, exporter=route, opset=18, key="key", folder=folder)
        run_job(EXPORT, asked, tmp_path / f"{route}.log", limit_seconds=300)
        judged = check_records(folder / "model.onnx", model, against, route)
        assert judged.reason == ""
        assert any("at the edges" in one.subject for one in judged.agreement)
    for path in (against.native, against.reference):
        moved = np.load(path)
        moved[:, :12] += 0.01
        np.save(path, moved)
    assert "differs by 0.01" in check_records(tmp_path / "torch-script" / "model.onnx", model, against, "").reason
