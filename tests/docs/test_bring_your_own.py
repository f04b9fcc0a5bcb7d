"""The tutorial: every command in it is run, in the order of its sections, each section in a folder of its own."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from assay.results import read_results
from tests.bench.test_cli import assay

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "bring-your-own-model.md").read_text(encoding="utf-8")
SECTIONS = {
    title: re.findall(r"^\$ (.*)$", "\n".join(re.findall(r"```console\n(.*?)```", body, re.DOTALL)), re.MULTILINE)
    for title, body in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
}
QUICK = "An ONNX file"
ENOUGH = ["--precision", "0", "--minutes", "30"]
FEW = {"pair.onnx": ["--runtime", "ort.cpu", "--runtime", "ort.cpu.no-opt"]}


def test_every_kind_of_model_has_a_command() -> None:
    models = [shlex.split(command)[2] for commands in SECTIONS.values() for command in commands if "assay" in command]
    endings = {Path(model.partition(":")[0]).suffix for model in models}
    assert endings == {".onnx", ".pt", ".pt2", ".keras", ".py", ""}
    assert len(models) == 8


@pytest.mark.parametrize(
    "title",
    [pytest.param(one, marks=[] if one == QUICK else [pytest.mark.slow]) for one, found in SECTIONS.items() if found],
)
def test_the_commands_of_a_section_run(title: str, tmp_path: Path) -> None:
    shutil.copytree(DOCS / "examples", tmp_path / "examples")
    for command in SECTIONS[title]:
        words = shlex.split(command)
        if words[0] == "python":
            subprocess.run([sys.executable, *words[1:]], cwd=tmp_path, check=True, capture_output=True)
            continue
        assert words[0] == "assay"
        done = assay(*words[1:], *FEW.get(words[2], []), *ENOUGH, folder=tmp_path)
        assert done.returncode == 0, done.stderr + done.stdout
        report = Path(done.stdout.splitlines()[-1].removeprefix("Report: "))
        results = read_results(tmp_path / report.parents[1] / "results.json")
        _is_whole(results.model_dump_json(), tmp_path)
        assert [one.status for one in results.exports] == ["ok"] * len(results.exports)
        timed = [cell for cell in results.cells if cell.framework]
        assert {cell.status for cell in timed} == {"ok"}, [cell.reason for cell in timed if cell.reason]
        assert all(cell.agreement and cell.agreement.passed for cell in timed)
        assert all(cell.timed_agreement and cell.timed_agreement.passed for cell in timed)
        profiled = [one for one in results.attributions if one.profiled.kernel_ms is not None]
        assert profiled
        assert (tmp_path / report).stat().st_size > 100_000
        assert "assay compare-model" in (tmp_path / report.with_suffix(".md")).read_text(encoding="utf-8")


def _is_whole(text: str, folder: Path) -> None:
    """Paths of the machine stay out of results."""
    assert str(folder) not in text


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (DOCS / link).exists(), link
