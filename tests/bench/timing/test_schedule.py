"""The plan of a budget with a simulated clock: real units and a real plan, with workers that only let time pass.

Their times are those that the published quick study took on a quiet machine with two cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars
import pytest

from assay.bench.machine.disturbance import Disturbance
from assay.bench.machine.host import LocalHost
from assay.bench.timing import schedule, trials, unit_files
from assay.bench.timing.measurements import Measurements
from assay.bench.timing.schedule import Budget, measure
from assay.bench.timing.trials import BLOCKS_OF_SLOWER, BUDGET_SPENT, LEAST_BLOCKS, Group
from assay.bench.timing.width import contenders
from assay.bench.timing.workers import Candidate
from assay.infer.commands import Burst, SessionLoaded, SessionObserved, Warmed
from assay.infer.runtime import ModelFiles
from assay.jobs.running import LateError
from assay.records.results import read_results
from assay.registry import RUNTIMES
from assay.spec import ModelSpec, Settings
from assay.store import Store
from assay.study import load_study
from assay.train.built import BuiltModel

ROOT = Path(__file__).parents[3]
PUBLISHED = ROOT / "artifacts/reference/quick"
PYTHON_SECONDS, COMMAND_SECONDS, KILL_SECONDS = 0.4, 0.01, 0.1
LIKE = {"torch.compile.frozen": "torch.script"}
"""Entries that cost as much as another published one."""
FILES = ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", 28, 8)))


@dataclass(frozen=True)
class Costs:
    """Seconds of the cells of a study: imports and loads by label, calls and warm-ups by cell."""

    imports: dict[str, float]
    loads: dict[str, float]
    calls: dict[str, float]
    warming: dict[str, float]
    groups: dict[str, tuple[str, ...]]
    batches: tuple[int, ...]


@cache
def published() -> Costs:
    results = read_results(PUBLISHED / "results.json")
    frame = polars.read_parquet(PUBLISHED / "samples.parquet")
    host = frame.filter(polars.col("boundary") == "host").group_by("cell").agg(polars.col("wall_ns").median() / 1e9)
    spent = polars.col("wall_ns").sum() / polars.col("process").n_unique() / 1e9
    warm = frame.filter(polars.col("boundary") == "warm-up").group_by("cell").agg(spent)
    cold = {cell.label: cell.cold for cell in results.cells if cell.cold}
    groups: dict[str, dict[str, None]] = {}
    for cell in results.cells:
        groups.setdefault(f"{cell.architecture}/{cell.size}/t{cell.threads}", {})[cell.label] = None
    return Costs(
        {label: one.import_seconds for label, one in cold.items()},
        {label: one.load_seconds for label, one in cold.items()},
        dict(host.iter_rows()),
        dict(warm.iter_rows()),
        {name: tuple(labels) for name, labels in groups.items()},
        tuple(sorted({cell.batch for cell in results.cells})),
    )


@dataclass
class World:
    """A clock, the factor by which everything is slower than in the published run, and the time of compiling."""

    slowness: float = 1.0
    compiling: float = 0.0
    now: float = 1000.0
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def monotonic(self) -> float:
        return self.now

    def monotonic_ns(self) -> int:
        return int(self.now * 1e9)

    def wait(self, seconds: float) -> None:
        self.now += seconds * self.slowness


class Pretender:
    """A worker that lets the time of its candidate pass, and answers as it did."""

    def __init__(self, world: World, candidate: Candidate, ready_by: float) -> None:
        self.world, self.candidate, self.ready_by = world, candidate, ready_by
        self.label = LIKE.get(candidate.label, candidate.label)
        self.call_seconds, self.cell, self.imported_at = 0.0, "", 0.0

    def begin_import(self, cores: Sequence[int], device: str) -> None:
        del cores, device
        seconds = PYTHON_SECONDS + published().imports[self.label]
        self.imported_at = self.world.now + seconds * self.world.slowness

    def has_imported(self, wait_seconds: float) -> bool:
        left = max(self.imported_at - self.world.now, 0)
        self._get_ready(min(left, wait_seconds) / self.world.slowness)
        return left <= wait_seconds

    def _get_ready(self, seconds: float) -> None:
        """Let this much time pass, or be given up."""
        if self.world.now + seconds * self.world.slowness > self.ready_by:
            self.world.now = max(self.world.now, self.ready_by)
            raise LateError("not ready")
        self.world.wait(seconds)

    def load(self, settings: Settings) -> SessionLoaded:
        del settings
        label = self.label
        self._get_ready(published().loads[label])
        seconds = {"import_seconds": published().imports[label], "load_seconds": published().loads[label]}
        return SessionLoaded(**seconds, precision="fp32", facts={})

    def warm(self, images: Path, batch: int, limit_seconds: float, others: tuple[Path, ...] = ()) -> Warmed:
        assert not others, "a study has no calls of several sizes"
        self.cell = f"bloodnet/{images.stem}/b{batch}/t1/{self.label}"
        self.call_seconds = max(published().calls[self.cell], 3e-4)  # so that a burst is few rows
        compiling = self.world.compiling if RUNTIMES[self.candidate.runtime].compiles else 0.0
        self._get_ready(compiling + min(published().warming[self.cell], limit_seconds))
        nanoseconds = int(self.call_seconds * 1e9)
        return Warmed(calls_ns=[nanoseconds], median_ns=nanoseconds)

    def burst(self, calls: int, drop: int) -> Burst:
        each = int(1e9 * self.call_seconds * self.world.slowness * np.exp(self.world.random.normal(0, 0.02)))
        self.world.wait(COMMAND_SECONDS + (2 * calls + drop) * self.call_seconds)
        return Burst(
            host_ns=[each] * calls,
            device_ns=[each] * calls,
            dropped_ns=[each] * drop,
            wall_ns=2 * calls * each,
            processor_ns=2 * calls * each,
            involuntary_switches=0,
        )

    def peak_memory_mib(self) -> float:
        self.world.wait(COMMAND_SECONDS)
        return 100.0

    def write_timed(self, out: Path) -> None:
        del out
        self.world.wait(COMMAND_SECONDS)

    def write_logits(self, images: Path, count: int, batch: int, out: Path) -> None:
        del images, out
        self.world.wait(count / batch * self.call_seconds)

    def observe(self) -> SessionObserved:
        self.world.wait(COMMAND_SECONDS + 10 * self.call_seconds)
        return SessionObserved(device="cpu", precision="fp32", computed="", model="", facts={})

    @contextmanager
    def awake(self) -> Iterator[None]:
        yield

    def kill(self) -> None:
        self.world.wait(KILL_SECONDS)


class QuietHost(LocalHost):
    """A machine with two cores on which nothing else happens."""

    def cores(self) -> tuple[int, ...]:
        return (0, 1)

    def disturbance(self, cores: Sequence[int]) -> Disturbance:
        del cores
        return Disturbance(0.0, 0.0, 0, 0)


Timed = Callable[..., Measurements]


@pytest.fixture
def timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Timed:
    """Time the quick study's groups in this simulated world."""

    def run(world: World, budget: Budget, timed: Sequence[Group] | None = None) -> Measurements:
        for size in (28, 64):
            (tmp_path / f"{size}.npy").touch()
        clock = SimpleNamespace(monotonic=world.monotonic, monotonic_ns=world.monotonic_ns)
        monkeypatch.setattr(schedule, "time", clock)
        monkeypatch.setattr(trials, "time", clock)
        monkeypatch.setattr(unit_files, "time", clock)
        monkeypatch.setattr(trials, "Worker", lambda candidate, ready_by, **_: Pretender(world, candidate, ready_by))
        units = Store(tmp_path / f"units-{world.slowness}")
        return measure(list(timed or groups(tmp_path)), budget, units, lambda text: None, QuietHost())

    return run


