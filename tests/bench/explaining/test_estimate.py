"""The two estimators, the fit and the crossover, compared with known truths."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest

from assay.bench.explaining.estimate import (
    affine_fits,
    crossovers,
    event_cost_ns,
    judged,
    profiled_estimate,
    skeleton_estimate,
)
from assay.infer.profile.calls import Operator, ProfiledCall
from assay.infer.profile.timing import Profiled, Round, events_inside, profile_in_turns, time_plainly
from assay.infer.runtimes.calibrated import spend
from assay.records.attribution import Attribution, ProfiledEstimate, SkeletonEstimate
from assay.records.base import Interval
from assay.records.results import Cell
from assay.records.timings import Timing

OVERHEAD_NS, KERNEL_NS, EVENT_NS = 200_000, 600_000, 40_000


class KnownSession:
    """Framework work, a kernel, framework work; `events` makes every recorded event cost time, half of it inside."""

    def __init__(self, kernel_ns: int = KERNEL_NS) -> None:
        self.kernel_ns, self.recording = kernel_ns, False
        self.kernels: list[Operator] = []

    def run(self, native: object) -> object:
        spend(OVERHEAD_NS // 2)
        if self.recording:
            spend(EVENT_NS // 2)
        start = time.perf_counter_ns()
        if self.recording:
            spend(EVENT_NS // 2)
        spend(max(self.kernel_ns, 1))
        self.kernels.append(Operator("kernel", "Conv", start, time.perf_counter_ns(), "thread"))
        spend(OVERHEAD_NS // 2)
        return native


class KnownRecorder:
    """A profiler of our own for it."""

    def __init__(self, session: KnownSession) -> None:
        self._session = session
        self._calls: list[ProfiledCall] = []

    def burst(self, natives: Sequence[object], calls: int) -> list[int]:
        self._session.recording, found = True, []
        for _ in range(calls):
            start = time.perf_counter_ns()
            self._session.run(natives[0])
            end = time.perf_counter_ns()
            self._calls.append(ProfiledCall(start, end, (self._session.kernels[-1],), 1))
            found.append(end - start)
        self._session.recording = False
        return found

    def finish(self) -> list[ProfiledCall]:
        return self._calls


def known_profile() -> Profiled:
    session = KnownSession()
    return profile_in_turns(session, [None], KnownRecorder(session), 1.0)  # type: ignore[arg-type]


def exact(value: float) -> Interval:
    return Interval(value=value, low=value, high=value)


def test_both_estimators_separate_a_known_kernel_and_overhead() -> None:
    """Shares, not times: the same clock measures both parts, whatever else the machine does."""
    figures = known_profile()
    wall = exact((OVERHEAD_NS + KERNEL_NS) / 1e6)
    profiled = profiled_estimate([figures.rounds], [event_cost_ns([figures.rounds])], wall)
    assert profiled.kernel_ms is not None
    assert profiled.kernel_ms.value / wall.value == pytest.approx(KERNEL_NS / (OVERHEAD_NS + KERNEL_NS), abs=0.05)
    bones = time_plainly(KnownSession(kernel_ns=0), [None], 0.5)  # type: ignore[arg-type]
    skeleton = skeleton_estimate([[float(np.min(bones))]], wall)
    assert skeleton.overhead_ms is not None
    assert skeleton.overhead_ms.value / wall.value == pytest.approx(OVERHEAD_NS / (OVERHEAD_NS + KERNEL_NS), abs=0.05)
    one = Attribution(cell="known", wall_ms=wall, transfer_ms=0, profiled=profiled, skeleton=skeleton)
    assert judged(one).agree


def rounds_of(
    plain: float, profiled: float, kernel: float, events: float, inside: float, count: int = 5
) -> list[Round]:
    one = Round(plain_ns=plain, profiled_ns=profiled, kernel_ns=kernel, events=events, events_inside=inside, calls=10)
    return [one] * count


def test_what_the_profiler_costs_is_taken_off() -> None:
    """100 events of 10 ns: 60 of them lengthen the kernels."""
    rounds = rounds_of(plain=10_000, profiled=11_000, kernel=8_600, events=100, inside=60)
    assert event_cost_ns([rounds]) == pytest.approx(10)
    estimate = profiled_estimate([rounds] * 2, [10] * 2, exact(2.0))
    assert estimate.kernel_ms is not None
    assert estimate.kernel_ms.value == pytest.approx(1.6)
    assert estimate.inflation is not None
    assert estimate.inflation.value == pytest.approx(1.1)
    assert estimate.trusted


def test_a_noisy_batch_does_not_raise_the_cost_of_an_event() -> None:
    quiet = rounds_of(plain=10_000, profiled=10_500, kernel=9_000, events=50, inside=25)
    noisy = rounds_of(plain=1e8, profiled=1.3e8, kernel=1.2e8, events=50, inside=25)
    assert event_cost_ns([quiet, noisy]) == pytest.approx(10)
    assert event_cost_ns([]) == 0


def test_a_profiler_that_is_faster_than_nothing_costs_nothing() -> None:
    assert event_cost_ns([rounds_of(plain=10_000, profiled=9_000, kernel=8_000, events=50, inside=25)]) == 0


def test_large_inflation_is_marked() -> None:
    estimate = profiled_estimate([rounds_of(10_000, 16_000, 9_000, 100, 50)], [60], exact(1.0))
    assert not estimate.trusted
    assert "1.6 times" in estimate.reason


def test_intervals_of_both_estimators_are_over_processes() -> None:
    """Rounds that are equal within a process do not show how processes differ: 80, 85 and 90 % are kernels."""
    processes = [rounds_of(10_000, 10_000, kernel, 100, 50) for kernel in (8_000, 8_500, 9_000)]
    found = profiled_estimate(processes, [0, 0, 0], exact(2.0))
    half = 4.302653 * 0.05 / 3**0.5
    assert found.kernel_ms is not None
    assert found.overhead_ms is not None
    assert (found.kernel_ms.low, found.kernel_ms.high) == pytest.approx((1.7 - 2 * half, 1.7 + 2 * half), abs=1e-4)
    assert (found.overhead_ms.low, found.overhead_ms.high) == pytest.approx((0.3 - 2 * half, 0.3 + 2 * half), abs=1e-4)
    assert found.processes == 3
    bones = skeleton_estimate([[5e5, 5e5], [6e5, 6e5], [7e5, 7e5]], exact(2.0))
    assert bones.overhead_ms is not None
    assert bones.overhead_ms.low < 0.5
    assert bones.overhead_ms.high > 0.7
    assert bones.processes == 3


def test_each_process_is_corrected_by_its_own_cost() -> None:
    """Half of each event is inside operators: with 20 and 0 ns per event, 8,000 of 10,000 ns are kernels in both."""
    dear, cheap = rounds_of(10_000, 12_000, 9_000, 100, 50), rounds_of(10_000, 10_000, 8_000, 100, 50)
    found = profiled_estimate([dear, cheap], [20, 0], exact(1.0))
    assert found.kernel_ms is not None
    assert (found.kernel_ms.low, found.kernel_ms.high) == pytest.approx((0.8, 0.8))


def test_one_process_shows_nothing_about_the_others() -> None:
    found = profiled_estimate([rounds_of(10_000, 10_000, 8_000, 100, 50)], [0], exact(2.0))
    assert found.kernel_ms == Interval(value=1.6, low=0, high=2)
    assert found.inflation is None
    assert found.processes == 1


def test_a_part_is_as_uncertain_as_the_whole() -> None:
    """The cell's own median is uncertain by a tenth, and therefore so are its parts."""
    processes = [rounds_of(10_000, 10_000, 8_000, 100, 50)] * 3
    found = profiled_estimate(processes, [0, 0, 0], Interval(value=2.0, low=1.8, high=2.2))
    assert found.kernel_ms is not None
    assert (found.kernel_ms.low, found.kernel_ms.high) == pytest.approx((1.44, 1.76))
    bones = skeleton_estimate([[4e5]] * 3, Interval(value=2.0, low=1.8, high=2.2))
    assert bones.kernel_ms is not None
    assert (bones.kernel_ms.low, bones.kernel_ms.high) == pytest.approx((1.4, 1.8))


