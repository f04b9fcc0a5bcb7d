"""The row of a burst on a GPU, and whose processes are there."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assay.bench.machine.gpu_rows import foreign, gpu_row
from assay.bench.machine.host import LOCAL
from assay.bench.timing.limits import Limits
from assay.bench.timing.measurements import gathered
from assay.bench.timing.timed_cell import TimedCell
from assay.bench.timing.trials import Group, Unit
from assay.bench.timing.unit_files import BURSTS_FILE, FACTS_FILE, KIND, SAMPLES_FILE
from assay.files.columns import BURST_COLUMNS, GPU_BURST_COLUMNS
from assay.files.tables import write_table
from assay.infer.commands import Burst, DuringBurst, SessionLoaded, Warmed
from assay.spec import Settings
from assay.store import Artifact, write_artifact

FOUND = DuringBurst(
    spun_seconds=0.2, is_steady=True, clock_before_mhz=1965, clock_mhz=1980, celsius=61, watts=412.5,
    held_back=("power limit", "temperature limit"), processes=(10, 11, 99), used_mib=2048.0, own_mib=512.0,
    synchronising_ns=4_000, to_ns=20_000, from_ns=9_000, to_pinned_ns=8_000, from_pinned_ns=3_000, allocated_mib=300.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("processes", "number"),
    [((10, 11, 99), 1), ((10,), 0), ((10, 11), 0), ((99,), None), ((), None), (None, None)],
)
def test_processes_are_foreign_only_where_the_driver_names_ours(
    processes: tuple[int, ...] | None, number: int | None
) -> None:
    assert foreign(processes, 10, (10, 11)) == number


def test_a_row_has_a_value_for_every_column() -> None:
    row = dict(zip(GPU_BURST_COLUMNS, gpu_row(FOUND, 10, [10, 11]), strict=True))
    assert row["gpu_held_back"] == "power limit, temperature limit"
    assert (row["gpu_clock_mhz"], row["gpu_foreign_processes"], row["gpu_own_mib"]) == (1980, 1, 512.0)
    assert (row["gpu_synchronising_ns"], row["gpu_to_ns"], row["gpu_from_ns"]) == (4_000, 20_000, 9_000)
    assert (row["gpu_to_pinned_ns"], row["gpu_from_pinned_ns"], row["gpu_allocated_mib"]) == (8_000, 3_000, 300.0)
    assert gpu_row(None, 10, [10]) == (None,) * len(GPU_BURST_COLUMNS)


def unit_with_a_burst(device: str, gpu: DuringBurst | None, folder: Path) -> Unit:
    """A unit with one burst of a fake worker."""
    limits = Limits(share=time.monotonic(), end=time.monotonic() + 9, call=1, blocks=1)
    group = Group("bloodnet/28/t1", (), (1,), Settings(device=device), folder / "images.npy")
    unit = Unit(group, 0, limits, folder, folder, LOCAL)
    told = {"host_ns": [5], "device_ns": [4], "dropped_ns": [], "wall_ns": 9, "processor_ns": 9}
    burst = Burst(**told, involuntary_switches=0, gpu=gpu)
    worker: Any = SimpleNamespace(burst=lambda calls, drop: burst)
    loaded = SessionLoaded(import_seconds=0, load_seconds=0, precision="fp32", facts={}, pid=10)
    unit._workers = [(worker, loaded), (worker, loaded.model_copy(update={"pid": 11}))]
    unit._burst(TimedCell(worker, "bloodnet/28/b1/t1/x", loaded, Warmed(calls_ns=[5], median_ns=5)), 0)
    return unit


def artifact_of(unit: Unit, folder: Path) -> Artifact:
    def fill(work: Path) -> dict[str, Any]:
        write_table(work / SAMPLES_FILE, unit.samples())
        write_table(work / BURSTS_FILE, unit.burst_table())
        (work / FACTS_FILE).write_text("[]")
        return {"group": unit.group.name, "process": 0, "seconds": 1.0, "least_seconds": 1.0, "spent": {}}

    return write_artifact(folder, KIND, {"of": str(folder)}, made_by={}, fill=fill)


def test_the_table_of_bursts_has_the_gpu_in_a_study_of_one_and_goes_together_with_one_that_has_not(
    tmp_path: Path,
) -> None:
    on_gpu, on_cpu = unit_with_a_burst("cuda", FOUND, tmp_path), unit_with_a_burst("cpu", None, tmp_path)
    assert list(on_cpu.burst_table().columns) == list(BURST_COLUMNS)
    (row,) = on_gpu.burst_table().to_dicts()
    assert (row["wall_ns"], row["gpu_watts"], row["gpu_foreign_processes"]) == (9, 412.5, 1)
    both = gathered([artifact_of(on_cpu, tmp_path / "cpu"), artifact_of(on_gpu, tmp_path / "gpu")], 0).bursts
    assert both["gpu_clock_mhz"].to_list() == [None, 1980]
    assert gathered([artifact_of(on_cpu, tmp_path / "again")], 0).bursts.columns == list(BURST_COLUMNS)
