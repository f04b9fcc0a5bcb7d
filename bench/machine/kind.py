"""Reading which kind of machine this is and which one, without root and without a network. See `assay.fleet.kind`.

What a cloud says of a machine is read from the file that cloud-init leaves on it, and on Amazon's from the firmware: no
metadata service is asked. In a container neither is there; `ASSAY_INSTANCE_TYPE` and `ASSAY_MACHINE` say then what its
orchestrator knows (docs/how-to/fleet.md).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from assay.bench.machine.fingerprint import shown_in
from assay.errors import ArtifactError
from assay.files.texts import read_json
from assay.fingerprint import Fingerprint
from assay.fleet.kind import KEY_CHARACTERS, MachineIdentity, MachineKind

TYPE_VARIABLE, MACHINE_VARIABLE = "ASSAY_INSTANCE_TYPE", "ASSAY_MACHINE"
CLOUD_FILE = "run/cloud-init/instance-data.json"
"""World-readable, with what is sensitive taken out."""
MOST_BYTES = 4 << 20
TYPE_NAMES = ("instance_type", "instance-type", "instanceType", "vmSize", "machine_type", "machine-type")
A_NAME = re.compile(r"[A-Za-z0-9][\w.+ -]{0,63}")
FIRMWARE = "sys/class/dmi/id"
CGROUPS = "sys/fs/cgroup"
KIB_IN_GIB, BYTES_IN_GIB = 2**20, 2**30


def read_kind(
    root: Path,
    processor: Fingerprint,
    cores: Sequence[int],
    gpus: Sequence[str] = (),
    variables: Mapping[str, str] = os.environ,
) -> MachineKind:
    """Return a machine's kind, by its files.

    Args:
        root: folder of /proc, /sys and /run.
        cores: cores that this process may use.
    """
    siblings = shown_in(root / f"sys/devices/system/cpu/cpu{min(cores, default=0)}/topology/thread_siblings_list")
    return MachineKind(
        processor=processor,
        cores=max(len(cores), 1),
        threads_per_core=_members(siblings) or None,
        numa_nodes=len(list((root / "sys/devices/system/node").glob("node[0-9]*"))) or None,
        memory_gib=_memory_gib(root),
        core_quota=_core_quota(root),
        instance_type=_named(variables.get(TYPE_VARIABLE)) or _type_of_cloud(root) or _type_of_firmware(root),
        gpus=list(gpus),
    )


def read_identity(root: Path, variables: Mapping[str, str] = os.environ) -> MachineIdentity:
    """Which machine it is: by what its orchestrator or its cloud calls it, its system's own number, or its board's.

    A machine-id is not to be shown to others as it is (machine-id(5)), and a name may be private: hashes of them tell
    two machines apart as well.
    """
    told = (
        variables.get(MACHINE_VARIABLE, "").strip(),
        _instance_id(_cloud(root)),
        shown_in(root / "etc/machine-id"),
        shown_in(root / FIRMWARE / "product_uuid"),
    )
    return MachineIdentity(
        machine=_hash(next((one for one in told if one), "")),
        boot=_hash(shown_in(root / "proc/sys/kernel/random/boot_id")),
    )


def _cloud(root: Path) -> object:
    """Return cloud-init's facts; a file that is not a record of its gives none."""
    try:
        return read_json(root / CLOUD_FILE, MOST_BYTES)
    except (OSError, ValueError, ArtifactError):
        return None


def _instance_id(cloud: object) -> str:
    first = cloud.get("v1") if isinstance(cloud, dict) else None
    found = first.get("instance_id") if isinstance(first, dict) else None
    return found if isinstance(found, str) else ""


def _type_of_cloud(root: Path) -> str:
    """The type of instance, wherever a cloud's own part of the file has it."""
    cloud = _cloud(root)
    own = cloud.get("ds") if isinstance(cloud, dict) else None
    return next((name for value in _values_called(TYPE_NAMES, own) if (name := _named(value))), "")


def _values_called(names: Sequence[str], value: object) -> Iterator[object]:
    """The values of these keys, the outermost first."""
    level = [value]
    while level:
        inside = []
        for part in level:
            if isinstance(part, dict):
                yield from (part[name] for name in names if name in part)
                inside += list(part.values())
            elif isinstance(part, list):
                inside += part
        level = inside


def _type_of_firmware(root: Path) -> str:
    """Amazon's machines of today name their type as their product."""
    if shown_in(root / FIRMWARE / "sys_vendor") != "Amazon EC2":
        return ""
    return _named(shown_in(root / FIRMWARE / "product_name"))


def _named(value: object) -> str:
    """A name that somebody else wrote, where it is one: the last part of a path such as Google's machine types."""
    last = value.rpartition("/")[2].strip() if isinstance(value, str) else ""
    return last if A_NAME.fullmatch(last) else ""


def _memory_gib(root: Path) -> float | None:
    """The machine's memory, or its container's where that is less."""
    total = re.search(r"^MemTotal:\s+([0-9]+) kB$", shown_in(root / "proc/meminfo"), re.MULTILINE)
    found = [int(total[1]) / KIB_IN_GIB] if total else []
    limits = [shown_in(group / "memory.max") for group in _groups(root)]
    limits.append(shown_in(root / CGROUPS / "memory/memory.limit_in_bytes"))
    found += [int(text) / BYTES_IN_GIB for text in limits if text.isdigit() and int(text)]
    return round(min(found), 2) if found else None


def _core_quota(root: Path) -> float | None:
    """How many cores' time a container gets, as its control groups limit it; None where they do not."""
    told = [shown_in(group / "cpu.max").split() for group in _groups(root)]
    older = root / CGROUPS / "cpu"
    told.append([shown_in(older / "cpu.cfs_quota_us"), shown_in(older / "cpu.cfs_period_us")])
    pairs = [pair for pair in told if len(pair) == 2 and all(text.isdigit() and int(text) for text in pair)]
    return min((int(quota) / int(period) for quota, period in pairs), default=None)


def _groups(root: Path) -> list[Path]:
    """The control group of this process and those around it, the innermost first."""
    line = next((one for one in shown_in(root / "proc/self/cgroup").splitlines() if one.startswith("0::/")), "0::/")
    parts = [part for part in line.removeprefix("0::/").split("/") if part]
    if ".." in parts:  # it was moved out of what this namespace shows
        parts = []
    top = root / CGROUPS
    return [top.joinpath(*parts[:length]) for length in range(len(parts), -1, -1)]


def _members(text: str) -> int:
    """How many numbers Linux's notation for sets has, "0-2,5"; 0 of what is none."""
    total = 0
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            return 0
        total += int(last or first) - int(first) + 1
    return total


def _hash(text: str) -> str:
    return hashlib.sha256(f"assay machine {text}".encode()).hexdigest()[:KEY_CHARACTERS] if text else ""
