"""Comparisons with the best: differences that pairs show and intervals hide, and what noise must never cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from assay.bench.choosing.best import MOST_GIVEN_AWAY, Speeds, _of_intervals, _of_processes, best_of, tied_with_best
from assay.bench.choosing.choose import choose
from assay.bench.judging.verdicts import MARGIN
from assay.bench.report.study_report import samples_of
from assay.bench.statistics.stats import Ratio, Samples, paired_ratio, quantile_intervals
from assay.records.audit import read_audit
from assay.records.base import Interval
from assay.records.choice import Constraints, EligibleCell, Objective
from assay.records.results import read_results
from tests.bench.choosing.test_choose import cell

PUBLISHED = Path(__file__).parents[3] / "artifacts/reference"
PROCESSES, BLOCKS, CALLS = 3, 6, 5
Times = NDArray[np.float64]
"""Times in milliseconds, (processes, blocks)."""


def calls(block_ms: Times) -> Samples:
    """Samples of (processes, blocks) times, the same for all calls of a block."""
    processes, blocks = block_ms.shape
    process, block = (part.repeat(CALLS) for part in np.indices((processes, blocks)).reshape(2, -1))
    return Samples(process, block, block_ms.reshape(-1).repeat(CALLS))


def candidate(label: str, samples: Samples, batch: int = 1) -> EligibleCell:
    (median,) = quantile_intervals(samples, (0.5,))
    return EligibleCell(
        cell=f"bloodnet/28/b{batch}/t1/{label}", label=label, precision="fp32", value=median, quality=None, p99_ms=1,
        memory_mib=None,
    )  # fmt: skip


def field(
    times: Mapping[str, Times], objective: Objective = "latency", batch: int = 1
) -> tuple[Speeds, list[EligibleCell]]:
    """Candidates with these block times, and their records."""
    samples = {label: calls(one) for label, one in times.items()}
    cells = [cell(label, float(np.median(one)), batch=batch) for label, one in times.items()]
    timed = {one.name: {"host": samples[one.label]} for one in cells}
    return (
        Speeds({one.name: one for one in cells}, objective, timed),
        [candidate(one.label, samples[one.label], batch) for one in cells],
    )


def noisy(*shape: int, spread: float, seed: int = 0) -> Times:
    return np.exp(np.random.default_rng(seed).normal(0, spread, shape))


def test_what_all_have_in_common_cancels_out_of_a_ratio() -> None:
    """Processes differ by 20 % for both: the intervals overlap widely, although one is certainly 10 % slower."""
    common = noisy(PROCESSES, 1, spread=0.2) * np.ones((1, BLOCKS))
    own = noisy(2, PROCESSES, BLOCKS, spread=0.002, seed=1)
    speeds, (slow, fast) = field({"torch.eager": 1.1 * common * own[0], "jax.jit": common * own[1]})
    assert slow.value.low < fast.value.high
    assert not speeds.tie(slow, fast)
    assert tied_with_best([slow, fast], speeds) == [fast]


def test_what_differs_within_the_margin_is_a_tie_however_sure() -> None:
    steady = np.ones((PROCESSES, BLOCKS))
    speeds, (one, other, third) = field({"torch.eager": 1.015 * steady, "jax.jit": steady, "tf.xla": 1.03 * steady})
    assert speeds.tie(one, other)
    assert not speeds.tie(third, other)
    assert tied_with_best([one, other, third], speeds) == [one, other]


def test_noise_does_not_make_a_slow_one_a_tie_for_the_best() -> None:
    """Estimated 20 % slower without significance: there is no evidence against it, but it is never the answer."""
    own = noisy(2, PROCESSES, BLOCKS, spread=0.0)
    own[0] *= np.array([[0.7], [1.2], [1.9]])
    speeds, (slow, fast) = field({"torch.eager": 1.2 * own[0], "jax.jit": own[1]})
    assert speeds.tie(slow, fast)
    assert speeds.ratio(slow, fast).log_mean > math.log1p(MOST_GIVEN_AWAY)
    assert tied_with_best([slow, fast], speeds) == [fast]


def test_a_rival_that_is_surely_faster_excludes_even_if_it_is_not_the_best() -> None:
    """The best is noisy; the second is 4 % faster than the third in every process."""
    steady = np.ones((PROCESSES, BLOCKS))
    best = 0.99 * steady * np.array([[0.9], [1.0], [1.11]])
    speeds, them = field({"tf.xla": best, "jax.jit": steady, "torch.eager": 1.04 * steady})
    assert best_of(them, speeds).label == "tf.xla"
    assert [one.label for one in tied_with_best(them, speeds)] == ["tf.xla", "jax.jit"]


def test_batches_are_compared_by_image_where_throughput_is_asked_for() -> None:
    steady = np.ones((PROCESSES, BLOCKS))
    cells = [cell("torch.eager", 1.0), cell("torch.eager", 8.0, batch=32)]
    samples = [calls(steady * noisy(PROCESSES, BLOCKS, spread=0.01)), calls(8 * steady)]
    timed = {one.name: {"host": each} for one, each in zip(cells, samples, strict=True)}
    single, batched = (candidate(one.label, each, one.batch) for one, each in zip(cells, samples, strict=True))
    by_name = {one.name: one for one in cells}
    assert Speeds(by_name, "throughput", timed).ratio(batched, single).log_mean == pytest.approx(
        math.log(1 / 4), abs=0.02
    )
    assert Speeds(by_name, "latency", timed).ratio(batched, single).log_mean == pytest.approx(math.log(8), abs=0.02)


def test_without_samples_the_intervals_on_record_count() -> None:
    them = [
        candidate(label, calls(np.full((3, 2), value))).model_copy(
            update={"value": Interval(value=value, low=value * 0.9, high=value * 1.1)}
        )
        for label, value in (("torch.eager", 1.1), ("jax.jit", 1.0), ("tf.xla", 2.0))
    ]
    speeds = Speeds({one.cell: cell(one.label, 1) for one in them}, "latency", {})
    assert speeds.tie(them[0], them[1])
    assert not speeds.tie(them[2], them[1])


def test_how_far_behind_is_bounded_and_nothing_for_one_that_is_surely_the_best() -> None:
    steady = np.ones((PROCESSES, BLOCKS))
    speeds, them = field(
        {"torch.eager": steady, "jax.jit": 1.5 * steady * noisy(3, 1, spread=0.001), "tf.xla": 2 * steady}
    )
    assert speeds.behind_at_most(them[0], them) == 0
    assert speeds.behind_at_most(them[2], them) == pytest.approx(1.0)
    assert speeds.behind_at_most(them[0], them[:1]) == 0


def test_a_single_block_bounds_nothing() -> None:
    speeds, them = field({"torch.eager": np.ones((1, 1)), "jax.jit": np.full((1, 1), 1.1)})
    assert speeds.behind_at_most(them[0], them) == math.inf


@given(st.lists(st.lists(st.floats(0.5, 2), min_size=6, max_size=6), min_size=2, max_size=5))
@settings(max_examples=40)
def test_the_best_is_always_tied_with_itself_and_pairs_are_mutual(times: list[list[float]]) -> None:
    labels = ["torch.eager", "jax.jit", "tf.xla", "tf.eager", "torch.script"]
    speeds, them = field({label: np.array(one).reshape(3, 2) for label, one in zip(labels, times, strict=False)})
    tied = tied_with_best(them, speeds)
    best = best_of(them, speeds)
    assert best in tied
    assert all(speeds.ratio(one, best).log_mean <= math.log1p(MOST_GIVEN_AWAY) for one in tied)
    for one in them:
        for other in them:
            assert speeds.tie(one, other) == speeds.tie(other, one)


def test_no_answer_in_the_published_study_is_slower_than_a_rival_that_surely_is_faster() -> None:
    """Six of 32 were, by 9 to 37 %, when overlapping intervals counted as ties. Half of the groups; the rest is
    `slow`.
    """
    assert _surely_slower(batches=(1,)) == []


@pytest.mark.slow
def test_nor_in_the_larger_batch() -> None:
    assert _surely_slower(batches=(32,)) == []


def _surely_slower(batches: tuple[int, ...]) -> list[str]:
    """The answers to which a qualifying rival of the same accuracy is significantly faster by more than the margin."""
    results = read_results(PUBLISHED / "results.json")
    audit, samples = read_audit(PUBLISHED / "audit.json"), samples_of(PUBLISHED, results)
    found = []
    for architecture, size in {(one.architecture, one.size) for one in results.cells}:
        for batch in batches:
            for precisions in ([], ["fp32"]):
                asked = Constraints(architecture=architecture, size=size, batch=batch, precisions=precisions)
                choice = choose(results, audit, asked, samples=samples)
                assert choice.answer
                for rival in choice.candidates:
                    if not rival.front or rival.cell == choice.answer:
                        continue
                    ratio = paired_ratio(samples[choice.answer]["host"], samples[rival.cell]["host"])
                    if ratio and ratio.low > 1 and ratio.value > 1 + MARGIN:
                        found.append(f"{choice.answer} against {rival.label}: {ratio}")
    return found


def known(*ratios: Ratio) -> tuple[Speeds, list[EligibleCell]]:
    """A first candidate, and others known to be this many times as slow."""
    labels = ["torch.eager", "jax.jit", "tf.xla"][: len(ratios) + 1]
    them = [candidate(label, calls(np.ones((3, 2)))) for label in labels]
    pairs = {(them[0].cell, other.cell): ratio for other, ratio in zip(them[1:], ratios, strict=True)}
    pairs |= {key[::-1]: ratio.inverse for key, ratio in pairs.items()}
    return Speeds({}, "latency", {}, known=pairs), them


def test_how_far_behind_is_student_s_bound_on_one_side_shared_among_the_rivals() -> None:
    """At two degrees of freedom 2.92 leaves a twentieth above it, and 4.3027 half of that."""
    near, far = Ratio(0.10, 0.02, 2, 3, 9), Ratio(0.01, 0.05, 2, 3, 9)
    speeds, them = known(near)
    assert speeds.behind_at_most(them[0], them) == pytest.approx(math.expm1(0.10 + 2.919986 * 0.02))
    assert speeds.behind_at_most(them[1], them) == 0
    speeds, them = known(near, far)
    assert speeds.behind_at_most(them[0], them) == pytest.approx(math.expm1(0.01 + 4.302653 * 0.05))
    two_processes, them = known(Ratio(0.10, 0.02, 1, 2, 9))
    assert two_processes.behind_at_most(them[0], them) == pytest.approx(math.expm1(0.10 + 6.313752 * 0.02))
    exact, them = known(Ratio(0.10, 0.0, math.inf, 3, 9))
    assert exact.behind_at_most(them[0], them) == pytest.approx(math.expm1(0.10))


@pytest.mark.parametrize(
    ("log_mean", "error", "tie"),
    [
        (math.log1p(MARGIN), 0.0, True),
        (math.log1p(MARGIN) + 1e-9, 0.0, False),
        (0.043, 0.01, True),
        (0.0431, 0.01, False),
    ],
)
def test_a_tie_is_within_the_margin_or_the_interval(log_mean: float, error: float, tie: bool) -> None:
    """4.3027 standard errors at two degrees of freedom."""
    for sign in (1, -1):
        speeds, (one, other) = known(Ratio(sign * log_mean, error, 2, 3, 9))
        assert speeds.tie(one, other) == tie


def test_five_percent_may_be_given_away_and_no_more() -> None:
    for slower, taken in ((math.log1p(0.05), True), (math.log1p(0.0501), False)):
        speeds, (one, other) = known(Ratio(slower, 1.0, 2, 3, 9))
        assert best_of([one, other], speeds) is other
        assert (one in tied_with_best([one, other], speeds)) == taken


def test_what_was_not_timed_together_is_compared_as_welch_does() -> None:
    """Errors of 0.02 / sqrt(3) with two degrees of freedom and of 0.02 with one."""
    found = _of_processes([0.0, 0.02, 0.04], [0.0, 0.04], 0)
    one, other = 0.02**2 / 3, 0.02**2
    assert (found.log_mean, found.processes) == (pytest.approx(0.0, abs=1e-12), 2)
    assert found.log_standard_error == pytest.approx(math.sqrt(one + other))
    assert found.degrees == pytest.approx((one + other) ** 2 / (one**2 / 2 + other**2))
    assert _of_processes([0.3], [0.1, 0.1, 0.1], 0) == Ratio(pytest.approx(0.2), 0.0, 0, 1, 0)
    assert _of_processes([0.1, 0.1], [0.0, 0.0], 0).degrees == math.inf


@pytest.mark.parametrize(("objective", "sign"), [("latency", 1), ("throughput", -1), ("cost", 1)])
def test_intervals_on_record_are_taken_as_independent_and_more_images_are_better(
    objective: Objective, sign: int
) -> None:
    one, other = (
        candidate("torch.eager", calls(np.ones((3, 2)))).model_copy(update={"value": value})
        for value in (Interval(value=2, low=1, high=4), Interval(value=1, low=0.5, high=2))
    )
    found = _of_intervals(one, other, objective)
    assert found.log_mean == pytest.approx(sign * math.log(2))
    assert found.log_standard_error == pytest.approx(math.log(2) * math.sqrt(2) / 1.96)
    assert found.degrees == math.inf


def test_a_pair_is_compared_once_and_known_both_ways() -> None:
    speeds, (one, other) = field({"torch.eager": np.ones((3, 2)), "jax.jit": 1.5 * np.ones((3, 2))})
    found = speeds.ratio(one, other)
    assert speeds.known == {(one.cell, other.cell): found, (other.cell, one.cell): found.inverse}
    assert speeds.ratio(other, one) == found.inverse


def test_where_samples_of_one_are_missing_the_intervals_on_record_count() -> None:
    speeds, (one, other) = field({"torch.eager": np.ones((3, 2)), "jax.jit": 1.5 * np.ones((3, 2))})
    for missing in (one, other):
        timed = {name: known for name, known in speeds.timed.items() if name != missing.cell}
        found = Speeds(speeds.cells, "latency", timed).ratio(one, other)
        assert (found.processes, found.degrees) == (0, math.inf)
