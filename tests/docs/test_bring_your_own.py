"""The how-to on your own model: every command in it is run, in the order of its sections, each section in its own
folder.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from assay.infer.server.triton import why_not_here
from assay.records.results import read_results
from tests.bench.cli.test_cli import assay
from tests.bench.serving.conftest import start, stop
from tests.good_run import status_of_good

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "how-to" / "bring-your-own-model.md").read_text(encoding="utf-8")
SECTIONS = {
    title: re.findall(r"^\$ (.*)$", "\n".join(re.findall(r"```console\n(.*?)```", body, re.DOTALL)), re.MULTILINE)
    for title, body in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
}
ADDRESS = "127.0.0.1:8000"
ENOUGH = ["--interval-width", "0", "--minutes", "30"]
FEW = {"pair.onnx": ["--runtime", "ort.cpu", "--runtime", "ort.cpu.no-opt"]}
SHORT = {"load": ["--seconds", "0.3", "--processes", "2", "--clients", "1"]}


def test_every_kind_of_model_has_a_command() -> None:
    commands = [shlex.split(command) for found in SECTIONS.values() for command in found]
    models = {words[2] for words in commands if words[1] == "model"}
    endings = {Path(model.partition(":")[0]).suffix for model in models}
    assert endings == {".onnx", ".pt", ".pt2", ".keras", ".py", ""}
    assert len(models) == 9


@pytest.mark.parametrize(
    "title",
    [pytest.param(one, marks=[pytest.mark.slow]) for one, found in SECTIONS.items() if found],
)
def test_the_commands_of_a_section_run(title: str, tmp_path: Path) -> None:
    shutil.copytree(DOCS / "examples", tmp_path / "examples")
    address = ADDRESS
    with ExitStack() as ending:
        for command in SECTIONS[title]:
            words = shlex.split(command.replace(ADDRESS, address))
            if words[0] == "python":
                subprocess.run([sys.executable, *words[1:]], cwd=tmp_path, check=True, capture_output=True)
            elif words[1] == "model":
                _compare(words[2:], tmp_path)
            elif words[1] == "serve":
                address = _served(tmp_path / words[2], ending)
            else:
                done = assay(*words[1:], *SHORT.get(words[1], []), folder=tmp_path)
                # Whether a server's times are valid is up to the machine, and load says so by a 1.
                assert done.returncode in ({0, 1} if words[1] == "load" else {0}), done.stderr + done.stdout


def _served(folder: Path, ending: ExitStack) -> str:
    """Start a server that runs until the section ends, and return its address, whose port may differ from the
    text's.
    """
    if why_not_here():
        pytest.skip(f"The Triton server cannot run here: {why_not_here()}")
    served = start(folder, folder.with_name("server.log"))
    ending.callback(stop, served)
    return served.http


def _compare(words: list[str], folder: Path) -> None:
    done = assay("model", *words, *FEW.get(words[0], []), *ENOUGH, folder=folder)
    report = Path(done.stdout.splitlines()[-1].removeprefix("Report: "))
    file = folder / report.parents[1] / "results.json"
    results = read_results(file)
    assert done.returncode == status_of_good(results), done.stderr + done.stdout
    _is_whole(results.model_dump_json(), folder)
    assert [one.status for one in results.exports] == ["ok"] * len(results.exports)
    timed = [cell for cell in results.cells if cell.framework]
    assert {cell.status for cell in timed} == {"ok"}, [cell.reason for cell in timed if cell.reason]
    assert all(cell.agreement and cell.agreement.passed for cell in timed)
    assert all(cell.timed_agreement and cell.timed_agreement.passed for cell in timed)
    profiled = [one for one in results.attributions if one.profiled.kernel_ms is not None]
    assert profiled
    assert (folder / report).stat().st_size > 100_000
    assert "assay model" in (folder / report.with_suffix(".md")).read_text(encoding="utf-8")
    # What follows deploys a valid cell; whether this machine was quiet enough for one is not a question of the text.
    valid = [cell.model_copy(update={"invalid": []}) for cell in results.cells]
    file.write_text(results.model_copy(update={"cells": valid}).model_dump_json())


def _is_whole(text: str, folder: Path) -> None:
    """Results contain no paths of the machine."""
    assert str(folder) not in text
