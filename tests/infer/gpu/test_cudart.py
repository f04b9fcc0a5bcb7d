"""Copies by CUDA's runtime library, through a fake of it."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from assay.errors import InputError
from assay.infer.gpu.cudart import Cudart
from tests.infer.gpu.compiled import COMPILER, compiled


@pytest.mark.skipif(not COMPILER, reason="there is no compiler")
def test_a_fake_library_copies_and_waits_and_its_refusal_is_an_error(tmp_path: Path) -> None:
    file = compiled("fake_cudart.c", tmp_path)
    copies, of, to = (
        Cudart(("libcudart.so.that.is.not.there", file)),
        np.arange(20, dtype=np.uint8),
        np.zeros(20, np.uint8),
    )
    copies.copy(to.ctypes.data, of.ctypes.data, 20)
    copies.wait()
    assert to.tolist() == of.tolist()
    assert ctypes.CDLL(file).counted_waits() == 1
    with pytest.raises(InputError, match="CUDA refuses cudaMemcpy: found error 1"):
        copies.copy(to.ctypes.data, of.ctypes.data, 13)


def test_without_the_library_it_is_named() -> None:
    with pytest.raises(InputError, match=r"CUDA's runtime library is not there: expected lib-x\.so or lib-y\.so"):
        Cudart(("lib-x.so", "lib-y.so"))


@pytest.mark.skipif(not COMPILER, reason="there is no compiler")
def test_buffers_of_a_fake_library_are_given_back_also_where_there_is_room_for_one_alone(tmp_path: Path) -> None:
    file = compiled("fake_cudart.c", tmp_path)
    cuda, of = Cudart((file,)), np.arange(20, dtype=np.uint8)
    with cuda.buffers(20) as (host, gpu):
        cuda.copy(host, of.ctypes.data, 20)
        cuda.copy(gpu, host, 20)
        assert bytes((ctypes.c_ubyte * 20).from_address(gpu)) == of.tobytes()
        assert ctypes.CDLL(file).counted_buffers() == 2
    assert ctypes.CDLL(file).counted_buffers() == 0
    with pytest.raises(InputError, match="CUDA refuses cudaMalloc: found error 1"), cuda.buffers(17):
        pass
