"""Every interval and verdict that Assay prints, under the noise of the published study: how often it holds.

noise.json holds, for 30 cells of that study, the spread between processes and between blocks of the logarithm of a
call, and 41 quantiles of the difference between calls and their block's median. `PROMISES` are tabulated in
docs/explanation/statistics.md.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.bench.comparing.compare import unpaired_ratio
from assay.bench.explaining.estimate import profiled_estimate, skeleton_estimate
from assay.bench.judging.verdicts import judge
from assay.bench.serving.load import RATES_TRIED
from assay.bench.serving.load_numbers import search_rate
from assay.bench.statistics.intervals import difference_over_processes, ratio_over_processes
from assay.bench.statistics.stats import Ratio, Samples, quantile_intervals, ratio_estimate, standard_error
from assay.bench.statistics.tails import tail
from assay.bench.timing.width import OUT_OF_THE_RUNNING
from assay.infer.profile.timing import Round
from assay.numerics.classification.significance import most_accuracy_lost
from assay.records.base import Interval
from assay.records.load import RateTried
from assay.train.metrics import macro_auc, share

NOISE = json.loads((Path(__file__).parent / "noise.json").read_text(encoding="utf-8"))
NOISY = [one for one in NOISE if one["processes"] > 0]
"""Without the one cell whose processes did not differ at all."""
BLOCKS, CALLS = 6, 20
REPEATS = 1500
COUNTS = (3, 5, 10)
MOST_PROCESSES, WANTED_HALF = 40, 0.01
FAMILY, RIVALS = 16, 30
Random = np.random.Generator
Noise = dict[str, object]


@dataclass(frozen=True)
class Promise:
    """Something that Assay says, and how often it is to hold.

    Attributes:
        name: as the table has it.
        held: the share of simulations in which it holds, at so many processes.
        least, most: what that share has to be within.
    """

    name: str
    held: Callable[[Random, int], float]
    least: float = 0.93
    most: float = 0.97


def samples(
    random: Random, noise: Noise, processes: int, calls: int = CALLS, planned: int = 0, blocks: int = BLOCKS
) -> Samples:
    """Calls whose median is one."""
    shape = (processes, blocks, calls)
    process = random.normal(0, float(str(noise["processes"])), (processes, 1, 1))
    block = random.normal(0, float(str(noise["blocks"])), (processes, blocks, 1))
    quantiles: NDArray[np.float64] = np.asarray(noise["calls"])
    call = np.interp(random.random(shape), np.linspace(0, 1, len(quantiles)), quantiles)
    places = np.indices(shape)
    return Samples(places[0].reshape(-1), places[1].reshape(-1), np.exp(process + block + call).reshape(-1), planned)


def spread(noise: Noise) -> float:
    """Standard deviation of a process's logarithm: its own, and what remains of its blocks."""
    return math.hypot(float(str(noise["processes"])), float(str(noise["blocks"])) / math.sqrt(BLOCKS))


def holds(found: Interval, truth: float) -> bool:
    return found.low <= truth <= found.high


def over_noises(held: Callable[[Random, Noise, int], bool], random: Random, processes: int) -> float:
    """The share of simulations in which something holds, over all noises in turn."""
    return float(np.mean([held(random, NOISY[number % len(NOISY)], processes) for number in range(REPEATS)]))


def paired(random: Random, noise: Noise, processes: int) -> bool:
    found = ratio_estimate(samples(random, noise, processes, 3), samples(random, noise, processes, 3))
    assert found is not None
    return holds(found.interval, 1)


def unpaired(random: Random, noise: Noise, processes: int) -> bool:
    return holds(unpaired_ratio(samples(random, noise, processes, 3), samples(random, noise, 3, 3)).interval, 1)


def quantile(wanted: float, random: Random, processes: int) -> float:
    """There are fewer rounds, because an interval of a quantile takes a hundred times as long as that of a ratio."""
    held = []
    for noise in NOISY:
        truth = float(np.quantile(samples(random, noise, 3000, 4).values, wanted))
        held += [holds(quantile_intervals(samples(random, noise, processes), (wanted,))[0], truth) for _ in range(20)]
    return float(np.mean(held))


