"""The plan of a budget under a clock of its own: real units and a real plan, of workers that only let time pass.

What they let pass is what the published quick study took on a quiet machine with two cores.
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
from assay.bench.timing import schedule, trials
from assay.bench.timing.schedule import Budget, Measurements, measure
from assay.bench.timing.trials import BUDGET_SPENT, Group
from assay.bench.timing.width import contenders
from assay.bench.timing.workers import Candidate
from assay.infer.commands import Burst, SessionLoaded, SessionObserved, Warmed
from assay.infer.runtime import ModelFiles
from assay.records.results import read_results
from assay.spec import ModelSpec, Settings
from assay.store import Store
from assay.study import load_study
from assay.train.built import BuiltModel

ROOT = Path(__file__).parents[3]
PUBLISHED = ROOT / "artifacts/reference/quick"
PYTHON_SECONDS, COMMAND_SECONDS, KILL_SECONDS = 0.4, 0.01, 0.1
FILES = ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", 28, 8)))


@dataclass(frozen=True)
class Costs:
    """Seconds of the cells of a study: imports and loads by label, calls and warming by cell."""

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
    warm = frame.filter(polars.col("boundary") == "warm-up").group_by("cell").agg(polars.col("wall_ns").sum() / 2e9)
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
    """A clock, and how many times as long everything takes as it did in the published run."""

    slowness: float = 1.0
    now: float = 1000.0
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def monotonic(self) -> float:
        return self.now

    def monotonic_ns(self) -> int:
        return int(self.now * 1e9)

    def wait(self, seconds: float) -> None:
        self.now += seconds * self.slowness


class Pretender:
    """A worker that lets the time pass which its candidate took, and answers as it did."""

    def __init__(self, world: World, candidate: Candidate) -> None:
        self.world, self.candidate = world, candidate
        self.call_seconds, self.cell, self.imported_at = 0.0, "", 0.0

    def begin_import(self, cores: Sequence[int], device: str) -> None:
        del cores, device
        seconds = PYTHON_SECONDS + published().imports[self.candidate.label]
        self.imported_at = self.world.now + seconds * self.world.slowness

    def end_import(self) -> None:
        self.world.now = max(self.world.now, self.imported_at)

    def load(self, settings: Settings) -> SessionLoaded:
        del settings
        label = self.candidate.label
        self.world.wait(published().loads[label])
        seconds = {"import_seconds": published().imports[label], "load_seconds": published().loads[label]}
        return SessionLoaded(**seconds, precision="fp32", facts={})

    def warm(self, images: Path, batch: int, limit_seconds: float) -> Warmed:
        self.cell = f"bloodnet/{images.stem}/b{batch}/t1/{self.candidate.label}"
        self.call_seconds = max(published().calls[self.cell], 3e-4)  # so that a burst is few rows
        self.world.wait(min(published().warming[self.cell], limit_seconds))
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
    """A machine of two cores on which nothing happens."""

    def cores(self) -> tuple[int, ...]:
        return (0, 1)

    def disturbance(self, cores: Sequence[int]) -> Disturbance:
        del cores
        return Disturbance(0.0, 0.0, 0, 0)


Timed = Callable[[World, Budget], Measurements]


@pytest.fixture
def timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Timed:
    """Time the quick study's groups in such a world."""

    def run(world: World, budget: Budget) -> Measurements:
        for size in (28, 64):
            (tmp_path / f"{size}.npy").touch()
        clock = SimpleNamespace(monotonic=world.monotonic, monotonic_ns=world.monotonic_ns)
        monkeypatch.setattr(schedule, "time", clock)
        monkeypatch.setattr(trials, "time", clock)
        monkeypatch.setattr(trials, "Worker", lambda candidate, **_: Pretender(world, candidate))
        units = Store(tmp_path / f"units-{world.slowness}")
        return measure(groups(tmp_path), budget, units, lambda text: None, QuietHost())

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


@pytest.mark.parametrize(("slowness", "least"), [(1.0, 4), (1.4, 3)])
def test_the_quick_study_answers_all_its_questions_within_its_time(timed: Timed, slowness: float, least: int) -> None:
    """Four processes of what may be the fastest, and three where everything takes 1.4 times as long as published."""
    world, budget = World(slowness), quick_budget()
    begun = world.now
    found = timed(world, budget)
    assert min(of_contenders(found).values()) >= least
    assert min(processes_of(found).values()) >= 1
    assert budget.seconds * 0.9 <= world.now - begun <= budget.seconds * 1.02


def test_contenders_have_their_processes_in_all_groups_before_the_rest_has_its_second(timed: Timed) -> None:
    small, large = (group.name for group in groups(Path()))
    budget = replace(quick_budget(2000), processes=3, interval_width=0.0)
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
    budget = replace(quick_budget(), processes=3, interval_width=0.0)
    whole = timed(World(), replace(budget, processes_of_slower=1))
    least = sum(float(str(unit.manifest.facts["least_seconds"])) for unit in whole.units)
    found = timed(World(1.0 + 1e-9), replace(budget, seconds=least + 42))
    processes = processes_of(found)
    assert min(of_contenders(found).values()) == 3
    rest = {label: processes[f"bloodnet/28/b1/t1/{label}"] for label in ("torch.eager", "torch.script", "tf.predict")}
    assert rest == {"torch.eager": 2, "torch.script": 2, "tf.predict": 1}


def test_what_is_left_goes_to_further_processes_of_the_contenders(timed: Timed) -> None:
    found = timed(World(), quick_budget(700))
    assert max(of_contenders(found).values()) > 5
    assert processes_of(found)["bloodnet/64/b32/t1/tf.eager"] == 2


def test_a_budget_that_ends_while_workers_start_starts_no_more(timed: Timed) -> None:
    world = World()
    begun = world.now
    found = timed(world, replace(quick_budget(8.0), interval_width=0.0))
    assert world.now - begun < 20
    assert {fact.reason for fact in found.facts if fact.skipped} == {BUDGET_SPENT}


@dataclass
class Interrupted(World):
    """Somebody presses Ctrl-C once at some time."""

    at: float = 0.0

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        if self.now >= self.at:
            self.at = float("inf")
            raise KeyboardInterrupt


def test_an_interrupt_after_the_first_unit_keeps_what_is_finished_and_the_next_run_goes_on(timed: Timed) -> None:
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
