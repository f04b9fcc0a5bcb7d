"""Timing with real worker processes: interleaving, failures that only cost their own cell, budget, resuming."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars
import psutil
import pytest

from assay.bench.judging.summary import cells_of
from assay.bench.machine.host import LOCAL
from assay.bench.timing.limits import Limits
from assay.bench.timing.measurements import Measurements
from assay.bench.timing.schedule import Budget, measure
from assay.bench.timing.timed_cell import TimedCell as Timed
from assay.bench.timing.trials import (
    BUDGET_SPENT,
    LEAST_BLOCKS,
    WARM_UP_BLOCK,
    CellFacts,
    Group,
    Observation,
    Unit,
    timed_name,
)
from assay.bench.timing.unfinished import mark
from assay.bench.timing.workers import Candidate, Worker
from assay.errors import WorkerError
from assay.files.columns import SAMPLE_COLUMNS
from assay.infer.commands import MODULE, Burst, SessionLoaded, SessionObserved, Warmed
from assay.infer.runtime import ModelFiles
from assay.jobs.killed import noting_ended
from assay.records.races import SpeedComparison
from assay.spec import ModelSpec, Settings
from assay.store import Store
from assay.train.built import BuiltModel
from assay.train.weights import initial_weights, save_weights
from tests.bench.judging.test_summary import comparisons_by_samples as comparisons_of
from tests.user_models import tensor, user_model

SPEC = ModelSpec("bloodnet", 12, 3)
USER = user_model((tensor("rows", 4),), (tensor("out", 2),), "torch")


@pytest.fixture
def group(tmp_path: Path) -> Group:
    """null twice and PyTorch once, on a small model."""
    save_weights(tmp_path / "w.safetensors", initial_weights(SPEC, 0))
    np.save(tmp_path / "images.npy", np.random.default_rng(0).normal(size=(8, 12, 12, 3)).astype(np.float32))
    files = ModelFiles(model=BuiltModel(spec=SPEC, weights=tmp_path / "w.safetensors"))
    candidates = (Candidate("null", "", files), Candidate("null", "again", files), Candidate("torch.eager", "", files))
    return Group("bloodnet/12/t1", candidates, (1, 2), Settings(), tmp_path / "images.npy")


def unit(group: Group, folder: Path, seconds: float = 600, call: float = 120) -> Unit:
    now = time.monotonic()
    limits = Limits(share=now, end=now + seconds, call=call, blocks=5)
    labels = frozenset(one.label for one in group.candidates)
    return Unit(group, 0, limits, folder, folder / "cache", LOCAL, labels)


def silent(text: str) -> None:
    """A progress that goes nowhere."""


@pytest.mark.parametrize(("call_ms", "dropped"), [(0.1, 3), (5, 3), (12, 2), (30, 1), (100, 1), (300, 0)])
def test_dropped_calls_after_thawing_take_little_time(call_ms: float, dropped: int) -> None:
    median = int(call_ms * 1e6)
    warmed = Warmed(calls_ns=[median], median_ns=median)
    loaded = SessionLoaded(import_seconds=0, load_seconds=0, precision="fp32", facts={})
    worker = Worker.__new__(Worker)  # no process: only the numbers are asked for
    timed = Timed(worker, "cell", loaded, warmed)
    assert timed.drop == min(dropped, max(1, round(60 / call_ms)))
    assert timed.further_calls == (2 if call_ms in {30, 100} else timed.calls), "no more untimed than timed ones"


def test_a_unit_times_every_cell_in_every_block(group: Group, tmp_path: Path) -> None:
    one = unit(group, tmp_path)
    one.run(silent)
    samples = one.samples()
    assert [fact.reason for fact in one.facts] == [""] * 6
    assert samples["cell"].n_unique() == 6
    per_block = samples.group_by("cell", "block", "boundary").len()
    assert len(per_block) == 6 * (1 + LEAST_BLOCKS * 3), "six cells: a warm-up, then dropped, host and device calls"
    assert samples.filter(polars.col("boundary") == "warm-up")["block"].unique().to_list() == [WARM_UP_BLOCK]
    assert samples["wall_ns"].min() > 0  # type: ignore[operator]
    assert len(list(tmp_path.glob("*.npy"))) == 6 + 1, "each cell's logits, and the images"
    bursts = one.burst_table()
    assert bursts.select("cell", "process", "block").is_unique().all()
    assert (bursts["wall_ns"] > 0).all()
    kept = np.load(tmp_path / timed_name("bloodnet/12/b2/t1/torch.eager"))
    assert kept["places"].shape == (2 * LEAST_BLOCKS,), "two images of one call in each block"
    assert kept["logits"].shape == (2 * LEAST_BLOCKS, SPEC.classes)


def killing(one: Unit, when: str, which: int) -> Callable[[str], None]:
    """Kill one worker when the unit reports something."""

    def tell(text: str) -> None:
        if when in text and len(one._workers) == 3:
            one._workers[which][0].kill()

    return tell


def test_a_killed_worker_costs_its_own_cells_only(group: Group, tmp_path: Path) -> None:
    one = unit(group, tmp_path)
    one.run(killing(one, "batch 1, block 2", which=2))
    reasons = {fact.cell: fact.reason for fact in one.facts}
    broken = {cell for cell, reason in reasons.items() if reason}
    assert broken == {"bloodnet/12/b1/t1/torch.eager", "bloodnet/12/b2/t1/torch.eager"}
    assert all("ended by SIGKILL" in reasons[cell] for cell in broken)
    assert len(reasons) == 6


def test_a_worker_that_ends_when_it_is_looked_at_has_its_times(
    group: Group, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The precision is asked for last, and is worth less than the measurement."""

    def end(worker: Worker) -> SessionObserved:
        worker.kill()
        raise WorkerError("The worker ended")

    monkeypatch.setattr(Worker, "observe", end)
    small = Group(group.name, group.candidates[:1], (1, 2), group.settings, group.images)
    one = unit(small, tmp_path)
    one.run(silent)
    first, second = one.facts
    assert (first.cell, first.reason, first.seen) == ("bloodnet/12/b1/t1/null", "", None)
    assert second.reason == "The worker ended"
    assert set(one.samples()["cell"].unique()) == {first.cell}


