"""Choosing between kinds of machines: by cost, by time, with limits that one machine may miss, and with the command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assay.bench.cli.main import app
from assay.bench.fleet.choosing import choose_over_kinds
from assay.bench.fleet.join import join
from assay.bench.fleet.runs import RunApart, read_run
from assay.bench.fleet.words import choice_in_words
from assay.errors import ArtifactError, InputError
from assay.fleet.choice import KindChoice
from assay.fleet.joined import Joined
from assay.fleet.prices import Prices
from assay.records.audit import AUDIT_FILE
from assay.records.choice import Constraints, Objective
from tests.bench.choosing.test_choose import audit, compared
from tests.bench.fleet.planted import KEPT, ONNX, Machine, kind
from tests.bench.report.sample_audit import keys_of

SMALL, LARGE = kind("small"), kind("large")
PRICES = Prices(currency="USD", per_hour={"small": 0.1, "large": 0.4})


def audited(folder: Path) -> Path:
    """The run with an audit of exactly that run, which everything passes."""
    keys = keys_of(read_run(folder).results)
    found = audit([compared(label, 1960) for label in KEPT], keys)
    (folder / AUDIT_FILE).write_text(found.model_dump_json())
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two small machines, and a large one that is twice as fast and four times as expensive."""
    place = tmp_path_factory.mktemp("runs")
    machines = [Machine(SMALL, "a"), Machine(SMALL, "b", 1.1), Machine(LARGE, "c", 0.5)]
    return [audited(one.write(place / one.identity, seed)) for seed, one in enumerate(machines, start=1)]


