"""Profiles of a GPU, written here to the documented formats: none of them was recorded on a GPU.

Formats: Kineto's Chrome trace (`output_json.cpp` of pytorch/kineto), XLA's planes (`cupti_collector.cc` and
`xplane_schema.cc` of openxla/xla), and ONNX Runtime's events (`gpu_profiler_common.h` of microsoft/onnxruntime).
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from assay.errors import DataError
from assay.infer.gpu.nvml import GpuState
from assay.infer.profile import attribute_job
from assay.infer.profile.attribute_job import AttributedModel, AttributionRequest, Figures, work
from assay.infer.profile.calls import CALL, Operator, ProfiledCall, gaps_ns, union_ns
from assay.infer.profile.timing import common_operators, events_inside
from assay.infer.profile.traces import read_ort_profile, read_torch_trace
from assay.infer.profile.xplane import Line, calls_in
from assay.infer.runtime import ModelFiles
from assay.runtimes.entry import RuntimeEntry
from assay.spec import ModelSpec, Settings
from assay.train.built import BuiltModel

GOLDEN = Path(__file__).parents[2] / "golden" / "profiles"
IMPLICIT = "void cudnn::ops::nchwToNhwcKernel<float, float, float, false, true, (cudnnKernelDataType_t)2>(int, float)"


def event(cat: str, name: str, ts: float, dur: float, **args: object) -> dict[str, object]:
    """A complete event; `ts` and `dur` are microseconds, `tid` is the stream of what ran on a GPU."""
    thread = 7 if cat in {"kernel", "gpu_memcpy", "gpu_memset"} else 4242
    return {"ph": "X", "cat": cat, "name": name, "pid": 0, "tid": thread, "ts": ts, "dur": dur, "args": args}


def torch_call(at: float) -> list[dict[str, object]]:
    """A convolution of two kernels and a fill, and an activation whose kernel comes 5 us after the ones before."""
    return [
        event("user_annotation", CALL, at, 100.0, **{"External id": 1}),
        event("gpu_user_annotation", CALL, at + 20.0, 60.0),
        event("cpu_op", "aten::conv2d", at + 1, 30.0, **{"External id": 2}),
        event("cpu_op", "aten::cudnn_convolution", at + 2, 28.0, **{"External id": 3}),
        event("cuda_runtime", "cudaLaunchKernel", at + 5, 4.0, correlation=11, **{"External id": 3}),
        event("gpu_memset", "Memset (Device)", at + 20, 2.0, stream=7, correlation=10, **{"External id": 3}),
        event("kernel", IMPLICIT, at + 22, 3.0, stream=7, correlation=11, **{"External id": 3}),
        event("kernel", "sm90_xmma_fprop_implicit_gemm_f32f32", at + 25, 40.0, stream=7, **{"External id": 3}),
        event("cpu_op", "aten::relu", at + 32, 6.0, **{"External id": 4}),
        event("kernel", "cudnn_relu", at + 70, 10.0, stream=7),
        event("cuda_runtime", "cudaDeviceSynchronize", at + 60, 39.0, correlation=12),
    ]


@pytest.fixture
def torch_trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"schemaVersion": 1, "traceEvents": torch_call(1000.0) + torch_call(2000.0)}))
    return path


def test_a_written_trace_of_pytorch_gives_the_gpus_work_and_its_gaps(torch_trace: Path) -> None:
    calls = read_torch_trace(torch_trace, on_gpu=True)
    assert [(one.start_ns, one.wall_ns, one.on_gpu) for one in calls] == [(1e6, 1e5, True), (2e6, 1e5, True)]
    for call in calls:
        assert union_ns(call.operators) == pytest.approx(55e3)
        assert gaps_ns(call.operators) == pytest.approx(5e3)
        assert call.events == 9
        assert events_inside(call) == 0, "recording lengthens nothing on a GPU"
    found = [(one.kind, one.median_ns) for one in common_operators(calls)]
    assert found == [
        ("cudnn_convolution", 2e3),
        ("cudnn_convolution", 3e3),
        ("cudnn_convolution", 40e3),
        ("cudnn_relu", 10e3),
    ]
    assert max(len(one.name) for one in common_operators(calls)) <= 80


def test_the_same_trace_read_as_of_the_processor_has_pytorchs_operators(torch_trace: Path) -> None:
    call = read_torch_trace(torch_trace)[0]
    assert [one.name for one in call.operators] == ["aten::conv2d", "aten::cudnn_convolution", "aten::relu"]
    assert not call.on_gpu


def test_a_trace_without_kernels_is_a_reason(tmp_path: Path) -> None:
    """As where the profiler may not use CUPTI."""
    path = tmp_path / "trace.json"
    path.write_text(json.dumps([one for one in torch_call(0.0) if one["cat"] not in {"kernel", "gpu_memset"}]))
    with pytest.raises(DataError, match="no kernels of the GPU in them"):
        read_torch_trace(path, on_gpu=True)


def test_a_written_profile_of_onnx_runtime_gives_kernels_with_the_names_of_their_nodes(tmp_path: Path) -> None:
    named = {"op_name": "Conv", "parent_name": "/stage1/Conv_kernel_time"}
    events = [
        event("Session", "model_run", 0, 50),
        event("Session", "model_run", 100, 50),
        event("Node", "/stage1/Conv_kernel_time", 105, 4, op_name="Conv"),
        event("Kernel", "sm90_xmma_fprop", 110, 20, stream="20", grid_x="1", **named),
        event("Kernel", "MemcpyDeviceToDevice", 135, 5, stream="20"),
    ]
    path = tmp_path / "calls.json"
    path.write_text(json.dumps(events))
    (call,) = read_ort_profile(path, 1, on_gpu=True)
    assert call.operators == (
        Operator("sm90_xmma_fprop", "Conv", 110e3, 130e3, "stream 20", "/stage1/Conv"),
        Operator("MemcpyDeviceToDevice", "MemcpyDeviceToDevice", 135e3, 140e3, "stream 20"),
    )
    assert gaps_ns(call.operators) == 5e3
    assert [one.name for one in read_ort_profile(path, 1)[0].operators] == ["/stage1/Conv"]


XSPACE = """
planes {
  name: "/host:CPU"
  lines { id: 1 name: "python3" timestamp_ns: 1000
    events { metadata_id: 1 offset_ps: 0 duration_ps: 100000000 }
    events { metadata_id: 2 offset_ps: 1000000 duration_ps: 5000000
             stats { metadata_id: 2 str_value: "fusion.7" } } }
  event_metadata { key: 1 value { id: 1 name: "assay.call" } }
  event_metadata { key: 2 value { id: 2 name: "thunk of the host" } }
  stat_metadata { key: 2 value { id: 2 name: "hlo_op" } }
}
planes {
  name: "/device:GPU:0"
  lines { id: 13 name: "Stream #13(Kernel,MemcpyD2D)" timestamp_ns: 1000
    events { metadata_id: 1 offset_ps: 20000000 duration_ps: 30000000
             stats { metadata_id: 1 ref_value: 9 } stats { metadata_id: 2 str_value: "fusion.7" }
             stats { metadata_id: 3 str_value: "jit_forward" } stats { metadata_id: 5 uint64_value: 44 } }
    events { metadata_id: 2 offset_ps: 60000000 duration_ps: 4000000 stats { metadata_id: 4 ref_value: 9 } }
    events { metadata_id: 3 offset_ps: 70000000 duration_ps: 9000000 } }
  lines { id: 1 name: "XLA Ops" timestamp_ns: 1000
    events { metadata_id: 1 offset_ps: 20000000 duration_ps: 30000000 stats { metadata_id: 1 ref_value: 9 } } }
  event_metadata { key: 1 value { id: 1 name: "loop_fusion_kernel" } }
  event_metadata { key: 2 value { id: 2 name: "MemcpyD2D" } }
  event_metadata { key: 3 value { id: 3 name: "MemoryAlloc" } }
  stat_metadata { key: 1 value { id: 1 name: "kernel_details" } }
  stat_metadata { key: 2 value { id: 2 name: "hlo_op" } }
  stat_metadata { key: 3 value { id: 3 name: "hlo_module" } }
  stat_metadata { key: 4 value { id: 4 name: "memcpy_details" } }
  stat_metadata { key: 5 value { id: 5 name: "correlation_id" } }
  stat_metadata { key: 9 value { id: 9 name: "regs:32 grid:1,1,1" } }
}
"""
"""The planes of one call as XLA's collector writes them: a kernel, a copy, an allocation, and a derived line."""
ON_HOST = Line("/host:CPU", "python3", [(CALL, 1000.0, 101000.0, {}), ("x", 2000.0, 7000.0, {"hlo_op": "fusion.7"})])
KERNEL = ("loop_fusion_kernel", 21000.0, 51000.0, {"kernel_details": "regs:32", "hlo_op": "fusion.7"})
ON_STREAM = Line("/device:GPU:0", "Stream #13(Kernel,MemcpyD2D)", [
    KERNEL, ("MemcpyD2D", 61000.0, 65000.0, {"memcpy_details": "async"}), ("MemoryAlloc", 71000.0, 80000.0, {}),
])  # fmt: skip
DERIVED = Line("/device:GPU:0", "XLA Ops", [KERNEL])