def tail_bound(side: str, random: Random, processes: int) -> float:
    """The share of the stated bounds; few calls have no upper bound."""
    held = []
    for noise in NOISE:
        truth = float(np.quantile(samples(random, noise, 4000, 4).values, 0.99))
        for _ in range(30):
            found = tail(samples(random, noise, processes))
            if side == "below":
                held.append(found.low <= truth)
            elif found.high is not None:
                held.append(truth <= found.high)
    return float(np.mean(held))


def stopped(random: Random, noise: Noise, planned: int) -> tuple[bool, int]:
    """A ratio to which processes are added until it is known to 2 %: whether it holds, and how many there are."""
    logs = random.normal(0, spread(noise) * math.sqrt(2), MOST_PROCESSES)
    for count in range(planned, MOST_PROCESSES + 1):
        error, degrees = standard_error(logs[:count].tolist(), planned)
        ratio = Ratio(float(np.mean(logs[:count])), error, degrees, count, count)
        if ratio.half_width() <= WANTED_HALF:
            break
    return holds(ratio.interval, 1), count


def stopping(random: Random, noise: Noise, planned: int) -> bool:
    return stopped(random, noise, planned)[0]


def load_overhead(random: Random, noise: Noise, planned: int) -> bool:
    """The time that a server adds: processes are added until half the interval is 5 % of it, up to four times
    as many.
    """
    values = np.exp(random.normal(0, spread(noise), 4 * planned)) - math.exp(spread(noise) ** 2 / 2)
    enough = 0.05 * (1 + float(np.mean(values[:planned])))
    for count in range(planned, 4 * planned + 1):
        found = difference_over_processes(values[:count].tolist(), planned)
        if found.high - found.value <= enough:
            break
    return holds(found, 0)


def highest_rate(random: Random, noise: Noise, searches: int) -> bool:
    """A server whose highest rate varies from try to try, and a search that begins anywhere near it."""

    def tried(rate: float) -> RateTried:
        return RateTried(rate=rate, p99_ms=1, holds=bool(rate <= math.exp(random.normal(0, spread(noise)))))

    found = search_rate(tried, 0.7 * math.exp(random.normal(0, 0.3)), 5, RATES_TRIED, searches)
    return found.interval is not None and holds(found.interval, 1)


def wavering_rate(wavers_by: float, random: Random, searches: int) -> float:
    """The same for one server that varies by this much."""
    server: Noise = {"processes": wavers_by, "blocks": 0.0}
    return float(np.mean([highest_rate(random, server, searches) for _ in range(REPEATS)]))


def accuracy(images: int, random: Random, processes: int) -> float:
    """Wilson's interval of the share of right answers, for models that are right in 80 to 100 %: no processes."""
    del processes
    shares = random.uniform(0.8, 1, 10 * REPEATS)
    right = random.binomial(images, shares)
    return float(np.mean([holds(share(int(one), images), truth) for one, truth in zip(right, shares, strict=True)]))


def over_processes(random: Random, noise: Noise, processes: int) -> bool:
    return holds(ratio_over_processes(np.exp(random.normal(0, spread(noise), processes)).tolist()), 1)


