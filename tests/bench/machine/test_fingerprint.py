"""The properties read from a processor, with trees of /proc and /sys as other machines have them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.bench.machine.fingerprint import fingerprint, parse_cpuinfo, read_fingerprint
from assay.fingerprint import Fingerprint, differing, fingerprint_in, machines_apart

EPYC = {
    "vendor_id": "AuthenticAMD", "cpu family": "25", "model": "1", "model name": "AMD EPYC Processor", "stepping": "1",
    "microcode": "0xa0011d1", "cpu MHz": "2445.404", "bogomips": "4890.80",
    "flags": "fpu sse2 avx2 fma constant_tsc hypervisor tsc_known_freq",
}  # fmt: skip
ARM = {
    "BogoMIPS": "243.75", "Features": "fp asimd asimddp i8mm bf16", "CPU implementer": "0x41", "CPU architecture": "8",
    "CPU variant": "0x0", "CPU part": "0xd40", "CPU revision": "1",
}  # fmt: skip


@dataclasses.dataclass
class Machine:
    """A tree of files as a machine would show it."""

    root: Path

    def shows(self, *processors: dict[str, str], **files: str) -> Fingerprint:
        parts = ["\n".join(f"{key}\t: {value}" for key, value in one.items()) for one in processors]
        self.write("proc/cpuinfo", "\n\n".join(parts))
        for path, text in files.items():
            self.write(path, text)
        return read_fingerprint(self.root)

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


CPU = "sys/devices/system/cpu/cpu0"
CACHE = {
    f"{CPU}/cache/index0/level": "1", f"{CPU}/cache/index0/type": "Data", f"{CPU}/cache/index0/size": "32K",
    f"{CPU}/cache/index1/level": "3", f"{CPU}/cache/index1/type": "Unified", f"{CPU}/cache/index1/size": "32768K",
}  # fmt: skip


def test_everything_that_a_machine_shows_is_in_its_fingerprint(machine: Machine) -> None:
    found = machine.shows(
        EPYC,
        EPYC,
        **CACHE,
        **{f"{CPU}/cpufreq/cpuinfo_max_freq": "3500000", "sys/class/dmi/id/sys_vendor": "Amazon EC2"},
    )
    assert found == Fingerprint(
        name="AMD EPYC Processor", vendor="AuthenticAMD", family="25", model="1", stepping="1", microcode="0xa0011d1",
        flags=found.flags, features=["avx2", "fma"], caches={"L1d": "32K", "L3": "32768K"}, nominal_mhz=2445.4,
        most_mhz=3500.0, hypervisor="hypervisor (Amazon EC2)",
    )  # fmt: skip
    assert len(found.flags) == 16
    assert not found.masked


@pytest.mark.parametrize(
    "change",
    [
        {"stepping": "2"},
        {"model": "17"},
        {"cpu family": "26"},
        {"microcode": "0xa0011d5"},
        {"flags": EPYC["flags"] + " avx512f"},
        {"flags": EPYC["flags"].replace("hypervisor ", "")},
        {"bogomips": "5190.24"},
    ],
)
def test_two_processors_of_one_masked_name_are_two_machines(machine: Machine, change: dict[str, str]) -> None:
    one, other = machine.shows(EPYC), machine.shows(EPYC | change)
    assert one.name == other.name
    assert one.key != other.key
    ours, theirs = machines_apart(one, other)
    assert ours != theirs
    assert "AMD EPYC Processor (" in ours


def test_caches_alone_tell_two_machines_apart(machine: Machine) -> None:
    one = machine.shows(EPYC, **CACHE)
    other = machine.shows(EPYC, **{f"{CPU}/cache/index1/size": "16384K"})
    assert one.key != other.key
    assert differing(one, other) == {"caches": ("L1d=32K L3=32768K", "L1d=32K L3=16384K")}


def test_a_restart_and_another_kernel_leave_the_machine_what_it_is(machine: Machine) -> None:
    """The time stamp counter is calibrated again, the current frequency differs, and a kernel adds other flags."""
    one = machine.shows(EPYC)
    flags = " ".join(reversed(EPYC["flags"].replace("tsc_known_freq", "nopl").split()))
    other = machine.shows(EPYC | {"bogomips": "4890.93", "cpu MHz": "3243.1", "flags": flags})
    assert one.key == other.key
    assert machines_apart(one, other) == ("AMD EPYC Processor", "AMD EPYC Processor")


@given(nominal=st.sampled_from([2000, 2245, 2250, 2445, 2450, 2600, 3000, 3500]), miss=st.floats(0, 5))
def test_no_nominal_frequency_is_on_the_edge_of_a_step(nominal: int, miss: float) -> None:
    near = Fingerprint(name="one", nominal_mhz=nominal - miss)
    assert near.key == Fingerprint(name="one", nominal_mhz=float(nominal)).key


def test_arm_has_its_own_words(machine: Machine) -> None:
    found = machine.shows(ARM, ARM | {"CPU part": "0xd4f"})
    assert (found.vendor, found.family, found.model, found.stepping) == ("0x41", "8", "0xd40, 0xd4f", "1")
    assert found.features == ["asimd", "asimddp", "bf16", "i8mm"]


def test_a_machine_that_shows_nothing_has_its_name(machine: Machine) -> None:
    found = read_fingerprint(machine.root)
    assert found.name
    assert found.masked
    assert parse_cpuinfo("") == []


def test_this_machine_has_one_and_keeps_it() -> None:
    assert fingerprint().key == read_fingerprint(Path("/")).key


def test_an_older_record_is_compared_by_what_it_contains(machine: Machine) -> None:
    environment = {
        "processor": EPYC["model name"], "features": ["avx2", "fma"], "virtualisation": "hypervisor, container",
    }  # fmt: skip
    older, newer = fingerprint_in(environment), machine.shows(EPYC)
    assert older.masked
    assert differing(older, newer) == {}
    assert "features" in differing(older, machine.shows(EPYC | {"flags": "avx2 fma avx512f hypervisor"}))
    assert fingerprint_in({}).name == "an unknown processor"
    assert fingerprint_in({"fingerprint": {"a": 1}, "processor": "x"}).name == "x"


def test_an_unknown_property_of_one_side_is_not_a_difference(machine: Machine) -> None:
    full = machine.shows(EPYC, **CACHE)
    assert differing(full, full.model_copy(update={"microcode": "", "caches": {}, "nominal_mhz": None})) == {}
