"""Effects of graph and runtime are recovered where they were planted, and never confused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.bench.explaining.factors import effects, factors_of, shares_of, whole_table
from assay.bench.statistics.stats import Samples
from assay.records.attribution import Factors
from assay.records.results import Cell
from tests.bench.report.sample_results import sample_results

EXPORTERS = {"torch-dynamo": 1.0, "tf2onnx": 1.1, "jax2tf": 1.3}
RUNTIMES = {"ort.cpu": 1.0, "openvino": 0.5}
LEVELS = ("ort.cpu.no-opt", "ort.cpu.basic", "ort.cpu.extended", "ort.cpu")
PROCESSES, BLOCKS, CALLS = 5, 6, 4


def cell(exporter: str, runtime: str) -> Cell:
    sample = next(one for one in sample_results().cells if one.exporter and one.status == "ok")
    label = f"{runtime}@{exporter}"
    named = {"name": f"bloodnet/28/b1/t1/{label}", "label": label, "runtime": runtime, "exporter": exporter}
    return sample.model_copy(update=named)


def planted(runtimes: dict[str, float], noise: float, interplay: float = 1.0) -> list[Factors]:
    """Blocks of all cells of exporters by runtimes; `interplay` slows only one cell."""
    random = np.random.default_rng(3)
    process, block = (part.ravel() for part in np.meshgrid(range(PROCESSES), range(BLOCKS), indexing="ij"))
    process, block = np.repeat(process, CALLS), np.repeat(block, CALLS)
    shared = np.exp(random.normal(0, 0.3, (PROCESSES, BLOCKS)))  # what the machine does to a whole block
    cells, timed = [], {}
    for exporter, graph in EXPORTERS.items():
        for runtime, speed in runtimes.items():
            one = cell(exporter, runtime)
            factor = graph * speed * (interplay if (exporter, runtime) == ("jax2tf", "openvino") else 1.0)
            values = factor * shared[process, block] * np.exp(random.normal(0, noise, len(process)))
            cells.append(one)
            timed[one.name] = {"host": Samples(process.astype(np.int64), block.astype(np.int64), values)}
    return factors_of(cells, timed)


def test_planted_effects_are_found_through_what_moves_whole_blocks() -> None:
    (found,) = planted(RUNTIMES, noise=0.01)
    mean = math.prod(EXPORTERS.values()) ** (1 / 3)
    for name, factor in EXPORTERS.items():
        assert found.exporters[name].low <= factor / mean * 1.002
        assert found.exporters[name].high >= factor / mean * 0.998
        assert found.exporters[name].value == pytest.approx(factor / mean, rel=0.01)
    assert found.runtimes["openvino"].value == pytest.approx(math.sqrt(0.5), rel=0.01)
    assert (found.processes, found.blocks) == (PROCESSES, PROCESSES * BLOCKS)
    assert found.shares["interaction"] < 0.001 < found.shares["exporter"] < found.shares["runtime"]


def test_a_graph_that_suits_one_runtime_alone_is_interaction() -> None:
    (found,) = planted(RUNTIMES, noise=0.01, interplay=1.5)
    assert found.interaction["jax2tf"]["openvino"].low > 1.1
    assert found.interaction["jax2tf"]["ort.cpu"].high < 0.9
    assert found.shares["interaction"] > 0.01


def test_levels_are_a_question_of_their_own() -> None:
    found = planted({**dict(zip(LEVELS, (2.0, 1.5, 1.2, 1.0), strict=True)), "openvino": 0.5}, noise=0.01)
    by_question = {one.question: one for one in found}
    assert list(by_question["optimisation level"].runtimes) == list(LEVELS)
    assert set(by_question["runtime"].runtimes) == {"ort.cpu", "openvino"}


def test_a_table_with_a_gap_leaves_the_exporter_out() -> None:
    cells = [cell(exporter, runtime) for exporter in EXPORTERS for runtime in RUNTIMES]
    assert set(whole_table(cells)) == set(EXPORTERS)
    assert set(whole_table(cells[:-1])) == {"torch-dynamo", "tf2onnx"}
    assert whole_table(cells[:3]) == {}
    assert factors_of(cells, {}) == []


@given(
    st.lists(st.floats(-3, 3), min_size=2, max_size=5),
    st.lists(st.floats(-3, 3), min_size=2, max_size=5),
    st.floats(-3, 3),
)
def test_an_additive_table_is_taken_apart_exactly(rows: list[float], columns: list[float], mean: float) -> None:
    table = mean + np.array(rows)[:, None] + np.array(columns)[None, :]
    found_rows, found_columns, interaction = effects(table)
    np.testing.assert_allclose(found_rows, np.array(rows) - np.mean(rows), atol=1e-9)
    np.testing.assert_allclose(found_columns, np.array(columns) - np.mean(columns), atol=1e-9)
    np.testing.assert_allclose(interaction, 0, atol=1e-9)
    shares = shares_of(table)
    assert sum(shares.values()) == pytest.approx(1) or sum(shares.values()) == 0