def test_written_planes_give_the_work_on_streams_alone() -> None:
    (call,) = calls_in([ON_HOST, ON_STREAM, DERIVED], on_gpu=True)
    assert call.operators == (
        Operator("loop_fusion_kernel", "fusion.7", 21000.0, 51000.0, "Stream #13"),
        Operator("MemcpyD2D", "MemcpyD2D", 61000.0, 65000.0, "Stream #13"),
    )
    assert (call.start_ns, call.end_ns, call.on_gpu) == (1000.0, 101000.0, True)
    assert gaps_ns(call.operators) == 10000.0


def test_a_kernel_of_tensorflow_has_the_kind_and_the_path_of_its_operator() -> None:
    facts = {"kernel_details": "regs:32", "tf_op": "stage1/unit1/conv/Conv2D:Conv2D"}
    stream = Line("/device:GPU:0", "Stream #21(Kernel)", [("sm90_xmma_fprop", 2000.0, 3000.0, facts)])
    (call,) = calls_in([ON_HOST, stream], on_gpu=True)
    expected = ("sm90_xmma_fprop", "Conv2D", 2000.0, 3000.0, "Stream #21", "stage1/unit1/conv/Conv2D")
    assert call.operators == (Operator(*expected),)


def test_a_fill_and_a_whole_cuda_graph_are_work_too_and_overheads_are_not() -> None:
    """Names of facts as XLA's schema has them: that of a fill begins with a capital."""
    events = [
        ("Memset", 2000.0, 2500.0, {"Memset_details": "kind:Device"}),
        ("CudaGraph", 3000.0, 9000.0, {"cuda_graph_exec_id": "7"}),
        ("Overhead", 9000.0, 9500.0, {}),
    ]
    (call,) = calls_in([ON_HOST, Line("/device:GPU:0", "Stream #7(Memset,CudaGraph)", events)], on_gpu=True)
    assert [(one.name, one.duration_ns) for one in call.operators] == [("Memset", 500.0), ("CudaGraph", 6000.0)]


