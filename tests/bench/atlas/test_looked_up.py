"""The operators of a model are looked up where it is exported and audited, of a study and of a user's model alike."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from assay.bench.atlas import lookup
from assay.bench.atlas.lookup import KnownDefect, Published, read_published
from assay.bench.atlas.suites.on_onnx_cases import cases
from assay.bench.auditing.localise import RUNNERS
from assay.bench.auditing.pairs.pair import PairRequest, audit_pair
from assay.bench.brought.compare import compare_model
from assay.bench.brought.work import Wanted
from assay.bench.run import Run
from assay.bench.stages.audit import audit_study
from assay.bench.words.progress import Narrator
from assay.export.reference.reference import ForwardRequest, ReferenceRequest, compute
from assay.records.audit import AUDIT_FILE, read_audit
from assay.registry import FRAMEWORKS
from assay.study import load_study
from assay.train.brought.model import read_shapes
from assay.train.brought.sources import locate
from tests.bench.stages.test_stage_audit import STUDY
from tests.export.models import workspace

pytestmark = pytest.mark.slow
SOFTPLUS = """
import torch


def build():
    return torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Softplus(threshold=0.1)).eval()
"""
FOUND = "In the atlas, aten::softplus by torch-script is wrong in "


def heard() -> tuple[Narrator, StringIO]:
    told = StringIO()
    return Narrator(Console(file=told, width=1000)), told


def test_a_users_model_with_a_known_defect_is_told_before_and_after_and_in_its_audit(tmp_path: Path) -> None:
    """The entry is real: the atlas has softplus by torch-script, which loses the threshold."""
    published = read_published()
    assert published is not None
    assert any(one.kernel == "aten::softplus" and one.route == "torch-script" for one in published.entries)
    (tmp_path / "model.py").write_text(SOFTPLUS)
    narrator, told = heard()
    location = locate(f"{tmp_path / 'model.py'}:build")
    wanted = Wanted(
        location, shapes=read_shapes(["input=1,4"]), runtimes=("ort.cpu",), minutes=0.05, command="assay model"
    )
    compare_model(wanted, tmp_path / "out", narrator)
    lines = [line.strip() for line in told.getvalue().splitlines()]
    before = next(place for place, line in enumerate(lines) if line.startswith(FOUND))
    failed = next(place for place, line in enumerate(lines) if "by torch-script: FAILED" in line)
    after = next(place for place, line in enumerate(lines) if line.startswith(f"torch-script: {FOUND}"))
    assert before < failed < after
    assert not any("by torch-dynamo is wrong" in line for line in lines)
    (model,) = read_audit(tmp_path / "out" / AUDIT_FILE).models
    assert [said for said in model.guilt if FOUND in said] == [f"torch-script: {lines[before]}"]


def test_a_study_is_told_before_its_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry is planted: nothing of our architectures is in the atlas."""
    planted = KnownDefect(
        suite="opinfo", operator="nn.functional.max_pool2d", kernel="aten::max_pool2d", route="torch-script",
        verdict="wrong", wrong=1, of=3,
    )  # fmt: skip
    other = planted.model_copy(update={"route": "torch-dynamo"})
    shipped = Published(created="", versions={"torch": "1.0"}, operators={"opinfo": 1}, entries=[planted, other])
    monkeypatch.setattr(lookup, "read_published", lambda: shipped)
    (tmp_path / "small.toml").write_text(STUDY)
    narrator, told = heard()
    run = Run(load_study(tmp_path / "small.toml", []), tmp_path / "small", tmp_path / "data", narrator)
    assert audit_study(run, "assay audit", 40).verdict == "passed"
    known = [line for line in told.getvalue().splitlines() if "In the atlas" in line]
    assert len(known) == 1
    assert "by torch-script: In the atlas, aten::max_pool2d by torch-script is wrong in 1 of 3 samples, " in known[0]
    assert "with torch 1.0, where torch " in known[0]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of onnx, whose cases overflow on purpose
def test_an_audit_of_a_file_points_at_the_operator_that_a_runtime_gets_wrong(tmp_path: Path) -> None:
    """The entry is real: OpenVINO computes one of ONNX's own cases of SpaceToDepth in another mode."""
    pytest.importorskip("openvino")
    case = next(one for one in cases("SpaceToDepth") if one.name == "test_spacetodepth_crd_mode_example")
    (tmp_path / "case.onnx").write_bytes(case.model)
    np.savez(tmp_path / "inputs.npz", allow_pickle=False, x=case.inputs[0])
    file, runtimes = tmp_path / "case.onnx", (RUNNERS["openvino"], RUNNERS["ort.cpu"])
    (model,) = audit_pair(PairRequest(file, file, tmp_path / "inputs.npz", {}, runtimes)).models
    assert len(model.guilt) == 2
    assert model.guilt[1].startswith("candidate: In the atlas, SpaceToDepth in openvino is wrong in 1 of 8 samples, ")
    assert model.guilt[1].endswith(": assay atlas --suite onnx --operator SpaceToDepth")


@pytest.mark.parametrize(
    ("framework", "among"),
    [("torch", "aten::batch_norm"), ("tf", "keras::BatchNormalization"), ("jax", "jax::conv_general_dilated")],
)
def test_every_framework_names_the_operators_of_our_architectures(
    framework: str, among: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert framework in FRAMEWORKS
    place = workspace("bloodnet", tmp_path_factory)
    wanted = ReferenceRequest(place.folder / "weights", place.folder / "images.npy", framework, "float32")
    assert among in compute(ForwardRequest(wanted=wanted, output=tmp_path / "logits.npy")).operators
