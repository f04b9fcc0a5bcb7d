"""Times of steps: files take turns, and a disturbed round does not count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from assay.export.variants.steps import ROUNDS, medians_ms
from tests.export.variants.planted import WIDTH, write_layers


def test_a_disturbed_round_does_not_count(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_layers(tmp_path / f"{name}.onnx", 2, ())
    files = {name: tmp_path / f"{name}.onnx" for name in ("one", "other")}
    reads = iter_of_calls()
    found = medians_ms(files, {"numbers": np.zeros((1, WIDTH), np.float32)}, lambda: next(reads))
    assert found == pytest.approx({"one": 50.0, "other": 50.0})


def iter_of_calls() -> Iterator[float]:
    """A clock by which each call takes 50 ms, and ten times as long in all rounds except the last."""
    calls, now = 0, 0.0
    while True:
        yield now
        calls += 1
        if calls % 2:
            number = calls // 2
            quiet = number < 4 or number >= 4 + 2 * (ROUNDS - 1)
            now += 0.05 if quiet else 0.5
