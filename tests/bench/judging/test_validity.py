"""Each reason for which a time is not trusted, and a quiet cell that is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars
import pytest

from assay.bench.judging.summary import NANOSECONDS_IN_MS, ranked
from assay.bench.judging.validity import is_too_short, judged, reasons, times_may_change, to_time_again
from assay.bench.timing.measurements import Measurements
from assay.files.columns import BURST_COLUMNS, GPU_BURST_COLUMNS
from assay.infer.observing.observed import NODES_ON_CPU
from assay.records.base import Interval
from assay.records.results import Agreement, Cell
from assay.records.timings import GpuConditions, Steadiness, Timing

AGREES = Agreement(
    subject="timed calls", images=8, max_absolute=1e-6, max_relative=1e-6, tolerance=1e-5, derivation="derived",
    largest_moved=0, passed=True,
)  # fmt: skip
WRONG = AGREES.model_copy(update={"passed": False, "reason": "differs by 0.1, where 1e-05 is tolerated"})


def timing(ms: float, *, calls: int = 100, processes: int = 3) -> Timing:
    estimate = Interval(value=ms, low=ms, high=ms)
    return Timing(median_ms=estimate, p90_ms=estimate, p99_ms=estimate, samples=calls, processes=processes)


def cell(**changes: Any) -> Cell:
    """A quiet cell, with changes."""
    quiet = Cell(
        name="bloodnet/28/b1/t1/torch.eager", architecture="bloodnet", size=28, batch=1, threads=1, device_kind="cpu",
        runtime="torch.eager", framework="torch", label="torch.eager", status="ok", weights="key", host=timing(1.0),
        processor_use=1.0, timed_agreement=AGREES, steadiness=Steadiness(involuntary_switches_per_second=1.0),
    )  # fmt: skip
    return quiet.model_copy(update=changes)


def on_gpu(**changes: Any) -> Steadiness:
    """A quiet cell's, on a GPU that is steady, with changes."""
    quiet = GpuConditions(bursts=12, unsteady=0, lowest_mhz=1965, highest_mhz=1980, held_back=[], foreign_processes=0)
    return Steadiness(gpu=quiet.model_copy(update=changes))


def test_a_runtime_that_yields_the_processor_by_design_is_timed_as_it_is() -> None:
    switching = Steadiness(involuntary_switches_per_second=500.0)
    predict = cell(runtime="tf.predict", framework="tf", steadiness=switching, processor_use=0.55)
    assert reasons(predict) == []
    assert len(reasons(predict.model_copy(update={"runtime": "tf.function"}))) == 2
    assert "more than the 1 threads asked for" in reasons(predict.model_copy(update={"processor_use": 1.9}))[0]
    drifting = switching.model_copy(update={"drift": 0.4, "drift_p_value": 0.0001})
    assert reasons(predict.model_copy(update={"steadiness": drifting}))[0].startswith("drift")