def test_a_worker_that_is_too_slow_is_given_up(group: Group, tmp_path: Path) -> None:
    one = unit(group, tmp_path, call=0.2)
    one.run(silent)
    reasons = {fact.cell: fact.reason for fact in one.facts}
    assert reasons["bloodnet/12/b1/t1/torch.eager"].startswith("Importing the framework of torch.eager ")
    assert "and was abandoned" in reasons["bloodnet/12/b1/t1/torch.eager"]


def test_a_model_that_cannot_load_costs_its_own_cells_only(group: Group, tmp_path: Path) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"broken")
    broken = Candidate(
        "torch.eager", "", ModelFiles(model=BuiltModel(spec=SPEC, weights=tmp_path / "broken.safetensors"))
    )
    one = unit(Group(group.name, (*group.candidates[:1], broken), (1,), group.settings, group.images), tmp_path)
    one.run(silent)
    assert {fact.cell.split("/")[-1]: bool(fact.reason) for fact in one.facts} == {"null": False, "torch.eager": True}


def test_finished_units_are_not_measured_again(group: Group, tmp_path: Path) -> None:
    told: list[str] = []
    budget = Budget(seconds=60, processes=2, call_seconds=60, blocks=3)
    small = Group(group.name, group.candidates[:2], (1,), group.settings, group.images)
    first = measure([small], budget, Store(tmp_path / "units"), told.append, LOCAL)
    assert first.samples["process"].unique().sort().to_list() == [0, 1]
    told.clear()
    again = measure([small], budget, Store(tmp_path / "units"), told.append, LOCAL)
    assert told == []
    assert again.samples.equals(first.samples)
    assert again.seconds == first.seconds


