"""A worker in TensorFlow's GPU environment computes like any other; here without CUDA's packages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from assay import toolenv
from assay.bench.timing.environments import list_of
from assay.numerics.agreement import compare, derive_tolerance
from assay.pins import read_pins
from assay.spec import Settings
from tests.contract.test_runtimes import candidate, start
from tests.export.models import Workspace, workspace


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return workspace("bloodnet", tmp_path_factory)


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("runtime", ["tf.function", "tf.xla"])
def test_a_worker_there_computes_the_same_function(runtime: str, place: Workspace, tmp_path: Path) -> None:
    """Its packages are those of the pinned list except `nvidia-*`, gigabytes that nothing here could load."""
    pins = [pin for pin in read_pins(list_of("tf-cuda")) if not pin.name.startswith("nvidia-")]
    listed = tmp_path / "without-cuda.txt"
    listed.write_text("\n".join(pin.line() for pin in pins) + "\n", encoding="utf-8")
    python = toolenv.ensure("tf-without-cuda", listed, lambda *_: None)
    worker = start(replace(candidate(runtime, place), python=python), tmp_path)
    try:
        loaded = worker.load(Settings(threads=1))
        assert loaded.facts["tensorflow"] == next(pin.version for pin in pins if pin.name == "tensorflow")
        worker.write_logits(place.folder / "images.npy", 32, 1, tmp_path / "logits.npy")
        reference = place.logits("torch", "float64")
        tolerance = derive_tolerance(reference, {"torch": place.logits("torch", "float32")})
        agreement = compare(runtime, np.load(tmp_path / "logits.npy"), reference[:32], tolerance)
        assert agreement.passed, agreement.reason
        assert worker.observe().device == "cpu"
    finally:
        worker.kill()
