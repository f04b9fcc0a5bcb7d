"""Hostile names, through every file that every command writes: they are shown, and nothing happens.

A new command, or a new file of a command, fails here until a test sends a hostile name through it.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import polars
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from playwright.sync_api import Browser
from rich.console import Console
from typer.testing import CliRunner

from assay.bench.brought.exports import bring, exported
from assay.bench.brought.work import Wanted, Work
from assay.bench.choosing.choose import choose
from assay.bench.cli.choose import render as render_choice
from assay.bench.cli.main import app
from assay.bench.comparing import versions
from assay.bench.comparing.compare import Change, Outcome, changes_of
from assay.bench.comparing.files import show, write_junit, write_markdown
from assay.bench.comparing.turns import BASE, NEW, alone, pairs_in_turns
from assay.bench.deployment.checking.verify import check_deployment
from assay.bench.deployment.config import config_of, read_config
from assay.bench.deployment.deploy import write_deployment
from assay.bench.deployment.render import render
from assay.bench.deployment.subject import read_study
from assay.bench.fleet.words import spoken
from assay.bench.publishing.card import card_of
from assay.bench.publishing.publication import Publication, publication_of
from assay.bench.report.write import write_report
from assay.bench.stages.results import write_results
from assay.bench.timing.measurements import Measurements
from assay.bench.words.audit import render as render_audit_table
from assay.bench.words.progress import Narrator
from assay.bench.words.terminal import Terminal
from assay.errors import ArtifactError
from assay.export.graph.inspect import read_model
from assay.export.localise.on_onnx_repro import script
from assay.files.columns import BURST_COLUMNS
from assay.files.named_arrays import read_named, save_named
from assay.fleet.joined import read_joined
from assay.records.audit import Audit, read_audit
from assay.records.choice import Constraints
from assay.records.deployment import Deployment, read_deployment
from assay.records.results import Cell, Results, read_results
from assay.registry import TASKS
from assay.texts import FORMULA, markdown, markdown_code, printable, printable_json, spreadsheet, yaml_string
from assay.train.brought.sources import locate
from tests.bench.compared_model import cell_name, make_comparison
from tests.bench.comparing import test_turns
from tests.bench.fleet.planted import Machine, kind
from tests.bench.report.conftest import browser as browser  # noqa: PLC0414  a fixture, made known here
from tests.bench.report.sample_audit import sample_audit
from tests.bench.report.sample_explanations import explained_results
from tests.bench.report.sample_results import CLASSES, sample_samples
from tests.bench.report.sections.test_load_section import sample_load
from tests.good_run import status_of_good
from tests.hostile.hostile_text import (
    EVERYTHING,
    LONG,
    NAMES,
    SENTINEL,
    UNSEEN,
    ending,
    harm_in_markdown,
    markdown_tokens,
    renamed,
    sentinels,
)
from tests.onnx_files import onnx_model

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "run": "report/ and results.json, audit.json, choice.json as below",
    "train": "JSON on the terminal, weights",
    "export": "the description of a file on the terminal, ONNX files",
    "bench": "results.json",
    "attribute": "a table on the terminal",
    "report": "report/",
    "audit": "audit.json, audit.html, repro/",
    "choose": "choice.json",
    "deploy": "a deployment",
    "serve": "events on the terminal",
    "verify-server": "a table on the terminal",
    "load": "load.json, which the report shows",
    "model": "report/ and results.json",
    "compare-model": "the same by its older name",
    "compare": "Markdown, JUnit XML",
    "regress": "the same, and JSON",
    "join": "joined.json, report/report.html, lines on the terminal",
    "history": "history.json, report.html, lines on the terminal",
    "publish": "a model card, and what trackers are told: names, parameters, a table, a note",
    "selfcheck": "selfcheck.json: no name of anyone's",
    "atlas": "atlas.json, atlas.parquet, a page that escapes what exporters said (tests/bench/atlas/test_findings.py)",
    "doctor": "a table on the terminal",
    "list": "a table on the terminal: no name of anyone's but of runtimes that were looked at",
    "fleet": "a table on the terminal, where names of machines are escaped",
    "data": "an .npz file",
}
"""Every command with the files it writes; see the tests that send names through it."""
REPORT_FILES = {
    "report.html", "report.md", "results.json", "cells.csv", "cells.parquet", "audit.html", "audit.json", "figures",
}  # fmt: skip
REPRO_FILES = {"model.onnx", "inputs.npz", "expected.npy", "repro.json", "run.py"}
DEPLOYMENT_FILES = {
    "deployment.json", "checksums.sha256", "README.md", "kubernetes/inference-service.yaml", "docker/compose.yaml",
    "docker/Dockerfile", "requests/infer.sh", "requests/client.py", "requests/model.json", "requests/record.json",
    "requests/record.bin", "models/pair/config.pbtxt", "models/pair/1/model.onnx", "models/pair/warmup/record-1.raw",
    "models/pair/warmup/record-2.raw", "models/pair/warmup/record-3.raw", "audited/1/inputs.npy",
    "audited/1/outputs.npy", "audited/1/audit.json", "audited/1/measured.json",
}  # fmt: skip
WIDTH = 4
WHAT_ACTS = """() => [...document.querySelectorAll('*')].filter(one =>
    one.matches('iframe, object, embed, img[src^=http], a[href^=http], a[href^=javascript]')
    || [...one.attributes].some(attribute => attribute.name.startsWith('on'))).length"""
"""The number of elements of a page that have a handler, or lead a reader or the page somewhere else."""


@pytest.fixture(autouse=True)
def nothing_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything runs in a separate folder, in which a file would appear if a name was executed."""
    monkeypatch.chdir(tmp_path)
    yield
    assert sentinels(tmp_path) == []
    assert not (ROOT / SENTINEL).exists()