def test_invalid_cells_are_timed_again_and_all_of_them_on_request(group: Group, tmp_path: Path) -> None:
    told: list[str] = []
    budget = Budget(seconds=60, processes=1, call_seconds=60, blocks=2)
    small = Group(group.name, group.candidates[:1], (1,), group.settings, group.images)

    def timed(*, again: bool = False) -> Measurements:
        told.clear()
        return measure(
            [small],
            budget,
            Store(tmp_path / "units"),
            silent,
            LOCAL,
            again=again,
            before_first=lambda: told.append("looked"),
        )

    first = timed()
    assert told == ["looked"], "whether the machine is busy is looked at before the first process"
    cells = cells_of([small], first.facts, first.samples, {}, {small.name: "key"})
    invalid = [cell.model_copy(update={"invalid": ["stolen processor time: 8.7%"]}) for cell in cells]
    assert mark(first.units, []) == 0
    assert timed().samples.equals(first.samples)
    assert told == []
    assert mark(first.units, invalid) == 1
    second = timed()
    assert told == ["looked"]
    assert not second.samples.equals(first.samples)
    assert timed().samples.equals(second.samples), "what was timed anew is kept, until it is judged"
    assert not timed(again=True).samples.equals(second.samples)


def test_what_has_no_times_since_somebody_ended_its_process_is_timed_again(group: Group, tmp_path: Path) -> None:
    ended: list[int] = []

    def end_one(text: str) -> None:
        if "block 2" not in text or ended:
            return
        workers = [one for one in psutil.Process().children(recursive=True) if one.cmdline()[-1:] == [MODULE]]
        ended.append(next(one.pid for one in workers if "assay.boxed.box" not in one.cmdline()))
        os.kill(ended[0], signal.SIGKILL)

    budget = Budget(seconds=60, processes=1, call_seconds=60, blocks=4)
    small = Group(group.name, group.candidates[:2], (1,), group.settings, group.images)
    units = Store(tmp_path / "units")
    with noting_ended() as noted:
        first = measure([small], budget, units, end_one, LOCAL)
    assert len(noted) == 1
    assert noted[0].startswith(f"{MODULE} was ended by SIGKILL")
    cells = cells_of([small], first.facts, first.samples, {}, {small.name: "key"})
    assert sorted(cell.status for cell in cells) == ["failed", "ok"]
    assert "was ended by SIGKILL" in next(cell.reason for cell in cells if cell.reason)
    with noting_ended() as noted:
        again = measure([small], budget, units, silent, LOCAL)
    assert noted == []
    cells = cells_of([small], again.facts, again.samples, {}, {small.name: "key"})
    assert [cell.status for cell in cells] == ["ok", "ok"]
    kept = measure([small], budget, units, silent, LOCAL)
    assert kept.samples.equals(again.samples)


@pytest.mark.slow
def test_processes_are_added_where_an_interval_is_too_wide(group: Group, tmp_path: Path) -> None:
    null, eager = group.candidates[0], group.candidates[2]
    candidates = (null, eager, Candidate("torch.channels_last", "", eager.model))
    small = Group(group.name, candidates, (1,), group.settings, group.images)
    never = Budget(600, 2, 60, 2, interval_width=1e-9, most_processes=3)
    found = measure([small], never, Store(tmp_path / "units"), silent, LOCAL)
    processes = dict(found.samples.group_by("cell").agg(polars.col("process").n_unique()).iter_rows())
    assert {cell.split("/")[-1]: count for cell, count in processes.items()} == {
        "null": 2,
        "torch.eager": 3,
        "torch.channels_last": 3,
    }
    told: list[str] = []
    content = Budget(600, 2, 60, 2, interval_width=1e9, most_processes=3)
    assert measure([small], content, Store(tmp_path / "units"), told.append, LOCAL).samples["process"].max() == 1
    assert told == [], "the first two processes are kept, and no third is wanted"


