"""Records of instances: what counts, what slows down, and what is not trusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from assay.bench.judging.instances import SetSeen, instances_of
from assay.bench.statistics.together import Together
from assay.bench.timing.instances import BatchSeen, cores_of
from tests.bench.report.sample_results import sample_results

CELL = next(one for one in sample_results().cells if one.name == "bloodnet/28/b32/t1/ort.cpu@torch-dynamo")


def sets(
    call_ms: Sequence[float], instances: int, *, calls: int = 100, reason: str = "", **seen: float
) -> list[SetSeen]:
    """One set for each time of a call."""
    facts = BatchSeen(batch=32, busy=1.0, peak_mib=100.0 * instances, reason=reason).model_copy(update=seen)
    return [
        SetSeen(
            number,
            facts,
            None if reason else Together(instances * 1000 / ms, tuple(np.full(calls, ms) for _ in range(instances))),
        )
        for number, ms in enumerate(call_ms)
    ]


def test_the_machine_gives_what_all_gave_and_is_slower_for_each() -> None:
    found = instances_of(CELL, 2, sets([10, 10.2, 9.8], 2), sets([8, 8.1, 7.9], 1))
    assert found.is_valid
    assert found.cores == 2
    assert found.throughput is not None
    assert found.throughput.value == pytest.approx(6400, rel=0.01)
    assert found.slowed is not None
    assert found.slowed.value == pytest.approx(1.25, rel=0.01)
    assert found.memory_mib == 200
    assert found.calls == 600
    assert found.p99_at_most_ms is not None


def test_rounds_are_compared_with_each_other_regardless_of_order() -> None:
    alone = sets([8, 80, 8], 1)[1:]
    found = instances_of(CELL, 2, sets([10, 100, 10], 2), alone)
    assert found.slowed is not None
    assert found.slowed.value == pytest.approx(1.25)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (sets([10], 2), "too few sets of processes: 1"),
        (sets([10, 10, 10], 2, calls=3), "too few calls: 3"),
        (sets([10, 10, 10], 2, stolen_share=0.1), "stolen processor time: 10.0%"),
        (sets([10, 10, 10], 2, busy=0.4), "used 40% of its cores"),
        (sets([10, 10, 10], 2, throttle_events=1), "throttled processor"),
        (sets([10, 10, 10], 2, busy=0.9, switches_per_second=300.0), "involuntary context switches"),
        ([*sets([10, 10], 2), *sets([10], 2, reason="out of memory")], "1 of 3 sets failed: out of memory"),
    ],
)
def test_a_set_that_is_not_trusted_gives_the_reason(made: list[SetSeen], reason: str) -> None:
    found = instances_of(CELL, 2, made, [])
    assert not found.is_valid
    assert reason in "; ".join(found.invalid)


def test_a_set_that_never_ran_has_its_reason() -> None:
    found = instances_of(CELL, 2, sets([10], 2, reason="The process was killed"), [])
    assert (found.throughput, found.reason) == (None, "The process was killed")
    assert instances_of(CELL, 2, [], [], "no time was left").reason == "no time was left"


def test_no_core_is_shared() -> None:
    assert cores_of(range(8), 2, 3) == [(2, 3), (4, 5), (6, 7)]
    assert cores_of([5, 7], 1, 2) == [(5,), (7,)]
    assert cores_of([5, 7], 1, 1) == [(7,)]
