"""Every registered runtime, as the conductor uses it: in a separate process, with the right numbers or a clean
refusal.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.bench.machine.host import LOCAL
from assay.bench.machine.machine import gpus, usable_cores
from assay.bench.timing.programs import with_programs
from assay.bench.timing.workers import Candidate, Worker
from assay.errors import AssayError
from assay.export.programs.programs import Workshop
from assay.export.run import usable_model
from assay.infer.runtime import ModelFiles
from assay.numerics.agreement import compare, compare_reduced, derive_tolerance
from assay.numerics.classification.reduced import BY_CLASSES
from assay.registry import RUNTIMES
from assay.runtimes.entry import AS_IT_COMES
from assay.spec import Settings
from assay.store import Store
from assay.train.built import BuiltModel
from tests.export.models import CLASSES, Workspace, workspace

BATCHES = (1, 5, 32)
AGREEING = [name for name, entry in RUNTIMES.items() if entry.framework and {"weights", "onnx"} & {*entry.formats}]
RULERS = [name for name, entry in RUNTIMES.items() if not entry.framework]
IN_FP32 = {"jax.jit.bf16"}
"""Runtimes that every CPU refuses: XLA turns their products back to fp32."""
COMPILING = {
    name
    for name, entry in RUNTIMES.items()
    if name.startswith("torch.compile") or entry.maker or name in {*IN_FP32, "tf.function.bf16"}
}
"""The C++ compiler takes a minute, and a converter imports a framework that the worker does without.

The last two would cost seconds, and are covered in `test_observed.py`.
"""
FLAGS = {"bf16": {"avx512_bf16", "amx_bf16", "bf16"}, "fp16": {"avx512_fp16", "fphp"}}
"""The names of a processor's instructions in Linux, by precision."""
LIMIT_SECONDS = 300


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return workspace("bloodnet", tmp_path_factory)


def candidate(runtime: str, place: Workspace) -> Candidate:
    """The runtime on bloodnet: neutral weights, an export in either layout, or the file made from it."""
    one = _candidate(runtime, place)
    if not RUNTIMES[runtime].maker:
        return one
    workshop = Workshop(Store(place.folder / "programs"), lambda: place.folder / "images.npy")
    (made,), refused = with_programs([one], workshop)
    assert not refused
    return made


def _built(place: Workspace) -> BuiltModel:
    return BuiltModel(spec=place.spec, weights=place.folder / "weights/weights.safetensors")


def _candidate(runtime: str, place: Workspace) -> Candidate:
    if RUNTIMES[runtime].framework != "onnx":
        return Candidate(runtime, "", ModelFiles(model=_built(place)))
    record = place.export("torch-script")
    onnx = usable_model(record, place.exports)
    return Candidate(
        runtime,
        "torch-script",
        ModelFiles(model=_built(place), onnx=onnx, onnx_layout=record.made_by["layout"]),
    )


def processor_flags() -> set[str]:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return {flag for line in lines if line.lower().startswith(("flags", "features")) for flag in line.split()}


def is_refused_rightly(runtime: str, refusal: AssayError) -> bool:
    """Whether the processor lacks the runtime's precision, or XLA undoes it."""
    asked = RUNTIMES[runtime].precision
    if runtime in IN_FP32:
        return "XLA computes bf16 products in another precision" in str(refusal)
    return "on this processor" in str(refusal) and not FLAGS[asked] & processor_flags()


def start(one: Candidate, folder: Path) -> Worker:
    return Worker(
        one,
        limit_seconds=LIMIT_SECONDS,
        log=folder / "log",
        answers=folder,
        compile_cache=folder / "cache",
        host=LOCAL,
    )