def test_a_gpus_kernels_are_a_share_of_the_call_without_the_profiler_whatever_it_costs() -> None:
    """Launches take twice as long under the profiler, kernels do not; gaps are no longer than what the call leaves."""
    for gap, share in ((1_000, 0.1), (9_000, 0.4)):
        one = Round(plain_ns=10_000, profiled_ns=20_000, kernel_ns=6_000, events=50, events_inside=0, calls=10)
        rounds = [one.model_copy(update={"on_gpu": True, "gap_ns": gap})] * 3
        found = profiled_estimate([rounds] * 2, [0, 200], exact(2.0))
        assert found.kernel_ms is not None
        assert found.gaps_ms is not None
        assert (found.trusted, found.reason) == (True, "")
        assert (found.kernel_ms.value, found.gaps_ms.value) == pytest.approx((1.2, 2 * share))
    assert profiled_estimate([rounds_of(10_000, 11_000, 6_000, 50, 25)], [20], exact(2.0)).gaps_ms is None


def test_events_are_inside_operators_by_half_or_wholly() -> None:
    outer, inner, second = Operator("a", "a", 0, 50), Operator("b", "b", 10, 20), Operator("c", "c", 60, 70)
    assert events_inside(ProfiledCall(0, 100, (outer, inner, second), 5)) == 2.0


