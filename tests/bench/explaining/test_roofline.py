"""Bounds by hand, the choice of the ceiling, and this machine's ceilings as a job measures them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.bench.explaining.roofline import bound_of, bounds_of, leanest_works, traffic_of
from assay.bench.machine.machine import usable_cores
from assay.infer.ceilings.job import CEILINGS as CEILINGS_JOB
from assay.infer.ceilings.job import CeilingsRequest, cache_capacities
from assay.jobs.running import run_job
from assay.records.roofline import Bandwidth, Ceilings, GraphWork, Rate
from tests.bench.report.sample_results import sample_results


def rate(best: float) -> Rate:
    return Rate(best=best, median=best, by="torch", repetitions=9, all_best={"torch": best})


def bandwidth(level: str, capacity_bytes: int, gb_s: float) -> Bandwidth:
    return Bandwidth(level=level, capacity_bytes=capacity_bytes, array_bytes=capacity_bytes // 2, gb_s=rate(gb_s))


CEILINGS = Ceilings(
    threads=1,
    cores=(1,),
    gflop_s={"fp32": rate(100), "bf16": rate(200), "int8": rate(400)},
    bandwidths=[bandwidth("memory", 0, 10), bandwidth("L2", 1_000_000, 100), bandwidth("L3", 32_000_000, 50)],
)


def work(flops: int, weight_bytes: int, exporter: str = "tf2onnx", **other: object) -> GraphWork:
    fields = {"architecture": "bloodnet", "size": 28, "batch": 1, "flops": flops, "least_flops": flops}
    return GraphWork.model_validate({**fields, "exporter": exporter, "weight_bytes": weight_bytes, **other})


def test_arithmetic_bounds_what_has_many_operations_a_byte() -> None:
    found = bound_of("cell", "fp32", work(10**9, 500_000), CEILINGS, device_median_ms=40)
    assert found.arithmetic_ms == pytest.approx(10)  # 1 GFLOP at 100 GFLOP/s
    assert found.traffic_ms == pytest.approx(0.005)  # 0.5 MB at 100 GB/s
    assert (found.limit, found.level, found.bound_ms) == ("arithmetic", "L2", found.arithmetic_ms)
    assert found.fraction == pytest.approx(0.25)
    assert found.gflop_s == pytest.approx(25)


def test_memory_bounds_what_fits_in_no_cache() -> None:
    found = bound_of("cell", "bf16", work(10**6, 400_000_000), CEILINGS, device_median_ms=40)
    assert (found.limit, found.level, found.bytes) == ("traffic", "memory", 200_000_000)
    assert found.bound_ms == pytest.approx(16.7)  # 200 MB at 2 bytes a weight, less the 33 in caches, at 10 GB/s
    assert found.arithmetic_ms == pytest.approx(0.005)


@pytest.mark.parametrize(
    ("million_bytes", "ms", "level"),
    [
        (0.5, 0.005, "L2"),
        (1.5, 0.015, "L2"),  # 0.5 of them from the L3 take 0.01
        (3, 0.04, "L3"),
        (34, 0.66, "L3"),  # 1 of them from memory takes 0.1
        (133, 10, "memory"),
    ],
)
def test_only_what_the_caches_before_cannot_hold_comes_from_a_level(
    million_bytes: float, ms: float, level: str
) -> None:
    found = traffic_of(int(million_bytes * 1e6), CEILINGS.bandwidths)
    assert found == (pytest.approx(ms), level)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_more_bytes_never_take_less_time(some: int, more: int) -> None:
    assert traffic_of(some, CEILINGS.bandwidths)[0] <= traffic_of(some + more, CEILINGS.bandwidths)[0]


def test_weights_are_as_wide_as_the_precision() -> None:
    counted = work(10**6, 40_000_000, input_bytes=1000, output_bytes=24)
    found = {name: bound_of("cell", name, counted, CEILINGS, 20) for name in ("fp32", "bf16", "int8")}
    assert {name: one.bytes for name, one in found.items()} == {
        "fp32": 40_001_024, "bf16": 20_001_024, "int8": 10_001_024
    }  # fmt: skip
    assert found["int8"].intensity == pytest.approx(10**6 / 10_001_024)


def test_the_leanest_export_bounds_all_and_unknown_work_bounds_nothing() -> None:
    works = [
        work(900, 10, "jax2tf"),
        work(800, 10, "tf2onnx"),
        work(1, 1, "torch-script", uncounted={"LSTM": 1}),
        work(0, 0, "jax2onnx", reason="no shapes"),
    ]
    assert leanest_works(works)[("bloodnet", 28, 1)].exporter == "tf2onnx"


def test_fewer_bytes_decide_between_exports_with_equal_operations_and_then_the_first() -> None:
    works = [work(800, 10, "jax2tf"), work(800, 9, "tf2onnx"), work(800, 9, "torch-script"), work(0, 1, "jax2onnx")]
    assert leanest_works(works)[("bloodnet", 28, 1)].exporter == "tf2onnx"
    assert leanest_works(works[3:]) == {}
    assert len(leanest_works([*works, work(1, 1, size=64), work(1, 1, batch=8)])) == 3


def test_what_moves_nothing_is_bounded_by_its_arithmetic_and_so_is_what_takes_as_long_for_both() -> None:
    """1,000 operations at 100 GFLOP/s, and 1,000 bytes at 100 GB/s."""
    nothing = bound_of("cell", "fp32", work(1000, 0), CEILINGS, 1)
    assert (nothing.limit, nothing.bytes, nothing.intensity, nothing.traffic_ms) == ("arithmetic", 0, 1000, 0)
    both = bound_of("cell", "fp32", work(1000, 1000), CEILINGS, 1)
    assert both.arithmetic_ms == both.traffic_ms == pytest.approx(1e-5)
    assert both.limit == "arithmetic"
    assert (both.intensity, both.flops) == (1.0, 1000)


def test_uncounted_work_is_none() -> None:
    unknown = GraphWork(architecture="bloodnet", size=28, exporter="tf2onnx", batch=1, reason="no shapes")
    counted = {"flops", "least_flops", "elementwise", "weight_bytes", "input_bytes", "output_bytes", "traffic_bytes"}
    assert {name: getattr(unknown, name) for name in counted} == dict.fromkeys(counted, 0)
    assert work(1, 10, input_bytes=200, output_bytes=3000).least_bytes == 3210


def test_every_timed_cell_of_a_framework_has_a_bound() -> None:
    cells = sample_results().cells
    works = [
        work(10**8, 10**6, architecture=name, size=size, batch=batch)
        for name, size, batch in {(cell.architecture, cell.size, cell.batch) for cell in cells}
    ]
    found = {bound.cell for bound in bounds_of(cells, works, [CEILINGS])}
    assert found == {cell.name for cell in cells if cell.device and cell.framework}
    assert bounds_of(cells, works, []) == bounds_of(cells, [], [CEILINGS]) == []


def test_a_gpu_cell_or_an_unmeasured_precision_has_no_bound_of_the_cpu() -> None:
    cell = next(cell for cell in sample_results().cells if cell.device and cell.framework)
    works = [work(10**8, 10**6, architecture=cell.architecture, size=cell.size, batch=cell.batch)]
    assert bounds_of([cell], works, [CEILINGS])
    for change in ({"device_kind": "cuda"}, {"precision": "fp16"}, {"threads": 2}):
        assert not bounds_of([cell.model_copy(update=change)], works, [CEILINGS])


def test_shared_caches_count_once_and_private_ones_each(tmp_path: Path) -> None:
    for core in (0, 1):
        for index, level, kind, size, shared in (
            (0, "1", "Data", "32K", str(core)),
            (1, "1", "Instruction", "32K", str(core)),
            (2, "2", "Unified", "1024K", str(core)),
            (3, "3", "Unified", "32768K", "0-1"),
        ):
            folder = tmp_path / f"cpu{core}" / "cache" / f"index{index}"
            folder.mkdir(parents=True)
            told = {"level": level, "type": kind, "size": size, "shared_cpu_list": shared}
            for name, text in told.items():
                (folder / name).write_text(f"{text}\n")
    assert cache_capacities((0, 1), tmp_path) == {"L2": 2 * 2**20, "L3": 32 * 2**20}
    assert cache_capacities((1,), tmp_path) == {"L2": 2**20, "L3": 32 * 2**20}
    assert cache_capacities((0,), tmp_path / "nowhere") == {}


@pytest.mark.slow
def test_a_job_measures_ceilings_in_order(tmp_path: Path) -> None:
    """No bound on the time: only statements that hold on any machine, whatever else it does."""
    cores = usable_cores()[-1:]
    found = run_job(CEILINGS_JOB, CeilingsRequest(threads=1, cores=cores), tmp_path / "log", limit_seconds=300)
    assert found.cores == cores
    assert {"fp32", "int8"} <= set(found.gflop_s)
    assert found.bandwidths[-1].level == "memory"
    rates = [*found.gflop_s.values(), *(one.gb_s for one in found.bandwidths)]
    assert all(0 < one.median <= one.best == max(one.all_best.values()) for one in rates)
    assert found.bandwidths[-1].array_bytes >= 4 * max(one.capacity_bytes for one in found.bandwidths)


ON_GPU = CEILINGS.model_copy(
    update={"device": "cuda", "gpu": "a fake", "gflop_s": {"fp32": rate(1000), "fp16": rate(8000)}, "threads": 7}
)


def test_a_cell_on_a_gpu_is_bounded_by_its_ceilings_at_any_number_of_threads_and_no_other_cell_is() -> None:
    first = next(cell for cell in sample_results().cells if cell.device and cell.framework)
    on_gpu = first.model_copy(update={"device_kind": "cuda"})
    in_16_bits = on_gpu.model_copy(update={"precision": "fp16", "name": "in 16 bits"})
    works = [work(10**9, 10**6, architecture=first.architecture, size=first.size, batch=first.batch)]
    found = bounds_of([on_gpu, in_16_bits], works, [CEILINGS, ON_GPU])
    assert [(one.cell, one.arithmetic_ms, one.bytes) for one in found] == [
        (first.name, pytest.approx(1), 10**6),
        ("in 16 bits", pytest.approx(0.125), 5 * 10**5),
    ]
    assert bounds_of([first], works, [ON_GPU]) == []
    assert bounds_of([on_gpu], works, [CEILINGS]) == []


def test_ceilings_without_a_bandwidth_of_the_memory_bound_nothing() -> None:
    """As where a GPU's memory was full."""
    first = next(cell for cell in sample_results().cells if cell.device and cell.framework)
    on_gpu = first.model_copy(update={"device_kind": "cuda"})
    works = [work(10**9, 10**6, architecture=first.architecture, size=first.size, batch=first.batch)]
    assert bounds_of([on_gpu], works, [ON_GPU.model_copy(update={"bandwidths": CEILINGS.bandwidths[1:]})]) == []
