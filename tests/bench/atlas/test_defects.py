"""What is wrong in an atlas is shown by a program without Assay, with a report: on a file that is really wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from assay.bench.atlas.defects.write import FOLDER, write_defects
from assay.bench.atlas.record import Finding, OperatorFindings
from assay.bench.atlas.run import FOUND, OPERATORS
from tests.bench.atlas.test_findings import atlas_of, finding

INPUT = np.array([1.0, 2.0], np.float32)


def kept(folder: Path, one: Finding, *, right: bool) -> None:
    """The files of a sample of doubling, whose file adds something else than the input to it."""
    sample = folder / OPERATORS / f"{one.operator}-0123" / f"{one.sample}-{one.numbers}"
    (sample / one.route).mkdir(parents=True, exist_ok=True)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x0", "y")]
    add = helper.make_node("Add", ["x0", "x0" if right else "one"], ["y"], "added", doc_string="/home/someone/model.py")
    constant = helper.make_tensor("one", TensorProto.FLOAT, [2], [5.0, 5.0])
    graph = helper.make_graph([add], "doubled", ends[:1], ends[1:], [constant])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        sample / one.route / "model.onnx",
    )
    np.savez(sample / "inputs.npz", x0=INPUT)
    np.save(sample / "reference.npy", 2 * INPUT.astype(np.float64))
    (sample / "model.py").write_text("# the operator\n")
    found = OperatorFindings(findings=[one])
    (sample.parent / FOUND).write_text(found.model_dump_json(), encoding="utf-8")


def test_a_wrong_file_has_a_program_that_shows_it_and_a_report(tmp_path: Path) -> None:
    one = finding("wrong", operator="doubled")
    kept(tmp_path, one, right=False)
    assert write_defects(atlas_of(one), tmp_path) == []
    folder = tmp_path / FOLDER / "doubled-torch-dynamo"
    done = subprocess.run([sys.executable, "-I", folder / "run.py"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "relative error 1" in done.stdout
    report = (folder / "report.md").read_text()
    assert "# `doubled` is exported to ONNX with wrong results (dynamo=True)" in report
    assert done.stdout.strip() in report
    assert "Of 1 sample tried with different numbers, 1 is wrong." in report
    assert b"someone" not in (folder / "model.onnx").read_bytes()
    assert (folder / "model.py").is_file()


def test_what_no_program_shows_is_told_and_leaves_no_folder(tmp_path: Path) -> None:
    right, bare = finding("wrong", operator="right"), finding("wrong", operator="bare")
    kept(tmp_path, right, right=True)
    unshown = write_defects(atlas_of(right, bare), tmp_path)
    assert [(one.operator, one.route) for one in unshown] == [("bare", "torch-dynamo"), ("right", "torch-dynamo")]
    assert not list((tmp_path / FOLDER).glob("*"))


def test_a_program_is_run_again_only_where_its_findings_changed(tmp_path: Path) -> None:
    """Each run takes seconds, and an atlas has dozens of them."""
    one, bare = finding("wrong", operator="doubled"), finding("wrong", operator="bare")
    kept(tmp_path, one, right=False)
    folder = tmp_path / FOLDER / "doubled-torch-dynamo"
    unshown = write_defects(atlas_of(one, bare), tmp_path)
    written = (folder / "report.md").stat().st_mtime_ns
    assert write_defects(atlas_of(one, bare), tmp_path) == unshown
    assert (folder / "report.md").stat().st_mtime_ns == written
    changed = one.model_copy(update={"reason": "differs otherwise"})
    kept(tmp_path, changed, right=False)
    write_defects(atlas_of(changed), tmp_path)
    assert "differs otherwise" in (folder / "report.md").read_text()
    write_defects(atlas_of(finding("right", operator="doubled")), tmp_path)
    assert not folder.exists()