def groups(folder: Path) -> list[Group]:
    return [
        Group(
            name,
            tuple(Candidate(label.partition("@")[0], label.partition("@")[2], FILES) for label in labels),
            published().batches,
            Settings(cores=(1,)),
            folder / f"{name.split('/')[1]}.npy",
        )
        for name, labels in published().groups.items()
    ]


def quick_budget(seconds: float | None = None) -> Budget:
    bench = load_study(ROOT / "studies/quick.toml").bench
    return Budget(
        seconds or bench.budget_minutes * 60,
        bench.processes,
        bench.call_limit_seconds,
        bench.blocks,
        bench.interval_width,
        decide=bench.until_decided,
        processes_of_slower=bench.processes_of_slower or 0,
    )


def processes_of(found: Measurements) -> dict[str, int]:
    host = found.samples.filter(polars.col("boundary") == "host")
    return dict(host.group_by("cell").agg(polars.col("process").n_unique()).iter_rows())


def of_contenders(found: Measurements) -> dict[str, int]:
    """The processes of each group's contender that has fewest."""
    first = Measurements(found.samples.filter(polars.col("process") == 0), found.bursts, [], {}, {}, 0).by_cell
    processes = processes_of(found)
    return {
        group.name: min(
            processes[group.cell_name(batch, one.label)]
            for one in contenders(group, first).candidates
            for batch in group.batches
        )
        for group in groups(Path())
    }


