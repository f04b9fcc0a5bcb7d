"""The recorded facts about the machine, and the advice that follows from them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from pydantic import JsonValue

from assay.bench.conductor import check_machine
from assay.bench.machine import machine
from assay.bench.machine.host import Host
from assay.bench.machine.machine import NOT_SHOWN, advice, cores_in, environment, probe_frameworks, usable_cores
from assay.errors import InputError
from assay.jobs.process import HERE
from assay.steps import LOAD_SECONDS, Step, heard_by
from assay.study import load_study

QUICK = Path(__file__).parents[3] / "studies" / "quick.toml"
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


def test_gpus_are_those_of_the_driver_where_its_program_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver's files are written here as its documentation describes them."""
    monkeypatch.setattr(machine.shutil, "which", lambda _: None)
    monkeypatch.setattr(machine, "DRIVER", tmp_path)
    assert machine.gpus() == ()
    (tmp_path / "0000:19:00.0").mkdir()
    told = "Model: \t\t NVIDIA H200\nIRQ:   \t\t 16\nVideo BIOS: \t 96.00.a5\n"
    (tmp_path / "0000:19:00.0" / "information").write_text(told, encoding="utf-8")
    assert machine.gpus() == ("NVIDIA H200",)


def test_a_gpu_study_ends_at_once_without_a_gpu() -> None:
    def host(*gpus: str) -> Host:
        return cast("Host", SimpleNamespace(cores=lambda: (0, 1), environment=lambda: {"gpus": list(gpus)}))

    of_the_cpu, of_a_gpu = (load_study(QUICK, [f"bench.device={device}"]) for device in ("cpu", "cuda"))
    check_machine(of_the_cpu, host())
    check_machine(of_a_gpu, host("NVIDIA H200"))
    with pytest.raises(InputError, match="asks for a GPU"):
        check_machine(of_a_gpu, host())


def test_sets_of_cores() -> None:
    assert cores_in("0") == [0]
    assert cores_in("0-2,5") == [0, 1, 2, 5]


def test_a_person_who_waits_for_a_framework_sees_which_one() -> None:
    heard: list[Step] = []
    with heard_by(heard.append):
        assert "execution providers" in probe_frameworks(HERE, ["onnxruntime"])["onnxruntime"]
    assert [(one.doing, one.seconds) for one in heard] == [
        ("Asking what onnxruntime is here", LOAD_SECONDS),
        ("", LOAD_SECONDS),
    ]
