"""Parts of a call on a GPU, of sessions on the CPU: they have the same methods there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from assay.infer.gpu import parts
from assay.infer.gpu.cudart import Cudart
from assay.infer.gpu.parts import Allocates, Synchronises, parts_of, pinned_ns, rotated_inputs
from assay.infer.runtime import ModelFiles
from assay.infer.runtimes import null, on_torch
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

        def most_allocated_bytes(self) -> int:
            return 3 << 19

    found = parts_of(Slow(), IMAGES)  # type: ignore[arg-type]
    assert found.synchronising_ns is not None
    assert 1e6 <= found.synchronising_ns < found.from_ns < found.to_ns
    assert found.to_ns >= 4e6
    assert found.allocated_mib == 1.5


@pytest.mark.parametrize("session", [TorchSession, JaxSession, CudaSession])
def test_sessions_that_run_on_a_gpu_wait_for_it_by_themselves(session: type) -> None:
    assert issubclass(session, Synchronises)


@pytest.mark.parametrize(
    ("size", "inputs"), [(0, 32), (9408, 32), (8 << 20, 32), (64 << 20, 4), (200 << 20, 2), (1 << 30, 2)]
)
def test_inputs_in_turn_are_more_than_a_cache_holds(size: int, inputs: int) -> None:
    assert rotated_inputs(size) == inputs


def test_pinned_copies_are_of_as_many_bytes_in_every_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake of CUDA's library, whose copies take a microsecond a byte."""
    copied: set[tuple[int, int, int]] = set()

    class FakeCudart:
        """Buffers at two addresses."""

        @contextmanager
        def buffers(self, size: int) -> Iterator[tuple[int, int]]:
            assert size == 4000
            yield 1, 2

        def copy(self, to: int, of: int, size: int) -> None:
            copied.add((to, of, size))
            time.sleep(size / 1e6)

    monkeypatch.setattr(parts, "Cudart", FakeCudart)
    to, back = pinned_ns(4000, 1000)
    assert copied == {(2, 1, 4000), (1, 2, 1000)}
    assert to is not None
    assert back is not None
    assert to > 4e6
    assert to > back >= 1e6


def test_without_cudas_library_there_are_no_pinned_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "Cudart", partial(Cudart, ("lib-that-is-not-there.so",)))
    assert pinned_ns(4000, 1000) == (None, None)


@pytest.mark.parametrize("session", [TorchSession, JaxSession])
def test_sessions_tell_what_their_fakes_of_an_allocator_gave_out(
    session: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert issubclass(session, Allocates)
    assert not issubclass(CudaSession, Allocates), "ONNX Runtime does not say it"
    one = session.__new__(session)
    monkeypatch.setattr(on_torch.torch.cuda, "max_memory_allocated", lambda: 3 << 20)
    one._device = SimpleNamespace(type="cuda", memory_stats=lambda: {"peak_bytes_in_use": 3 << 20})
    assert one.most_allocated_bytes() == 3 << 20
    one._device = SimpleNamespace(type="cpu", memory_stats=lambda: None)
    assert one.most_allocated_bytes() is None