def test_a_quiet_cell_is_valid() -> None:
    assert reasons(cell()) == []
    assert ranked(cell())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"host": timing(1.0, processes=1)}, "too few processes"),
        ({"host": timing(1.0, calls=7)}, "too few calls"),
        ({"steadiness": Steadiness(drift=0.08, drift_p_value=0.001)}, "drift: +8.0%"),
        ({"steadiness": Steadiness(drift=-0.08, drift_p_value=0.001)}, "drift: -8.0%"),
        ({"steadiness": Steadiness(stolen_share=0.05)}, "stolen processor time: 5.0%"),
        ({"steadiness": Steadiness(throttle_events=2)}, "throttled processor: 2 events"),
        (
            {"steadiness": Steadiness(involuntary_switches_per_second=500.0), "processor_use": 0.9},
            "involuntary context switches: 500 a second and 10.0% of the processor lost",
        ),
        ({"steadiness": Steadiness(floor_share=0.13)}, "harness floor: 13.0%"),
        ({"processor_use": 1.9}, "more than the 1 threads asked for"),
        ({"processor_use": 0.4}, "it was waiting"),
        ({"timed_agreement": WRONG}, "wrong outputs in timed calls: differs by 0.1"),
        ({"timed_agreement": None}, "were not compared"),
        ({"asked_device": "cuda"}, "ran on cpu: cuda was requested"),
        ({"steadiness": on_gpu(held_back=["hardware slowdown"])}, "throttled GPU: hardware slowdown"),
        ({"steadiness": on_gpu(foreign_processes=2)}, "processes of others on the GPU: 2"),
        ({"steadiness": on_gpu(lowest_mhz=345)}, "clock of the GPU: 345 to 1980 MHz, at most 5% is tolerated"),
        (
            {"asked_device": "cuda", "device_kind": "cuda", "provenance": {NODES_ON_CPU: "Shape sizes"}},
            "nodes on the CPU, of a file that was to run on cuda: Shape sizes",
        ),
        ({"asked_precision": "fp32", "precision": "bf16"}, "computed in bf16: fp32 was requested"),
        ({"asked_precision": "fp32", "precision": "tf32"}, "computed in tf32: fp32 was requested"),
        (
            {"asked_precision": "fp16", "precision": "fp16", "computed_in": "fp32"},
            "computed in fp32: fp16 was requested",
        ),
    ],
)
def test_each_reason_is_named_and_keeps_the_cell_out_of_the_ranking(changes: dict[str, object], reason: str) -> None:
    changed = cell(**changes)
    (found,) = reasons(changed)
    assert reason in found
    assert not ranked(changed.model_copy(update={"invalid": [found]}))


@pytest.mark.parametrize(
    ("within", "beyond"),
    [
        ({"host": timing(1.0, processes=2)}, {"host": timing(1.0, processes=1)}),
        ({"host": timing(1.0, calls=8)}, {"host": timing(1.0, calls=7)}),
        (
            {"steadiness": Steadiness(drift=0.05, drift_p_value=0.001)},
            {"steadiness": Steadiness(drift=0.051, drift_p_value=0.0)},
        ),
        (
            {"steadiness": Steadiness(drift=0.08, drift_p_value=0.01)},
            {"steadiness": Steadiness(drift=0.08, drift_p_value=0.009)},
        ),
        ({"steadiness": Steadiness(stolen_share=0.02)}, {"steadiness": Steadiness(stolen_share=0.0201)}),
        ({"steadiness": Steadiness(throttle_events=0)}, {"steadiness": Steadiness(throttle_events=1)}),
        ({"steadiness": Steadiness(floor_share=0.1)}, {"steadiness": Steadiness(floor_share=0.101)}),
        (
            {"steadiness": Steadiness(involuntary_switches_per_second=100), "processor_use": 0.9},
            {"steadiness": Steadiness(involuntary_switches_per_second=101), "processor_use": 0.9},
        ),
        (
            {"steadiness": Steadiness(involuntary_switches_per_second=500), "threads": 2, "processor_use": 1.91},
            {"steadiness": Steadiness(involuntary_switches_per_second=500), "threads": 2, "processor_use": 1.89},
        ),
        ({"processor_use": 1.1}, {"processor_use": 1.11}),
        ({"processor_use": 2.2, "threads": 2}, {"processor_use": 2.21, "threads": 2}),
        ({"processor_use": 0.75}, {"processor_use": 0.74}),
        ({"processor_use": 0.0, "device_kind": "cuda"}, {"processor_use": 0.0, "device_kind": "cpu"}),
        ({"steadiness": on_gpu(lowest_mhz=1881)}, {"steadiness": on_gpu(lowest_mhz=1880)}),
        ({"steadiness": on_gpu(foreign_processes=0)}, {"steadiness": on_gpu(foreign_processes=1)}),
        (
            {"steadiness": on_gpu(held_back=["power limit", "clocks set by an application"])},
            {"steadiness": on_gpu(held_back=["power limit", "temperature limit"])},
        ),
    ],
)
def test_each_limit_is_tolerated_itself_and_nothing_beyond_it(
    within: dict[str, object], beyond: dict[str, object]
) -> None:
    assert reasons(cell(**within)) == []
    assert len(reasons(cell(**beyond))) == 1