@pytest.mark.parametrize(
    "runtime", [pytest.param(one, marks=[pytest.mark.slow] if one in COMPILING else []) for one in AGREEING]
)
def test_it_computes_the_same_function(runtime: str, place: Workspace, tmp_path: Path) -> None:
    if "cpu" not in RUNTIMES[runtime].devices and not gpus():
        pytest.skip(f"{runtime} needs an NVIDIA GPU, and this machine has none")
    asked = RUNTIMES[runtime].precision
    reference = place.logits("torch", "float64")
    tolerance = derive_tolerance(reference, {"torch": place.logits("torch", "float32")})
    worker = start(candidate(runtime, place), tmp_path)
    try:
        try:
            loaded = worker.load(Settings(threads=1, cores=usable_cores()[-1:]))
        except AssayError as refusal:
            if is_refused_rightly(runtime, refusal):
                return
            raise
        assert runtime not in IN_FP32
        assert asked == AS_IT_COMES or loaded.precision == (asked or "fp32")
        for batch in BATCHES:
            worker.write_logits(place.folder / "images.npy", 32, batch, tmp_path / "logits.npy")
            logits = np.load(tmp_path / "logits.npy")
            if loaded.precision != "fp32":
                assert compare_reduced(runtime, logits, reference[:32], BY_CLASSES).passed
                assert not compare(runtime, logits, reference[:32], tolerance).passed  # it really computes in less
                continue
            agreement = compare(runtime, logits, reference[:32], tolerance)
            assert agreement.passed, agreement.reason
            assert agreement.largest_moved == 0
        warmed = worker.warm(place.folder / "images.npy", 2, limit_seconds=1)
        burst = worker.burst(calls=3, drop=1)
        assert min(warmed.calls_ns) > 0
        assert len(burst.host_ns) == len(burst.device_ns) == 3
        assert min(burst.host_ns + burst.device_ns) > 0
        assert sum(burst.host_ns + burst.device_ns) <= burst.wall_ns
        assert worker.peak_memory_mib() > 50
        seen = worker.observe()
        assert (seen.device, seen.precision) == (RUNTIMES[runtime].asked_device("cpu"), loaded.precision)
        assert "not observed" not in seen.facts
    finally:
        worker.kill()


@pytest.mark.parametrize("runtime", RULERS)
def test_a_ruler_answers_zeros_of_the_right_shape(runtime: str, place: Workspace, tmp_path: Path) -> None:
    worker = start(candidate(runtime, place), tmp_path)
    try:
        worker.load(Settings())
        worker.warm(place.folder / "images.npy", 2, limit_seconds=0.1)
        assert (worker.observe().device, worker.observe().precision) == ("cpu", "fp32")
        worker.write_logits(place.folder / "images.npy", 10, 4, tmp_path / "logits.npy")
        np.testing.assert_array_equal(np.load(tmp_path / "logits.npy"), np.zeros((10, CLASSES), np.float32))
    finally:
        worker.kill()


@pytest.mark.parametrize("runtime", ["torch.eager", "tf.function", "jax.jit", "ort.cpu", "openvino"])
def test_a_model_it_cannot_run_is_refused_in_words(runtime: str, place: Workspace, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    files = ModelFiles(
        model=BuiltModel(spec=place.spec, weights=tmp_path / "broken.safetensors"), onnx=tmp_path / "broken.onnx"
    )
    worker = start(Candidate(runtime, "", files), tmp_path)
    try:
        with pytest.raises(AssayError, match="broken"):
            worker.load(Settings())
    finally:
        worker.kill()


@pytest.mark.parametrize("runtime", ["torch.eager", "jax.jit", "tf.function", "ort.cuda"])
def test_a_gpu_that_is_not_there_is_one_line(runtime: str, place: Workspace, tmp_path: Path) -> None:
    if gpus():
        pytest.skip("this machine has a GPU, so asking for one is not an error")
    worker = start(candidate(runtime, place), tmp_path)
    try:
        with pytest.raises(AssayError, match=r"CUDA|cuda") as caught:
            worker.load(Settings(device="cuda"))
        assert "\n" not in str(caught.value).strip()
    finally:
        worker.kill()