def test_a_clock_that_goes_backwards_is_refused() -> None:
    with pytest.raises(WorkerError, match="clock went backwards"):
        Burst(host_ns=[5, -1], device_ns=[5], dropped_ns=[], wall_ns=10, processor_ns=10, involuntary_switches=0)


def test_a_spent_budget_skips_and_says_so(group: Group, tmp_path: Path) -> None:
    small = Group(group.name, group.candidates[:2], (1,), group.settings, group.images)
    found = measure([small], Budget(0.0, 3, 60, 3), Store(tmp_path / "units"), silent, LOCAL)
    assert found.samples.is_empty()
    assert {fact.reason for fact in found.facts} == {BUDGET_SPENT}
    cells = cells_of([small], found.facts, found.samples, {}, {small.name: "key"})
    assert [(cell.status, cell.reason, cell.lacks) for cell in cells] == [("skipped", BUDGET_SPENT, "time")] * 2


def test_cells_and_comparisons_from_samples(group: Group) -> None:
    files = group.candidates[0].model
    candidates = (Candidate("torch.eager", "", files), Candidate("ort.cpu", "tf2onnx", files))
    made = Group(group.name, candidates, (1,), group.settings, group.images)
    names = [made.cell_name(1, candidate.label) for candidate in candidates]
    rows = [
        (name, process, block, call, boundary, (place + 1) * 1_000_000 + 1000 * (process + block + call), 500)
        for place, name in enumerate(reversed(names))
        for process in range(4)
        for block in range(3)
        for call in range(5)
        for boundary in ("host", "device")
    ]
    samples = polars.DataFrame(rows, schema=SAMPLE_COLUMNS, orient="row")
    facts = [
        CellFacts(cell=name, process=process, import_seconds=1, load_seconds=1, first_call_seconds=1, peak_mib=1)
        for name in names
        for process in range(4)
    ]
    cells = cells_of([made], facts, samples, {}, {made.name: "key"})
    assert [cell.status for cell in cells] == ["ok", "ok"]
    assert json.loads(cells[0].model_dump_json())["host"]["median_ms"]["value"] == pytest.approx(2.005, abs=1e-3)
    (comparison,) = comparisons_of(cells, samples)
    assert (comparison.native, comparison.onnx, comparison.verdict) == ("torch.eager", "ort.cpu@tf2onnx", "faster")
    assert comparison.speedup.value == pytest.approx(2, rel=0.01)
    assert comparison.ratios["torch.eager"].value == 1


def test_what_computes_in_less_than_fp32_is_a_rival_and_never_the_one_that_is_compared(group: Group) -> None:
    files = group.candidates[0].model
    pairs = (("torch.eager", ""), ("ort.cpu", "tf2onnx"), ("ort.cpu", "tf2onnx+int8"))
    made = Group(group.name, tuple(Candidate(*pair, files) for pair in pairs), (1,), group.settings, group.images)
    times_ms = dict(zip((made.cell_name(1, one.label) for one in made.candidates), (4, 2, 1), strict=True))
    rows = [
        (name, process, block, call, boundary, time_ms * 1_000_000 + 1000 * (process + block + call), 500)
        for name, time_ms in times_ms.items()
        for process in range(3)
        for block in range(3)
        for call in range(5)
        for boundary in ("host", "device")
    ]
    facts = [
        CellFacts(cell=name, process=process, precision="int8" if name.endswith("int8") else "fp32")
        for name in times_ms
        for process in range(3)
    ]
    samples = polars.DataFrame(rows, schema=SAMPLE_COLUMNS, orient="row")
    cells = cells_of([made], facts, samples, {}, {made.name: "key"})
    (comparison,) = comparisons_of(cells, samples)
    assert (comparison.native, comparison.onnx) == ("torch.eager", "ort.cpu@tf2onnx")
    assert comparison.ratios["ort.cpu@tf2onnx+int8"].value == pytest.approx(0.25, rel=0.01)


