"""Calls timed in bursts, alternately with and without a profiler, so that both see the machine in the same state."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from assay.infer.profile.calls import Operator, ProfiledCall, Recorder, gaps_ns, outermost, own_times_ns, union_ns
from assay.infer.runtime import Session, device_calls
from assay.records.base import Record

BURST_SECONDS, MOST_CALLS = 0.04, 40
WARM_SECONDS, LEAST_WARM_CALLS = 0.3, 3
ROUNDS, LEAST_ROUNDS = 7, 2


class Round(Record):
    """One burst without the profiler and one with it; medians over their calls.

    Attributes:
        plain_ns: wall time of a call without the profiler.
        profiled_ns: wall time of a call with it.
        kernel_ns: union of the operators' intervals in a profiled call.
        events: number of events that the profiler recorded in a call.
        events_inside: how many of them lie inside operators; a recorded operator is half inside.
        calls: number of profiled calls.
        on_gpu: whether `kernel_ns` is of a GPU, by its own clock.
        gap_ns: on a GPU, time between the first kernel of a profiled call and the last in which none ran.
    """

    plain_ns: float
    profiled_ns: float
    kernel_ns: float
    events: float
    events_inside: float
    calls: int
    on_gpu: bool = False
    gap_ns: float = 0.0


class RecordedOperator(Record):
    """One outermost operator of the calls' common sequence, with its median time over calls."""

    name: str
    kind: str
    scope: str
    median_ns: float


class Profiled(Record):
    """All rounds of one model at one batch size, and its operators in the order they start."""

    rounds: list[Round]
    operators: list[RecordedOperator]


def _warmed_burst(session: Session[object], natives: Sequence[object]) -> int:
    """Warm up, and return how many calls fill a burst."""
    deadline = time.perf_counter() + WARM_SECONDS
    found = device_calls(session, natives, LEAST_WARM_CALLS)
    while time.perf_counter() < deadline:
        found += device_calls(session, natives, 1)
    typical_seconds = statistics.median(found[len(found) // 2 :]) / 1e9
    return max(1, min(MOST_CALLS, round(BURST_SECONDS / typical_seconds)))


def time_plainly(
    session: Session[object], natives: Sequence[object], seconds: float, ready: Callable[[], object] = lambda: None
) -> list[float]:
    """Return the median nanoseconds of a call in each of several bursts; see `profile_in_turns`."""
    calls, found = _warmed_burst(session, natives), []
    for _ in _rounds(seconds):
        ready()
        found.append(statistics.median(device_calls(session, natives, calls)))
    return found


def profile_in_turns(
    session: Session[object],
    natives: Sequence[object],
    recorder: Recorder,
    seconds: float,
    ready: Callable[[], object] = lambda: None,
) -> Profiled:
    """Time bursts without and with the profiler alternately. The first profiled burst starts the profiler and is
    dropped.

    Args:
        ready: called before every burst, until the machine is as it is timed.

    Raises:
        DataError: the profile cannot be read, or there is nothing in it.
    """
    calls = _warmed_burst(session, natives)
    recorder.burst(natives, min(calls, 2))
    plain, profiled = [], []
    for _ in _rounds(seconds):
        ready()
        plain.append(device_calls(session, natives, calls))
        ready()
        profiled.append(recorder.burst(natives, calls))
    recorded = recorder.finish()[-calls * len(plain) :]
    parts = [recorded[start : start + calls] for start in range(0, len(recorded), calls)]
    rounds = [_round(*parts_of_one) for parts_of_one in zip(plain, profiled, parts, strict=True)]
    return Profiled(rounds=rounds, operators=common_operators(recorded))


def _rounds(seconds: float) -> Iterator[int]:
    """Iterate over rounds until the seconds are spent: at least two, at most seven."""
    deadline = time.perf_counter() + seconds
    for number in range(ROUNDS):
        if number >= LEAST_ROUNDS and time.perf_counter() > deadline:
            return
        yield number


def _round(plain: list[int], profiled: list[int], calls: list[ProfiledCall]) -> Round:
    return Round(
        plain_ns=statistics.median(plain),
        profiled_ns=statistics.median(profiled),
        kernel_ns=statistics.median(union_ns(call.operators) for call in calls),
        events=statistics.median(call.events for call in calls),
        events_inside=statistics.median(events_inside(call) for call in calls),
        calls=len(calls),
        on_gpu=calls[0].on_gpu,
        gap_ns=statistics.median(gaps_ns(call.operators) for call in calls) if calls[0].on_gpu else 0.0,
    )


def events_inside(call: ProfiledCall) -> float:
    """Return how many recorded events lengthen the operators' union.

    A profiler works before and after what it records: its work for an outermost operator falls half inside that
    operator, and its work for a nested operator falls inside the outer one. It lengthens nothing on a GPU.
    """
    if call.on_gpu:
        return 0.0
    outer = len(outermost(call.operators))
    return 0.5 * outer + (len(call.operators) - outer)


def common_operators(calls: Sequence[ProfiledCall]) -> list[RecordedOperator]:
    """Return the sequence of outermost operators that most calls have, with the median time of each place in it."""
    outer = [outermost(call.operators) for call in calls]
    names = Counter(_names(one) for one in outer).most_common(1)[0][0]
    same = [place for place, one in enumerate(outer) if _names(one) == names]
    times = zip(*([operator.duration_ns for operator in outer[place]] for place in same), strict=True)
    inside = [_heaviest_kind(operator, calls[same[0]].operators) for operator in outer[same[0]]]
    return [
        RecordedOperator(name=one.name, kind=kind, scope=one.scope, median_ns=statistics.median(found))
        for one, kind, found in zip(outer[same[0]], inside, times, strict=True)
    ]


def _heaviest_kind(outer: Operator, operators: Sequence[Operator]) -> str:
    """Return the kind of the longest part of an operator: "mkldnn_convolution" in an "aten::conv2d"."""
    inner = [
        other
        for other in operators
        if other.thread == outer.thread and outer.start_ns <= other.start_ns and other.end_ns <= outer.end_ns
    ]
    return max(zip(own_times_ns(inner), inner, strict=True), key=lambda pair: pair[0])[1].kind


def _names(operators: Sequence[Operator]) -> tuple[str, ...]:
    return tuple(operator.name for operator in operators)