def order_of(found: Measurements) -> list[tuple[str, int, int]]:
    """Group, process and number of candidates of each unit."""
    facts = [unit.manifest.facts for unit in found.units]
    return [(str(one["group"]), int(str(one["process"])), len(dict(one["spent"]))) for one in facts]  # type: ignore[arg-type]


@pytest.mark.parametrize("slowness", [1.0, 1.3])
def test_the_quick_study_answers_all_its_questions_within_its_time(timed: Timed, slowness: float) -> None:
    """Three processes of runtimes that may be the fastest, even if everything takes longer than published."""
    world, budget = World(slowness), quick_budget()
    begun = world.now
    found = timed(world, budget)
    assert min(of_contenders(found).values()) >= 3
    assert min(processes_of(found).values()) >= 1
    assert world.now - begun <= budget.seconds * 1.02


def test_the_quick_study_ends_before_its_time_where_everything_is_decided(timed: Timed) -> None:
    world, budget = World(1.0), quick_budget(400)
    begun = world.now
    timed(world, budget)
    assert world.now - begun <= budget.seconds * 0.75


def test_contenders_have_their_processes_in_all_groups_before_the_rest_has_its_second(timed: Timed) -> None:
    small, large = (group.name for group in groups(Path()))
    budget = replace(quick_budget(2000), processes=3, interval_width=0.0, processes_of_slower=2)
    found = timed(World(), budget)
    everyone = len(groups(Path())[0].candidates)
    order = order_of(found)
    assert [one[:2] for one in order] == [(name, number) for number in range(4) for name in (small, large)]
    assert [count for _, _, count in order[:2]] == [everyone] * 2
    assert max(count for _, _, count in order[2:6]) <= 0.6 * everyone
    processes = processes_of(found)
    assert set(processes.values()) == {2, 3, 4}, "the rest, the contenders, and what ratios are to"
    assert processes["bloodnet/28/b1/t1/tf.predict"] == 2
    assert processes["bloodnet/28/b1/t1/null"] == 2
    again = timed(World(), budget)
    assert again.samples.equals(found.samples), "every unit is kept"


def test_where_the_time_does_not_suffice_for_all_of_the_rest_the_quickest_of_it_are_timed(timed: Timed) -> None:
    budget = replace(quick_budget(2000), processes=3, blocks=10, interval_width=0.0, processes_of_slower=2)
    whole = timed(World(), budget)
    least = sum(float(str(unit.manifest.facts["least_seconds"])) for unit in whole.units[:6])
    found = timed(World(1.0 + 1e-9), replace(budget, seconds=least + 42))
    processes = processes_of(found)
    assert min(of_contenders(found).values()) == 3
    rest = {label: processes[f"bloodnet/28/b1/t1/{label}"] for label in ("torch.eager", "torch.script", "tf.predict")}
    assert rest == {"torch.eager": 2, "torch.script": 2, "tf.predict": 1}


def test_the_remaining_time_goes_to_further_processes_of_the_contenders(timed: Timed) -> None:
    found = timed(World(), replace(quick_budget(700), decide=False, processes_of_slower=2))
    assert max(of_contenders(found).values()) > 5
    assert processes_of(found)["bloodnet/64/b32/t1/tf.eager"] == 2


