"""Single operators as PyTorch models, run by any runtime of these, to see how they treat NaN."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from assay.bench.auditing.operators import on_torch_modules
from assay.bench.auditing.operators.special_job import FUSED, MEAN, POOL, RELU, SHAPE, Operator
from assay.entries import load_function
from assay.export.programs.request import Make, ProgramRequest
from assay.infer.runtime import Load, ModelFiles
from assay.registry import RUNTIMES
from assay.spec import Settings
from assay.train.brought.arrays import record_type
from assay.train.brought.model import Location, Tensor, UserModel

HEIGHT, WIDTH, CHANNELS = SHAPE[1:]
INPUT = Tensor(name="x", dtype="float32", shape=(CHANNELS, HEIGHT, WIDTH))


def operators(runtime: str) -> dict[str, Operator]:
    """Return the operators as this runtime runs them, made into its own files where it has some."""
    shapes = {
        RELU: (on_torch_modules.relu, INPUT.shape),
        POOL: (on_torch_modules.pool, (CHANNELS, HEIGHT // 2, WIDTH // 2)),
        FUSED: (on_torch_modules.fused, INPUT.shape),
        MEAN: (on_torch_modules.mean, (CHANNELS,)),
    }
    return {name: _loaded(runtime, function.__name__, shape) for name, (function, shape) in shapes.items()}


def _loaded(runtime: str, function: str, shape: tuple[int, ...]) -> Operator:
    location = Location(path=Path(on_torch_modules.__file__), form="function", kind="torch", function=function)
    output = Tensor(name="y", dtype="float32", shape=shape)
    model = UserModel(location=location, kind="torch", inputs=(INPUT,), outputs=(output,), batch=SHAPE[0])
    entry = RUNTIMES[runtime]
    load: Load = entry.load()
    with tempfile.TemporaryDirectory(prefix="assay-special-") as text:
        program = Path(text) if entry.maker else None
        if program is not None:
            make: Make = load_function(runtime, entry.maker)
            make(ProgramRequest(runtime=runtime, model=model, folder=program))
        session = load(ModelFiles(model=model, program=program), Settings())
        session.run(session.prepare(_records(np.zeros(SHAPE, np.float32))))  # compiles, while its files are there
    return lambda images: session.fetch(session.run(session.prepare(_records(images)))).astype(np.float32, copy=False)


def _records(images: np.ndarray) -> np.ndarray:
    records = np.empty(len(images), record_type((INPUT,)))
    records["x"] = images.transpose(0, 3, 1, 2)
    return records
