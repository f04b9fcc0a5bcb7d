"""The step of one runtime: times, distance from float64, placement and kernels of both models at each batch size.

Times are medians of the host's clock around a whole call ("call") and around its run alone ("run"), as a study has
them. Kernels of all runtimes are recorded by one method, CUPTI through torch.profiler, which sees every stream of the
process; TensorFlow has an environment of its own without PyTorch, and so no line of kernels.
"""

from __future__ import annotations

import importlib
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from assay.infer.gpu.parts import parts_of, rotated_inputs
from assay.infer.gpu.steady import spin
from assay.infer.runtime import ModelFiles, Session, predict
from assay.numerics.agreement import derive_tolerance
from assay.registry import RUNTIMES
from assay.spec import ModelSpec
from assay.train.built import BuiltModel
from tools.gpu_check.place import MODELS, Found, Place, noting

BATCHES = (1, 32, 256)
AUDIT_BATCH = 8
CALL_SECONDS, MOST_CALLS = 0.5, 400
PROFILED_CALLS = 10


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
        with noting(mine, "accuracy"):
            mine["accuracy"] = _accuracy(place, spec, session)
        for batch in BATCHES if place.device == "cuda" else BATCHES[:1]:
            with noting(mine, f"batch {batch}"):
                mine[f"batch {batch}"] = _timed(place, spec, session, batch)
        with noting(mine, "observed"):
            seen = session.observe(session.prepare(np.load(place.file(spec, "images.npy"))[:AUDIT_BATCH]))
            mine["observed"] = asdict(seen)
        session.close()
    return told | {"state": place.state()}


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
    many = rotated_inputs(one_input)
    random = np.random.default_rng(batch)
    images = [random.normal(size=(batch, *spec.image_shape)).astype(np.float32) for _ in range(many)]
    begun = time.perf_counter()
    session.fetch(session.run(session.prepare(images[0])))
    first, native = time.perf_counter() - begun, [session.prepare(one) for one in images]
    steady = spin(place.gpu, lambda: session.run(native[0])) if place.gpu else None
    before = place.state()
    calls = medians({
        "call": lambda turn: session.fetch(session.run(session.prepare(images[turn % many]))),
        "run": lambda turn: session.run(native[turn % many]),
    })  # fmt: skip
    found = {"inputs": many, "first_call_ms": first * 1e3, "ms": calls, "parts": asdict(parts_of(session, images[0]))}
    found |= {"spun_seconds_and_steady": steady, "before": before}
    return found | {"after": place.state(), "kernels": _kernels(session, native, calls["run"])}


def medians(what: dict[str, Callable[[int], object]]) -> dict[str, float]:
    """Return the median milliseconds of each call, which is given its turn."""
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
