"""`make gpu-check`: what Assay does on this machine's GPU, in under five minutes, each step written as it ends.

    python -m tools.gpu_check [--out FOLDER] [--minutes 5] [--device cuda]

It needs the source tree, numpy, pydantic and whichever frameworks are installed, and leaves `gpu-check.jsonl`, one line
a step, to be read or sent. Every step is a process of its own with a limit: what fails costs its own line. Without a
GPU it says so and ends with 0. `--device cpu` runs the same steps on the processor, to try the script itself.

Times are medians of the host clock around a whole call ("call") and around its run alone ("run"), as a study has them.
Kernels of all runtimes are recorded by one method, CUPTI through torch.profiler, which sees every stream of the
process; TensorFlow has an environment of its own without PyTorch, and so no line of kernels.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from assay.infer.gpu.nvml import Gpu, first_gpu
from assay.infer.runtime import ModelFiles, Session, predict
from assay.infer.runtimes.same_for_all import begin, environment_for
from assay.numerics.agreement import derive_tolerance
from assay.registry import REFERENCES, RUNTIMES
from assay.spec import INPUT_NAME, OUTPUT_NAME, ModelSpec, Settings
from assay.train.architectures import initial_weights
from assay.train.built import BuiltModel

RECORD = "gpu-check.jsonl"
MODELS = (ModelSpec("bloodnet", 28, 8), ModelSpec("resnet18", 224, 8))
BATCHES = (1, 32, 256)
AUDITED, AUDIT_BATCH = 8, 8
CALL_SECONDS, STEADY_SECONDS, MOST_CALLS, MOST_INPUTS = 0.5, 2.0, 400, 32
ROTATED_BYTES = 256 << 20
"""Inputs that are used in turn: more than the cache of any GPU, where so many fit."""
STEP_SECONDS = 120.0
FROZEN = (0, 1, 4, 8)
PROFILED_CALLS = 10
SIDE, STREAM_BYTES, CACHED_BYTES, BUS_BYTES = 8192, 1 << 30, 8 << 20, 64 << 20
IMPORTS = {"tf": "tensorflow", "litert": "ai_edge_litert"}
"""Import names of libraries, where they differ."""
FIRST = (
    "torch.eager",
    "ort.cuda",
    "jax.jit",
    "torch.compile",
    "tf.function",
    "torch.eager.tf32",
    "ort.cuda.tf32",
    "jax.jit.tf32",
)
Found = dict[str, Any]


def facts(place: Place) -> Found:
    """Return the GPU, and the version and devices that each framework says."""
    probes = {one.library: one.probe for one in RUNTIMES.families if one.probe}
    told: Found = {
        "python": sys.version.split()[0],
        "gpu": place.gpu and f"{place.gpu.name}, driver {place.gpu.driver}",
    }
    told |= {name: os.environ.get(name) for name in environment_for(place.device, os.environ)}
    for library, target in probes.items():
        module, _, function = target.partition(":")
        with _noting(told, library):
            told[library] = getattr(importlib.import_module(module), function)()
    return told | {"state": place.state()}


def models(place: Place) -> Found:
    """Write weights, images and an ONNX file of each model, and its numbers in float64 and fp32 on the processor."""
    from assay.train.weights import load_weights, save_weights  # noqa: PLC0415

    told: Found = {}
    for spec in MODELS:
        save_weights(place.weights(spec), initial_weights(spec, 0))
        random = np.random.default_rng(1)
        images = random.normal(size=(AUDITED, *spec.image_shape)).astype(np.float32)
        np.save(place.file(spec, "images.npy"), images)
        installed = [name for name in REFERENCES if _is_there(REFERENCES[name].packages or ("numpy",))]
        for kind in ("float64", "float32"):
            forward = REFERENCES[installed[0]].load()(spec, place.weights(spec), kind)
            np.save(place.file(spec, f"{kind}.npy"), np.concatenate([forward(one[None]) for one in images]))
        told[spec.architecture] = {"reference": installed[0]}
        with _noting(told, f"{spec.architecture} to ONNX"):
            torch = importlib.import_module("torch")
            network = importlib.import_module("assay.train.models.on_torch").load(
                spec, load_weights(place.weights(spec))
            )
            example = torch.from_numpy(images[:2]).permute(0, 3, 1, 2).contiguous()
            torch.onnx.export(
                network.eval(),
                (example,),
                place.file(spec, "onnx"),
                dynamo=True,
                opset_version=18,
                external_data=False,
                input_names=[INPUT_NAME],
                output_names=[OUTPUT_NAME],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
    return told


def runtime(place: Place, name: str) -> Found:
    """Load both models in a runtime, and return times, distance from float64, placement and kernels of each batch."""
    told: Found = {}
    load = RUNTIMES[name].load()
    for spec in MODELS:
        onnx = place.file(spec, "onnx") if "onnx" in RUNTIMES[name].formats else None
        files = ModelFiles(model=BuiltModel(spec=spec, weights=place.weights(spec)), onnx=onnx, onnx_layout="NCHW")
        begun = time.perf_counter()
        session = load(files, place.settings)
        told[spec.architecture] = mine = {
            "load_seconds": round(time.perf_counter() - begun, 3),
            "facts": session.facts,
            "precision": session.precision,
        }
        with _noting(mine, "accuracy"):
            mine["accuracy"] = _accuracy(place, spec, session)
        for batch in BATCHES if place.device == "cuda" else BATCHES[:1]:
            with _noting(mine, f"batch {batch}"):
                mine[f"batch {batch}"] = _timed(place, spec, session, batch)
        with _noting(mine, "observed"):
            seen = session.observe(session.prepare(np.load(place.file(spec, "images.npy"))[:AUDIT_BATCH]))
            mine["observed"] = asdict(seen)
        session.close()
    return told | {"synchronising_us": _synchronising(name, place.device), "state": place.state()}


def _accuracy(place: Place, spec: ModelSpec, session: Session[object]) -> Found:
    """Return the largest error against float64, over the tolerance of fp32 as the processor gives it."""
    reference, native = (np.load(place.file(spec, f"{kind}.npy")) for kind in ("float64", "float32"))
    found = predict(session, np.load(place.file(spec, "images.npy")), AUDIT_BATCH)
    tolerance = derive_tolerance(reference, {"fp32": native})
    error = float(np.abs(found - reference).max())
    return {"error": error, "tolerance": tolerance.value, "over_tolerance": error / tolerance.value}


def _timed(place: Place, spec: ModelSpec, session: Session[object], batch: int) -> Found:
    """Return medians in milliseconds, of calls on inputs used in turn, once the clock of the GPU is steady."""
    one_input = batch * int(np.prod(spec.image_shape)) * 4
    many = max(2, min(MOST_INPUTS, ROTATED_BYTES // one_input))
    random = np.random.default_rng(batch)
    images = [random.normal(size=(batch, *spec.image_shape)).astype(np.float32) for _ in range(many)]
    begun = time.perf_counter()
    session.fetch(session.run(session.prepare(images[0])))
    first, native = time.perf_counter() - begun, [session.prepare(one) for one in images]
    steady = _spin(place, lambda: session.run(native[0]))
    before = place.state()
    calls = _medians({
        "call": lambda turn: session.fetch(session.run(session.prepare(images[turn % many]))),
        "run": lambda turn: session.run(native[turn % many]),
        "prepare": lambda turn: session.prepare(images[turn % many]),
    })  # fmt: skip
    last = session.run(native[0])
    calls |= _medians({"fetch": lambda turn: session.fetch(last)})
    found = {"inputs": many, "first_call_ms": first * 1e3, "ms": calls, "spun_seconds": steady, "before": before}
    return found | {"after": place.state(), "kernels": _kernels(session, native, calls["run"])}


def _medians(what: dict[str, Callable[[int], object]]) -> dict[str, float]:
    found = {}
    for name, call in what.items():
        times: list[int] = []
        until = time.perf_counter() + CALL_SECONDS
        while len(times) < 5 or (time.perf_counter() < until and len(times) < MOST_CALLS):
            start = time.perf_counter_ns()
            call(len(times))
            times.append(time.perf_counter_ns() - start)
        found[name] = statistics.median(times) / 1e6
    return found


def _spin(place: Place, call: Callable[[], object]) -> float:
    """Call until the clock has stayed the same for a quarter of a second, or for two seconds; return the seconds."""
    begun = since = time.perf_counter()
    last = -1
    while (now := time.perf_counter()) - begun < STEADY_SECONDS and now - since < STEADY_SECONDS / 8:
        call()
        clock = (place.gpu.state().sm_clock_mhz or 0) if place.gpu else 0
        if clock != last:
            last, since = clock, time.perf_counter()
    return round(time.perf_counter() - begun, 3)


def _kernels(session: Session[object], native: list[object], run_ms: float) -> Found:
    """Return the kernels of a few calls of `run`: their time, the gaps between them, and the longest by name."""
    try:
        profiler = importlib.import_module("torch.profiler")
    except ImportError:
        return {"not measured": "torch is not in this environment"}
    kinds = profiler.ProfilerActivity
    with profiler.profile(activities=list(profiler.supported_activities() & {kinds.CPU, kinds.CUDA})) as recorded:
        for turn in range(PROFILED_CALLS):
            session.run(native[turn % len(native)])
    with tempfile.TemporaryDirectory() as folder:
        recorded.export_chrome_trace(str(file := Path(folder) / "trace.json"))
        events = json.loads(file.read_text())["traceEvents"]
    return kernels_in(events, PROFILED_CALLS, run_ms)


def kernels_in(events: list[dict[str, Any]], calls: int, run_ms: float) -> Found:
    """Summarise the kernels of a Chrome trace, of so many calls, in milliseconds a call.

    Args:
        events: events with a category, a beginning and a duration in microseconds, as torch.profiler writes them.
        run_ms: time of a call without a profiler, of which the rest is launching and waiting.
    """
    kernels = sorted((one for one in events if one.get("cat") == "kernel"), key=lambda one: one["ts"])
    copies = [one for one in events if one.get("cat") in {"gpu_memcpy", "gpu_memset"}]
    busy, end = 0.0, float("-inf")
    for one in kernels:  # streams may overlap: a moment counts once
        begins, ends = one["ts"], one["ts"] + one["dur"]
        busy += max(0.0, ends - max(begins, end))
        end = max(end, ends)
    by_name: Counter[str] = Counter()
    for one in kernels:
        by_name[one["name"][:80]] += one["dur"]
    each = busy / 1e3 / calls
    return {
        "launches": len(kernels) / calls,
        "copies": len(copies) / calls,
        "kernel_ms": each,
        "rest_ms": run_ms - each,
        "longest_ms": {name: took / 1e3 / calls for name, took in by_name.most_common(5)},
    }


def _synchronising(name: str, device: str) -> float | None:
    """Return what it costs to wait for a GPU that has nothing to do, in microseconds: every timed call has it once."""
    if device != "cuda":
        return None
    family = name.partition(".")[0]
    if family == "torch":
        wait = importlib.import_module("torch").cuda.synchronize
    elif family == "jax":
        jax = importlib.import_module("jax")
        ready = jax.block_until_ready(jax.device_put(np.zeros(1, np.float32)))
        wait = lambda: jax.block_until_ready(ready)  # noqa: E731
    elif family == "tf":
        wait = importlib.import_module("tensorflow").test.experimental.sync_devices
    else:
        return None  # ONNX Runtime waits inside the call of its binding, which has no session here
    wait()
    return round(_medians({"wait": lambda turn: wait()})["wait"] * 1e3, 2)


def ramp(place: Place) -> Found:
    """Return the clock over a second of work after two seconds of rest."""
    torch = importlib.import_module("torch")
    a = torch.ones(2048, 2048, device=place.device)
    a @ a
    time.sleep(2)
    begun = time.perf_counter()
    seen: list[tuple[float, int | None]] = []
    while (now := time.perf_counter() - begun) < 1:
        a @ a
        _wait(torch, place)
        if not seen or now - seen[-1][0] > 0.02:
            seen.append((round(now, 3), place.gpu.state().sm_clock_mhz if place.gpu else None))
    return {"seconds_and_mhz": seen, "state": place.state()}


def ceilings(place: Place) -> Found:
    """Return the highest rates: products by precision in TFLOP/s; memory, its cache and the bus in GB/s."""
    torch = importlib.import_module("torch")
    side = SIDE if place.device == "cuda" else SIDE // 16
    told: Found = {}
    for name, kind in {"fp32": "float32", "tf32": "float32", "fp16": "float16", "bf16": "bfloat16"}.items():
        if name == "tf32" and place.device != "cuda":
            continue
        torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
        with _noting(told, name):
            a, b = (torch.randn(side, side, device=place.device, dtype=getattr(torch, kind)) for _ in range(2))
            told[f"{name} TFLOP/s"] = 2 * side**3 / _seconds(torch, place, partial(torch.mm, a, b)) / 1e12

    def copied(size: int, there: str, here: str, **how: bool) -> float:
        """Return GB/s of a copy, which reads and writes each byte once."""
        to, of = torch.empty(size, dtype=torch.uint8, device=there), torch.empty(size, dtype=torch.uint8, device=here)
        if how.get("pinned"):
            to, of = (one.pin_memory() if one.device.type == "cpu" else one for one in (to, of))
        return size / _seconds(torch, place, partial(to.copy_, of)) / 1e9

    on = place.device
    told["memory GB/s"] = 2 * copied(STREAM_BYTES if on == "cuda" else CACHED_BYTES, on, on)
    told["cache GB/s"] = 2 * copied(CACHED_BYTES, on, on)
    if on == "cuda":
        for name, pinned in {"pinned": True, "pageable": False}.items():
            told[f"to the GPU, {name} GB/s"] = copied(BUS_BYTES, on, "cpu", pinned=pinned)
            told[f"from the GPU, {name} GB/s"] = copied(BUS_BYTES, "cpu", on, pinned=pinned)
    return told | {"state": place.state()}


def _seconds(torch: ModuleType, place: Place, call: Callable[[], object]) -> float:
    """Return the least seconds of a call among rounds of ten: by events on a GPU, else by the clock."""
    rounds: list[float] = []
    for _ in range(5):
        _wait(torch, place)
        begun = time.perf_counter()
        if place.device == "cuda":
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
        for _ in range(10):
            call()
        if place.device == "cuda":
            last.record()
            last.synchronize()
            rounds.append(first.elapsed_time(last) / 1e4)
        else:
            rounds.append((time.perf_counter() - begun) / 10)
    return min(rounds)


def _wait(torch: ModuleType, place: Place) -> None:
    if place.device == "cuda":
        torch.cuda.synchronize()


def frozen(place: Place) -> Found:
    """Return what frozen processes with a context on the GPU cost the one that runs: a call beside 0, 1, 4 and 8."""
    spec = MODELS[1]
    files = ModelFiles(model=BuiltModel(spec=spec, weights=place.weights(spec)))
    session = RUNTIMES["torch.eager"].load()(files, place.settings)
    native = session.prepare(np.load(place.file(spec, "images.npy"))[:1])
    idle: list[subprocess.Popen[str]] = []
    told: Found = {}
    try:
        for many in FROZEN if place.device == "cuda" else FROZEN[:2]:
            begun = [_idle(place) for _ in range(many - len(idle))]
            idle += begun
            for one in begun:
                assert one.stdout is not None
                one.stdout.readline()  # it is ready
                one.send_signal(signal.SIGSTOP)
            _spin(place, lambda: session.run(native))
            told[f"ms beside {many}"] = _medians({"run": lambda turn: session.run(native)})["run"]
    finally:
        for one in idle:
            one.kill()
            one.wait()
    return told | {"state": place.state()}


def _idle(place: Place) -> subprocess.Popen[str]:
    work = f"a = torch.ones(1024, 1024, device='{place.device}'); a @ a"
    code = f"import torch; {work}; print('ready', flush=True); input()"
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


class Place:
    """The folder of a check, and the device that it is of."""

    def __init__(self, folder: Path, device: str) -> None:
        self.folder, self.device = folder, device
        self.gpu: Gpu | None = first_gpu() if device == "cuda" else None
        self.settings = Settings(threads=1, device=device)

    def file(self, spec: ModelSpec, kind: str) -> Path:
        return self.folder / f"{spec.architecture}.{kind}"

    def weights(self, spec: ModelSpec) -> Path:
        return self.file(spec, "safetensors")

    def state(self) -> Found | None:
        """Return the state of the GPU, None without one."""
        return asdict(self.gpu.state()) if self.gpu else None


@contextmanager
def _noting(told: Found, what: str) -> Iterator[None]:
    """Let what fails cost its own entry."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  a framework's
        told[what] = {"failed": f"{type(error).__name__}: {error}"[:500]}


