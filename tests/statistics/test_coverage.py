"""Promises of 95 % under the noise of the published study, by simulation with 3, 5 and 10 processes.

The results are those tabulated in docs/explanation/statistics.md, digit by digit; `python -m tests.statistics.table`
writes them.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from assay.bench.choosing.best import MOST_GIVEN_AWAY, Speeds, tied_with_best
from assay.bench.judging.verdicts import judge
from assay.bench.statistics.selection import favoured_level, upper_quantile
from assay.bench.statistics.stats import Samples
from assay.records.base import Interval
from assay.records.choice import EligibleCell
from tests.bench.choosing.test_choose import cell
from tests.statistics.simulation import (
    COUNTS,
    FAMILY,
    NOISE,
    NOISY,
    REPEATS,
    RIVALS,
    Promise,
    contest,
    samples,
    share_held,
    stopped,
)
from tests.statistics.table import ALL, HEADING, PAGE, row

pytestmark = pytest.mark.slow

LABELS = ("torch.eager", "jax.jit", "tf.xla", "tf.function", "torch.script", "ort.cpu@tf2onnx")
LEAST = 0.95 - 4 * math.sqrt(0.95 * 0.05 / REPEATS)
"""Four standard deviations below 95 %: 92.7 %, missed by chance once in 30,000."""


@pytest.mark.parametrize("promise", ALL, ids=[promise.name for promise in ALL])
def test_a_promise_holds_as_often_as_the_page_says(promise: Promise) -> None:
    shares = [share_held(promise, count) for count in COUNTS]
    assert promise.least <= min(shares)
    assert max(shares) <= promise.most
    table = PAGE.read_text(encoding="utf-8").splitlines()
    assert HEADING in table
    assert row(promise, shares) in table


@pytest.mark.parametrize("planned", COUNTS)
def test_intervals_that_stop_at_once_are_among_those_that_hold(planned: int) -> None:
    """All together hold in 95 %. Those that stop at once do so because their spread came out small, and hold less
    often; the page says how often.
    """
    random = np.random.default_rng(planned)
    found = [stopped(random, NOISY[number % len(NOISY)], planned) for number in range(4 * REPEATS)]
    at_once = [held for held, count in found if count == planned]
    assert float(np.mean([held for held, _ in found])) >= LEAST
    said = {3: 81, 5: 91, 10: 94}
    assert 100 * float(np.mean(at_once)) == pytest.approx(said[planned], abs=5)
    assert f"{said[planned]} % of those that stop at once with {planned} planned" in " ".join(PAGE.read_text().split())


def test_without_the_correction_too_many_verdicts_are_false() -> None:
    """The purpose of the correction: 30 rivals of one native runtime, all equally fast, in families of 16."""
    random = np.random.default_rng(0)
    wrong = []
    for _ in range(300):
        ratios = [contest(random, np.zeros(1 + RIVALS), 1, 3, worst=True)[0] for _ in range(FAMILY)]
        wrong.append(
            [bool({"faster", "slower"} & set(judge(one))) for one in ([r.chosen(1, 1) for r in ratios], ratios)]
        )
    plain, corrected = np.mean(wrong, axis=0)
    assert plain > 0.1
    assert corrected <= 0.05


@pytest.mark.parametrize("processes", COUNTS)
def test_no_distances_and_no_shares_of_the_noise_make_the_fastest_of_several_miss_more_often(processes: int) -> None:
    """Proved for two candidates and left to simulation for more, on one side or on both."""
    random, repeats = np.random.default_rng(processes), 20_000
    degrees = processes - 1
    missed = []
    for above, below in ((2, 1), (3, 1), (3, 3), (5, 9), (30, 1)):
        bounds = [upper_quantile(1 - favoured_level(0.05, degrees, each), degrees, each) for each in (above, below)]
        for share in (0.0, 0.5, 0.8, 1.0):
            for apart in (0.0, 0.5, 1.5, 4.0):
                sides = [
                    _chosen_logs(random, repeats, processes, each, spread, apart)
                    for each, spread in ((above, math.sqrt(share)), (below, math.sqrt(1 - share)))
                ]
                logs = sides[0] - sides[1]
                statistic = logs.mean(axis=1) / logs.std(axis=1, ddof=1) * math.sqrt(processes)
                missed.append(float(np.mean((statistic < -bounds[0]) | (statistic > bounds[1]))))
    assert max(missed) <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / repeats)
    assert max(missed) >= 0.047, "the worst case is met"


def _chosen_logs(
    random: np.random.Generator, repeats: int, processes: int, candidates: int, spread: float, apart: float
) -> NDArray[np.float64]:
    """Of the candidate with the smallest mean, what its processes are off its truth: (repeats, processes).

    Args:
        apart: of the slowest from the fastest, in standard errors of a mean that has all of the noise.
    """
    logs = spread * random.normal(size=(repeats, candidates, processes))
    behind = np.linspace(0, apart / math.sqrt(processes), candidates)
    fastest = np.argmin(logs.mean(axis=2) + behind, axis=1)
    found: NDArray[np.float64] = logs[np.arange(repeats), fastest]
    return found


@pytest.mark.parametrize("processes", [3, 5])
def test_an_answer_is_behind_the_best_by_no_more_than_is_said(processes: int) -> None:
    """Six candidates up to 10 % apart; the slowest that ties is taken: the bound holds in 95 %."""
    random = np.random.default_rng(processes)
    truths = np.log([1.0, 1.0, 1.01, 1.03, 1.06, 1.10])
    held, given_away = 0, []
    for number in range(REPEATS):
        noise = NOISE[1 + number % (len(NOISE) - 1)]
        speeds, them = _field(random, noise, truths, processes)
        answer = max(tied_with_best(them, speeds), key=lambda one: truths[LABELS.index(one.label)])
        behind = math.expm1(float(truths[LABELS.index(answer.label)]))
        others = [one for one in them if one is not answer]
        best = min(float(truths[LABELS.index(one.label)]) for one in others)
        held += math.expm1(math.log1p(behind) - best) <= speeds.behind_at_most(answer, them) + 1e-9
        given_away.append(behind)
    assert held / REPEATS >= LEAST
    assert float(np.mean(given_away)) <= MOST_GIVEN_AWAY


def _field(
    random: np.random.Generator, noise: dict[str, object], truths: NDArray[np.float64], processes: int
) -> tuple[Speeds, list[EligibleCell]]:
    """Candidates with these logarithms of their true times, each with its own noise."""
    cells = [cell(label, 1.0) for label in LABELS]
    timed = {}
    for one, truth in zip(cells, truths, strict=True):
        made = samples(random, noise, processes, 3)
        timed[one.name] = {"host": Samples(made.process, made.block, made.values * math.exp(float(truth)))}
    one = Interval(value=1, low=1, high=1)
    them = [
        EligibleCell(
            cell=each.name, label=each.label, precision="fp32", value=one, accuracy=None, p99_ms=1, memory_mib=None
        )
        for each in cells
    ]
    return Speeds({each.name: each for each in cells}, "latency", timed), them
