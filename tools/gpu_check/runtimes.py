"""The step of one runtime: times, distance from float64, placement and kernels of both models at each batch size.

Times are medians of the host's clock around a whole call ("call") and around its run alone ("run"), as a study has
them. Kernels of all runtimes are recorded by one method, torch.profiler as attribution uses it, which sees every
stream of the process; TensorFlow has an environment of its own without PyTorch, and so no line of kernels.
"""

from __future__ import annotations

import importlib
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from assay.infer.gpu.parts import parts_of, rotated_inputs
from assay.infer.gpu.steady import spin
from assay.infer.profile.calls import ProfiledCall, gaps_ns, union_ns
from assay.infer.runtime import ModelFiles, Session, predict
from assay.numerics.agreement import derive_tolerance
from assay.registry import RUNTIMES
from assay.spec import ModelSpec
from assay.train.built import BuiltModel
from tools.gpu_check.place import MODELS, Found, Place, is_there, noting

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
    found |= {"after": place.state()}
    with noting(found, "kernels"):
        found["kernels"] = _kernels(place, session, native, calls["run"])
    return found


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


def _kernels(place: Place, session: Session[object], native: list[object], run_ms: float) -> Found:
    """Return what ran on the GPU in a few calls of `run`."""
    if place.device == "cpu" or not is_there(("torch",)):
        return {"not measured": "there is no GPU, or no torch in this environment"}
    start = importlib.import_module("assay.infer.profile.on_torch").TorchRecorder
    with tempfile.TemporaryDirectory() as folder:
        recorder = start(None, place.settings, session, Path(folder))
        recorder.burst(native, PROFILED_CALLS)
        return kernels_in(recorder.finish(), run_ms)


def kernels_in(calls: Sequence[ProfiledCall], run_ms: float) -> Found:
    """Summarise the kernels and copies of profiled calls, in milliseconds a call.

    Args:
        run_ms: time of a call without a profiler, of which the rest is launching and waiting.
    """
    by_name: Counter[str] = Counter()
    for one in (operator for call in calls for operator in call.operators):
        by_name[one.name] += one.duration_ns
    each = statistics.median(union_ns(call.operators) for call in calls) / 1e6
    return {
        "launches": statistics.median(len(call.operators) for call in calls),
        "kernel_ms": each,
        "rest_ms": run_ms - each,
        "gap_ms": statistics.median(gaps_ns(call.operators) for call in calls) / 1e6,
        "longest_ms": {name: took / 1e6 / len(calls) for name, took in by_name.most_common(5)},
    }
