"""The runtimes that are measured with several instances, and the order of rounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.bench.judging.instances import SetSeen
from assay.bench.stages.instances import Plan, _in_rounds, plans_of
from assay.bench.timing.trials import Group
from assay.bench.timing.workers import Candidate
from assay.infer.runtime import ModelFiles
from assay.records.results import Cell
from assay.spec import ModelSpec, Settings
from assay.train.built import BuiltModel
from tests.bench.choosing.test_choose import cell

FILES = ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", 28, 8), weights=Path("w.safetensors")))
LABELS = ("torch.eager", "jax.jit", "ort.cpu@torch-dynamo")
CELLS = [cell(label, 4 + place) for place, label in enumerate(LABELS)]


def groups(threads: int = 1) -> list[Group]:
    candidates = tuple(Candidate(*label.partition("@")[::2], FILES) for label in LABELS)
    return [Group(f"bloodnet/28/t{threads}", candidates, (1, 32), Settings(threads), Path("images.npy"))]


def test_what_may_be_believed_is_measured_with_the_fastest_first() -> None:
    cells = [CELLS[0].model_copy(update={"invalid": ["stolen"]}), *CELLS[1:]]
    found = plans_of(groups(), cells, [2, 1, 4], 2)
    assert [one.candidate.label for one in found] == ["jax.jit", "ort.cpu@torch-dynamo"]
    assert {one.instances for one in found} == {(1, 2)}, "there are no cores for four"
    assert {one.group.batches for one in found} == {(1,)}, "the other batch was not timed"


def test_where_no_second_instance_fits_nothing_is_measured() -> None:
    wide = [one.model_copy(update={"name": one.name.replace("/t1/", "/t2/"), "threads": 2}) for one in CELLS]
    assert plans_of(groups(2), wide, [1, 2], 2) == []
    assert plans_of(groups(2), wide, [1, 2], 4) != []


class Recorded:
    """Rounds in which each set takes a second."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.sets: dict[tuple[str, int], list[SetSeen]] = {}
        self.done: list[tuple[str, int]] = []

    def measure(self, plan: Plan, number: int) -> None:
        self.seconds += 1
        self.done.append((plan.candidate.label, number))


@pytest.mark.parametrize(("seconds", "wanted"), [(9, 3), (7, 2), (1, 1)])
def test_as_many_are_measured_as_there_is_time_for_all_rounds_of(seconds: float, wanted: int) -> None:
    rounds = Recorded()
    plans = plans_of(groups(), CELLS, [1, 2], 2)
    _in_rounds(plans, rounds, 3, seconds)  # type: ignore[arg-type]
    assert {label for label, _ in rounds.done} == {one.candidate.label for one in plans[:wanted]}
    assert len(rounds.done) == len(set(rounds.done))
    assert len(rounds.done) == 3 * wanted or seconds < 3


def test_nothing_to_measure_takes_no_time() -> None:
    rounds = Recorded()
    _in_rounds([], rounds, 3, 10)  # type: ignore[arg-type]
    assert rounds.done == []


def test_cells_have_the_model_that_they_were_timed_with() -> None:
    (first, *_) = plans_of(groups(), CELLS, [1, 2], 2)
    timed: Cell = first.cells[1]
    assert timed.label == first.candidate.label
