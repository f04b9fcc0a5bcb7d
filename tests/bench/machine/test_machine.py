"""What is recorded of the machine, and the advice that follows from it."""

from __future__ import annotations

import json

import pytest
from pydantic import JsonValue

from assay.bench.machine.machine import NOT_SHOWN, advice, cores_in, environment, probe_frameworks, usable_cores
from assay.jobs.process import HERE
from assay.steps import LOAD_SECONDS, Step, heard_by

QUIET: dict[str, JsonValue] = {
    "cores": 8, "usable_cores": 8, "threads_per_core": 1, "frequency_governor": "performance", "turbo": "off",
    "load_1_minute": 0.3, "stolen_share_since_start": 0.0, "virtualisation": "none seen",
}  # fmt: skip


def test_the_environment_is_json_and_complete() -> None:
    facts = environment()
    assert json.loads(json.dumps(facts)) == facts
    assert set(QUIET) <= set(facts)
    assert facts["processor"]
    assert facts["usable_cores"] == len(usable_cores())


def test_a_quiet_machine_needs_no_advice() -> None:
    assert advice(QUIET) == []
    assert advice({}) == []
    assert advice(dict.fromkeys(QUIET, NOT_SHOWN)) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"frequency_governor": "powersave"}, "cpupower frequency-set -g performance"),
        ({"turbo": "on"}, "Turbo"),
        ({"load_1_minute": 6.5}, "load is 6.5 on 8 cores"),
        ({"usable_cores": 1}, "two or more"),
        ({"threads_per_core": 2}, "SMT"),
        ({"stolen_share_since_start": 0.034}, "3.4%"),
        ({"virtualisation": "hypervisor (KVM)"}, "bare metal"),
    ],
)
def test_each_disturbance_has_its_advice(change: dict[str, JsonValue], word: str) -> None:
    (sentence,) = advice(QUIET | change)
    assert word in sentence


def test_sets_of_cores() -> None:
    assert cores_in("0") == [0]
    assert cores_in("0-2,5") == [0, 1, 2, 5]


def test_whoever_waits_for_a_framework_is_told_of_which() -> None:
    heard: list[Step] = []
    with heard_by(heard.append):
        assert "execution providers" in probe_frameworks(HERE, ["onnxruntime"])["onnxruntime"]
    assert [(one.doing, one.seconds) for one in heard] == [
        ("Asking what onnxruntime is here", LOAD_SECONDS),
        ("", LOAD_SECONDS),
    ]
