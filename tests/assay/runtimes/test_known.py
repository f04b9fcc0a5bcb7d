"""Runtimes of other distributions are accepted as a whole or refused in one line, and ours do not change."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from assay.errors import InputError
from assay.registry import RUNTIMES
from assay.runtimes.entry import Family, Looks, RuntimeEntry
from assay.runtimes.known import GROUP, KnownRuntimes, with_others

SHADES = ("#7a3b1e", "#9b5a35", "#5b2a12", "#8a6a52", "#a0522d")
FAMILY = Family("mine", "My engine", "onnx", Looks("square", SHADES, SHADES))
GOOD = RuntimeEntry(name="mine.fast", family=FAMILY, target="mine.run:load", summary="mine", formats=("onnx",))
POINT = EntryPoint("mine", "mine_entries:ENTRIES", GROUP)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that serves as the module of the entry point."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mine_entries", raising=False)
    return tmp_path / "mine_entries.py"


def brought(module: Path, entries: object, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """The names besides ours, and what was refused and why."""
    module.write_text("ENTRIES = None")
    POINT.load()
    monkeypatch.setattr("mine_entries.ENTRIES", entries)
    known, refused = with_others(dict(RUNTIMES), [POINT])
    assert list(known)[: len(RUNTIMES)] == list(RUNTIMES)
    assert all(known[name] is RUNTIMES[name] for name in RUNTIMES)
    return list(known)[len(RUNTIMES) :], [one.reason for one in refused]


@pytest.mark.parametrize("entries", [GOOD, [GOOD], (GOOD, replace(GOOD, name="mine.slow"))])
def test_one_or_several_are_taken(entries: object, module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names, refused = brought(module, entries, monkeypatch)
    assert names[0] == "mine.fast"
    assert refused == []


def test_they_may_be_of_a_family_of_ours(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = replace(GOOD, name="ort.mine", family=RUNTIMES["ort.cpu"].family)
    assert brought(module, [theirs], monkeypatch) == (["ort.mine"], [])


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        (replace(GOOD, name="ort.cpu"), "has the name of one of Assay"),
        ((GOOD, GOOD), "has the name of one of"),
        (replace(GOOD, name="a/../b"), "is not made of letters"),
        (replace(GOOD, name="mine@tf2onnx"), "is not made of letters"),
        (replace(GOOD, name="x" * 500), "is not made of letters"),
        (replace(GOOD, summary="two\nlines"), "not plain text"),
        (replace(GOOD, words="\x1b[31mred"), "not plain text"),
        (replace(GOOD, target="mine.run"), "does not name any code"),
        (replace(GOOD, target="os:system()"), "does not name any code"),
        (replace(GOOD, formats=()), "loads nothing"),
        (replace(GOOD, formats=("pickle",)), "loads pickle"),
        (replace(GOOD, devices=("tpu",)), "runs on tpu"),
        (replace(GOOD, shape="star"), "has the shape 'star'"),
        (replace(GOOD, ruler="zero"), "sets a field that only Assay's own runtimes may set"),
        (replace(GOOD, unasked=("study",)), "sets a field that only Assay's own runtimes may set"),
        (replace(GOOD, family=replace(FAMILY, name="ort")), "whose name another family has"),
        (replace(GOOD, family=replace(FAMILY, place=0)), "asks for a position before"),
        (replace(GOOD, family=replace(FAMILY, framework="")), "runs models of ''"),
        (replace(GOOD, family=replace(FAMILY, words="")), "without words"),
        (replace(GOOD, family=replace(FAMILY, looks=Looks("square", SHADES, SHADES[:2]))), "5 colours"),
        (replace(GOOD, family=replace(FAMILY, looks=Looks("square", SHADES, (*SHADES[:4], "url(x)")))), "5 colours"),
        (replace(GOOD, family=None), "has no Family"),
        ("mine", "nor a list of them"),
        ([], "nor a list of them"),
        ([GOOD, 7], "a int among its runtimes"),
    ],
)
def test_what_cannot_be_used_is_refused_whole(
    entries: object, reason: str, module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, refused = brought(module, entries, monkeypatch)
    assert names == []
    (said,) = refused
    assert reason in said


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise ValueError('no\\nengine')", "ValueError: no engine"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("def (", "SyntaxError"),
        ("", "AttributeError"),
        ("import sys; sys.modules['openvino'] = sys; ENTRIES = ()", "reading it imports openvino"),
    ],
)
def test_a_module_that_cannot_be_read_costs_nothing_but_itself(
    source: str, reason: str, module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "openvino", raising=False)
    module.write_text(source)
    known, (refused,) = with_others(dict(RUNTIMES), [POINT])
    sys.modules.pop("openvino", None)
    assert list(known) == list(RUNTIMES)
    assert refused.reason.startswith(reason)
    assert "\n" not in str(refused)


def test_a_name_that_may_be_of_what_was_refused_says_so(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module.write_text("raise ValueError('no engine')")
    runtimes = KnownRuntimes()
    found = with_others(dict(RUNTIMES), [POINT])
    monkeypatch.setattr("assay.runtimes.known.with_others", lambda ours: found)
    assert "ort.cpu" in runtimes
    with pytest.raises(InputError, match=r"Unknown runtime 'mine'.*mine_entries:ENTRIES.*no engine"):
        runtimes["mine"]


def test_printing_while_being_read_goes_to_standard_error(module: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module.write_text("print('hello'); ENTRIES = ()")
    with_others(dict(RUNTIMES), [POINT])
    assert capsys.readouterr().out == ""