def test_a_skeleton_never_takes_more_than_the_whole() -> None:
    estimate = skeleton_estimate([[3e6, 3.1e6], [3.2e6]], exact(2.0))
    assert estimate.overhead_ms is not None
    assert estimate.kernel_ms is not None
    assert estimate.overhead_ms.value == 2.0
    assert estimate.kernel_ms.value == 0.0


@pytest.mark.parametrize(("kernel", "agree"), [(0.8, True), (0.7, True), (0.5, False), (1.0, False)])
def test_estimators_agree_within_fifteen_percent_of_the_wall_time(kernel: float, agree: bool) -> None:
    one = judged(attribution("a", 1.0, profiled=kernel, skeleton=0.82))
    assert one.agree is agree
    assert bool(one.remark) is not agree


def cell(size: int, batch: int, wall: float) -> Cell:
    timing = Timing(median_ms=exact(wall), p90_ms=exact(wall), p99_ms=exact(wall), samples=9, processes=3)
    return Cell(
        name=f"bloodnet/{size}/b{batch}/t1/jax.jit",
        architecture="bloodnet",
        size=size,
        batch=batch,
        threads=1,
        device_kind="cpu",
        runtime="jax.jit",
        framework="jax",
        label="jax.jit",
        status="ok",
        weights="w",
        host=timing,
        device=timing,
    )


def attribution(name: str, wall: float, profiled: float, skeleton: float | None = None) -> Attribution:
    bones = SkeletonEstimate(reason="none")
    if skeleton is not None:
        bones = SkeletonEstimate(kernel_ms=exact(skeleton), overhead_ms=exact(wall - skeleton))
    estimate = ProfiledEstimate(kernel_ms=exact(profiled), overhead_ms=exact(wall - profiled), trusted=True)
    return Attribution(cell=name, wall_ms=exact(wall), transfer_ms=0.0, profiled=estimate, skeleton=bones)


def test_the_fit_finds_what_a_call_and_an_image_cost() -> None:
    (fit,) = affine_fits([cell(28, batch, 0.5 + 0.25 * batch) for batch in (1, 8, 32)])
    assert fit.fixed_ms == pytest.approx(0.5)
    assert fit.per_image_ms == pytest.approx(0.25)
    assert fit.worst_relative_error < 1e-9
    assert affine_fits([cell(28, 1, 1.0)]) == []


