"""Joined runs with a planted truth: what is found by kind, what is not, and which runs may not be joined."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.bench.fleet.cells import with_front
from assay.bench.fleet.join import join, joined_of
from assay.bench.fleet.page import render_joined
from assay.bench.fleet.races import where_the_winner_changes
from assay.bench.fleet.runs import read_run
from assay.bench.fleet.words import setting, spoken
from assay.errors import ArtifactError, InputError
from assay.fleet.joined import JOINED_FILE, Joined, KindCell, KindRace, read_joined
from assay.fleet.prices import Prices
from assay.records.base import Interval
from assay.records.results import Results
from tests.bench.choosing.test_whole_machine import measured
from tests.bench.fleet.planted import NATIVE, ONNX, Machine, kind, rewritten

SMALL, LARGE = kind("small"), kind("large")
PRICES = Prices(currency="USD", per_hour={"small": 0.1, "large": 0.3})
ON_LARGE = {ONNX: 12.0, "ort.cpu@tf2onnx": 12.0}
"""On the large kind ONNX loses to native, whatever the small kind shows."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three small machines that differ by 10 %, and a large one that is twice as fast except with ONNX."""
    place = tmp_path_factory.mktemp("runs")
    small = [Machine(SMALL, f"s{n}", slower).write(place / f"small-{n}", n) for n, slower in enumerate((1.0, 1.1, 1.2))]
    return [*small, Machine(LARGE, "l", 0.5, ON_LARGE).write(place / "large-0", 7)]