def hostile_results(more: str = EVERYTHING) -> Results:
    """A study in which every name that a user can choose ends with a hostile text, keys included."""
    plain = explained_results((28,), (1,), ("bloodnet",))
    names = (
        "bloodnet",
        "pbc",
        "Blood cells",
        "Acevedo",
        "CC BY",
        "Unofficial split",
        "An x86-64",
        "Incompatible",
    )
    dumped = renamed(plain.model_dump(mode="json"), ending((*names, *CLASSES, "multi_processor"), more))
    return Results.model_validate(dumped).model_copy(update={"study": f"sample{more}"})


def hostile_audit(more: str = EVERYTHING) -> Audit:
    names = ("bloodnet", "pbc", "A processor", "assay audit", "conv", "Conv", "jax2onnx")
    return Audit.model_validate(renamed(sample_audit().model_dump(mode="json"), ending(names, more)))


@pytest.fixture(scope="module")
def results() -> Results:
    return hostile_results()


@pytest.fixture(scope="module")
def report(results: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hostile") / "report"
    load = renamed(sample_load().model_dump(mode="json"), ending(("bloodnet", "drift"), EVERYTHING))
    write_report(results, sample_samples(results), out, hostile_audit(), type(sample_load()).model_validate(load))
    return out


def test_every_command_is_known_here() -> None:
    found = {command.name or command.callback.__name__.replace("_", "-") for command in app.registered_commands}
    assert found | {group.name for group in app.registered_groups} == set(COMMANDS)


def test_nothing_prints_but_the_one_module_that_escapes() -> None:
    prints = re.compile(r"(?<![\w.])print\(|\bConsole\(|typer\.echo|sys\.stdout\.write|sys\.stderr\.write")
    found = {
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("assay", "bench", "export", "infer", "train")
        for path in (ROOT / folder).rglob("*.py")
        for line in path.read_text().splitlines()
        if prints.search(line) and path != ROOT / "bench/words/terminal.py"
    }
    allowed = ("goes on from here", "printable(", "(json.dumps(", "job's log", "guard]")
    assert [line for line in found if not any(words in line for words in allowed)] == []


# The one place of each escaping.


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_each_escaping_shows_all_and_lets_nothing_through(name: str) -> None:
    assert printable(name).isprintable()
    assert markdown(name).isprintable()
    assert harm_in_markdown(f"| {markdown(name)} | {markdown_code(name)} |") == []
    assert (
        harm_in_markdown(f"# {markdown(name)}\n\n{markdown(name)}\n\n- {markdown(name)}\n\n{markdown_code(name)}") == []
    )
    assert not spreadsheet(name).startswith(FORMULA)
    assert json.loads(printable_json(json.dumps({name: name}, ensure_ascii=False))) == {name: name}


@given(st.text(max_size=60))
@example("__0__")
@example("a__b_c")
def test_markdown_shows_any_text_as_it_is(text: str) -> None:
    """In a paragraph, in a table and as code, there is one text, and it is the given one."""
    table = f"| a | b |\n|---|---|\n| {markdown(text)} | {markdown_code(text)} |\n"
    kinds = [token.type for token in markdown_tokens(table)]
    assert kinds.count("td_open") == 2
    assert not {"link_open", "image", "em_open", "strong_open", "s_open", "heading_open"} & set(kinds)
    paragraph = markdown_tokens(f"A text: {markdown(text)}")
    assert [token.type for token in paragraph if token.nesting >= 0 and token.type not in ("text", "text_special")] in (
        ["paragraph_open", "inline"],
    )
    shown = "".join(token.content for token in paragraph if token.type in ("text", "text_special"))
    seen = " ".join(re.split(r"[\r\n\t]+", text)).lstrip()
    assert " ".join(shown.replace("\u200b", "").split()) == " ".join(f"A text: {printable(seen)}".split())


@given(st.text())
def test_printable_text_is_shown_and_json_has_the_same(text: str) -> None:
    assert not any(one in printable(text) for one in UNSEEN)
    assert json.loads(printable_json(json.dumps([text, text], ensure_ascii=False))) == [text, text]


@given(st.text())
@example("\U0001f600\x7f\x85\u2028\uffff\ud800")
def test_yaml_reads_a_text_as_it_was(text: str) -> None:
    written = yaml_string(text)
    assert written.isprintable()
    assert yaml.safe_load(f"a:\n- {written}\nb: {written}") == {"a": [text], "b": text}


def test_no_text_has_what_xml_may_not_hold() -> None:
    assert printable("\ufffe\uffff\U0001fffe") == "\\ufffe\\uffff\\U0001fffe"


def test_half_a_character_is_shown() -> None:
    assert printable("\ud800x") == "\\ud800x"
    assert json.loads(printable_json('"\ud800"')) == "\ud800"


@pytest.mark.parametrize(
    "names",
    [
        ["file", "self", "args", "kwargs", "allow_pickle", "class", "0", "", "arr_0"],
        [*NAMES.values(), LONG, "a\0b", "a"],
    ],
    ids=["odd", "hostile"],
)
def test_arrays_go_under_any_name(names: list[str], tmp_path: Path) -> None:
    save_named(tmp_path / "arrays.npz", {name: np.full(2, place) for place, name in enumerate(names)})
    found = read_named(tmp_path / "arrays.npz")
    assert [(name, int(array[0])) for name, array in found.items()] == [(name, at) for at, name in enumerate(names)]


# The report and the audit's page.


def test_the_report_s_files_are_known_here(report: Path) -> None:
    assert {path.name for path in report.iterdir()} == REPORT_FILES
    assert {path.suffix for path in (report / "figures").iterdir()} == {".svg", ".png"}
    assert all(re.fullmatch(r"[a-z0-9-]+\.(svg|png)", path.name) for path in (report / "figures").iterdir())


def test_records_come_back_as_they_were(report: Path, results: Results) -> None:
    assert read_results(report / "results.json") == results
    assert read_audit(report / "audit.json") == hostile_audit()
    frame = polars.read_parquet(report / "cells.parquet")
    assert frame["cell"].to_list() == [cell.name for cell in results.cells]


def test_no_cell_of_the_table_is_a_formula(report: Path, results: Results, tmp_path: Path) -> None:
    rows = list(csv.reader(io.StringIO((report / "cells.csv").read_text(encoding="utf-8"))))
    assert len(rows) == len(results.cells) + 1
    assert not any(one in field for row in rows for field in row for one in UNSEEN)
    formulas = results.model_copy(
        update={"cells": [results.cells[0].model_copy(update={"name": name}) for name in ("=1+1", "@x", "-1", "\t=1")]}
    )
    from assay.bench.report.cells_table import write_cells  # noqa: PLC0415  used here alone

    write_cells(formulas, tmp_path)
    assert [row[0][0] for row in csv.reader(io.StringIO((tmp_path / "cells.csv").read_text()))][1:] == ["'"] * 4


def test_the_report_s_markdown_has_no_link_and_no_markup_of_a_name(report: Path) -> None:
    text = (report / "report.md").read_text(encoding="utf-8")
    assert EVERYTHING[:6] in text or printable(NAMES["a path"])[:6] in text  # the names are there
    assert not any(one in text for one in UNSEEN)
    assert harm_in_markdown(text) == []


def test_the_figures_are_pictures(report: Path) -> None:
    for path in (report / "figures").glob("*.svg"):
        names = {element.tag.rpartition("}")[2] for element in ElementTree.parse(path).iter()}
        assert not names & {"script", "foreignObject", "image", "a"}, path.name


@pytest.mark.parametrize("page", ["report.html", "audit.html"])
def test_the_pages_show_the_names_and_run_nothing(page: str, report: Path, browser: Browser) -> None:
    assert_shown(report / page, browser)


def assert_shown(page: Path, browser: Browser) -> None:
    """The page shows hostile names, obeys none, requests nothing and logs nothing to the console."""
    context = browser.new_context(offline=True)
    opened, problems = context.new_page(), []
    opened.on("console", lambda message: problems.append(f"console: {message.text}"))
    opened.on("pageerror", lambda error: problems.append(f"error: {error}"))
    opened.on("dialog", lambda dialog: (problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    opened.on("request", lambda asked: asked.url.startswith("file:") or problems.append(f"request: {asked.url}"))
    opened.goto(page.as_uri())
    if "data-charts" in page.read_text(encoding="utf-8"):
        opened.wait_for_selector("html[data-charts=drawn]", state="attached")
    assert SENTINEL not in opened.title() or "<script>" in opened.title()
    assert opened.evaluate(WHAT_ACTS) == 0
    assert "<script>document.title=" in opened.inner_text("body")
    text = opened.content()
    assert not any(one in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL) for one in UNSEEN)
    context.close()
    assert problems == []


# The terminal.


def hostile_change(name: str) -> Change:
    return Change(name=f"m/28/b1/t1/{name}", verdict="broken", regression=True, reason=f"in new: {name}")


@pytest.fixture
def outcome() -> Outcome:
    return Outcome(
        base=f"base {EVERYTHING}",
        new=f"new {EVERYTHING}",
        interleaved=False,
        threshold=0.05,
        allowed=[f"data: {EVERYTHING}, x"],
        versions={EVERYTHING: ("1", EVERYTHING)},
        changes=[hostile_change(name) for name in NAMES.values()],
        only_in_base=list(NAMES.values())[:5],
        only_in_new=[LONG],
    )


@pytest.mark.parametrize("kind", [Terminal, Console])
def test_the_terminal_shows_names_and_obeys_none(kind: type[Console], outcome: Outcome) -> None:
    stream = io.StringIO()
    console = kind(file=stream, width=100_000)
    show(outcome, console)
    render_audit_table(hostile_audit(), console)
    text = stream.getvalue()
    assert "[red]x[/red]" in text
    assert ":smile:" in text
    assert not any(one in text for one in UNSEEN)


def test_a_narrator_tells_any_name() -> None:
    stream = io.StringIO()
    console = Terminal(file=stream, width=400)
    told = Narrator(console)
    with told.showing():
        for name in (EVERYTHING, "\ud800", "[/nothing]"):
            told.stage(name)
            told.note(name)
            told.tell(name)
            told.bar(name, 1, 2)
    assert not any(one in stream.getvalue() for one in UNSEEN)


def test_a_comparison_s_files_are_what_they_are(outcome: Outcome, tmp_path: Path) -> None:
    write_markdown(outcome, tmp_path / "comment.md")
    write_junit(outcome, tmp_path / "junit.xml")
    text = (tmp_path / "comment.md").read_text(encoding="utf-8")
    assert harm_in_markdown(text) == []
    assert not any(one in text for one in UNSEEN)
    assert [token.type for token in markdown_tokens(text)].count("tr_open") == len(NAMES) + 1
    root = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert [case.get("name") for case in root.iter("testcase")] == [
        printable(change.name.rpartition("/")[2]) for change in outcome.changes
    ]


@pytest.fixture
def in_turns() -> Outcome:
    """The findings of `assay regress` in cells with hostile labels, reasons and precisions; one is on one side only."""
    labels = [*NAMES.values(), "\ufffe\uffff"]
    cells = test_turns.cells(*(f"{label}[{variant}]" for label in labels for variant in (BASE, NEW)), f"{LONG}[{NEW}]")
    cells[1] = cells[1].model_copy(update={"status": "failed", "reason": EVERYTHING})
    cells[2] = cells[2].model_copy(update={"status": "failed", "reason": EVERYTHING})
    cells[5] = cells[5].model_copy(update={"precision": EVERYTHING})
    pairs = pairs_in_turns(cells, test_turns.measured({cell.name: test_turns.samples(2) for cell in cells}))
    return Outcome(
        base="",
        new="",
        interleaved=True,
        threshold=0.05,
        changes=changes_of(pairs, 0.05),
        only_in_base=alone(cells, BASE),
        only_in_new=alone(cells, NEW),
        remarks=versions.precisions(pairs),
    )


def test_what_regress_writes_is_what_it_is(in_turns: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "compare_versions", lambda *_, **__: in_turns)
    monkeypatch.setenv("COLUMNS", "400")
    files = [f"{side} `|<img src=x onerror=alert(1)>@user [a](b) \x1b[31m\u202e\n# x.onnx" for side in (BASE, NEW)]
    for file in files:
        write_pair(tmp_path / file, "")
    words = ["regress", *files, "--markdown", "comment.md", "--junit", "junit.xml", "--out", "out"]
    said, told = (CliRunner().invoke(app, [*words, *more]) for more in ([], ["--json"]))
    assert (said.exit_code, told.exit_code) == (1, 1), (said.exception, told.exception)
    assert not any(one in said.output + told.output for one in UNSEEN)
    record = Outcome.model_validate_json(told.stdout)
    assert record == in_turns.model_copy(update={"base": files[0], "new": files[1]})
    assert record.only_in_new
    assert record.remarks
    text = (tmp_path / "comment.md").read_text(encoding="utf-8")
    kinds = [token.type for token in markdown_tokens(text)]
    assert harm_in_markdown(text) == []
    assert not any(one in text for one in UNSEEN)
    assert (kinds.count("heading_open"), kinds.count("tr_open")) == (1, len(record.changes) + 2)
    cases = list(ElementTree.parse(tmp_path / "junit.xml").getroot().iter("testcase"))
    assert [case.get("name") for case in cases] == [
        printable(change.name.rpartition("/")[2]) for change in record.changes
    ]
    assert {inner.get("type") for case in cases for inner in case if inner.tag == "failure"} == {"broken"}
    assert printable(EVERYTHING) in str(cases[0][0].get("message"))


# Runs that are joined, or follow each other.

SMALL, LARGE = kind(f"small{EVERYTHING}"), kind(f"large{EVERYTHING}")


@pytest.fixture
def hostile_runs(tmp_path: Path) -> list[Path]:
    """Three runs on two kinds of machines, in which names, labels, reasons, titles and folders are hostile."""
    change = ending(("bloodnet", "torch-dynamo", "torch.compile", "An x86-64", "pbc"), EVERYTHING)
    folders = []
    for seed, machine in enumerate([Machine(SMALL, "a"), Machine(SMALL, "b", 1.1), Machine(LARGE, "c", 0.5)]):
        plain, samples = machine.run(seed)
        results = Results.model_validate(renamed(plain.model_dump(mode="json"), change))
        lost = results.cells[0].model_copy(update={"status": "failed", "reason": EVERYTHING, "host": None})
        results = results.model_copy(
            update={"study": f"sample{EVERYTHING}", "title": EVERYTHING, "cells": [lost, *results.cells[1:]]}
        )
        called = {name: change(name) for name in samples["cell"].unique()}
        samples = samples.with_columns(polars.col("cell").replace(called))
        folder = tmp_path / f"{seed} <b> \x1b[31m\u202e"
        folder.mkdir()
        write_results(results, Measurements(samples, polars.DataFrame(schema=BURST_COLUMNS), [], {}, {}, 0.0), folder)
        folders.append(folder)
    return folders


def test_a_joined_page_shows_the_names_and_runs_nothing(
    hostile_runs: list[Path], tmp_path: Path, browser: Browser
) -> None:
    """The currency is hostile too."""
    prices = {SMALL.instance_type: 0.1, LARGE.instance_type: 0.3}
    written = [f"{toml(name)} = {price}" for name, price in prices.items()]
    (tmp_path / "prices.toml").write_text("\n".join([f"currency = {toml(EVERYTHING)}", "[per_hour]", *written]))
    words = ["join", *map(str, hostile_runs), "--out", "out", "--prices", "prices.toml"]
    said, told = (CliRunner().invoke(app, [*words, *more]) for more in ([], ["--json"]))
    assert (said.exit_code, told.exit_code) == (0, 0), (said.exception, told.exception)
    assert not any(one in said.output + told.output for one in UNSEEN)
    joined = read_joined(tmp_path / "out")
    assert [one.name for one in joined.kinds] == list(prices)
    assert joined.races
    assert any(one.cost_per_million for one in joined.cells)
    assert any(EVERYTHING in one.label for one in joined.cells)
    assert any(EVERYTHING in one.reason for one in joined.cells)
    assert (joined.title, joined.currency) == (EVERYTHING, EVERYTHING)
    assert len(said.stdout.splitlines()) == len(spoken(joined)) + 1
    assert_shown(tmp_path / "out/report/report.html", browser)


def test_a_history_shows_the_names_and_runs_nothing(hostile_runs: list[Path], tmp_path: Path, browser: Browser) -> None:
    words = ["history", *map(str, hostile_runs), "--out", "past"]
    said, told = (CliRunner().invoke(app, [*words, *more]) for more in ([], ["--json"]))
    assert (said.exit_code, told.exit_code) == (0, 0), (said.exception, told.exception)
    assert not any(one in said.output + told.output for one in UNSEEN)
    past = json.loads((tmp_path / "past/history.json").read_text(encoding="utf-8"))
    assert past["series"]
    assert any(EVERYTHING in str(one) for run in past["runs"] for one in run.values())
    assert_shown(tmp_path / "past/report.html", browser)


def toml(text: str) -> str:
    return json.dumps(text).replace("\x7f", "\\u007f")


# What is published.

BEYOND = f"{EVERYTHING}\U0001f600\uffff"


@pytest.fixture
def published(results: Results, tmp_path: Path) -> tuple[Publication, Cell]:
    """A run with hostile text wherever a tracker or a card has a text, and a cell of it."""
    place, cell = next((at, one) for at, one in enumerate(results.cells) if one.exporter and one.host)
    named = cell.model_copy(update={"label": f"{cell.label}{BEYOND}", "precision": BEYOND})
    data = results.data.model_copy(update={"name": f"pbc{BEYOND}", "notice": BEYOND})
    cells = [*results.cells[:place], named, *results.cells[place + 1 :]]
    texts = {"study": f"sample{BEYOND}", "title": BEYOND, "assay_version": BEYOND}
    harmful = results.model_copy(update={"cells": cells, "data": data, **texts})
    (tmp_path / "results.json").write_text(harmful.model_dump_json(), encoding="utf-8")
    return publication_of(tmp_path), named


def test_a_model_card_is_read_back_as_it_was(published: tuple[Publication, Cell]) -> None:
    found, cell = published
    card = card_of(found, cell.name)
    assert not any(one in card for one in UNSEEN)
    results, (_, head, body) = found.findings.results, card.split("---\n", 2)
    told = yaml.safe_load(head)
    assert set(told) == {"library_name", "tags", "model-index"}
    assert told["tags"] == ["onnx", "onnx-assay", cell.runtime.partition(".")[0]]
    ((index,), (result,)) = (told["model-index"], told["model-index"][0]["results"])
    assert (set(index), index["name"]) == ({"name", "results"}, results.study)
    assert set(result) == {"task", "dataset", "metrics"}
    assert result["task"] == {"type": TASKS[results.task].hub, "name": results.task}
    data = results.data.name
    assert result["dataset"] == {"type": data.partition(":")[0], "name": data}
    assert all(set(one) == {"type", "name", "value"} for one in result["metrics"])
    assert cell.label in result["metrics"][-1]["name"]
    assert cell.host
    assert result["metrics"][-1]["value"] == cell.host.median_ms.value
    tokens = markdown_tokens(body)
    kinds = [token.type for token in tokens]
    assert harm_in_markdown(body) == []
    assert (kinds.count("heading_open"), kinds.count("blockquote_open"), kinds.count("table_open")) == (1, 1, 1)
    assert not {"hr", "fence", "code_block", "bullet_list_open", "ordered_list_open"} & set(kinds)
    shown = "".join(token.content for token in tokens if token.type in ("text", "text_special", "code_inline"))
    for text in (results.study, results.data.notice, cell.precision):
        seen = printable(" ".join(re.split(r"[\r\n\t]+", text)))
        assert "".join(seen.split()) in "".join(shown.replace("\u200b", "").split())


def test_a_small_number_of_a_card_is_a_number(published: tuple[Publication, Cell]) -> None:
    found, cell = published
    assert cell.host
    tiny = cell.host.median_ms.model_copy(update={"value": 1e-5, "low": 1e-6, "high": 2.5e-5})
    timed = cell.model_copy(update={"host": cell.host.model_copy(update={"median_ms": tiny})})
    results = found.findings.results.model_copy(update={"cells": [timed]})
    card = card_of(replace(found, findings=replace(found.findings, results=results)), cell.name)
    (result,) = yaml.safe_load(card.split("---\n", 2)[1])["model-index"][0]["results"]
    assert result["metrics"][-1]["value"] == 1e-5


class Taken:
    """A replacement for a tracker's client: it keeps what it is given, and answers anything."""

    def __init__(self, **told: Any) -> None:
        self.told: list[tuple[tuple[Any, ...], dict[str, Any]]] = [((), told)]

    def __getattr__(self, _: str) -> Taken:
        return self

    def __call__(self, *given: Any, **named: Any) -> Taken:
        self.told.append((given, named))
        return self

    def __enter__(self) -> Taken:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def texts(self) -> list[str]:
        """Every text in it, keys included."""
        found: list[str] = []
        renamed(self.told, lambda text: found.append(text) or text)  # type: ignore[func-returns-value]
        return found


@pytest.mark.parametrize("tracker", ["mlflow", "wandb"])
def test_a_tracker_gets_visible_text(
    tracker: str, published: tuple[Publication, Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the trackers' own clients, which take seconds to import, but what they are given."""
    client = Taken()
    entities = SimpleNamespace(Metric=lambda *told: told, Param=lambda *told: told, RunTag=lambda *told: told)
    monkeypatch.setitem(sys.modules, tracker, client)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)  # type: ignore[arg-type]
    publish = runpy.run_path(str(ROOT / f"bench/publishing/on_{tracker}.py"))["publish"]
    publish(published[0], "", "assay")
    texts = client.texts
    assert not [text for text in texts if any(one in text for one in UNSEEN)]
    assert printable(published[0].name) in texts
    if tracker == "mlflow":  # whose pages show the note as Markdown
        (note,) = [value for name, value in pairwise(texts) if name == "mlflow.note.content"]
        assert harm_in_markdown(note) == []


# ONNX files: what is said of one, its audit, and its repro.


def write_pair(path: Path, more: str, *, scale: float = 1.0) -> Path:
    """A model in which every name ends with a hostile text; another `scale` is a defect in it."""
    inputs, output = [f"left{more}", f"right{more}"], f"sum{more}"
    nodes = [
        helper.make_node("Add", inputs, [f"both{more}"], name=f"add{more}", doc_string=more),
        helper.make_node("Mul", [f"both{more}", f"scale{more}"], [output], name=f"mul{more}", doc_string=more),
    ]
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        f"graph{more}",
        [tensor(name, TensorProto.FLOAT, ["batch", WIDTH]) for name in inputs],
        [tensor(output, TensorProto.FLOAT, ["batch", WIDTH])],
        [numpy_helper.from_array(np.full(WIDTH, scale, np.float32), f"scale{more}")],
        doc_string=more,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10, producer_name=f"producer{more}"
    )
    helper.set_model_props(model, {f"key{more}": f"value{more}"})
    path.write_bytes(model.SerializeToString())
    return path


def assay(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("assay")), *words],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
        env={**os.environ, "COLUMNS": "400"},
    )


