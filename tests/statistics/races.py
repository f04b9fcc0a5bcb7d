"""Races within each precision, by simulation: a study's races of all precisions are one family, and share candidates.

The cells of a group compete in races of fp32, bf16 and int8, and all of them in the race of all, whose pair is often
that of another race. The simulated code is `assay.bench.judging.races.races_of` itself, on cells of equal truths.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import numpy as np

from assay.bench.judging.races import races_of
from assay.bench.statistics.stats import Samples
from assay.records.base import Interval
from assay.records.races import OF_ALL
from assay.records.results import Cell
from tests.bench.judging.test_summary import labelled
from tests.statistics.simulation import FAMILY, NOISY, REPEATS, Promise, Random, spread

ROUTES = ("torch-dynamo", "torch-script", "tf2onnx", "jax2onnx")
FIELD: Mapping[str, tuple[str, ...]] = {
    "fp32": (
        "torch.script", "torch.compile.frozen", "tf.function", "litert", "jax.jit",
        *(f"{runtime}@{route}" for runtime in ("ort.cpu", "openvino") for route in ROUTES),
    ),
    "bf16": ("torch.compile.bf16", "torch.compile.autocast", *(f"openvino.bf16@{route}" for route in ROUTES)),
    "int8": (
        "torch.compile.int8", "torch.aot.int8", "litert.int8",
        *(f"{runtime}@{route}+int8" for runtime in ("ort.cpu", "openvino") for route in ROUTES),
    ),
}  # fmt: skip
"""The competitors of a group, by precision."""
AS_MEASURED = {"fp32": 1.0, "bf16": 0.55, "int8": 0.3}
ALIKE = dict.fromkeys(FIELD, 1.0)


def no_false_race(times: Mapping[str, float], random: Random, processes: int) -> float:
    """Families of the races of 16 groups, in each of which both sides of every race are equally fast.

    Args:
        times: the true time of all cells that compute in a precision, by precision.
    """
    groups = [_group(times, size) for size in range(FAMILY)]
    held = []
    for _ in range(REPEATS // 12):
        cells, timed = [], {}
        for group in groups:
            measured, samples = _measured(group, times, random, processes)
            cells += measured
            timed |= samples
        found = races_of(cells, timed)
        assert len(found) == FAMILY * len({*FIELD, OF_ALL})
        held.append(not {"faster", "slower"} & {race.verdict for race in found})
    return float(np.mean(held))


def _group(times: Mapping[str, float], size: int) -> list[Cell]:
    return [
        labelled(label, times[precision], precision).model_copy(update={"name": f"{size}/{label}", "size": size})
        for precision, labels in FIELD.items()
        for label in labels
    ]


def _measured(
    group: list[Cell], times: Mapping[str, float], random: Random, processes: int
) -> tuple[list[Cell], dict[str, dict[str, Samples]]]:
    """The cells of a group with the noise of a published cell each."""
    spreads = np.array([spread(NOISY[place]) for place in random.integers(0, len(NOISY), len(group))])
    logs = random.normal(0, 1, (len(group), processes)) * spreads[:, None]
    cells, timed = [], {}
    for cell, noise in zip(group, logs, strict=True):
        assert cell.host is not None
        values = times[cell.precision] * np.exp(noise)
        median = Interval.model_construct(value=float(np.median(values)), low=0.0, high=math.inf)
        host = cell.host.model_copy(update={"median_ms": median})
        cells.append(cell.model_copy(update={"host": host}))
        timed[cell.name] = {"host": Samples(np.arange(processes), np.zeros(processes, np.int64), values)}
    return cells, timed


RACES = (
    Promise(
        "no false verdict in 64 races of 16 groups, int8 fastest in all", partial(no_false_race, AS_MEASURED), most=1.0
    ),
    Promise("the same where all precisions are equally fast", partial(no_false_race, ALIKE), most=1.0),
)
