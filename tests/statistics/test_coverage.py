"""Promises of 95 % under the noise of the published study: by simulation, at 3, 5 and 10 processes.

noise.json holds, of 30 cells of that study, the spread between processes and between blocks of the logarithm of a
call, and 41 quantiles of what calls differ from their block's median.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from assay.choice import Candidate
from assay.records import Interval
from bench.best import MOST_GIVEN_AWAY, Speeds, tied_with_best
from bench.stats import Samples, ratio_estimate
from bench.tails import tail
from tests.bench.test_choose import cell

pytestmark = pytest.mark.slow

NOISE = json.loads((Path(__file__).parent / "noise.json").read_text(encoding="utf-8"))
LABELS = ("torch.eager", "jax.jit", "tf.xla", "tf.function", "torch.script", "ort.cpu@tf2onnx")
BLOCKS, CALLS = 6, 20
REPEATS = 1500
LEAST = 0.95 - 4 * math.sqrt(0.95 * 0.05 / REPEATS)
"""Four standard deviations below 95 %: 92.7 %, missed by chance once in 30,000."""
MOST = 0.95 + 4 * math.sqrt(0.95 * 0.05 / REPEATS)


def samples(random: np.random.Generator, noise: dict[str, object], processes: int, calls: int = CALLS) -> Samples:
    """Calls whose median is one."""
    shape = (processes, BLOCKS, calls)
    process = random.normal(0, float(str(noise["processes"])), (processes, 1, 1))
    block = random.normal(0, float(str(noise["blocks"])), (processes, BLOCKS, 1))
    quantiles: NDArray[np.float64] = np.asarray(noise["calls"])
    call = np.interp(random.random(shape), np.linspace(0, 1, len(quantiles)), quantiles)
    places = np.indices(shape)
    return Samples(places[0].reshape(-1), places[1].reshape(-1), np.exp(process + block + call).reshape(-1))


@pytest.mark.parametrize("processes", [3, 5, 10])
def test_a_paired_ratio_holds_the_truth(processes: int) -> None:
    """Two runtimes of one and the same speed and each other's noise: one is in 95 % of the intervals."""
    random = np.random.default_rng(processes)
    held = 0
    for number in range(REPEATS):
        noise = NOISE[1 + number % (len(NOISE) - 1)]
        found = ratio_estimate(samples(random, noise, processes, 3), samples(random, noise, processes, 3))
        assert found is not None
        held += found.interval.low <= 1 <= found.interval.high
    assert LEAST <= held / REPEATS <= MOST


@pytest.mark.parametrize("processes", [3, 5, 10])
def test_the_99th_percentile_is_bounded(processes: int) -> None:
    """Each side that is said holds in 95 % or more, for calls that are not independent, over all noises together."""
    random = np.random.default_rng(processes)
    above, below, said, rounds = 0, 0, 0, 40
    for noise in NOISE:
        truth = float(np.quantile(samples(random, noise, 4000, 4).values, 0.99))
        for _ in range(rounds):
            found = tail(samples(random, noise, processes))
            said += found.high is not None
            above += found.high is not None and truth <= found.high
            below += found.low <= truth
    assert said >= rounds
    assert above / said >= LEAST
    assert below / len(NOISE) / rounds >= LEAST


@pytest.mark.parametrize("processes", [3, 5])
def test_an_answer_is_behind_the_best_by_no_more_than_is_said(processes: int) -> None:
    """Six candidates up to 10 % apart, the one taken that is tied and the slowest: the bound holds in 95 %."""
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
) -> tuple[Speeds, list[Candidate]]:
    """Candidates with these logarithms of their true times, each with its own noise."""
    cells = [cell(label, 1.0) for label in LABELS]
    timed = {}
    for one, truth in zip(cells, truths, strict=True):
        made = samples(random, noise, processes, 3)
        timed[one.name] = {"host": Samples(made.process, made.block, made.values * math.exp(float(truth)))}
    one = Interval(value=1, low=1, high=1)
    them = [
        Candidate(
            cell=each.name, label=each.label, precision="fp32", value=one, accuracy=None, p99_ms=1, memory_mib=None
        )
        for each in cells
    ]
    return Speeds({each.name: each for each in cells}, "latency", timed), them