@pytest.fixture(scope="module")
def joined(folders: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Joined:
    return join([read_run(one) for one in folders], tmp_path_factory.mktemp("joined"), PRICES)


def race_on(joined: Joined, name: str) -> KindRace:
    return next(one for one in joined.races if joined.name_of(one.kind) == name)


def cell_on(joined: Joined, name: str, label: str) -> KindCell:
    return next(one for one in joined.cells if joined.name_of(one.kind) == name and one.label == label)


def test_machines_are_grouped_by_kind(joined: Joined) -> None:
    assert [(one.name, one.machines, one.price_per_hour) for one in joined.kinds] == [
        ("small", 3, 0.1),
        ("large", 1, 0.3),
    ]
    assert [(joined.name_of(run.kind), run.machine) for run in joined.runs] == [
        ("small", "A"), ("small", "B"), ("small", "C"), ("large", "A"),
    ]  # fmt: skip


def test_a_ratio_is_formed_within_a_machine(joined: Joined) -> None:
    """The machines of the small kind differ by 20 % in everything: in their times, but not in their ratios."""
    race = race_on(joined, "small")
    assert race.spread is not None
    assert race.spread < 0.03
    assert cell_on(joined, "small", ONNX).spread == pytest.approx(math.log(1.2) / 2, abs=0.03)
    truth = {NATIVE: 0.1 + 2.8, ONNX: 0.02 + 0.53}
    assert set(race.by_machine) == {"A", "B", "C"}
    assert race.verdict == "faster"
    assert race.speedup.high / race.speedup.low < 1.2
    assert race.speedup.value > 1 < truth[NATIVE] / truth[ONNX]


def test_the_winner_changes_where_it_does(joined: Joined) -> None:
    assert race_on(joined, "large").verdict == "slower"
    changes = where_the_winner_changes(joined.races)
    assert [(joined.name_of(won.kind), joined.name_of(lost.kind)) for won, lost in changes] == [("small", "large")]
    assert any(line.startswith("The winner changes: bloodnet") for line in spoken(joined))


def test_a_price_is_that_of_the_kind_by_what_the_machine_gives(joined: Joined) -> None:
    one = cell_on(joined, "small", ONNX)
    assert one.throughput is not None
    assert one.cost_per_million is not None
    assert one.cost_per_million.value == pytest.approx(0.1 * 1e6 / 3600 / one.throughput.value)
    assert one.cost_per_million.low == pytest.approx(0.1 * 1e6 / 3600 / one.throughput.high)
    fronts = {(joined.name_of(cell.kind), cell.label) for cell in joined.cells if cell.front}
    assert ("small", ONNX) in fronts
    assert ("large", ONNX) not in fronts, "dearer and slower than the small kind's"


def test_what_leaves_a_part_of_the_machine_idle_has_no_price(folders: list[Path], tmp_path: Path) -> None:
    for number, folder in enumerate(folders[:2]):
        environment = read_run(folder).results.environment | {"cores": 4}
        results = json.loads((folder / "results.json").read_text()) | {"environment": environment}
        copy = tmp_path / str(number)
        copy.mkdir()
        (copy / "samples.parquet").write_bytes((folder / "samples.parquet").read_bytes())
        (copy / "results.json").write_text(json.dumps(results))
    found = join([read_run(tmp_path / "0"), read_run(tmp_path / "1")], tmp_path / "out", PRICES)
    assert all(one.cost_per_million is None for one in found.cells)
    assert "leaves some of the 4 cores idle" in found.cells[0].not_priced


def sharing(folder: Path, alone: float, together: float) -> Path:
    """A run on two cores in which one and two processes of a cell gave so many rows a second in all."""
    results = read_run(folder).results
    cell = next(one for one in results.cells if one.label == ONNX)
    rates = {1: alone, 2: together}
    several = [measured(cell, number, [rate * k for k in (0.999, 1.0, 1.001)]) for number, rate in rates.items()]
    instances = [one.model_dump(mode="json") for one in several]
    return rewritten(folder, environment=results.environment | {"cores": 2}, instances=instances)


def test_the_throughput_of_a_kind_is_that_of_the_instances_that_fill_its_machines(tmp_path: Path) -> None:
    folders = [Machine(SMALL, name).write(tmp_path / name, seed) for seed, name in enumerate("ab", start=1)]
    runs = [read_run(sharing(one, 1800, rate)) for one, rate in zip(folders, (3000, 3300), strict=True)]
    found = join(runs, tmp_path / "out", PRICES)
    one, other = cell_on(found, "small", ONNX), cell_on(found, "small", NATIVE)
    assert one.throughput is not None
    assert one.cost_per_million is not None
    assert one.throughput.value == pytest.approx(math.sqrt(3000 * 3300))
    assert (one.throughput.low, one.throughput.high) == pytest.approx((3000 * 0.999, 3300 * 1.001))
    assert one.cost_per_million.value == pytest.approx(0.1 * 1e6 / 3600 / one.throughput.value)
    assert setting(one) == "batch 1, 2 instances of 1 thread"
    assert (other.instances, other.cost_per_million) == (1, None), "it was not measured with two"


def test_machines_of_a_kind_that_give_most_with_different_numbers_of_instances_have_no_cost(tmp_path: Path) -> None:
    folders = [Machine(SMALL, name).write(tmp_path / name, seed) for seed, name in enumerate("ab", start=1)]
    runs = [read_run(sharing(one, 1800, rate)) for one, rate in zip(folders, (3000, 1000), strict=True)]
    one = cell_on(join(runs, tmp_path / "out", PRICES), "small", ONNX)
    assert one.cost_per_million is None
    assert one.not_priced == "its machines give most with different numbers of instances"


def test_a_cell_that_is_wrong_on_one_machine_is_ranked_on_none_of_its_kind(tmp_path: Path) -> None:
    good = Machine(SMALL, "a").write(tmp_path / "a", 1)
    results, _ = Machine(SMALL, "b").run(2)
    cells = [
        cell.model_copy(update={"agreement": cell.agreement.model_copy(update={"passed": False, "reason": "off by 3"})})
        if cell.label == ONNX and cell.agreement
        else cell
        for cell in results.cells
    ]
    bad = Machine(SMALL, "b").write(tmp_path / "b", 2, cells=cells)
    found = join([read_run(good), read_run(bad)], tmp_path / "out")
    assert cell_on(found, "small", ONNX).reason == "its output is wrong: off by 3"
    assert all(race.onnx != ONNX for race in found.races)


def test_a_cell_that_is_invalid_on_one_machine_counts_on_the_others(tmp_path: Path) -> None:
    results, _ = Machine(SMALL, "b").run(2)
    cells = [cell.model_copy(update={"invalid": ["stolen"]}) if cell.label == ONNX else cell for cell in results.cells]
    folders = [Machine(SMALL, "a").write(tmp_path / "a", 1), Machine(SMALL, "b").write(tmp_path / "b", 2, cells=cells)]
    found = join([read_run(one) for one in folders], tmp_path / "out")
    assert list(cell_on(found, "small", ONNX).by_machine) == ["A"]
    assert all(race.onnx != ONNX for race in found.races), "not timed on every machine of the kind"


def test_several_runs_on_one_machine_are_one_machine(tmp_path: Path) -> None:
    folders = [Machine(SMALL, "same").write(tmp_path / str(seed), seed) for seed in (1, 2, 3)]
    found = join([read_run(one) for one in folders], tmp_path / "out")
    assert found.kinds[0].machines == 1
    assert {run.machine for run in found.runs} == {"A"}
    assert set(found.races[0].by_machine) == {"A"}


def test_runs_that_do_not_say_whose_they_are_are_of_one_machine(tmp_path: Path) -> None:
    folders = [Machine(SMALL, "").write(tmp_path / str(seed), seed) for seed in (1, 2)]
    assert join([read_run(one) for one in folders], tmp_path / "out").kinds[0].machines == 1


def test_the_folder_holds_all_that_it_was_made_of(folders: list[Path], tmp_path: Path) -> None:
    runs = [read_run(one) for one in folders]
    first = join(runs, tmp_path, PRICES)
    assert read_joined(tmp_path) == first
    kept = [read_run(tmp_path / "runs" / run.name) for run in first.runs]
    again = joined_of(kept, [run.name for run in first.runs], PRICES, ())
    assert again.model_copy(update={"created": first.created}) == first
    join(runs, tmp_path, PRICES)
    assert len(list((tmp_path / "runs").iterdir())) == len(folders), "joined again they are there already"
    (tmp_path / JOINED_FILE).write_text("{")
    with pytest.raises(ArtifactError, match="Join the runs again"):
        read_joined(tmp_path)


@pytest.mark.parametrize(
    ("what", "changes", "named"),
    [
        ("study", {"study": "another"}, "study another"),
        ("study", {"task": "numerical"}, "numerical"),
        ("packages", {"assay_version": "0.0.1"}, "onnx-assay 0.0.1"),
    ],
)
def test_what_differs_is_refused_by_name(
    what: str, changes: dict[str, object], named: str, folders: list[Path], tmp_path: Path
) -> None:
    other = Machine(SMALL, "other").write(tmp_path / "other", 9, **changes)
    refused(what, named, folders[0], other)


def test_other_data_are_refused_by_their_hashes(folders: list[Path], tmp_path: Path) -> None:
    data = read_run(folders[0]).results.data.model_copy(update={"content_hash": "f" * 64})
    refused("data", "ffffffffffff", folders[0], Machine(SMALL, "x").write(tmp_path / "x", 9, data=data))


def test_other_weights_are_refused_by_their_keys(folders: list[Path], tmp_path: Path) -> None:
    cells = [one.model_copy(update={"weights": "e" * 64}) for one in Machine(SMALL, "x").run(9)[0].cells]
    refused("weights", "eeeeeeeeeeee", folders[0], Machine(SMALL, "x").write(tmp_path / "x", 9, cells=cells))


def test_weights_of_one_recipe_that_were_trained_apart_are_other_weights(folders: list[Path], tmp_path: Path) -> None:
    """A key identifies the recipe; another processor adds in another order, and training gives other weights."""
    results = read_run(folders[0]).results
    timed = {cell.weights for cell in results.cells}
    trainings = [
        one.model_copy(
            update={"history": [*one.history[:-1], one.history[-1].model_copy(update={"training_loss": 0.123456789})]}
        )
        if one.weights in timed
        else one
        for one in results.trainings
    ]
    other = Machine(SMALL, "x").write(tmp_path / "x", 9, trainings=trainings)
    refused("weights", "last loss 0.123456789", folders[0], other)


def test_another_schema_version_is_refused_even_where_it_is_read(folders: list[Path], tmp_path: Path) -> None:
    older = rewritten(Machine(SMALL, "x").write(tmp_path / "x", 9), schema_version=4)
    refused("schema version", "version 5 and version 4", folders[0], older)


def test_other_files_are_refused_and_a_failed_export_is_a_finding(folders: list[Path], tmp_path: Path) -> None:
    def exports(results: Results, **changes: object) -> list[object]:
        return [one.model_copy(update=changes) if one.exporter == "tf2onnx" else one for one in results.exports]

    results = read_run(folders[0]).results
    other = Machine(SMALL, "x").write(tmp_path / "x", 9, exports=exports(results, key="d" * 64))
    refused("files", "bloodnet/28/tf2onnx dddddddddddd", folders[0], other)
    failing = exports(results, status="failed", reason="saturates without VNNI")
    failed = Machine(SMALL, "y").write(tmp_path / "y", 9, exports=failing)
    assert join([read_run(folders[0]), read_run(failed)], tmp_path / "out").kinds[0].machines == 2


def test_packages_may_differ_where_that_is_meant(folders: list[Path], tmp_path: Path) -> None:
    other = Machine(SMALL, "x").write(tmp_path / "x", 9, assay_version="0.0.1")
    found = join([read_run(folders[0]), read_run(other)], tmp_path / "out", allowed=("packages",))
    assert "onnx-assay 0.0.1" in found.allowed[0]
    with pytest.raises(InputError, match="expected packages, found weights"):
        join([read_run(folders[0]), read_run(other)], tmp_path / "no", allowed=("weights",))


def test_a_run_counts_once(folders: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="are the same run"):
        join([read_run(folders[0])] * 2, tmp_path)
    with pytest.raises(InputError, match="A single run"):
        join([read_run(folders[0])], tmp_path)
    assert list(tmp_path.iterdir()) == [], "nothing was written"


def test_runs_have_cells_in_common_or_are_groups_of_one_study(folders: list[Path], tmp_path: Path) -> None:
    group = Machine(SMALL, "x", size=64).write(tmp_path / "x", 9)
    found = join([read_run(folders[0]), read_run(group)], tmp_path / "out")
    assert {one.size for one in found.cells} == {28, 64}
    other = Machine(SMALL, "y", size=64).write(tmp_path / "y", 9, settings={"name": "another"})
    with pytest.raises(InputError, match=r"y has no cell in common with the others.*found .*, and ") as caught:
        join([read_run(folders[0]), read_run(folders[1]), read_run(other)], tmp_path / "no")
    assert str(other) in str(caught.value)


@given(st.lists(st.tuples(st.sampled_from([28, 64]), st.none() | st.integers(1, 4), st.none() | st.integers(1, 4))))
def test_the_front_has_the_cells_that_no_other_of_their_model_beats(
    drawn: list[tuple[int, int | None, int | None]],
) -> None:
    def exactly(value: int | None) -> Interval | None:
        return None if value is None else Interval(value=value, low=value, high=value)

    cells = [
        KindCell(
            kind="k", cell=f"cell{number}", architecture="bloodnet", size=size, batch=1, threads=1, label="torch.eager",
            precision="fp32", native=True, median_ms=exactly(ms), cost_per_million=exactly(cost),
        )
        for number, (size, ms, cost) in enumerate(drawn)
    ]  # fmt: skip
    complete = [one for one in drawn if None not in one]

    def is_beaten(one: tuple[int, int | None, int | None]) -> bool:
        rivals = [other for other in complete if other[0] == one[0] and other != one]
        return any(other[1] <= one[1] and other[2] <= one[2] for other in rivals)  # type: ignore[operator]

    wanted = [one in complete and not is_beaten(one) for one in drawn]
    assert [one.front for one in with_front(cells)] == wanted


def test_the_page_says_what_wins_where_and_how_good_each_ruler_is(joined: Joined) -> None:
    page = render_joined(joined)
    for said in ("The winner changes: bloodnet", "Cost against latency", "Between machines of a kind", "FAILED"):
        assert said in page
    assert "<script" not in page


def test_names_in_the_page_are_text(folders: list[Path], tmp_path: Path) -> None:
    hostile = kind("small", gpus=["<img src=x onerror=alert(1)>\x1b[31m"])
    other = Machine(hostile, "x").write(tmp_path / "x", 9, title="<script>alert(1)</script>")
    page = render_joined(join([read_run(other), read_run(folders[0])], tmp_path / "out"))
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "\x1b" not in page


def refused(what: str, named: str, *folders: Path) -> None:
    """
    Raises:
        AssertionError: joining is not refused for that reason, or does not name both folders.
    """
    with pytest.raises(InputError) as caught:
        join([read_run(one) for one in folders], folders[-1].parent / "refused")
    said = str(caught.value)
    assert f"expected the same {what}" in said
    assert named in said
    assert all(str(one) in said for one in folders)
    assert not (folders[-1].parent / "refused").exists()
