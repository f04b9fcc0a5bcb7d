"""The results of the calls: records, tables with one row each, and a page in which no text is executed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import assay
from assay.errors import ArtifactError, InputError
from assay.records.audit import AUDIT_FILE
from tests.bench.report.sample_results import sample_results
from tests.hostile.test_names import hostile_audit, hostile_results

SCRIPT = "<script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("hostile")
    (place / "results.json").write_text(hostile_results().model_dump_json(), encoding="utf-8")
    (place / AUDIT_FILE).write_text(hostile_audit().model_dump_json(), encoding="utf-8")
    return place


def test_importing_assay_is_quick_and_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'jax', 'tensorflow', 'numpy', 'polars', 'pydantic'}"
    code = f"import assay, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'comapre'"):
        _ = assay.comapre


def test_a_folder_is_read_into_tables_with_a_row_for_each_record(tmp_path: Path) -> None:
    results = sample_results()
    (tmp_path / "results.json").write_text(results.model_dump_json(), encoding="utf-8")
    found = assay.read(tmp_path)
    assert found.cells["cell"].to_list() == [one.name for one in results.cells]
    assert len(found.ratios) == sum(len(one.ratios) for one in results.comparisons) > 0
    first = results.comparisons[0]
    label, ratio = next(iter(first.ratios.items()))
    row = found.ratios.row(0, named=True)
    assert (row["label"], row["times_as_slow"], row["native"]) == (label, ratio.value, first.native)
    assert (found.audit, found.choice) == (None, None)
    assert str(found).startswith("On this machine")
    assert found.passed == (not found.refused)


def test_a_page_shows_texts_and_obeys_none(folder: Path) -> None:
    found = assay.read(folder)
    assert found.audit is not None
    assert len(found.audit.comparisons) == sum(len(model.comparisons) for model in found.audit.audit.models)
    for page in (found._repr_html_(), found.audit._repr_html_()):
        assert SCRIPT not in page.lower()
        assert "&lt;" in page
        assert "\x1b" not in page
        assert "\u202e" not in page


def test_findings_stand_in_one_line_of_an_interactive_session(folder: Path) -> None:
    found = assay.read(folder)
    assert repr(found).startswith(f"<ModelFindings in {folder}: {len(found.results.cells)} cells, ")
    assert repr(found.audit).startswith(f"<AuditFindings in {folder}: ")
    assert all(len(line) < 300 for one in (found, found.audit) for line in repr(one).splitlines())


def test_a_folder_without_results_is_one_message(tmp_path: Path) -> None:
    for wrong in (tmp_path / "none", tmp_path):
        with pytest.raises(ArtifactError) as refused:
            assay.read(wrong)
        assert "Errno" not in str(refused.value)


def test_what_cannot_be_audited_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pt2").write_bytes(b"")
    with pytest.raises(InputError, match=r"not an ONNX file\. assay\.compare"):
        assay.audit(tmp_path / "model.pt2", out=tmp_path)
    with pytest.raises(InputError, match=r"Unknown runtime of ONNX files 'ort\.cpo'"):
        assay.audit("model.onnx", runtimes=["ort.cpo"])