@pytest.fixture(scope="module")
def folder(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("joined")
    join([read_run(one) for one in runs], out, PRICES)
    return out


@pytest.fixture(scope="module")
def joined(folder: Path) -> tuple[Joined, dict[str, RunApart]]:
    record = Joined.model_validate_json((folder / "joined.json").read_text())
    return record, {run.name: read_run(folder / "runs" / run.name) for run in record.runs}


def asked(joined: tuple[Joined, dict[str, RunApart]], objective: Objective, **constraints: object) -> KindChoice:
    return choose_over_kinds(*joined, Constraints.model_validate(constraints), objective)


def name_of(joined: tuple[Joined, dict[str, RunApart]], found: KindChoice) -> str:
    return joined[0].name_of(found.kind)


def test_the_cheapest_is_not_the_quickest(joined: tuple[Joined, dict[str, RunApart]]) -> None:
    cheap, quick = asked(joined, "cost"), asked(joined, "latency")
    assert (name_of(joined, cheap), name_of(joined, quick)) == ("small", "large")
    assert cheap.cell.endswith("ort.cpu@torch-dynamo")
    assert [one.name for one in cheap.on_kinds] == ["small", "large"]
    assert not cheap.on_kinds[1].tied


def test_a_limit_is_missed_where_one_machine_misses_it(joined: tuple[Joined, dict[str, RunApart]]) -> None:
    """The second small machine just misses the limit, and the first one meets it."""
    runs = joined[1].values()
    slowest = [
        max(cell.host.p99_ms.value for cell in run.results.cells if cell.host and cell.label == ONNX) for run in runs
    ]
    assert slowest[0] < slowest[1]
    found = asked(joined, "latency", most_p99_ms=(slowest[0] + slowest[1]) / 2, runtimes=["ort.cpu"])
    small = next(one for one in found.on_kinds if one.name == "small")
    assert small.cell == ""
    assert "qualifies" in small.reason


def test_prices_given_later_take_the_place_of_the_earlier_ones(joined: tuple[Joined, dict[str, RunApart]]) -> None:
    later = Prices(per_hour={"small": 9.0, "large": 0.1})
    found = choose_over_kinds(*joined, Constraints(), "cost", later)
    assert name_of(joined, found) == "large"
    only = choose_over_kinds(*joined, Constraints(), "cost", Prices(per_hour={"large": 0.1}))
    assert only.on_kinds[-1].reason == "it has no hourly price"
    with pytest.raises(InputError, match="a price of small or large"):
        choose_over_kinds(*joined, Constraints(), "cost", Prices(per_hour={"medium": 1.0}))


def test_kinds_that_do_not_differ_significantly_are_reported_as_such(runs: list[Path], tmp_path: Path) -> None:
    twin = audited(Machine(kind("twin"), "t").write(tmp_path / "t", 8))
    record = join([read_run(runs[0]), read_run(twin)], tmp_path / "out")
    read = {run.name: read_run(tmp_path / "out/runs" / run.name) for run in record.runs}
    found = choose_over_kinds(record, read, Constraints(), "latency")
    assert all(one.tied for one in found.on_kinds)
    assert "(not distinguishable from the answer)" in choice_in_words(found)[-1]


def test_nothing_qualifies_is_said_of_every_kind(joined: tuple[Joined, dict[str, RunApart]]) -> None:
    found = asked(joined, "latency", least_quality=0.9999)
    assert (found.kind, found.cell) == ("", "")
    assert [line.strip().partition(":")[0] for line in choice_in_words(found)[1:]] == ["small", "large"]


def test_a_run_without_an_audit_is_refused(runs: list[Path], tmp_path: Path) -> None:
    bare = Machine(SMALL, "x").write(tmp_path / "x", 9)
    record = join([read_run(runs[0]), read_run(bare)], tmp_path / "out")
    read = {run.name: read_run(tmp_path / "out/runs" / run.name) for run in record.runs}
    with pytest.raises(ArtifactError, match="has no audit"):
        choose_over_kinds(record, read, Constraints(), "latency")


def test_the_commands_join_and_choose(runs: list[Path], tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('currency = "USD"\n[per_hour]\nsmall = 0.1\nlarge = 0.4\n')
    out, call = tmp_path / "out", CliRunner().invoke
    done = call(app, ["join", *map(str, runs), "--out", str(out), "--prices", str(prices)])
    assert done.exit_code == 0, done.output
    assert "small: 2 machines, 0.1 USD an hour" in done.output
    assert (out / "report" / "report.html").is_file()
    chosen = call(app, ["choose", str(out), "--objective", "cost", "--json"])
    assert chosen.exit_code == 0, chosen.output
    assert json.loads(chosen.output)["on_kinds"][0]["name"] == "small"
    none = call(app, ["choose", str(out), "--accuracy", "0.9999"])
    assert none.exit_code == 1
    wrong = call(app, ["choose", str(out), "--objective", "cost", "--price", "3"])
    assert "expected --prices, with the price of each kind" in str(wrong.exception)


def test_joining_runs_of_which_no_time_counts_compares_nothing(tmp_path: Path) -> None:
    folders = []
    for seed in (1, 2):
        cells = [one.model_copy(update={"invalid": ["stolen"]}) for one in Machine(SMALL, "a").run(seed)[0].cells]
        folders.append(str(Machine(SMALL, str(seed)).write(tmp_path / str(seed), seed, cells=cells)))
    done = CliRunner().invoke(app, ["join", *folders, "--out", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "nothing is compared, since no time is valid on any machine: its times are invalid: stolen" in done.output
    assert (tmp_path / "out" / "report" / "report.html").is_file()


def test_a_single_run_takes_its_price_from_the_same_file(runs: list[Path], tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text("[per_hour]\nlarge = 0.4\n")
    own, call = shutil.copytree(runs[2], tmp_path / "own"), CliRunner().invoke
    options = ["--objective", "cost", "--prices", str(prices), "--json"]
    chosen = call(app, ["choose", str(own), *options])
    assert chosen.exit_code == 0, chosen.output
    assert json.loads(chosen.output)["price_per_hour"] == 0.4
    other = call(app, ["choose", str(shutil.copytree(runs[0], tmp_path / "other")), *options])
    assert isinstance(other.exception, InputError)
    assert "no price for this machine: expected one of small or" in str(other.exception)