def test_planes_without_a_gpus_streams_are_a_reason() -> None:
    with pytest.raises(DataError, match="no kernels of the GPU in them"):
        calls_in([ON_HOST], on_gpu=True)


READ_BY_BOTH = """
import sys
from pathlib import Path
from jax.profiler import ProfileData
from assay.infer.profile import on_jax, on_tf
from assay.infer.profile.xplane import calls_in
folder = Path(sys.argv[1])
(folder / "written.xplane.pb").write_bytes(ProfileData.text_proto_to_serialized_xspace((folder / "text").read_text()))
for file in sorted(folder.glob("*.pb")):
    on_gpu = file.name.startswith("written")
    by_jax, by_tf = (calls_in(one.lines_of(file), on_gpu=on_gpu) for one in (on_jax, on_tf))
    assert len(by_jax) == len(by_tf) > 0, file
    for one, other in zip(by_jax, by_tf):
        assert abs(one.start_ns - other.start_ns) <= 1 and abs(one.end_ns - other.end_ns) <= 1, file
        told, also = ([(o.name, o.kind, o.scope) for o in call.operators] for call in (one, other))
        assert told == also, file
        assert all(abs(a.duration_ns - b.duration_ns) <= 1 for a, b in zip(one.operators, other.operators)), file
    if on_gpu:
        print([(o.name, o.kind, o.duration_ns) for o in by_jax[0].operators])
"""


