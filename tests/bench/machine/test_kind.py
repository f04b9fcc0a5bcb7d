"""A machine's kind and identity, read from trees of files as other machines have them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.bench.machine.kind import read_identity, read_kind
from assay.bench.machine.machine import environment, usable_cores
from assay.fingerprint import Fingerprint
from assay.fleet.kind import MachineKind, identity_in, kind_in

PROCESSOR = Fingerprint(name="a processor")
CLOUD = "run/cloud-init/instance-data.json"
AMAZON = {
    "v1": {"instance_id": "i-0929128ff2f73a2f1", "cloud_name": "aws"},
    "ds": {
        "meta_data": {"hostname": "x", "instance_type": "t2.micro"},
        "dynamic": {"instance_identity": {"document": {"instanceType": "t2.micro"}}},
    },
}
AZURE = {"v1": {"instance_id": "7c"}, "ds": {"meta_data": {"imds": {"compute": {"vmSize": "Standard_D2s_v5"}}}}}
GOOGLE = {"ds": {"meta_data": {"machine-type": "projects/7/machineTypes/n2-standard-4"}}}


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")


def kind_of(root: Path, **files: str) -> MachineKind:
    write(root, **files)
    return read_kind(root, PROCESSOR, (0, 1), (), {})


def test_everything_that_a_machine_shows_is_in_its_kind(tmp_path: Path) -> None:
    found = kind_of(
        tmp_path,
        **{
            "proc/meminfo": "MemTotal:        4014080 kB\nMemFree: 1 kB",
            "sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0-1",
            "sys/devices/system/node/node0/cpulist": "0-1",
            "sys/devices/system/node/node1/cpulist": "",
            "sys/devices/system/node/online": "0-1",
            CLOUD: json.dumps(AMAZON),
        },
    )
    assert found == MachineKind(
        processor=PROCESSOR, cores=2, threads_per_core=2, numa_nodes=2, memory_gib=3.83, instance_type="t2.micro"
    )


def test_unavailable_facts_are_not_invented(tmp_path: Path) -> None:
    assert kind_of(tmp_path) == MachineKind(processor=PROCESSOR, cores=2)


@pytest.mark.parametrize(
    ("cloud", "expected"),
    [
        (json.dumps(AMAZON), "t2.micro"),
        (json.dumps(AZURE), "Standard_D2s_v5"),
        (json.dumps(GOOGLE), "n2-standard-4"),
        (json.dumps({"ds": {"instance_type": 7, "inside": [{"instanceType": "m5.large"}]}}), "m5.large"),
        (json.dumps({"ds": {"instance_type": "<script>alert(1)</script>"}}), ""),
        (json.dumps({"ds": {"instance_type": "\x1b[31m"}}), ""),
        (json.dumps({"ds": {"instance_type": "x" * 100}}), ""),
        (json.dumps(["no record"]), ""),
        ("{", ""),
        ("[" * 100_000, ""),
    ],
)
def test_the_type_is_what_the_clouds_file_says(cloud: str, expected: str, tmp_path: Path) -> None:
    assert kind_of(tmp_path, **{CLOUD: cloud}).instance_type == expected


def test_amazons_firmware_names_the_type(tmp_path: Path) -> None:
    files = {"sys/class/dmi/id/sys_vendor": "Amazon EC2", "sys/class/dmi/id/product_name": "c7i.large"}
    assert kind_of(tmp_path, **files).instance_type == "c7i.large"
    assert kind_of(tmp_path, **{"sys/class/dmi/id/sys_vendor": "Dell Inc."}).instance_type == ""


def test_what_the_orchestrator_says_comes_first(tmp_path: Path) -> None:
    write(tmp_path, **{CLOUD: json.dumps(AMAZON)})
    told = {"ASSAY_INSTANCE_TYPE": "pool-a", "ASSAY_MACHINE": "node-7"}
    assert read_kind(tmp_path, PROCESSOR, (0,), (), told).instance_type == "pool-a"
    assert read_identity(tmp_path, told).machine != read_identity(tmp_path, {}).machine


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"sys/fs/cgroup/cpu.max": "150000 100000"}, 1.5),
        ({"sys/fs/cgroup/cpu.max": "max 100000"}, None),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 2.0),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, None),
        (
            {"proc/self/cgroup": "0::/job/step", "sys/fs/cgroup/job/cpu.max": "300000 100000",
             "sys/fs/cgroup/job/step/cpu.max": "max 100000"},
            3.0,
        ),
        ({"proc/self/cgroup": "0::/../outside", "sys/fs/cgroup/cpu.max": "100000 100000"}, 1.0),
        ({"sys/fs/cgroup/cpu.max": "rubbish"}, None),
    ],
)  # fmt: skip
def test_a_containers_limit_on_time_is_part_of_the_kind(
    files: dict[str, str], quota: float | None, tmp_path: Path
) -> None:
    assert kind_of(tmp_path, **files).core_quota == quota


def test_a_containers_memory_is_what_it_may_use(tmp_path: Path) -> None:
    files = {"proc/meminfo": "MemTotal: 16000000 kB", "sys/fs/cgroup/memory.max": str(2 << 30)}
    assert kind_of(tmp_path, **files).memory_gib == 2.0
    assert kind_of(tmp_path, **{"sys/fs/cgroup/memory.max": "max"}).memory_gib == 15.26


def test_an_identity_is_a_hash_that_one_machine_keeps(tmp_path: Path) -> None:
    files = {"etc/machine-id": "4c1d", "proc/sys/kernel/random/boot_id": "first"}
    write(tmp_path, **files)
    before = read_identity(tmp_path, {})
    write(tmp_path, **{"proc/sys/kernel/random/boot_id": "second"})
    after = read_identity(tmp_path, {})
    assert before.machine == after.machine != ""
    assert before.boot != after.boot
    assert "4c1d" not in before.model_dump_json()
    write(tmp_path, **{CLOUD: json.dumps(AMAZON)})
    assert read_identity(tmp_path, {}).machine != before.machine  # clouds give clones one machine-id


def test_an_environment_says_kind_and_identity_of_this_machine() -> None:
    found = environment()
    assert kind_in(found).cores == len(usable_cores())
    assert kind_in(found).key == kind_in(environment()).key
    assert identity_in(found).boot
