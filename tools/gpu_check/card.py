"""Steps of the card itself: how its clock rises, its highest rates, and what frozen processes cost one that runs."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import time
from types import ModuleType

import numpy as np

from assay.infer.ceilings.job import measure_ceilings, measure_of_gpu
from assay.infer.gpu.steady import spin
from assay.infer.runtime import ModelFiles
from assay.registry import RUNTIMES
from assay.train.built import BuiltModel
from tools.gpu_check.place import MODELS, Found, Place
from tools.gpu_check.runtimes import medians

FROZEN = (0, 1, 4, 8)


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
    """Return the highest rates, as a study measures them for its roofline (`assay.infer.ceilings`)."""
    measure = measure_ceilings if place.device == "cpu" else measure_of_gpu()
    return measure(1, (), lambda what: None).model_dump(mode="json") | {"state": place.state()}


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
