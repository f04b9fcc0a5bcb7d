"""A case of ONNX's own agrees by its own tolerance, in shape and type, and anywhere inside a list."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from assay.bench.atlas.on_onnx_case import difference
from assay.bench.atlas.suites.suite import BackendCase

ONE = np.array([1.0, np.inf, np.nan], np.float32)


def case(*outputs: Any) -> BackendCase:
    return BackendCase(0, "test_case", b"", (), outputs, relative=1e-3, absolute=1e-7)


@pytest.mark.parametrize(
    ("expected", "found", "reason"),
    [
        (ONE, ONE * np.float32(1.0005), ""),
        (ONE, ONE * np.float32(1.01), "differs by 0.01"),
        (ONE, ONE.astype(np.float64), "float64 [3], expected float32 [3]"),
        (ONE, ONE[None], "float32 [1, 3], expected float32 [3]"),
        (ONE, np.array([1, -np.inf, np.nan], np.float32), "infinity or NaN"),
        (np.array([1e3, 0], np.float32), np.array([1e3, 5e-4], np.float32), ""),  # zero to the rounding of a sum
        (np.array([1e3, 0], np.float32), np.array([1e3, 5e-3], np.float32), "differs by 0.005"),
        (np.array([1, 2]), np.array([1, 3]), "1 of 2 values differ"),
        (np.array(["a", "b"], object), np.array(["a", "c"]), "1 of 2 values differ"),
        (np.array([1 + 1j]), np.array([1 + 2j]), "differs by 1"),
        (np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32), ""),
        ([ONE, ONE], [ONE, ONE], ""),
        ([ONE, ONE], [ONE], "another number of elements"),
        (None, None, ""),
        (None, ONE, "one side has no value"),
    ],
)
def test_a_difference_is_said(expected: Any, found: Any, reason: str) -> None:
    told, apart = difference(case(expected), [found])
    assert told == "" if not reason else reason in told
    assert (apart > 1) == ("differs by" in reason)


def test_an_output_that_is_missing_is_said() -> None:
    assert difference(case(ONE, ONE), [ONE])[0] == "1 outputs, expected 2"