def _is_there(packages: tuple[str, ...]) -> bool:
    return all(importlib.util.find_spec(one) for one in packages)


def _without_safetensors() -> None:
    """Put the two functions of the package that are needed in its place, by the description of the format."""
    if _is_there(("safetensors",)):
        return
    kinds = {"F32": "<f4"}

    def save(arrays: dict[str, np.ndarray]) -> bytes:
        header, at = {}, 0
        for name, one in arrays.items():
            header[name] = {"dtype": "F32", "shape": list(one.shape), "data_offsets": [at, at + one.nbytes]}
            at += one.nbytes
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + b"".join(one.tobytes() for one in arrays.values())

    def load_file(path: Path) -> dict[str, np.ndarray]:
        content = Path(path).read_bytes()
        begin = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:begin])
        return {
            name: np.frombuffer(content[begin:][slice(*one["data_offsets"])], kinds[one["dtype"]]).reshape(one["shape"])
            for name, one in header.items()
        }

    package, of_numpy = ModuleType("safetensors"), ModuleType("safetensors.numpy")
    package.SafetensorError = ValueError  # type: ignore[attr-defined]
    of_numpy.save, of_numpy.load_file = save, load_file  # type: ignore[attr-defined]
    sys.modules |= {"safetensors": package, "safetensors.numpy": of_numpy}