def contest(
    random: Random,
    truths: NDArray[np.float64],
    natives: int,
    processes: int,
    *,
    worst: bool = False,
    screened: bool = False,
) -> tuple[Ratio, float]:
    """The fastest native and the fastest other cell by the samples: their ratio, and the logarithm of its truth.

    Args:
        truths: logarithms of the true times, natives first.
        worst: whether the rivals have one common spread and natives none; otherwise each has that of a published cell.
        screened: whether only cells near the fastest of their side in the first process have the others.
    """
    places = random.integers(0, len(NOISY), 1 if worst else len(truths))
    spreads = np.array(np.broadcast_to([spread(NOISY[place]) for place in places], len(truths)))
    spreads[:natives] *= not worst
    logs = truths[:, None] + random.normal(0, 1, (len(truths), processes)) * spreads[:, None]
    medians = np.median(logs, axis=1)
    if screened:
        for side in (slice(0, natives), slice(natives, None)):
            behind = logs[side, 0] > logs[side, 0].min() + math.log(OUT_OF_THE_RUNNING)
            medians[side][behind] = math.inf
    native, other = int(np.argmin(medians[:natives])), natives + int(np.argmin(medians[natives:]))
    ratio = ratio_estimate(*(_one_block(logs[place]) for place in (other, native)))
    assert ratio is not None
    return ratio.chosen(len(truths) - natives, natives), float(truths[other] - truths[native])


def _one_block(logs: NDArray[np.float64]) -> Samples:
    return Samples(np.arange(len(logs)), np.zeros(len(logs), np.int64), np.exp(logs))


def chosen(natives: int, apart: float, worst: bool, screened: bool, random: Random, processes: int) -> float:
    """Intervals of the fastest against the fastest, for candidates that are up to this far apart."""
    held = []
    for _ in range(REPEATS):
        truths = random.uniform(0, apart, natives + RIVALS)
        ratio, truth = contest(random, truths, natives, processes, worst=worst, screened=screened)
        held.append(holds(ratio.interval, math.exp(truth)))
    return float(np.mean(held))