def test_a_cell_that_ran_as_requested_or_without_a_request_is_valid() -> None:
    assert reasons(cell(asked_device="cpu", asked_precision="int8", precision="int8")) == []
    assert reasons(cell(precision="bf16")) == []  # a user's model, or an older record


def test_another_timing_changes_nothing_about_where_it_ran() -> None:
    elsewhere = cell(asked_device="cuda")
    elsewhere = elsewhere.model_copy(update={"invalid": reasons(elsewhere)})
    assert not times_may_change(elsewhere)
    assert times_may_change(elsewhere.model_copy(update={"invalid": [*elsewhere.invalid, "drift: +9.0%"]}))


def test_an_uncertain_or_small_drift_is_not_a_reason() -> None:
    assert reasons(cell(steadiness=Steadiness(drift=0.08, drift_p_value=0.2))) == []
    assert reasons(cell(steadiness=Steadiness(drift=0.03, drift_p_value=0.0001))) == []


def test_a_runtime_that_switches_among_its_own_threads_is_not_disturbed() -> None:
    assert reasons(cell(steadiness=Steadiness(involuntary_switches_per_second=500.0), processor_use=0.995)) == []


def test_the_rulers_own_zero_is_not_judged() -> None:
    assert reasons(cell(framework="", runtime="null", timed_agreement=None)) == []


def measured(names: list[str], switches: int) -> Measurements:
    """Three processes of four blocks of 50 ms for each cell; calls of 1 ms, and of 0.05 ms for the null runtime."""
    calls = [
        (name, process, block, call, "host", int(NANOSECONDS_IN_MS * (0.15 if "null" in name else 1)), 0)
        for name in names
        for process in range(3)
        for block in range(4)
        for call in range(10)
    ]
    bursts = [
        (name, process, block, 0, 50_000_000, 46_000_000, switches, 0.0, None)
        for name in names
        for process in range(3)
        for block in range(4)
    ]
    columns = ["cell", "process", "block", "call", "boundary", "wall_ns", "cpu_ns"]
    return Measurements(
        polars.DataFrame(calls, schema=columns, orient="row"),
        polars.DataFrame(bursts, schema=BURST_COLUMNS, orient="row"),
        [], {}, {}, 1.0,
    )  # fmt: skip


def test_what_happened_is_read_from_bursts_and_samples() -> None:
    timed = cell(steadiness=None, processor_use=None, timed_agreement=None)
    floor = cell(name="bloodnet/28/b1/t1/null", runtime="null", framework="", label="null", host=timing(0.15))
    skipped = cell(name="bloodnet/28/b1/t1/jax.jit", status="skipped", host=None)
    found = judged([timed, floor, skipped], measured([timed.name, floor.name], 20), {timed.name: AGREES})
    seen = found[0].steadiness
    assert seen is not None
    assert seen.involuntary_switches_per_second == pytest.approx(400)
    assert seen.floor_share == pytest.approx(0.15)
    assert (seen.stolen_share, seen.throttle_events, seen.drift) == (0.0, None, 0.0)
    assert (seen.kinds, [rule.partition(":")[0] for rule in seen.not_testable]) == ("", ["two kinds of processes"])
    assert found[0].processor_use == pytest.approx(0.92)
    assert [reason.split(":")[0] for reason in found[0].invalid] == ["involuntary context switches", "harness floor"]
    assert found[1].invalid == []
    assert found[2] == skipped
    assert np.isfinite(found[0].model_dump()["steadiness"]["involuntary_switches_per_second"])