def test_what_two_blocks_show_to_be_far_behind_has_no_more_of_them(timed: Timed) -> None:
    """If only one process of it is wanted, it has a time but no rank."""
    found = timed(World(), quick_budget())
    blocks = dict(found.bursts.group_by("cell").agg(polars.col("block").n_unique()).iter_rows())
    assert blocks["bloodnet/28/b1/t1/tf.predict"] == BLOCKS_OF_SLOWER
    assert blocks["bloodnet/28/b1/t1/ort.cpu@tf2onnx"] >= LEAST_BLOCKS
    assert blocks["bloodnet/28/b1/t1/null"] >= LEAST_BLOCKS
    kept = timed(World(1 + 1e-9), replace(quick_budget(), processes_of_slower=2))
    blocks = dict(kept.bursts.group_by("cell").agg(polars.col("block").n_unique()).iter_rows())
    assert blocks["bloodnet/28/b1/t1/tf.predict"] >= LEAST_BLOCKS


def test_a_budget_that_ends_while_workers_start_starts_no_more(timed: Timed) -> None:
    world = World()
    begun = world.now
    found = timed(world, replace(quick_budget(8.0), interval_width=0.0))
    assert world.now - begun < 20
    assert {fact.reason for fact in found.facts if fact.skipped} == {BUDGET_SPENT}


@pytest.mark.parametrize("seconds", [30, 60, 120, 300])
def test_a_budget_is_kept_within_a_tenth(timed: Timed, seconds: float) -> None:
    """Workers that are not ready by its end are given up, and the time to end a unit is reserved."""
    world = World()
    begun = world.now
    found = timed(world, quick_budget(seconds))
    assert world.now - begun <= 1.1 * seconds
    assert processes_of(found), "and something is timed in it"


@pytest.mark.parametrize("slowness", [4.0, 8.0])
def test_on_a_busy_machine_some_of_each_side_are_timed_and_not_all_of_them_started(
    timed: Timed, tmp_path: Path, slowness: float
) -> None:
    """With a load of 15 every start took eight times as long, and half a minute was gone before anything was timed."""
    world = World(slowness)
    begun = world.now
    model = of_a_model(
        tmp_path, "torch.channels_last", "ort.cpu@torch-dynamo", "openvino@torch-script", "openvino@torch-dynamo"
    )
    found = timed(world, Budget(30, 3, 120, 10, 0.02, soon=True), [model])
    assert world.now - begun <= 36
    sides = {
        cell.rsplit("/")[-1].startswith("torch") for cell, count in processes_of(found).items() if "null" not in cell
    }
    assert sides == {True, False}, processes_of(found)


@pytest.mark.parametrize("seconds", [30, 60])
def test_half_a_minute_is_enough_for_a_model_with_few_runtimes(timed: Timed, tmp_path: Path, seconds: float) -> None:
    world, model = World(), of_a_model(tmp_path)
    begun = world.now
    found = timed(world, Budget(seconds, 3, 120, 10, 0.02, soon=True), [model])
    assert world.now - begun <= 1.1 * seconds
    assert min(processes_of(found).values()) >= 3


def of_a_model(folder: Path, *further: str) -> Group:
    labels = ("torch.eager", "torch.script", "ort.cpu@torch-script", "null", *further)
    candidates = tuple(Candidate(*label.partition("@")[::2], FILES) for label in labels)
    return Group("bloodnet/28/t1", candidates, (1,), Settings(cores=(1,)), folder / "28.npy")


def test_slow_compilers_start_after_the_others_have_their_first_times(timed: Timed, tmp_path: Path) -> None:
    shown: list[set[str]] = []
    budget = Budget(60, 3, 120, 10, 0.0, soon=True)
    found = timed(World(), budget, [of_a_model(tmp_path, "torch.compile.frozen")])
    shown = [set(dict(unit.manifest.facts["spent"])) for unit in found.units]  # type: ignore[arg-type]
    assert ["torch.compile.frozen" in labels for labels in shown] == [False] * 2 + [True] * 3
    observed = {fact.cell for fact in found.facts if fact.seen}
    assert "bloodnet/28/b1/t1/torch.compile.frozen" in observed, "its first process is looked at, though it is no first"
    without = timed(World(1 + 1e-9), budget, [of_a_model(tmp_path)])
    assert len({len(dict(unit.manifest.facts["spent"])) for unit in without.units}) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("compiling", [13.0, 40.0])
