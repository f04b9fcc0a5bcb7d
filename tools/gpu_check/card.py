"""Steps of the card itself: how its clock rises, its highest rates, and what frozen processes cost one that runs."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from types import ModuleType

import numpy as np

from assay.infer.gpu.steady import spin
from assay.infer.runtime import ModelFiles
from assay.registry import RUNTIMES
from assay.train.built import BuiltModel
from tools.gpu_check.place import MODELS, Found, Place, noting
from tools.gpu_check.runtimes import medians

FROZEN = (0, 1, 4, 8)
SIDE, STREAM_BYTES, CACHED_BYTES, BUS_BYTES = 8192, 1 << 30, 8 << 20, 64 << 20


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
        with noting(told, name):
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
            if place.gpu:
                spin(place.gpu, lambda: session.run(native))
            told[f"ms beside {many}"] = medians({"run": lambda turn: session.run(native)})["run"]
    finally:
        for one in idle:
            one.kill()
            one.wait()
    return told | {"state": place.state()}


def _idle(place: Place) -> subprocess.Popen[str]:
    work = f"a = torch.ones(1024, 1024, device='{place.device}'); a @ a"
    code = f"import torch; {work}; print('ready', flush=True); input()"
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