def assert_seen(done: subprocess.CompletedProcess[str]) -> None:
    assert "Traceback" not in done.stderr
    assert not any(one in done.stdout + done.stderr for one in UNSEEN)


def test_a_hostile_file_is_described(tmp_path: Path) -> None:
    path = write_pair(tmp_path / "pair.onnx", EVERYTHING)
    words, record = (assay("export", "--inspect", str(path), *more, folder=tmp_path) for more in ((), ("--json",)))
    for done in (words, record):
        assert done.returncode == 0, done.stderr
        assert_seen(done)
    assert json.loads(record.stdout)["metadata"] == {f"key{EVERYTHING}": f"value{EVERYTHING}"}


@pytest.mark.parametrize("field", [b"left", b"add", b"producer", b"key"])
def test_a_name_that_is_not_text_is_refused(field: bytes, tmp_path: Path) -> None:
    path = write_pair(tmp_path / "pair.onnx", "")
    path.write_bytes(path.read_bytes().replace(field, b"\xed\xa0\x80" + field[3:]))
    with pytest.raises(ArtifactError, match="name that is not text"):
        read_model(path)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an audit of a wrong file with hostile names, and its output, in `printed`."""
    folder = tmp_path_factory.mktemp("audit")
    reference = write_pair(folder / "reference.onnx", EVERYTHING)
    candidate = write_pair(folder / "pair.onnx", EVERYTHING, scale=1.5)
    files = ("--reference", str(reference), "--candidate", str(candidate), "--dimension", "batch=3", "--out", "out")
    done = assay("audit", *files, folder=folder)
    assert done.returncode == 1, done.stdout + done.stderr
    assert_seen(done)
    assert sentinels(folder) == []
    return folder / "out" / "audit-pair"


def test_a_repro_is_a_constant_program_beside_data(audited: Path) -> None:
    (repro,) = (audited / "repro").iterdir()
    assert {path.name for path in repro.iterdir()} == REPRO_FILES
    assert {path.name for path in audited.iterdir()} >= {"audit.json", "audit.html", "repro"}
    assert (repro / "run.py").read_text() == script()
    about = json.loads((repro / "repro.json").read_text())
    assert about["node"] == f"mul{EVERYTHING}"
    assert set(about["inputs"]) == {f"both{EVERYTHING}"}
    done = subprocess.run(
        [sys.executable, "run.py"], cwd=repro, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 1
    assert "relative error" in done.stdout
    assert not any(one in done.stdout for one in UNSEEN)
    assert sentinels(audited) == []


def test_an_audit_of_hostile_files_is_read_again_and_shown(audited: Path) -> None:
    (model,) = read_audit(audited / "audit.json").models
    assert model.localisations[0].node == f"mul{EVERYTHING}"
    page = (audited / "audit.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert not any(one in page for one in UNSEEN)


# Deployments.


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The deployment of a real file whose inputs and outputs have hostile names; it passes its check."""
    folder = make_comparison(tmp_path_factory.mktemp("compared") / "model-Pair", "rows", EVERYTHING)
    write_deployment(
        read_study(folder), cell_name("rows"), folder / "deployment", Narrator(Terminal(file=io.StringIO()))
    )
    check_deployment(folder / "deployment")
    return folder / "deployment"