def timed_in(group: Group, precisions: dict[tuple[str, str], str]) -> list[SpeedComparison]:
    """The comparisons of a user's cells that were seen to compute in these precisions; the first one is slowest."""
    model = ModelFiles(model=USER)
    made = Group(group.name, tuple(Candidate(*pair, model) for pair in precisions), (1,), group.settings, group.images)
    names = [made.cell_name(1, one.label) for one in made.candidates]
    rows = [
        (name, process, block, call, boundary, (9 - place) * 1_000_000 + 1000 * (process + block + call), 500)
        for place, name in enumerate(names)
        for process in range(3)
        for block in range(3)
        for call in range(5)
        for boundary in ("host", "device")
    ]
    facts = [
        CellFacts(
            cell=name,
            process=process,
            precision="fp32",
            seen=Observation(device="cpu", precision=precision, computed="", model="") if process == 0 else None,
        )
        for name, precision in zip(names, precisions.values(), strict=True)
        for process in range(3)
    ]
    samples = polars.DataFrame(rows, schema=SAMPLE_COLUMNS, orient="row")
    cells = cells_of([made], facts, samples, {}, {made.name: "key"})
    assert [cell.precision for cell in cells] == list(precisions.values())
    return comparisons_of(cells, samples)


EAGER, SCRIPT = ("torch.eager", ""), ("torch.script", "")
EXPORT, OTHER_EXPORT = ("ort.cpu", "torch-dynamo"), ("ort.cpu", "torch-script")


def test_a_native_cell_of_reduced_precision_is_not_a_basis_for_a_verdict_on_fp32(group: Group) -> None:
    assert timed_in(group, {EAGER: "bf16", EXPORT: "fp32"}) == []
    (found,) = timed_in(group, {EAGER: "fp32", SCRIPT: "bf16", EXPORT: "fp32"})
    assert (found.native, found.onnx, found.precision) == ("torch.eager", "ort.cpu@torch-dynamo", "fp32")


def test_a_model_of_reduced_precision_is_compared_with_its_like(group: Group) -> None:
    (found,) = timed_in(group, {EAGER: "fp16", EXPORT: "fp16", OTHER_EXPORT: "fp32"})
    assert (found.native, found.onnx, found.precision) == ("torch.eager", "ort.cpu@torch-dynamo", "fp16")


def test_the_answer_on_onnx_does_not_drown_in_the_other_cells(group: Group) -> None:
    """Three processes 3 % apart show a difference of 20 %, but no longer if 40 more comparisons belong to the
    family.
    """
    files = group.candidates[0].model
    exported = [Candidate("ort.cpu", f"route-{number}", files) for number in range(41)]
    native = Candidate("torch.eager", "", files)
    made = Group(group.name, (native, *exported), (1,), group.settings, group.images)
    spread = (0.98, 1.0, 1.02)
    rows = [
        (made.cell_name(1, one.label), process, block, 0, boundary, round(time_ns), 500)
        for place, one in enumerate(made.candidates)
        for process in range(3)
        for block in range(8)
        for boundary in ("host", "device")
        for time_ns in [1e6 if one is native else (0.8 + place / 1e6) * 1e6 * spread[process]]
    ]
    facts = [
        CellFacts(cell=made.cell_name(1, one.label), process=process) for one in made.candidates for process in range(3)
    ]
    samples = polars.DataFrame(rows, schema=SAMPLE_COLUMNS, orient="row")
    (comparison,) = comparisons_of(cells_of([made], facts, samples, {}, {made.name: "key"}), samples)
    assert comparison.verdict == "faster"
    assert comparison.verdicts.pop(comparison.onnx) == "faster"
    assert set(comparison.verdicts.values()) == {"undecided"}
