"""Every runtime of reduced precision has a counterpart in full precision, and is refused where it would not compute in
its precision. A false claim is found. The numbers themselves are in `test_runtimes.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from assay.bench.machine.host import LOCAL
from assay.bench.timing.workers import Candidate, Worker
from assay.entries import load_target
from assay.errors import AssayError, InputError, NotInstalledError
from assay.infer.observing.on_torch_kernels import observe_compiled
from assay.infer.runtime import ModelFiles
from assay.numerics.precisions import FULL, is_less_exact
from assay.registry import RUNTIMES
from assay.runtimes.entry import AS_IT_COMES
from assay.spec import ModelSpec, Settings
from assay.train.built import BuiltModel

REDUCED = [entry for entry in RUNTIMES.values() if entry.precision and entry.precision != AS_IT_COMES]
OF_TORCHAO = ["torch.compile.int8", "torch.aot.int8"]


@pytest.mark.parametrize("entry", REDUCED, ids=lambda entry: entry.name)
def test_it_says_of_which_runtime_in_full_precision_it_is_the_reduced_one(entry) -> None:  # type: ignore[no-untyped-def]
    whole = RUNTIMES[entry.reduces]
    assert is_less_exact(entry.precision, "fp32")
    assert whole.precision in {"", *FULL}
    assert (whole.family, whole.tier) == (entry.family, entry.tier)
    assert not entry.unasked, "what takes long, or is another question, is timed where it is named"


def test_pytorch_computes_in_each_precision_by_itself_and_in_its_deployment_runtime() -> None:
    found = {(one.tier, one.precision) for one in REDUCED if one.framework == "torch"}
    assert found == {(tier, one) for tier in ("framework", "deployment") for one in ("bf16", "int8")} | {
        ("framework", "fp16"),
        ("framework", "tf32"),  # on a GPU alone
    }


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(one, marks=[] if one.framework in {"torch", "onnx"} else [pytest.mark.slow], id=one.name)
        for one in REDUCED
        if one.precision == "tf32"
    ],
)
def test_tf32_is_refused_where_no_gpu_is_asked_for(entry) -> None:  # type: ignore[no-untyped-def]
    """It is the reduced precision of a runtime on a GPU; nothing else has it."""
    assert entry.devices == ("cuda",)
    assert "cuda" in RUNTIMES[entry.reduces].devices
    with pytest.raises(InputError, match="Only NVIDIA GPUs compute in TF32"):
        entry.load()(None, Settings())


class Rounded(nn.Module):
    """A model that claims int8: its weights and inputs are rounded to 256 numbers each, but multiplied in fp32."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 16, 3)

    def forward(self, rows: Tensor) -> Tensor:
        weights = torch.fake_quantize_per_tensor_affine(self.convolution.weight, 0.01, 0, -128, 127)
        return nn.functional.conv2d(torch.fake_quantize_per_tensor_affine(rows, 0.05, 128, 0, 255), weights)


def test_planted_integers_that_are_fp32_underneath_are_found() -> None:
    module, rows = Rounded().eval(), torch.ones(2, 3, 8, 8)
    seen = observe_compiled(lambda: module(rows), lambda: module(rows))
    assert (seen.device, seen.precision) == ("cpu", "fp32")


@pytest.mark.parametrize("runtime", OF_TORCHAO)
def test_a_package_to_install_is_named_with_its_extra(runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = RUNTIMES[runtime]
    for module in [name for name in sys.modules if name.startswith(("torchao", "assay.export.programs.on_torch_int8"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torchao", None)
    with pytest.raises(NotInstalledError, match="torchao") as caught:
        load_target(entry.name, entry.maker, entry.extra)
    assert "onnx-assay[torchao]" in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "runtime", ["torch.compile.autocast", "torch.compile.bf16", "torch.compile.fp16", "torch.aot.bf16"]
)
def test_a_processor_that_would_emulate_refuses(runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Like a processor with AVX-512 only, which oneDNN is told to assume."""
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")
    one = Candidate(
        runtime, "", ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", 28, 8), weights=tmp_path / "none"))
    )
    worker = Worker(
        one, limit_seconds=300, log=tmp_path / "log", answers=tmp_path, compile_cache=tmp_path / "c", host=LOCAL
    )
    try:
        with pytest.raises(
            AssayError, match=f"PyTorch cannot compute in {RUNTIMES[runtime].precision} on this processor"
        ):
            worker.load(Settings())
    finally:
        worker.kill()
