"""A busy machine is reported before the timing begins."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from assay.bench.machine import quiet
from assay.bench.machine.disturbance import Disturbance
from assay.bench.machine.quiet import busy_in_words, say_if_busy

QUIET = Disturbance(stolen_seconds=0.0, busy_seconds=0.04, throttle_events=0, involuntary_switches=None)
BUSY = Disturbance(stolen_seconds=0.17, busy_seconds=1.5, throttle_events=0, involuntary_switches=None)


def test_a_quiet_machine_is_not_spoken_of() -> None:
    assert busy_in_words(QUIET, 2, 1.0) == ""
    assert busy_in_words(Disturbance(None, None, None, None), 2, 1.0) == "", "what is not shown is not known"


def test_users_of_the_cores_and_stolen_time_are_reported_with_the_consequence() -> None:
    said = busy_in_words(BUSY, 2, 1.0)
    assert "others use 75% of the 2 cores that are timed on, and 8% of their time is stolen" in said
    assert "Times may be INVALID; the next run times those again" in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"busy_seconds": 0.3}, "others use 15%"),
        ({"stolen_seconds": 0.1}, "5% of their time is stolen"),
        ({"throttle_events": 1}, "the processor is being throttled"),
    ],
)
def test_each_disturbance_alone_is_enough(changes: dict[str, float], words: str) -> None:
    assert words in busy_in_words(Disturbance(**{**vars(QUIET), **changes}), 2, 1.0)


def test_it_is_noted_once_and_only_where_there_is_something_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    for seen in (QUIET, BUSY):
        counters = iter((Disturbance(0, 0, 0, None), seen))
        host = SimpleNamespace(disturbance=lambda cores, counters=counters: next(counters))
        monkeypatch.setattr(quiet, "WATCHED_SECONDS", 1.0)
        monkeypatch.setattr(quiet.time, "sleep", lambda seconds: None)
        say_if_busy(host, (0, 1), notes.append)  # type: ignore[arg-type]
    assert len(notes) == 1
    assert notes[0].startswith("This machine is busy")
