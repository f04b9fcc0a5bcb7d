"""Every command with unusable input: one message in our words, exit code 2, and no sentence from a library."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from assay.bench.cli.main import app
from assay.bench.cli.refused.failures import told_of
from assay.errors import AssayError
from assay.files.mistakes import mistake_in
from assay.files.texts import parse_json
from assay.files.toml import NotTomlError, parse_toml
from assay.records.base import Interval
from assay.study import load_study
from tests.small_study import small_study

OF_LIBRARIES = re.compile(
    r"\[Errno|No such option|Invalid value|is not a valid|Missing (option|argument|parameter|command)|Got unexpected|"
    r"Possible options|Input should be|validation error|requires an argument|[Pp]ydantic|Usage:|Traceback|Expecting|"
    r"EOF while|at line \d|^Expected|Invalid statement|\(char \d|_click|tomllib"
)
STUDY = small_study("tiny", data=None)
WITHOUT_FILES = {"doctor", "list", "selfcheck", "data show", "data build"}
"""Commands that read no file: their arguments are names, or they have none."""


def commands() -> dict[str, Any]:
    """Every command by its words, including groups."""

    def within(words: str, command: Any) -> Iterator[tuple[str, Any]]:
        yield words, command
        for name, one in getattr(command, "commands", {}).items():
            yield from within(f"{words} {name}".strip(), one)

    return dict(within("", typer.main.get_command(app)))


COMMANDS = commands()
"""Made once: the program makes them again for each command line."""
SINGLE = {words: one for words, one in COMMANDS.items() if not (hasattr(one, "commands") or one.hidden)}


def refused(*arguments: str) -> str:
    """The command's message, which has to be one line of ours."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - typer's own class is not exported
        COMMANDS[""].main(list(arguments), prog_name="assay", standalone_mode=False)
    told = told_of(caught.value)
    assert told is not None, f"{arguments}: {caught.value!r}"
    assert told.exit_code in {2, 3}, arguments
    assert not OF_LIBRARIES.search(str(told)), f"{arguments}: {told}"
    return str(told)


@pytest.mark.parametrize("words", COMMANDS)
def test_an_unknown_option_is_named_with_the_nearest(words: str) -> None:
    said = refused(*words.split(), "--no-such-option")
    assert f"{words} has no option --no-such-option" in said


def test_what_was_nearly_right_is_offered() -> None:
    assert "Did you mean --minutes?" in refused("model", "model.onnx", "--minute", "5")
    assert "has no command 'rnu'. Did you mean 'run'?" in refused("rnu")
    assert "data has no command 'shwo'. Did you mean 'show'?" in refused("data", "shwo")


@pytest.mark.parametrize("words", SINGLE)
def test_a_missing_argument_is_named(words: str) -> None:
    needed = [one for one in SINGLE[words].params if one.required]
    if needed:
        said = refused(*words.split())
        assert f"{words} needs {needed[0].metavar or needed[0].name.upper()}" in said
        assert "found nothing" in said
    else:
        assert "takes no further arguments" in refused(*words.split(), *["word"] * (1 + len(SINGLE[words].params)))


@pytest.mark.parametrize("words", SINGLE)
def test_an_option_without_its_value_or_with_a_wrong_one_is_named(words: str) -> None:
    command = SINGLE[words]
    needed = ["given"] * sum(one.required for one in command.params)
    for option in command.params:
        if option.param_type_name != "option" or getattr(option, "is_flag", False):
            continue
        name = max(option.opts, key=len)
        assert f"The option {name} needs a value" in refused(*words.split(), *needed, name)
        if option.type_descriptor.annotation in {int, float, list[int], list[float]}:
            said = refused(*words.split(), *needed, name, "many")
            assert f"{name}: expected a" in said
            assert "found 'many'" in said


def test_a_number_out_of_its_range_says_the_range() -> None:
    assert "--minutes: expected 0.1 or more, found '0'" in refused("model", "model.onnx", "--minutes", "0")
    assert "--batch: expected 1 or more, found '-1'" in refused("model", "model.onnx", "--batch", "-1")