@pytest.mark.parametrize(
    ("shares", "place", "pixels"),
    [
        ((0.2, 0.8), "between", 56.0),
        ((0.2, 0.4), "above", None),
        ((0.6, 0.9), "below", None),
        ((0.0, 1.0), "between", 56.0),
    ],
)
def test_the_crossover_is_where_kernels_outweigh_the_framework(
    shares: tuple[float, float], place: str, pixels: float | None
) -> None:
    cells = [cell(28, 1, 1.0), cell(112, 1, 1.0)]
    found = [attribution(one.name, 1.0, share) for one, share in zip(cells, shares, strict=True)]
    (crossover,) = crossovers(cells, found)
    assert crossover.estimator == "profiled"
    assert crossover.place == place
    assert crossover.pixels == (None if pixels is None else pytest.approx(pixels))


def a_round(plain: float, profiled: float, kernel: float = 0, events: float = 0, inside: float = 0) -> Round:
    return Round(plain_ns=plain, profiled_ns=profiled, kernel_ns=kernel, events=events, events_inside=inside, calls=10)


def test_inflation_is_that_of_lower_quartiles() -> None:
    """The second fastest of five rounds of each kind: 12,000 over 10,000, whatever disturbed the others."""
    rounds = [a_round(*one) for one in ((9e3, 11e3), (10e3, 12e3), (20e3, 50e3), (30e3, 60e3), (40e3, 70e3))]
    found = profiled_estimate([rounds, rounds], [0, 0], exact(1.0))
    assert found.inflation is not None
    assert found.inflation.value == pytest.approx(1.2)
    assert event_cost_ns([[a_round(*one, events=4) for one in ((9e3, 11e3), (10e3, 12e3), (20e3, 50e3))]]) == 250 * 2


def test_an_event_is_shared_out_among_one_at_least() -> None:
    assert event_cost_ns([[a_round(10e3, 12e3, events=0)] * 3]) == 2000
    assert event_cost_ns([[a_round(10e3, 12e3, events=1)] * 3]) == 2000
    assert event_cost_ns([[a_round(10e3, 12e3, events=2)] * 3]) == 1000


def test_a_share_is_that_of_the_faster_half_of_the_rounds_and_stays_within_none_and_all() -> None:
    fast, slow = a_round(10e3, 10e3, kernel=4e3), a_round(10e3, 30e3, kernel=27e3)
    estimate = profiled_estimate([[fast, fast, slow, slow, slow]] * 2, [0, 0], exact(1.0)).kernel_ms
    assert estimate is not None
    assert estimate.value == pytest.approx(0.9), "the median round is one of the faster half"
    estimate = profiled_estimate([[fast, fast, fast, slow, slow]] * 2, [0, 0], exact(1.0)).kernel_ms
    assert estimate is not None
    assert estimate.value == pytest.approx(0.4)
    for kernel, share in ((12e3, 1.0), (-1e3, 0.0)):
        found = profiled_estimate([[a_round(10e3, 10e3, kernel=kernel)] * 3] * 2, [0, 0], exact(1.0)).kernel_ms
        assert found is not None
        assert found.value == share


@pytest.mark.parametrize(("profiled", "trusted"), [(15_000, True), (15_001, False)])
def test_an_inflation_by_half_is_trusted_and_more_is_not(profiled: float, trusted: bool) -> None:
    found = profiled_estimate([[a_round(10_000, profiled, 1e3, 7)] * 4] * 2, [0, 0], exact(1.0))
    assert found.trusted == trusted
    assert (found.calls, found.events, found.processes) == (80, 7, 2)


@pytest.mark.parametrize(("kernel", "agree"), [(0.651, True), (0.649, False), (0.949, True), (0.951, False)])
def test_estimators_that_are_less_than_fifteen_percent_apart_agree(kernel: float, agree: bool) -> None:
    """A share of the wall time, whichever counts more."""
    for wall in (1.0, 4.0):
        assert judged(attribution("a", wall, profiled=kernel * wall, skeleton=0.8 * wall)).agree is agree


