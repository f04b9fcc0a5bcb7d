"""Ratios of two sides timed in turns while another program takes processor time: how often they are wrong."""

from __future__ import annotations

import numpy as np
import polars
import pytest

from assay.bench.comparing.compare import CellPair, changes_of
from assay.bench.judging.paired import why_no_ratio
from assay.bench.statistics.stats import Samples, ratio_estimate
from assay.files.columns import BURST_COLUMNS
from tests.bench.judging.test_validity import cell

PROCESSES, BLOCKS, CALLS = 6, 6, 5
RUNS = {1.0: 400, 1.1: 50, 1.2: 50}
NO_BURSTS = polars.DataFrame(schema=BURST_COLUMNS)


def beside_others(random: np.random.Generator, slower: float) -> tuple[Samples, Samples]:
    """Calls of base and new, in blocks in random order, while a disturbance comes and goes.

    It lasts about three blocks and makes every call that it meets up to three times as long. Each side's processes
    differ by 2 %, as real ones do.
    """
    shape = (PROCESSES, BLOCKS, 2)
    stays = random.random(PROCESSES * BLOCKS * 2) < 1 / 6
    there = (np.cumsum(stays) % 2 == 1).reshape(shape)  # in the order of time: two bursts a block
    base_first = random.random((PROCESSES, BLOCKS)) < 0.5
    of_base = np.where(base_first, there[..., 0], there[..., 1])
    of_new = np.where(base_first, there[..., 1], there[..., 0])
    process, block = np.indices((PROCESSES, BLOCKS, CALLS))[:2]

    def side(held: np.ndarray, milliseconds: float) -> Samples:
        own = np.exp(random.normal(0, 0.02, (PROCESSES, 1, 1)) + random.normal(0, 0.01, process.shape))
        waits = 1 + held[..., None] * random.uniform(0, 2, process.shape)
        return Samples(process.ravel(), block.ravel(), (milliseconds * own * waits).ravel())

    return side(of_base, 1.0), side(of_new, slower)


def shares(slower: float, threshold: float = 0.05) -> dict[str, float]:
    """How often a ratio is judged a regression, judged different, or not judged."""
    random = np.random.default_rng(20261128)
    found = {"regression": 0, "slower": 0, "faster": 0, "not judged": 0}
    for _ in range(RUNS[slower]):
        ours, theirs = beside_others(random, slower)
        doubt = why_no_ratio(cell(), cell(), ours, theirs, NO_BURSTS)
        (change,) = changes_of([CellPair(cell(), cell(), ratio_estimate(theirs, ours), doubt)], threshold)
        found["regression"] += change.regression
        if change.verdict in found:
            found[change.verdict] += 1
    return {name: times / RUNS[slower] for name, times in found.items()}


def test_two_equal_sides_differ_one_time_in_twenty_at_most() -> None:
    found = shares(1.0)
    assert found["slower"] + found["faster"] <= 0.05
    assert found["regression"] <= 0.01
    assert found["not judged"] <= 0.05


def test_a_slowdown_of_a_tenth_is_found_beside_other_load() -> None:
    found = shares(1.1)
    assert found["slower"] > 0.4
    assert found["faster"] == 0
    assert shares(1.2)["regression"] > 0.6


@pytest.mark.parametrize(("drift", "doubt"), [(0.0, ""), (0.04, ""), (0.4, "their ratio drifts: +3")])
def test_a_ratio_that_changes_from_block_to_block_does_not_count(drift: float, doubt: str) -> None:
    process, block = (one.ravel() for one in np.indices((4, 8)))
    both = 1 + block / 4  # what both do is none of the ratio
    ours, theirs = (Samples(process, block, both * (1 + one * block / 7)) for one in (0.0, drift))
    assert why_no_ratio(cell(), cell(), ours, theirs, NO_BURSTS).startswith(doubt)
    assert bool(why_no_ratio(cell(), cell(), ours, theirs, NO_BURSTS)) == bool(doubt)