@pytest.mark.parametrize("words", sorted(set(SINGLE) - WITHOUT_FILES))
@pytest.mark.parametrize("what", ["none", "folder", "bytes", "results"])
def test_files_that_are_none_are_one_message(words: str, what: str, tmp_path: Path) -> None:
    given = tmp_path / "given"
    if what == "bytes":
        given.write_bytes(b"\x00\xff no file of ours")
    elif what != "none":
        given.mkdir()
    if what == "results":
        for name in ("results.json", "audit.json", "choice.json", "deployment.json"):
            (given / name).write_text('{"schema_version": 5, ', encoding="utf-8")
    command, options = SINGLE[words], ["--out", str(tmp_path / "out")]
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    deployed = ["--deployment", str(given)] if any("--deployment" in one.opts for one in command.params) else []
    takes_out = any("--out" in one.opts for one in command.params)
    count = 2 if words == "compare" else max(len(arguments), 1)
    refused(*words.split(), *[str(given)] * count, *deployed, *(options if takes_out else []))


MISTAKES = {
    "batches [1]": "= and a value after a key",
    "a = 1 b = 2": "nothing more on this line",
    "[bench": "a section's name in brackets",
    "[]": "a key with its value",
    "a = 1\na = 2": "each key and section only once",
    "[x]\n[x]": "each key and section only once",
    "a = [1, 2": "a bracket ] at the end of the list",
    "a = {b = 1": "a bracket } at the end of the table",
    'a = "C:\\data"': "a backslash as",
    'a = "text': "a quote at the end of the text",
    "a = 'text": "a quote at the end of the text",
    'a = """text': "a quote at the end of the text",
    "a = 2026-02-31": "a valid date",
    "a = yes": 'a value: 8, 0.5, true, "text"',
    "a = ": 'a value: 8, 0.5, true, "text"',
    "= 1": "a key with its value",
    'a = "\x01"': "printable characters",
    "a = 1 # \x00": "printable characters",
    'a = "\\u12"': "a backslash as",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_study_that_is_not_toml_gives_the_line_and_what_was_expected(text: str, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(f"{STUDY}{text}\n", encoding="utf-8")
    said = refused("run", str(path))
    assert re.search(r"study\.toml is not TOML in line [67]: expected ", said), said
    assert MISTAKES[text] in said


def test_the_line_of_a_mistake_is_shown() -> None:
    with pytest.raises(NotTomlError) as caught:
        parse_toml("a = 1\nbatches [1]\n")
    assert (caught.value.line, caught.value.found) == (2, "'batches [1]'")
    with pytest.raises(NotTomlError, match="brackets nested"):
        parse_toml(f"a = {'[' * 100_000}")


BROKEN = {'{"a": ': "ends in line 1", '{\n"a" 1}': "is invalid from line 2"}


@pytest.mark.parametrize(("text", "said"), BROKEN.items())
def test_a_record_that_is_not_json_gives_the_place(text: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - it is the text that is looked at
        parse_json(text)
    assert said in mistake_in(caught.value)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        Interval.model_validate_json(text)
    assert said in mistake_in(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        "audit --reference a.onnx --candidate b.onnx --model bloodnet/28",
        "audit --reference a.onnx --candidate b.onnx --images 0",
        "audit --reference a.onnx --candidate b.onnx --strict-nan",
        "audit --reference a.onnx --candidate b.onnx --set bench.batches=[1]",
        "audit study.toml --inputs inputs.npz",
        "audit study.toml --trust",
        "compare a b --set bench.batches=[1]",
        "compare study.toml --env a --env b --allow threads",
        "export study.toml --trust",
        "export study.toml --inspect a.onnx",
        "deploy --check folder --cell a",
        "deploy --rollback folder --signed-by key.pem",
        "deploy folder --to 2",
    ],
)
def test_an_option_that_would_change_nothing_is_refused(arguments: str) -> None:
    assert "would have no effect with" in refused(*arguments.split())


def test_a_wrong_key_of_a_study_is_in_our_words(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    for line in (
        "[bench]\nbatches = 1",
        "[bench]\nbatches = [0]",
        "[bench]\nprocesses = 'many'",
        "[data]\nlimit = 1.5",
    ):
        path.write_text(f"{STUDY}{line}\n", encoding="utf-8")
        with pytest.raises(AssayError) as caught:
            load_study(path)
        assert not OF_LIBRARIES.search(str(caught.value))
