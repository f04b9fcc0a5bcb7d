"""Files and modules in integers, fp16 and bf16 are judged as what they are, and against what they were made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.export.job import CHECK, EXPORT, RouteRequest
from assay.export.probing.probe import PROBE, Probed
from assay.jobs.running import run_job
from assay.records.results import Export
from assay.registry import GIVEN
from assay.train.brought.model import UserModel
from assay.train.brought.sources import locate
from tests.contract.test_user_models import LIMIT_SECONDS
from tests.export.low_precision import MAKERS, made
from tests.user_models import to_check, to_probe

ARITHMETIC = {"fp16": "fp16", "bf16": "bf16", "nbits4": "int4", "nbits4-zero-points": "int4", "nbits4-level4": "int4",
              "nbits4-qdq": "int4"}  # fmt: skip
"""The precision that each file computes in; int8 for all others."""
TORCH = """
import torch
from torch import nn

def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 5)).eval()

def dynamic():
    return torch.ao.quantization.quantize_dynamic(plain(), {nn.Linear}, torch.qint8)

class Static(nn.Module):
    def __init__(self):
        super().__init__()
        from torch.ao import quantization as q
        torch.manual_seed(0)
        self.layers = nn.Sequential(q.QuantStub(), nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                                    nn.Flatten(), nn.Linear(8, 5), q.DeQuantStub())

    def forward(self, x):
        return self.layers(x)

def static():
    from torch.ao import quantization as q
    torch.backends.quantized.engine = "x86"
    model = Static().eval()
    model.qconfig = q.get_default_qconfig("x86")
    q.prepare(model, inplace=True)
    for _ in range(8):
        model(torch.randn(4, 3, 8, 8))
    return q.convert(model)

def torchao_dynamic():
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_
    model = plain()
    quantize_(model, Int8DynamicActivationInt8WeightConfig())
    return model

def half():
    return plain().half()
"""


def probed(folder: Path, model: str, shapes: list[str] | None = None, original: str = "") -> Probed:
    request = to_probe(folder, model, *(shapes or ()), batches=(1, 8), original=locate(original) if original else None)
    return run_job(PROBE, request, folder / "probe.log", limit_seconds=LIMIT_SECONDS)


def checked(folder: Path, model: UserModel) -> Export:
    place = folder / "given"
    place.mkdir()
    request = RouteRequest(model=model, exporter=GIVEN, opset=18, key="key", folder=place)
    record = run_job(EXPORT, request, folder / "export.log", limit_seconds=LIMIT_SECONDS)
    asked = to_check(folder, model, request.file, GIVEN)
    return run_job(CHECK, asked, folder / "check.log", limit_seconds=LIMIT_SECONDS).on(record)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind != "bf16"])
def test_a_file_in_low_precision_is_judged_as_what_it_is(kind: str, tmp_path: Path) -> None:
    source, file = made(kind, tmp_path)
    found = probed(tmp_path, str(file), original=str(source))
    assert found.model.arithmetic == ARITHMETIC.get(kind, "int8")
    assert found.reference, found.reason
    record = checked(tmp_path, found.model)
    assert record.status == "ok", record.reason
    assert record.agreement
    assert all(one.passed for one in record.agreement)
    assert len(found.cost) == 1
    assert found.cost[0].max_absolute > 0, "quantising costs something"
    assert "against fp32.onnx in float64" in found.cost[0].subject


@pytest.mark.slow
def test_a_file_whose_weights_were_spoilt_costs_too_much(tmp_path: Path) -> None:
    source, _ = made("qdq", tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    _, file = made("dynamic-conv", other)
    import onnx  # noqa: PLC0415
    from onnx import numpy_helper  # noqa: PLC0415

    model = onnx.load(file)
    spoilt = next(one for one in model.graph.initializer if one.name.endswith("_quantized"))
    spoilt.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(spoilt), spoilt.name))
    onnx.save(model, file)
    found = probed(tmp_path, str(file), original=str(source))
    assert found.reference, found.reason  # it is what it says
    assert not found.cost[0].passed
    assert "of what varies in the reference" in found.cost[0].reason


@pytest.mark.slow
def test_an_original_with_other_outputs_is_refused(tmp_path: Path) -> None:
    source, _ = made("qdq", tmp_path)
    (tmp_path / "other").mkdir()
    _, file = made("dynamic", tmp_path / "other")
    with pytest.raises(Exception, match=r"fp32\.onnx|--original"):
        probed(tmp_path, str(file), original=str(source))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "arithmetic", "shape"),
    [
        ("dynamic", "int8", "x=batch,16"),
        ("static", "int8", "x=batch,3,8,8"),
        ("torchao_dynamic", "int8", "x=batch,16"),
        ("half", "fp16", "x=float16:batch,16"),
    ],
)
def test_a_module_in_low_precision_has_the_float64_of_its_weights(
    function: str, arithmetic: str, shape: str, tmp_path: Path
) -> None:
    (tmp_path / "nets.py").write_text(TORCH)
    found = probed(tmp_path, f"{tmp_path / 'nets.py'}:{function}", [shape])
    assert found.model.arithmetic == arithmetic
    assert found.reference == "the PyTorch model in float64", found.reason