def no_false_verdict(natives: int, random: Random, processes: int) -> float:
    """Families of 16 groups, in each of which all candidates are equally fast."""
    held = []
    for _ in range(REPEATS // 3):
        family = [
            contest(random, np.zeros(natives + RIVALS), natives, processes, worst=natives == 1)[0]
            for _ in range(FAMILY)
        ]
        held.append(not {"faster", "slower"} & set(judge(family)))
    return float(np.mean(held))


def no_false_same(random: Random, processes: int) -> float:
    """Families of 16 ratios at the edge of the margin, with a spread at which "same" is possible."""
    held = []
    for _ in range(3 * REPEATS):
        logs = random.normal(math.log1p(0.02), 0.002, (FAMILY, processes))
        errors = logs.std(axis=1, ddof=1) / math.sqrt(processes)
        family = [
            Ratio(float(mean), float(error), processes - 1, processes, 9)
            for mean, error in zip(logs.mean(axis=1), errors, strict=True)
        ]
        held.append("same" not in judge(family))
    return float(np.mean(held))


def kernels(random: Random, processes: int) -> float:
    """Kernel time by the profile: shares that differ between processes by 3 points, a median known to some percent."""
    held = []
    for _ in range(REPEATS):
        shares = random.normal(0.7, 0.03, processes)
        rounds = [[_round(share, random) for _ in range(4)] for share in shares]
        wall = ratio_over_processes((2 * np.exp(random.normal(0, 0.02, processes))).tolist())
        found = profiled_estimate(rounds, [0.0] * processes, wall, processes).kernel_ms
        assert found is not None
        held.append(holds(found, 2 * 0.7))
    return float(np.mean(held))


def _round(share: float, random: Random) -> Round:
    wall = 1e6 * math.exp(random.normal(0, 0.01))
    return Round(plain_ns=wall, profiled_ns=wall, kernel_ns=share * wall, events=1, events_inside=0, calls=9)


def framework(random: Random, noise: Noise, processes: int) -> bool:
    """Framework time by the skeleton."""
    bursts = np.exp(random.normal(0, spread(noise), (processes, 1)) + random.normal(0, 0.01, (processes, 3)))
    found = skeleton_estimate((bursts * 1e6).tolist(), Interval(value=9, low=8, high=10)).overhead_ms
    assert found is not None
    return holds(found, 1)


def kernels_by_skeleton(random: Random, noise: Noise, processes: int) -> bool:
    """The rest of a median of 3 ms, known to some percent, after a framework of 1 ms by the skeleton."""
    bones = np.exp(random.normal(0, spread(noise), (processes, 1)) + random.normal(0, 0.01, (processes, 3)))
    wall = ratio_over_processes((3 * np.exp(random.normal(0, 0.02, processes))).tolist())
    found = skeleton_estimate((bones * 1e6).tolist(), wall, processes).kernel_ms
    assert found is not None
    return holds(found, 2)


def area(apart: float, images: int, random: Random, processes: int) -> float:
    """Macro AUC of four classes whose own logit is larger by this much, in this many images: no processes."""
    del processes

    def drawn(count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        labels = random.integers(0, 4, count)
        return (random.normal(size=(count, 4)) + apart * np.eye(4)[labels]).astype(np.float32), labels

    truth = macro_auc(*drawn(200_000)).value
    return float(np.mean([holds(macro_auc(*drawn(images)), truth) for _ in range(REPEATS)]))


def accuracy_lost(random: Random, processes: int) -> float:
    """The bound of the lost accuracy, for 1,000 images of which 2 % are lost and 1 % gained: no processes."""
    del processes
    drawn = random.multinomial(1000, [0.02, 0.01, 0.97], REPEATS)
    return float(np.mean([most_accuracy_lost(1000, int(lost), int(gained)) >= 0.01 for lost, gained, _ in drawn]))


PROMISES = (
    Promise("ratio of two runtimes, in the same blocks", partial(over_noises, paired)),
    Promise("ratio of two runs, one of them of three processes", partial(over_noises, unpaired), most=0.98),
    Promise("median of a cell", partial(quantile, 0.5)),
    Promise("90th percentile of a cell", partial(quantile, 0.9), most=0.985),
    Promise("99th percentile, lower bound", partial(tail_bound, "below"), most=1.0),
    Promise("99th percentile, upper bound where there is one", partial(tail_bound, "above"), most=1.0),
    Promise("ratio, with processes added until it is known to 2 %", partial(over_noises, stopping)),
    Promise("what a server adds, with processes added until it is known to 5 %", partial(over_noises, load_overhead)),
    Promise("rate and percentiles of a load test", partial(over_noises, over_processes)),
    Promise("highest rate of a server, by as many searches", partial(over_noises, highest_rate), most=1.0),
    Promise("highest rate of a server that wavers by 20 %", partial(wavering_rate, 0.2)),
    Promise("fastest of 30 against one native, the worst case", partial(chosen, 1, 0.0, True, False)),
    Promise(
        "fastest of 30 against the fastest of 9, up to 20 % apart", partial(chosen, 9, 0.2, False, False), most=1.0
    ),
    Promise(
        "the same where the first process drops what is far behind", partial(chosen, 9, 0.2, False, True), most=1.0
    ),
    Promise("kernel time, by the profile", kernels),
    Promise("kernel time, by the skeleton", partial(over_noises, kernels_by_skeleton)),
    Promise("framework time, by the skeleton", partial(over_noises, framework)),
    Promise("accuracy on 1,000 images", partial(accuracy, 1000)),
    Promise("accuracy on 30 images, as of a rare class", partial(accuracy, 30)),
    Promise("macro AUC of 0.90 on 400 images", partial(area, 1.5, 400), most=1.0),
    Promise("macro AUC of 0.997 on 400 images", partial(area, 3.0, 400), most=1.0),
    Promise("macro AUC of 0.997 on 100 images", partial(area, 3.0, 100), most=1.0),
    Promise("accuracy that is lost at most", accuracy_lost),
    Promise("no false verdict in a family of 16, one native and 30 rivals", partial(no_false_verdict, 1), most=1.0),
    Promise("no false verdict in a family of 16, 9 natives and 30 rivals", partial(no_false_verdict, 9), most=1.0),
    Promise('no false "same within 2 %" in a family of 16', no_false_same, most=1.0),
)


def share_held(promise: Promise, processes: int) -> float:
    """The promises, by simulation that gives the same every time."""
    return promise.held(np.random.default_rng([processes, zlib.crc32(promise.name.encode())]), processes)
