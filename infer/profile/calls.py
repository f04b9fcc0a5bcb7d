"""Profiles in one form: calls, and in each call the intervals of its operators. Pure functions, except for the
protocol.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from assay.errors import DataError
from assay.infer.runtime import ModelFiles, Session
from assay.spec import Settings

CALL = "assay.call"
"""The name under which a recorder marks every call on the profiler's own clock."""


@dataclass(frozen=True)
class Operator:
    """One interval of one operator, in nanoseconds on the profiler's clock.

    Attributes:
        name: name that the profiler gives it.
        kind: operator type, or what the name tells about it.
        thread: thread of the framework's executor; intervals nest only within one thread.
        scope: path or layer name where the profiler knows one.
    """

    name: str
    kind: str
    start_ns: float
    end_ns: float
    thread: str = ""
    scope: str = ""

    @property
    def duration_ns(self) -> float:
        return self.end_ns - self.start_ns


@dataclass(frozen=True)
class ProfiledCall:
    """One profiled call.

    Attributes:
        operators: its operators, in the order they started; on a GPU its kernels and copies.
        events: number of events recorded within the call, each of which costs time.
        on_gpu: whether the operators are those of a GPU, which keeps their time by its own clock.
    """

    start_ns: float
    end_ns: float
    operators: tuple[Operator, ...]
    events: int
    on_gpu: bool = False

    @property
    def wall_ns(self) -> float:
        return self.end_ns - self.start_ns


class Recorder(Protocol):
    """Runs calls under a framework's profiler."""

    def burst(self, natives: Sequence[object], calls: int) -> list[int]:
        """Profile so many calls, using the inputs in turn; return nanoseconds of each, without the profiler's start."""

    def finish(self) -> list[ProfiledCall]:
        """End profiling and read the recording.

        Raises:
            DataError: the profile is missing, truncated, or has no calls or no operators in it.
        """


StartRecorder = Callable[[ModelFiles, Settings, Session[object], Path], Recorder]
Marker = Callable[[str], AbstractContextManager[object]]


def marked_calls(session: Session[object], natives: Sequence[object], calls: int, marker: Marker) -> list[int]:
    """Run calls, each inside a mark on the profiler's clock; return nanoseconds of each, without the mark."""
    clock = time.perf_counter_ns
    found = []
    for call in range(calls):
        value = natives[call % len(natives)]
        with marker(CALL):
            start = clock()
            session.run(value)
            found.append(clock() - start)
    return found


def union_ns(operators: Iterable[Operator]) -> float:
    """Return the length of the union of intervals: overlaps, nested or on several threads, count once."""
    total, reached = 0.0, float("-inf")
    for operator in sorted(operators, key=lambda operator: operator.start_ns):
        start = max(operator.start_ns, reached)
        if operator.end_ns > start:
            total += operator.end_ns - start
            reached = operator.end_ns
    return total


def gaps_ns(operators: Sequence[Operator]) -> float:
    """Return how long nothing ran between the first operator and the last: on a GPU, waiting for the next launch."""
    if not operators:
        return 0.0
    whole = max(one.end_ns for one in operators) - min(one.start_ns for one in operators)
    return whole - union_ns(operators)


def own_times_ns(operators: Sequence[Operator]) -> list[float]:
    """Return how long each operator took without those nested in it on its thread, in the given order."""
    own = [operator.duration_ns for operator in operators]
    order = sorted(range(len(operators)), key=lambda i: (operators[i].start_ns, -operators[i].end_ns))
    open_ones: dict[str, list[int]] = {}
    for index in order:
        stack = open_ones.setdefault(operators[index].thread, [])
        while stack and operators[stack[-1]].end_ns <= operators[index].start_ns:
            stack.pop()
        if stack:
            own[stack[-1]] -= operators[index].duration_ns
        stack.append(index)
    return own


def outermost(operators: Sequence[Operator]) -> list[Operator]:
    """Return the operators that are not nested in another on their thread, in the order they started."""
    found: list[Operator] = []
    reached: dict[str, float] = {}
    for operator in sorted(operators, key=lambda o: (o.start_ns, -o.end_ns)):
        if operator.end_ns > reached.get(operator.thread, float("-inf")):
            found.append(operator)
            reached[operator.thread] = operator.end_ns
    return found


def calls_of(
    marks: Iterable[tuple[float, float]],
    operators: Iterable[Operator],
    events: Sequence[float],
    *,
    on_gpu: bool = False,
) -> list[ProfiledCall]:
    """Sort operators and other events into the calls within which they started.

    An operator that ends after its call (asynchronous work that nobody waited for) is cut at the end of the call.

    Args:
        marks: start and end of every call.
        events: starts of everything the profiler recorded.
        on_gpu: whether the operators are those of a GPU.

    Raises:
        DataError: there are no calls, or no operators in any of them.
    """
    ordered = sorted(operators, key=lambda operator: operator.start_ns)
    calls = [_call(mark, ordered, events, on_gpu=on_gpu) for mark in sorted(marks)]
    if not calls:
        raise DataError("The profile has no calls", expected=f"events named {CALL}", found="none")
    if not any(call.operators for call in calls):
        raise DataError(f"The profile has calls, but no {'kernels of the GPU' if on_gpu else 'operators'} in them")
    return calls


def _call(
    mark: tuple[float, float], operators: Sequence[Operator], events: Sequence[float], *, on_gpu: bool
) -> ProfiledCall:
    start, end = mark
    inside = [
        replace(operator, end_ns=min(operator.end_ns, end))
        for operator in operators
        if start <= operator.start_ns < end
    ]
    return ProfiledCall(start, end, tuple(inside), sum(start <= event < end for event in events), on_gpu)
