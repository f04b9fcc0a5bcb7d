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