@pytest.mark.parametrize("seconds", [25, 35, 60, 90])
def test_what_compiles_takes_no_time_from_the_others(
    timed: Timed, tmp_path: Path, seconds: float, compiling: float
) -> None:
    """If it does not fit, it is not started; if it takes longer than usual, it is given up in time."""
    world = World(1.0, compiling)
    begun = world.now
    found = timed(world, Budget(seconds, 3, 120, 10, 0.02, soon=True), [of_a_model(tmp_path, "torch.compile.frozen")])
    assert world.now - begun <= 1.1 * seconds
    processes = processes_of(found)
    late = processes.pop("bloodnet/28/b1/t1/torch.compile.frozen", 0)
    assert min(processes.values()) >= 3
    assert late >= (2 if seconds == 90 else 1) or compiling > 13 or seconds < 60
    reasons = {fact.reason for fact in found.facts if "compile" in fact.cell and fact.skipped}
    assert all(reason.startswith(BUDGET_SPENT) for reason in reasons)
    assert late or reasons, "and the reason is said"
    tried = sum("torch.compile.frozen" in dict(unit.manifest.facts["spent"]) for unit in found.units)  # type: ignore[arg-type]
    assert tried <= late + 1, "and it is not tried again where its time does not suffice"


def test_where_little_is_left_the_fastest_of_each_side_have_another_process(timed: Timed) -> None:
    """Some answer is better than none: runtimes that may be the fastest come before those close to them."""
    budget = replace(quick_budget(), processes=3, interval_width=0.0, processes_of_slower=1)
    whole = timed(World(), budget)
    seconds = [float(str(unit.manifest.facts["least_seconds"])) for unit in whole.units]
    found = timed(World(1.0 + 1e-9), replace(budget, seconds=sum(seconds[:3]) + 0.75 * seconds[3]))
    last = found.units[3].manifest.facts
    assert (last["group"], last["process"]) == ("bloodnet/64/t1", 1)
    labels = set(dict(last["spent"]))  # type: ignore[arg-type]
    assert labels < set(dict(whole.units[3].manifest.facts["spent"]))  # type: ignore[arg-type]
    fastest = {"ort.cpu@torch-script", "ort.cpu@torch-dynamo", "ort.cpu@tf2onnx", "ort.cpu@jax2onnx"}
    assert labels & fastest
    assert labels - fastest


def test_how_much_of_a_budget_was_timed_calls_is_known(timed: Timed) -> None:
    found = timed(World(), quick_budget())
    assert found.timed_seconds == pytest.approx(found.bursts["wall_ns"].sum() / 1e9)
    assert 0.35 * found.seconds < found.timed_seconds < found.seconds


@dataclass
class Interrupted(World):
    """A person presses Ctrl-C once at some time."""

    at: float = 0.0

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        if self.now >= self.at:
            self.at = float("inf")
            raise KeyboardInterrupt


def test_an_interrupt_after_the_first_unit_keeps_finished_units_and_the_next_run_continues(timed: Timed) -> None:
    whole = timed(World(1.0 + 1e-9), quick_budget())
    seconds = [float(str(unit.manifest.facts["seconds"])) for unit in whole.units]
    found = timed(Interrupted(at=1000 + sum(seconds[:2]) + 5), quick_budget())
    assert found.interrupted
    assert not whole.interrupted
    assert len(found.units) == 2
    assert set(found.samples["cell"].unique()) <= set(whole.samples["cell"].unique())
    again = timed(World(), quick_budget())
    assert again.units[:2] == found.units
    assert not again.interrupted


def test_an_interrupt_before_anything_is_finished_is_one(timed: Timed) -> None:
    with pytest.raises(KeyboardInterrupt):
        timed(Interrupted(at=1010), quick_budget())
