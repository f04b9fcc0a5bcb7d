"""ONNX Runtime's sessions for a GPU. None is here: the CPU stands for it, and what is fake is called so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from assay.errors import InputError
from assay.infer.gpu.cudart import Cudart
from assay.infer.runtime import ModelFiles
from assay.infer.runtimes import on_ort_gpu
from assay.infer.runtimes.on_ort import session_of
from assay.infer.runtimes.on_ort_gpu import CudaSession, GraphSession, TensorrtSession
from assay.registry import RUNTIMES
from assay.spec import ENGINES_VARIABLE, Settings
from tests.infer.gpu.compiled import COMPILER, compiled
from tests.onnx_files import onnx_model
from tests.user_models import tensor, user_model

HERE = ("CPUExecutionProvider",)


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    """A file that doubles its input, for any number of rows."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in ("rows", "out")]
    model = onnx_model([helper.make_node("Add", ["rows", "rows"], ["out"])], ends[:1], ends[1:], {})
    onnx.save(model, tmp_path / "model.onnx")
    user = user_model((tensor("rows", 4),), (tensor("out", 4),), "torch")
    return ModelFiles(model=user, onnx=tmp_path / "model.onnx")


def rows(count: int, first: float = 0.0) -> np.ndarray[Any, Any]:
    records = np.zeros(count, [("rows", np.float32, (4,))])
    records["rows"] = np.arange(count * 4, dtype=np.float32).reshape(count, 4) + first
    return records


@pytest.mark.skipif(not COMPILER, reason="there is no compiler")
def test_a_graph_of_each_shape_is_given_new_inputs_at_its_own_addresses_on_the_cpu_with_a_fake_cudart(
    files: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CudaSession, "place", "cpu")
    asked: list[str] = []

    class FakeOptions(ort.RunOptions):  # type: ignore[misc]
        """Notes which graph a run is of."""

        def add_run_config_entry(self, name: str, value: str) -> None:
            asked.append(f"{name}={value}")
            super().add_run_config_entry(name, value)

    monkeypatch.setattr(on_ort_gpu.ort, "RunOptions", FakeOptions)
    session = GraphSession(files, session_of(files, Settings(), HERE), Settings())
    session.copies = Cudart((compiled("fake_cudart.c", tmp_path),))
    first, second, longer = (session.prepare(one) for one in (rows(2), rows(2, 100.0), rows(3)))
    addresses = set()
    for given, wanted in ((first, rows(2)), (second, rows(2, 100.0)), (longer, rows(3)), (first, rows(2))):
        found = session.run(given)
        addresses.add(found[0].data_ptr())
        np.testing.assert_array_equal(session.fetch(found), 2 * wanted["rows"])
    assert len(addresses) == 2, "two shapes, each with its own place for answers"
    assert asked == ["gpu_graph_id=-1", "gpu_graph_id=1", "gpu_graph_id=-1", "gpu_graph_id=2"]


def providers_asked_for(
    runtime: str, files: ModelFiles, patch: pytest.MonkeyPatch, *, starts: bool = True
) -> tuple[list[Any], Any]:
    """The providers and the session of a runtime, where a fake onnxruntime has all of them, and the CPU runs."""
    asked: list[Any] = []
    there = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]

    class FakeSession:
        """A session on the CPU that says that it is where it was to be."""

        def __init__(self, real: ort.InferenceSession) -> None:
            self._real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def get_providers(self) -> list[str]:
            return [name for name, _ in asked] if starts else ["CPUExecutionProvider"]

        def get_provider_options(self) -> dict[str, Any]:
            return dict(asked)

    def made(model: ModelFiles, settings: Settings, providers: list[Any]) -> Any:
        asked.extend(providers)
        return FakeSession(session_of(model, settings, HERE))

    patch.setattr(ort, "get_available_providers", lambda: there)
    patch.setattr(ort, "preload_dlls", lambda: None)
    patch.setattr(on_ort_gpu, "session_of", made)
    patch.setattr(on_ort_gpu, "Cudart", lambda: "fake")
    return asked, RUNTIMES[runtime].load()(files, Settings(device="cuda"))


def test_tensorrt_has_cuda_behind_it_and_keeps_its_engines_for_the_run(
    files: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path))
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    asked, session = providers_asked_for("ort.tensorrt.fp16", files, monkeypatch)
    assert [name for name, _ in asked] == ["TensorrtExecutionProvider", "CUDAExecutionProvider"]
    kept = {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(tmp_path)}
    assert asked[0][1] == {"trt_fp16_enable": "1", **kept}
    assert asked[1][1]["use_tf32"] == "0"
    assert "NVIDIA_TF32_OVERRIDE" not in on_ort_gpu.os.environ
    assert (session.precision, session.facts["trt_fp16_enable"]) == ("fp16", "1")
    seen = session.observe(None)
    assert (seen.precision, seen.facts["fp16"]) == ("fp16", "allowed in each layer")


def test_tensorrt_in_fp32_is_kept_from_tf32(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    asked, session = providers_asked_for("ort.tensorrt", files, monkeypatch)
    assert asked[0][1] == {"trt_fp16_enable": "0"}
    assert on_ort_gpu.os.environ["NVIDIA_TF32_OVERRIDE"] == session.facts["NVIDIA_TF32_OVERRIDE"] == "0"
    assert isinstance(session, TensorrtSession)
    assert session.observe(None).precision == "fp32"


def test_graphs_are_asked_of_cudas_provider(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, session = providers_asked_for("ort.cuda.graphs", files, monkeypatch)
    assert asked[0][1]["enable_cuda_graph"] == session.facts["enable_cuda_graph"] == "1"
    assert asked[0][1]["cudnn_conv_algo_search"] == "EXHAUSTIVE"


@pytest.mark.parametrize(
    "runtime", ["ort.cuda", "ort.cuda.tf32", "ort.cuda.graphs", "ort.tensorrt", "ort.tensorrt.fp16"]
)
def test_a_provider_that_did_not_start_is_an_error(
    runtime: str, files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    with pytest.raises(InputError, match="ExecutionProvider did not start: found CPUExecutionProvider"):
        providers_asked_for(runtime, files, monkeypatch, starts=False)


@pytest.mark.parametrize("runtime", ["ort.cuda", "ort.cuda.graphs", "ort.tensorrt", "ort.tensorrt.fp16"])
def test_an_onnxruntime_for_the_cpu_refuses_them_in_one_sentence(
    runtime: str, files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    with pytest.raises(InputError, match="has no CUDA execution provider"):
        RUNTIMES[runtime].load()(files, Settings(device="cuda"))