@pytest.fixture(scope="module")
def spoiled(deployed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Deployment]:
    """The same, with every other text of the record hostile too."""
    copy = Path(shutil.copytree(deployed, tmp_path_factory.mktemp("spoiled") / "deployment"))
    measured = json.loads((copy / "audited/1/measured.json").read_text())
    words = ("Pair", "model-", "An x86-64", "fp32")
    (copy / "audited/1/measured.json").write_text(json.dumps(renamed(measured, ending(words, EVERYTHING))))
    plain = read_deployment(copy).model_dump(mode="json")
    name = plain.pop("name")
    changed = renamed(plain, ending(("Pair", "drawn", "Random", "fp32", "reference"), EVERYTHING))
    assert isinstance(changed, dict)
    made = Deployment.model_validate({**changed, "name": name})
    made = made.model_copy(update={"data": made.data.model_copy(update={"notice": EVERYTHING})})
    render(copy, made)
    return copy, made


def test_a_deployment_s_files_are_known_here(deployed: Path) -> None:
    assert {str(path.relative_to(deployed)) for path in deployed.rglob("*") if path.is_file()} == DEPLOYMENT_FILES


def test_a_deployment_s_files_are_what_they_are(spoiled: tuple[Path, Deployment]) -> None:
    folder, made = spoiled
    service = yaml.safe_load((folder / "kubernetes/inference-service.yaml").read_text(encoding="utf-8"))
    assert service["metadata"]["annotations"]["assay/data-sha256"] == made.data.content_hash
    compose = yaml.safe_load((folder / "docker/compose.yaml").read_text(encoding="utf-8"))
    assert set(compose) == {"services"}
    assert read_config(folder / "models/pair/config.pbtxt") == config_of(made)
    assert (folder / "models/pair/config.pbtxt").read_bytes().isascii()
    told = json.loads((folder / "requests/model.json").read_text())
    assert told["outputs"] == [one.name for one in made.outputs]
    assert SENTINEL not in (folder / "docker/Dockerfile").read_text()
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert not any(one in card for one in UNSEEN)
    assert harm_in_markdown(card) == []
    assert read_deployment(folder) == made