@pytest.mark.slow
def test_jax_and_tensorflow_read_the_same_from_a_written_file_and_from_real_ones(tmp_path: Path) -> None:
    (tmp_path / "text").write_text(XSPACE)
    for packed in GOLDEN.glob("*.xplane.pb.gz"):
        (tmp_path / packed.name.removesuffix(".gz")).write_bytes(gzip.decompress(packed.read_bytes()))
    done = subprocess.run(
        [sys.executable, "-c", READ_BY_BOTH, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str([("loop_fusion_kernel", "fusion.7", 30000.0), ("MemcpyD2D", "MemcpyD2D", 4000.0)])


class FakeSession:
    """A session whose calls end at once."""

    def __init__(self) -> None:
        self.given: set[int] = set()

    def prepare(self, images: object) -> object:
        return images

    def run(self, native: object) -> object:
        self.given.add(id(native))
        return native

    def close(self) -> None:
        """Release nothing, as there is nothing."""


class FakeRecorder:
    """A profiler of a GPU on which a kernel takes half of every call."""

    made_with: Settings

    def __init__(self, model: object, settings: Settings, session: FakeSession, folder: Path) -> None:
        FakeRecorder.made_with, self._session = settings, session
        self._calls: list[ProfiledCall] = []

    def burst(self, natives: Sequence[object], calls: int) -> list[int]:
        kernel = Operator("gemm", "gemm", 10.0, 60.0, "stream 7")
        self._calls += [ProfiledCall(0.0, 100.0, (kernel,), 3, on_gpu=True)] * calls
        return [100] * calls

    def finish(self) -> list[ProfiledCall]:
        return self._calls


@pytest.mark.parametrize(("runtime", "device"), [("torch.compile", "cuda"), ("torch.aot.int8", "cpu")])
def test_bursts_on_a_fake_gpu_begin_when_its_clock_is_steady_and_what_is_not_on_it_is_left_alone(
    runtime: str, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell of a study on a GPU is profiled where it was timed: on the processor, if its runtime runs there alone."""
    spun: list[object] = []
    session = FakeSession()
    monkeypatch.setattr(RuntimeEntry, "load", lambda entry: lambda model, settings: session)
    monkeypatch.setattr(attribute_job, "begin", lambda cores, device: None)
    monkeypatch.setattr(attribute_job, "load_function", lambda *named: FakeRecorder)
    monkeypatch.setattr(attribute_job, "first_gpu", lambda: SimpleNamespace(state=lambda: GpuState(1980)))
    monkeypatch.setattr(attribute_job, "spin", lambda gpu, call: spun.append(call()))
    np.save(tmp_path / "images.npy", np.zeros((4, 28, 28, 3), np.float32))
    model = ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", 28, 8), weights=Path("none")))
    subject = AttributedModel(name="it", model=model, batches=(1,), images=tmp_path / "images.npy")
    told: list[Figures] = []
    request = AttributionRequest(runtime=runtime, settings=Settings(device="cuda"), subjects=(subject,), seconds=0.01)
    work(request, told.append)
    if device == "cuda":
        assert told[0].reason == ""
        assert len(spun) == 2 * len(told[0].rounds) >= 4
        assert len(session.given) == 32, "as many inputs as where it was timed"
        assert told[0].rounds[0].kernel_ns == 50.0
        assert told[0].rounds[0].on_gpu
        assert FakeRecorder.made_with == replace(request.settings, device="cuda")
    else:
        assert told[0].reason == f"{runtime} calls its kernels without the profiler"
        assert not spun
        assert told[0].plain_ns


def test_onnx_runtime_on_cuda_is_recorded_by_pytorch_and_by_itself_where_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from assay.infer.profile import on_ort  # noqa: PLC0415

    made: list[str] = []
    monkeypatch.setattr(on_ort, "OrtRecorder", lambda *given: made.append("its own"))
    torch = SimpleNamespace(TorchRecorder=lambda *given: made.append("PyTorch's"))
    monkeypatch.setitem(sys.modules, "assay.infer.profile.on_torch", torch)
    for device, there in (("cpu", True), ("cuda", True), ("cuda", False)):
        monkeypatch.setattr(on_ort, "find_spec", lambda name, there=there: there or None)
        on_ort.recorder_of(None, Settings(device=device), None, tmp_path)  # type: ignore[arg-type]
    assert made == ["its own", "PyTorch's", "its own"]
