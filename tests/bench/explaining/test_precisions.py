"""Effects of precision, runtime and graph are recovered where planted, separated, and only given where cells
allow it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from assay.bench.explaining.precisions import main_effects, precision_factors_of, shares_of_sides
from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Table
from assay.bench.report.sections.reasons.factors import factors
from assay.bench.statistics.stats import Samples
from assay.bench.words.verdict import verdicts
from assay.records.attribution import PrecisionFactors
from assay.records.results import Cell
from tests.bench.judging.test_summary import labelled
from tests.bench.report.sample_results import plain, sample_results

PROCESSES, BLOCKS = 5, 4
Planted = dict[str, tuple[float, str]]
ACROSS: Planted = {
    "litert": (4.0, "fp32"),
    "litert.int8": (1.1, "int8"),
    "ort.cpu@torch-dynamo": (3.6, "fp32"),
    "ort.cpu@torch-dynamo+int8": (1.0, "int8"),
    "openvino@torch-dynamo": (3.0, "fp32"),
    "openvino@torch-dynamo+int8": (1.2, "int8"),
}


def layouts(planted: Planted, noise: float = 0.003) -> list[PrecisionFactors]:
    cells, timed = made(planted, noise)
    return precision_factors_of(cells, timed)


def made(planted: Planted, noise: float) -> tuple[list[Cell], dict[str, dict[str, Samples]]]:
    """Cells with these times in ms, in blocks that the machine slows as a whole; processes differ by the noise."""
    random = np.random.default_rng(5)
    process, block = (part.ravel() for part in np.meshgrid(range(PROCESSES), range(BLOCKS), indexing="ij"))
    shared = np.exp(random.normal(0, 0.3, len(process)))
    cells, timed = [], {}
    for label, (ms, precision) in planted.items():
        cells.append(labelled(label, ms, precision))
        values = ms * shared * np.exp(random.normal(0, noise, PROCESSES))[process]
        timed[label] = {"host": Samples(process.astype(np.int64), block.astype(np.int64), values)}
    return cells, timed


def test_the_gain_of_a_precision_and_the_effect_of_the_runtime() -> None:
    (found,) = layouts(ACROSS)
    gains = {"litert.int8": 4 / 1.1, "ort.cpu@torch-dynamo+int8": 3.6, "openvino@torch-dynamo+int8": 2.5}
    assert found.precision == "int8"
    assert found.gain.value == pytest.approx(math.prod(gains.values()) ** (1 / 3), rel=0.01)
    assert found.gain.low < found.gain.value < found.gain.high
    assert found.between.value == pytest.approx(1.2, rel=0.02)
    assert {label: one.value for label, one in found.runtimes.items()} == pytest.approx(gains, rel=0.02)
    assert found.graphs == {}
    assert found.shares["precision"] > 0.9
    assert sum(found.shares.values()) == pytest.approx(1)
    assert (found.processes, found.blocks) == (PROCESSES, PROCESSES * BLOCKS)


def test_graphs_are_the_third_side_where_every_runtime_ran_them_in_both_precisions() -> None:
    """int8 makes all 3 times as fast, OpenVINO takes half of ONNX Runtime's time, one graph takes 1.21 times the
    other's.
    """
    times = {
        f"{runtime}@{graph}{suffix}": (8.0 * speed * slow * brings, precision)
        for runtime, speed in (("ort.cpu", 1.0), ("openvino", 0.5))
        for graph, slow in (("torch-dynamo", 1.0), ("tf2onnx", 1.21))
        for suffix, brings, precision in (("", 1.0, "fp32"), ("+int8", 1 / 3, "int8"))
    }
    two, three = layouts(times)
    assert two.graphs == {}
    assert {name: one.value for name, one in three.graphs.items()} == pytest.approx(
        {"torch-dynamo": 1 / 1.1, "tf2onnx": 1.1}, rel=0.01
    )
    assert three.gain.value == pytest.approx(3, rel=0.01)
    assert three.shares["graph"] < three.shares["runtime"] < three.shares["precision"]
    assert three.shares["interaction"] < 0.001


def test_a_single_runtime_is_not_a_layout() -> None:
    alone = {label: one for label, one in ACROSS.items() if label.startswith("ort")}
    assert layouts(alone) == []
    assert layouts({**alone, "litert.int8": (1.1, "int8")}) == [], "what it is in fp32 was not timed"


def test_two_ways_to_a_precision_are_one_runtime() -> None:
    compiled = {
        "torch.compile.frozen": (4.0, "fp32"),
        "torch.compile.autocast": (2.0, "bf16"),
        "torch.compile.bf16": (2.2, "bf16"),
        "openvino@torch-dynamo": (3.0, "fp32"),
        "openvino.bf16@torch-dynamo": (1.5, "bf16"),
    }
    (found,) = layouts(compiled)
    assert set(found.runtimes) == {"torch.compile.autocast", "openvino.bf16@torch-dynamo"}


def test_cells_that_were_never_timed_together_are_not_a_layout() -> None:
    cells, timed = made(ACROSS, 0.003)
    other = timed["litert.int8"]["host"]
    timed["litert.int8"] = {"host": Samples(other.process + 100, other.block, other.values)}
    assert precision_factors_of(cells, timed) == []


@pytest.mark.parametrize("shape", [(1, 2, 2), (3, 2, 2)])
def test_effects_sum_to_zero_and_shares_to_one(shape: Sequence[int]) -> None:
    table = np.random.default_rng(1).normal(size=shape)
    assert [float(effect.sum()) for effect in main_effects(table)] == pytest.approx([0.0] * 3, abs=1e-12)
    assert sum(shares_of_sides(table).values()) == pytest.approx(1)
    assert set(shares_of_sides(np.zeros(shape)).values()) == {0.0}


def test_it_is_said_apart_from_what_onnx_brings() -> None:
    base = sample_results((64,), (1,), ("bloodnet",))
    (comparison,) = base.comparisons
    place = {"architecture": "bloodnet", "size": 64, "batch": 1, "threads": 1}
    known = [one.model_copy(update=place) for one in layouts(ACROSS)]
    results = base.model_copy(update={"precisions": known})
    (found,) = verdicts(results)
    text = plain(found.finding)
    assert "int8 makes it 3.2" in text
    assert "as fast as in fp32, in the mean of 3 runtimes; the choice of " in text
    assert " makes a difference of 2" in text
    assert "ONNX Runtime (torch-dynamo+int8 export)" in text
    made_of = factors(Evidence(results.model_copy(update={"factors": []})))
    assert made_of is not None
    (table,) = made_of.blocks
    assert isinstance(table, Table)
    assert table.identifier == "precisions"
    assert comparison in results.comparisons