def test_what_the_gpu_did_is_read_from_bursts() -> None:
    """Rows as the conductor writes them: two bursts with a driver that says all, then one that says little."""
    timed = cell(steadiness=None, processor_use=None, timed_agreement=None, device_kind="cuda")
    known = measured([timed.name], 1)
    row = (0.2, True, 1965, 1980, 61, 412.5, "", 0, 2048.0, 512.0, 4_000, 20_000, 9_000, 8_000, 3_000, 300.0)
    held = "power limit, temperature limit"
    hot = (2.0, False, 1905, 1950, 84, 690.0, held, 1, 4096.0, 600.0, 6_000, 20_000, 9_000, 8_000, 3_000, 400.0)

    def judged_with(rows: list[tuple[Any, ...]]) -> Steadiness:
        columns = polars.DataFrame(rows * (len(known.bursts) // len(rows)), schema=GPU_BURST_COLUMNS, orient="row")
        found = judged([timed], replace(known, bursts=known.bursts.hstack(columns)), {timed.name: AGREES})[0].steadiness
        assert found is not None
        return found

    assert judged_with([row, hot]).gpu == GpuConditions(
        bursts=12, unsteady=6, lowest_mhz=1905, highest_mhz=1980, most_celsius=84, most_watts=690.0,
        held_back=["power limit", "temperature limit"], foreign_processes=1, used_mib=4096.0, own_mib=600.0,
        synchronising_us=5.0, to_gpu_us=20.0, from_gpu_us=9.0, to_gpu_pinned_us=8.0, from_gpu_pinned_us=3.0,
        allocated_mib=400.0,
    )  # fmt: skip
    silent = judged_with([(2.0, False, *[None] * 9, 20_000, 9_000, *[None] * 3)])
    assert silent.gpu == GpuConditions(bursts=12, unsteady=12, to_gpu_us=20.0, from_gpu_us=9.0)
    told = [rule.partition(":")[0] for rule in silent.not_testable]
    assert told[-3:] == ["throttling of the GPU", "other processes on the GPU", "clock of the GPU"]
    on_cpu = judged_with([(None,) * len(GPU_BURST_COLUMNS)])
    assert on_cpu.gpu is None
    assert "gpu" not in on_cpu.model_dump(), "a study on the CPU is written as it was before there were GPUs"


def test_too_few_blocks_and_processes_are_named_with_what_they_cannot_show() -> None:
    """Three blocks in each of three processes cannot show a drift: a perfect trend has a chance of 1.6 %.

    Three processes miss a second speed that one process in five has with a chance of 0.8 ** 3.
    """
    timed = cell(steadiness=None, processor_use=None, timed_agreement=None)
    four = measured([timed.name], 0)
    three = replace(four, samples=four.samples.filter(polars.col("block") < 3))
    (found,) = judged([timed], three, {timed.name: AGREES})
    assert found.steadiness is not None
    assert found.steadiness.not_testable == [
        "drift: 9 blocks in 3 process(es) are too few to show one",
        "two kinds of processes: 3 cannot show them, and miss one that 20% of processes are of with a chance of 51%",
    ]


def test_a_cell_that_is_only_too_short_is_distinguished() -> None:
    floor = reasons(cell(steadiness=Steadiness(floor_share=0.13)))
    short = cell(invalid=floor)
    assert is_too_short(short)
    assert not is_too_short(cell())
    assert not is_too_short(cell(invalid=[*floor, "drift: +9.0%"]))


def test_only_what_another_timing_may_mend_is_timed_again() -> None:
    unlucky, elsewhere = cell(invalid=["drift: +9.0%"]), cell(asked_device="cuda")
    elsewhere = elsewhere.model_copy(update={"invalid": reasons(elsewhere)})
    assert to_time_again([cell(), unlucky, elsewhere]) == [unlucky]
