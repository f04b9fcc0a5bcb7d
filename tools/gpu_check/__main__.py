"""`make gpu-check`: what Assay does on this machine's GPU, in under five minutes, each step written as it ends.

    python -m tools.gpu_check [--out FOLDER] [--minutes 5] [--device cuda]

It needs the source tree, numpy, pydantic and whichever frameworks are installed, and leaves `gpu-check.jsonl`, one line
a step, to be read or sent. Every step is a process of its own with a limit: what fails costs its own line. Without a
GPU it says so and ends with 0. `--device cpu` runs the same steps on the processor, to try the script itself.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np

from assay.infer.gpu.nvml import first_gpu
from assay.infer.runtimes.same_for_all import begin, environment_for
from tools.gpu_check.place import Found, Place, is_there
from tools.gpu_check.steps import STEPS, steps

RECORD = "gpu-check.jsonl"
STEP_SECONDS = 120.0


def main(words: list[str]) -> int:
    """Run all steps, or the one that is asked for, and return the exit status."""
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


def _without_safetensors() -> None:
    """Put the two functions of the package that are needed in its place, by the description of the format."""
    if is_there(("safetensors",)):
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