def test_who_counts_more_as_kernels_is_said() -> None:
    assert judged(attribution("a", 2.0, profiled=1.0, skeleton=0.2)).remark.startswith("the profile counts more")
    assert judged(attribution("a", 2.0, profiled=0.2, skeleton=1.0)).remark.startswith("the profile counts less")
    alone = attribution("a", 2.0, profiled=1.0)
    assert judged(alone) == alone


def test_the_fit_uses_relative_errors_and_gives_its_worst_one() -> None:
    """1 and 3 ms at batch 1, and 2 ms at batch 2, weighted by their times: least squares of (f + p b) / t - 1."""
    cells = [cell(28, 1, 1.0), cell(28, 2, 2.0), cell(28, 4, 2.0)]
    (fit,) = affine_fits(cells)
    design = np.array([[1.0, 1.0], [0.5, 1.0], [0.5, 2.0]])
    expected = np.linalg.solve(design.T @ design, design.sum(axis=0))
    assert (fit.fixed_ms, fit.per_image_ms) == pytest.approx(tuple(expected))
    assert fit.worst_relative_error == pytest.approx(np.abs(design @ expected - 1).max())
    assert (fit.architecture, fit.size, fit.threads, fit.label, fit.batches) == (
        "bloodnet",
        28,
        1,
        "jax.jit",
        [1, 2, 4],
    )
    assert affine_fits([cell(28, 4, 1.0), cell(28, 4, 2.0)]) == []
    assert len(affine_fits([cell(28, 1, 1.0), cell(28, 2, 2.0), cell(64, 1, 1.0), cell(64, 2, 2.0)])) == 2


def test_cells_that_were_not_timed_or_have_no_framework_have_no_fit() -> None:
    good = [cell(28, 1, 1.0), cell(28, 2, 2.0)]
    for changes in ({"status": "failed"}, {"device": None}, {"framework": ""}):
        assert affine_fits([good[0], good[1].model_copy(update=changes)]) == []


@pytest.mark.parametrize(
    ("shares", "place", "pixels"),
    [
        ((0.2, 0.8, 0.9), "between", 28 * 2**0.5),
        ((0.2, 0.8, 0.2), "above", None),
        ((0.8, 0.2, 0.8), "between", 56 * 2**0.5),
        ((0.8, 0.8, 0.8), "below", None),
        ((0.2, 0.5, 0.8), "between", 56.0),
    ],
)
def test_the_crossover_is_the_last_one(shares: tuple[float, ...], place: str, pixels: float | None) -> None:
    cells = [cell(size, 1, 1.0) for size in (112, 28, 56)]
    by_size = dict(zip((28, 56, 112), shares, strict=True))
    found = [attribution(one.name, 1.0, by_size[one.size], by_size[one.size]) for one in cells]
    both = crossovers(cells, found)
    assert [one.estimator for one in both] == ["profiled", "skeleton"]
    for one in both:
        assert (one.place, one.sizes, one.batch, one.label) == (place, [28, 56, 112], 1, "jax.jit")
        assert one.pixels == (None if pixels is None else pytest.approx(pixels))
    assert crossovers(cells, []) == []


def test_the_time_left_for_kernels_is_never_negative() -> None:
    """The skeleton takes from a quarter of the call to all of it, and the call itself one to three ms."""
    kernels = skeleton_estimate([[0.5e6], [1.5e6], [2.5e6]], Interval(value=2.0, low=1.0, high=3.0)).kernel_ms
    assert kernels is not None
    assert kernels.low == 0


def test_the_faster_half_is_that_of_the_profiled_calls() -> None:
    rounds = [a_round(1e3, profiled, kernel=share * profiled) for profiled, share in
              ((10e3, 0.1), (20e3, 0.2), (30e3, 0.3), (40e3, 0.4), (50e3, 0.5))]  # fmt: skip
    found = profiled_estimate([rounds, rounds], [0, 0], exact(1.0)).kernel_ms
    assert found is not None
    assert found.value == pytest.approx(0.2)