STEPS: dict[str, Callable[..., Found]] = {
    "facts": facts,
    "models": models,
    "runtime": runtime,
    "clock ramp": ramp,
    "frozen": frozen,
    "ceilings": ceilings,
}


def steps(device: str) -> list[str]:
    """Return the steps in their order: what is installed of the runtimes of a device, the most telling first."""
    able = [
        name
        for name, one in RUNTIMES.items()
        if device in one.devices
        and not one.ruler
        and not one.maker
        and {"weights", "onnx"} & {*one.formats}
        and _is_there((IMPORTS.get(one.family.library, one.family.library), *one.needs))
    ]
    ordered = [*(name for name in FIRST if name in able), *(name for name in able if name not in FIRST)]
    runs = [f"runtime {name}" for name in ordered]
    by_torch = [["clock ramp", "frozen"], ["ceilings"]] if _is_there(("torch",)) else [[], []]
    return ["facts", "models", *runs[:4], *by_torch[0], *runs[4:8], *by_torch[1], *runs[8:]]


def main(words: list[str]) -> int:
    reader = argparse.ArgumentParser(prog="make gpu-check", description="What Assay does on this machine's GPU.")
    reader.add_argument("--out", type=Path, default=Path("artifacts/gpu"))
    reader.add_argument("--minutes", type=float, default=5.0)
    reader.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    reader.add_argument("--step", help=argparse.SUPPRESS)
    asked = reader.parse_args(words)
    if asked.step:
        begin((), asked.device)
        _without_safetensors()
        name, _, of = asked.step.partition(" ") if asked.step.startswith("runtime ") else (asked.step, "", "")
        found = STEPS[name](Place(asked.out, asked.device), *([of] if of else []))
        _say(json.dumps(found, default=str))
        return 0
    if asked.device == "cuda" and first_gpu() is None:
        _say("No NVIDIA GPU is here, or no driver for it (libnvidia-ml.so.1): nothing to check.")
        return 0
    asked.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + asked.minutes * 60
    with (asked.out / RECORD).open("w", encoding="utf-8") as record:
        for step in steps(asked.device):
            line = _done(step, asked.out.resolve(), asked.device, min(STEP_SECONDS, end - time.monotonic()))
            record.write(json.dumps(line) + "\n")
            record.flush()
            _say(f"{step}: {line.get('failed') or line.get('skipped') or 'done'} ({line['seconds']} s)")
    _say(f"Record: {asked.out / RECORD}")
    return 0


def _done(step: str, out: Path, device: str, limit: float) -> Found:
    """Return the line of a step, which is done in a process of its own."""
    begun = time.monotonic()
    if limit <= 0:
        return {"step": step, "seconds": 0, "skipped": "the minutes are over"}
    command = [sys.executable, "-m", "tools.gpu_check", "--step", step, "--out", str(out), "--device", device]
    told = os.environ | environment_for(device, os.environ)
    with (out / "gpu-check.log").open("a", encoding="utf-8") as log:
        try:
            done = subprocess.run(
                command, env=told, stdout=subprocess.PIPE, stderr=log, text=True, timeout=limit, check=False
            )
        except subprocess.TimeoutExpired:
            return {"step": step, "seconds": round(limit), "failed": f"not done within {limit:.0f} s"}
    line: Found = {"step": step, "seconds": round(time.monotonic() - begun, 1)}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return line | {"failed": f"ended with {done.returncode}, see gpu-check.log"}
    return line | {"found": json.loads(lines[-1])}


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
