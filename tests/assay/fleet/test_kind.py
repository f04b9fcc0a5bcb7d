"""When two machines are of one kind, and the names of kinds."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.fingerprint import Fingerprint
from assay.fleet.kind import MachineIdentity, MachineKind, identity_in, kind_in, nominal_gib, short_names
from assay.records.results import read_results

PROCESSOR = Fingerprint(name="AMD EPYC Processor", family="25", model="1", nominal_mhz=2445.4)
KIND = MachineKind(processor=PROCESSOR, cores=2, threads_per_core=2, numa_nodes=1, memory_gib=3.83)


@pytest.mark.parametrize(
    "change",
    [
        {"cores": 4},
        {"threads_per_core": 1},
        {"numa_nodes": 2},
        {"memory_gib": 7.7},
        {"core_quota": 1.5},
        {"instance_type": "c6a.large"},
        {"gpus": ["NVIDIA H100, 580.1"]},
        {"processor": PROCESSOR.model_copy(update={"stepping": "2"})},
        {"processor": PROCESSOR.model_copy(update={"microcode": "0xa0011d5"})},
        {"processor": PROCESSOR.model_copy(update={"hypervisor": "hypervisor (KVM)"})},
    ],
)
def test_machines_that_differ_in_anything_are_of_two_kinds(change: dict[str, object]) -> None:
    assert KIND.model_copy(update=change).key != KIND.key


def test_a_machine_is_of_one_kind_from_one_start_to_the_next() -> None:
    """The kernel calibrates a frequency and reserves some memory, slightly differently each time."""
    calibrated = PROCESSOR.model_copy(update={"nominal_mhz": 2444.9})
    assert KIND.model_copy(update={"processor": calibrated, "memory_gib": 3.78}).key == KIND.key


@pytest.mark.parametrize(
    ("shown", "sold"), [(3.83, 4), (7.63, 8), (15.6, 16), (30.9, 32), (31.3, 32), (124.5, 128), (2.0, 2), (11.7, 12)]
)
def test_memory_is_what_a_machine_is_sold_with(shown: float, sold: float) -> None:
    assert nominal_gib(shown) == sold


def test_kinds_with_similar_names_are_distinguished() -> None:
    other = KIND.model_copy(update={"processor": PROCESSOR.model_copy(update={"stepping": "2"})})
    named = KIND.model_copy(update={"instance_type": "c6a.large"})
    names = short_names([KIND, other, named])
    assert names[named.key] == "c6a.large"
    assert names[KIND.key] == f"AMD EPYC Processor, 2 cores, 4 GiB ({KIND.key[:6]})"
    assert len(set(names.values())) == 3
    assert named.words == "c6a.large: AMD EPYC Processor, 2 cores, 4 GiB"


def test_a_record_of_before_kinds_tells_what_it_knows() -> None:
    published = read_results(Path(__file__).parents[3] / "artifacts/reference/results.json").environment
    published = {key: value for key, value in published.items() if key not in {"fingerprint", "kind", "identity"}}
    found = kind_in(published)
    assert (found.cores, found.processor.name) == (published["usable_cores"], published["processor"])
    assert identity_in(published) == MachineIdentity()


def test_a_record_gives_back_what_was_written() -> None:
    environment = {
        "fingerprint": PROCESSOR.model_dump(mode="json"),
        "kind": KIND.model_dump(mode="json", exclude={"processor"}),
        "identity": {"machine": "a", "boot": "b"},
    }
    assert kind_in(environment) == KIND
    assert identity_in(environment) == MachineIdentity(machine="a", boot="b")


def test_a_handwritten_file_is_not_a_failure() -> None:
    wrong = {"processor": "a processor", "kind": {"cores": -1}, "identity": ["nobody"]}
    assert kind_in(wrong) == MachineKind(processor=Fingerprint(name="a processor"), cores=1)
    assert identity_in(wrong) == MachineIdentity()
