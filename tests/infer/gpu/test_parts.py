"""Parts of a call on a GPU, of sessions on the CPU: they have the same methods there."""

from __future__ import annotations

import time

import numpy as np
import pytest

from assay.infer.gpu.parts import Synchronises, parts_of, rotated_inputs
from assay.infer.runtime import ModelFiles
from assay.infer.runtimes import null
from assay.infer.runtimes.on_jax import JaxSession
from assay.infer.runtimes.on_ort_gpu import CudaSession
from assay.infer.runtimes.on_torch import TorchSession
from assay.spec import ModelSpec, Settings
from assay.train.built import BuiltModel

IMAGES = np.zeros((2, 4, 4, 3), np.float32)


def test_each_part_is_the_median_of_its_own_calls_of_a_fake_session() -> None:
    session = null.load(ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", 4, 5))), Settings())
    assert parts_of(session, IMAGES).synchronising_ns is None
    took = {"prepare": 0.004, "fetch": 0.002, "synchronise": 0.001}

    class Slow:
        """A session whose parts take these times."""

        def __getattr__(self, name: str) -> object:
            def call(*given: object) -> object:
                time.sleep(took.get(name, 0))
                return given

            return call

        def synchronise(self) -> None:
            time.sleep(took["synchronise"])

    found = parts_of(Slow(), IMAGES)  # type: ignore[arg-type]
    assert found.synchronising_ns is not None
    assert 1e6 <= found.synchronising_ns < found.from_ns < found.to_ns
    assert found.to_ns >= 4e6


@pytest.mark.parametrize("session", [TorchSession, JaxSession, CudaSession])
def test_sessions_that_run_on_a_gpu_wait_for_it_by_themselves(session: type) -> None:
    assert issubclass(session, Synchronises)


@pytest.mark.parametrize(
    ("size", "inputs"), [(0, 32), (9408, 32), (8 << 20, 32), (64 << 20, 4), (200 << 20, 2), (1 << 30, 2)]
)
def test_inputs_in_turn_are_more_than_a_cache_holds(size: int, inputs: int) -> None:
    assert rotated_inputs(size) == inputs