def test_the_client_is_the_same_program_whatever_the_names(spoiled: tuple[Path, Deployment], tmp_path: Path) -> None:
    folder, _ = spoiled
    template = ROOT / "bench/deployment/templates/client-of-records.txt"
    assert (folder / "requests/client.py").read_bytes() == template.read_bytes()
    asked = [sys.executable, str(folder / "requests/client.py"), "--server", "127.0.0.1:9"]
    done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0  # nobody listens there
    assert "refused" in done.stderr
    script = str(folder / "requests/infer.sh")
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0
    done = subprocess.run(
        ["sh", script, "http://127.0.0.1:9"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert sentinels(folder, tmp_path) == []


def test_a_choice_among_hostile_cells_is_printed(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "compared")
    results = Results.model_validate(
        renamed(read_results(folder / "results.json").model_dump(mode="json"), ending(("Pair",), EVERYTHING))
    )
    audit = Audit.model_validate(
        renamed(read_audit(folder / "audit.json").model_dump(mode="json"), ending(("Pair",), EVERYTHING))
    )
    told = render_choice(choose(results, audit, Constraints(), "latency", None))
    assert "Pair" in told
    assert not any(one in told for one in UNSEEN)


# Models that are brought along, by every route.

ODD = (
    "file", "self", "args", "kwargs", "class", "0", "allow_pickle", "data", "a b", "a/b", "a.b", "a[b]", "a\\b", "/x",
    "..", "x.npy", "none", "\u00e9\u6f22", "a\0b",
)  # fmt: skip
FUNCTIONS = {
    "torch": """
import torch

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(4, 4)

    def forward(self, left, right):
        return {"relu": self.layer(left) + right, "self": torch.relu(left * right)}

def make():
    return Model()
""",
    "jax": """
import jax.numpy as jnp

def make(left, right):
    return {"self": jnp.tanh(left) + right, "b c": left * right}
""",
    "tf": """
import tensorflow as tf

@tf.function
def make(left, right):
    return {"self": tf.tanh(left) + right, "b c": left * right}
""",
}


def write_sum(path: Path, names: Sequence[str]) -> Path:
    """A model that adds as many inputs as there are names, and returns the sum and its positive part."""
    nodes = [helper.make_node("Sum", list(names), ["out"]), helper.make_node("Relu", ["out"], [f"{names[0]} too"])]
    tensor = helper.make_tensor_value_info
    model = onnx_model(
        nodes,
        [tensor(name, TensorProto.FLOAT, ["batch", WIDTH]) for name in names],
        [tensor(name, TensorProto.FLOAT, ["batch", WIDTH]) for name in ("out", f"{names[0]} too")],
    )
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("names", [ODD, (*NAMES.values(), EVERYTHING, LONG)], ids=["odd", "hostile"])
def test_a_model_with_any_names_is_looked_at_and_checked(names: Sequence[str], tmp_path: Path) -> None:
    """Everything in `assay compare-model` except the timing, in its own jobs."""
    location = locate(str(write_sum(tmp_path / "sum.onnx", names)))
    work = Work(Wanted(location), tmp_path / "work", Narrator(Terminal(file=io.StringIO())))
    brought = bring(work)
    assert [one.name for one in brought.model.inputs] == list(names)
    _, (export,) = exported(work, brought)
    assert export.status == "ok", export.reason


@pytest.mark.slow
@pytest.mark.parametrize("framework", FUNCTIONS)
def test_every_route_and_runtime_takes_odd_names(framework: str, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(FUNCTIONS[framework])
    shapes = ("--shape", "self=batch,4", "--shape", 'a[b] "c"/\u00e9\u202e{{x}}=batch,4')
    done = assay(
        *("compare-model", "model.py:make", "--framework", framework, *shapes),
        *("--minutes", "2", "--interval-width", "0", "--out", "out"),
        folder=tmp_path,
    )
    assert_seen(done)
    results = read_results(tmp_path / "out/model-model-make/results.json")
    assert {one.exporter: one.reason for one in results.exports if one.status != "ok"} == {}
    timed = {cell.name: cell.reason for cell in results.cells if cell.status not in ("ok", "skipped")}
    assert timed == {}
    assert done.returncode == status_of_good(results), done.stderr
    assert sentinels(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("names", [ODD, (*NAMES.values(), EVERYTHING, LONG)], ids=["odd", "hostile"])
def test_an_onnx_file_with_any_names_is_timed_and_reported(names: Sequence[str], tmp_path: Path) -> None:
    write_sum(tmp_path / "sum.onnx", names)
    done = assay(
        "compare-model", "sum.onnx", "--minutes", "2", "--interval-width", "0", "--out", "out", folder=tmp_path
    )
    assert_seen(done)
    results = read_results(tmp_path / "out/model-sum/results.json")
    assert done.returncode == status_of_good(results), done.stdout + done.stderr
    assert {cell.name: cell.reason for cell in results.cells if cell.status != "ok"} == {}
    assert (tmp_path / "out/model-sum/report/report.html").is_file()
