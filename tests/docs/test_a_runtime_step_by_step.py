"""The runtime that CONTRIBUTING.md makes step by step, made according to it, installed, and used."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import assay.runtimes as assay_runtimes
from assay.records.audit import AUDIT_FILE, read_audit
from assay.records.results import read_results
from assay.registry import RUNTIMES
from assay.runtimes.known import KnownRuntimes
from tests.bench.cli.test_cli import assay
from tests.export.pairs.pair_models import save_classifier

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTION = TEXT[TEXT.index("## A runtime, step by step") :]
FILES = re.findall(r"^`([^`\n]+)` [^`]*?\n\n```\w+\n(.*?)```", SECTION, re.MULTILINE | re.DOTALL)
LOOK = """
import json
from assay.registry import RUNTIMES
from assay.bench.report.drawing.palette import colours, series_of
from assay.bench.words.verdict import runtime_in_words
entry = RUNTIMES["reference"]
looks = series_of("reference@torch-dynamo", "onnx")
refused = [str(one) for one in RUNTIMES.refused]
words = runtime_in_words("reference@torch-dynamo")
print(json.dumps([entry.distribution, words, looks.family, colours()[looks.token[1:]], refused]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which its files were written and from which it was installed; it contains the installation."""
    folder = tmp_path_factory.mktemp("runtime")
    for name, content in FILES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(folder / "there"), str(folder)], check=True, capture_output=True)
    return folder / "there"


def test_it_has_three_files() -> None:
    assert [name for name, _ in FILES] == ["pyproject.toml", "reference_runtime/entries.py", "reference_runtime/run.py"]


def test_it_is_known_with_its_own_looks_where_it_is_installed_and_nowhere_else(installed: Path) -> None:
    assert "reference" not in RUNTIMES
    done = subprocess.run(
        [sys.executable, "-c", LOOK], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(installed)}
    )
    distribution, words, family, colour, refused = json.loads(done.stdout)
    assert (distribution, family, refused) == ("reference-runtime 1.0", "Reference evaluator", [])
    assert words == "the reference evaluator (torch-dynamo export)"
    assert colour in {"#7a3b1e", "#9b5a35", "#5b2a12", "#8a6a52", "#a0522d"}


@pytest.mark.slow
def test_it_is_listed_timed_audited_and_shown(installed: Path, tmp_path: Path) -> None:
    there = {"PYTHONPATH": str(installed)}
    listed = assay("doctor", "--json", folder=tmp_path, **there)
    (told,) = [one for one in json.loads(listed.stdout)["runtimes"] if one["name"] == "reference"]
    assert (told["brought_by"], told["family"]) == ("reference-runtime 1.0", "Reference evaluator")
    save_classifier(tmp_path / "model.onnx")
    words = ("model", "model.onnx", "--runtime", "reference", "--runtime", "ort.cpu", "--minutes", "1")
    done = assay(*words, "--interval-width", "0", "--batch", "1", folder=tmp_path, **there)
    assert "Traceback" not in done.stderr
    folder = tmp_path / "artifacts" / "model-model"
    cells = {cell.runtime: cell for cell in read_results(folder / "results.json").cells}
    theirs = cells["reference"]
    assert (theirs.status, theirs.reason) == ("ok", "")
    assert theirs.host is not None
    assert theirs.host.median_ms.value > 0
    assert theirs.agreement is not None
    assert theirs.agreement.passed
    assert theirs.timed_agreement is not None
    assert theirs.timed_agreement.passed
    assert theirs.provenance["operators"] == "numpy"
    assert (theirs.asked_device, theirs.device_kind, theirs.precision) == ("cpu", "cpu", "fp32")
    subjects = {one.subject for model in read_audit(folder / AUDIT_FILE).models for one in model.comparisons}
    assert theirs.label in subjects
    done = assay("report", str(folder), folder=tmp_path, **there)
    page = (folder / "report" / "report.html").read_text(encoding="utf-8")
    assert "Reference evaluator" in page
    assert any(colour in page for colour in ("#7a3b1e", "#9b5a35", "#5b2a12", "#8a6a52", "#a0522d"))


def test_as_one_of_ours_it_is_its_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its entries beside ours it is one of ours; only the address of its code has to be changed."""
    text = next(content for name, content in FILES if name.endswith("entries.py"))
    (tmp_path / "reference.py").write_text(text.replace("reference_runtime.run:", "infer.on_reference:"))
    monkeypatch.setattr("assay.runtimes.__path__", [*assay_runtimes.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "assay.runtimes.reference", raising=False)
    ours = KnownRuntimes()
    sys.modules.pop("assay.runtimes.reference", None)
    assert set(ours) - set(RUNTIMES) == {"reference"}
    assert (ours["reference"].distribution, ours["reference"].target) == ("", "infer.on_reference:load")
    assert ours.families[-1].words == "Reference evaluator"
