"""Deploying cells of other runtimes than ONNX Runtime, for Triton's Python backend and for OpenVINO Model Server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from assay.bench.deployment.checking.check import check_files, check_models, check_rendered
from assay.bench.deployment.checking.contents import files_of_deployment
from assay.bench.deployment.checking.verify import check_deployment
from assay.bench.deployment.config import config_of
from assay.bench.deployment.deploy import roll_back, write_deployment
from assay.bench.deployment.folder import write_checksums
from assay.bench.deployment.subject import read_study
from assay.bench.words.progress import Narrator
from assay.errors import ArtifactError
from assay.infer.server.triton import OPENED
from assay.records.deployment import Deployment, read_deployment, served_by
from assay.registry import RUNTIMES
from tests.bench.compared_model import cell_name, make_comparison

pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment that no test changes."""
    work = tmp_path_factory.mktemp("other")
    study = read_study(make_comparison(work / "compared", runtime="openvino"))
    write_deployment(study, cell_name("rows", "openvino"), work / "out", Narrator())
    return work / "out"


def test_it_passes_every_check_and_serves_the_audited_file_with_what_was_measured(first: Path) -> None:
    found = check_deployment(first)
    assert found.version(1).runtime == "openvino"
    (exported,) = first.parent.glob("compared/onnx/*/model.onnx")
    assert (first / "models/pair/1/model.onnx").read_bytes() == exported.read_bytes()
    config = config_of(found)
    assert config.backend == "python"
    assert {name: one.string_value for name, one in config.parameters.items()} == {
        "model_file": "model.onnx",
        "INFERENCE_NUM_THREADS": "1",
        "NUM_STREAMS": "1",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    for name, source in (("model.py", "in_triton.py"), ("open_model.py", "on_openvino.py")):
        assert (first / f"models/pair/1/{name}").read_bytes() == (OPENED / source).read_bytes()


def test_the_image_has_the_packages_in_the_versions_that_were_measured(first: Path) -> None:
    packages = json.loads((first / "audited/1/measured.json").read_text())["environment"]["packages"]
    wanted = {f"{name}=={packages[name]}" for name in ("openvino", "numpy") if name in packages}
    lines = (first / "docker/requirements.txt").read_text().splitlines()
    assert {line for line in lines if line and not line.startswith("#")} == wanted
    assert "--requirement /requirements.txt" in (first / "docker/Dockerfile").read_text()
    service = yaml.safe_load((first / "kubernetes/inference-service.yaml").read_text())
    assert service["spec"]["predictor"]["model"]["image"] == "pair:1"
    card = (first / "README.md").read_text()
    assert "a stand-in for `open_model.py`" in card
    assert "computes in bf16 where the processor has it" in card


def test_openvino_model_server_is_configured_as_measured(first: Path) -> None:
    (one,) = json.loads((first / "openvino-model-server/config.json").read_text())["model_config_list"]
    assert one["config"]["name"] == "pair"
    assert one["config"]["base_path"] == "/models/pair"
    assert one["config"]["model_version_policy"] == {"specific": {"versions": [1]}}
    assert one["config"]["plugin_config"]["INFERENCE_PRECISION_HINT"] == "f32"
    assert one["config"]["plugin_config"]["INFERENCE_NUM_THREADS"] == "1"
    service = yaml.safe_load((first / "openvino-model-server/compose.yaml").read_text())["services"]["openvino"]
    assert (service["cap_drop"], service["read_only"], service["user"]) == (["ALL"], True, "1000:1000")
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


@pytest.mark.parametrize("name", ["models/pair/1/open_model.py", "models/pair/1/model.py", "docker/requirements.txt"])
def test_a_program_that_is_not_ours_is_refused(name: str, first: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(first, tmp_path / "pair"))
    (folder / name).write_text((folder / name).read_text() + "\nimport os\n")
    write_checksums(folder)
    found = read_deployment(folder)
    check = check_rendered if name.startswith("docker") else check_files
    with pytest.raises(ArtifactError, match=Path(name).name):
        check(folder, found)


@pytest.mark.parametrize("runtime", ["torch.eager", "nothing", "../openvino"])
def test_a_record_of_a_runtime_that_nothing_serves_is_refused(runtime: str, first: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(first, tmp_path / "pair"))
    record = json.loads((folder / "deployment.json").read_text())
    record["versions"][0]["runtime"] = runtime
    (folder / "deployment.json").write_text(json.dumps(record))
    with pytest.raises(ArtifactError, match=r"a runtime that no server runs: expected .*openvino"):
        read_deployment(folder)


@pytest.mark.parametrize("name", ["../model.pt", "/etc/passwd", "a/../b", ".hidden", "a//b", "a/.b", "a\nb", ""])
def test_a_models_file_is_below_its_version(name: str, first: Path) -> None:
    record = json.loads((first / "deployment.json").read_text())
    record["versions"][0]["files"] = {name: "0" * 64}
    with pytest.raises(ValueError, match="files"):
        Deployment.model_validate(record)


def test_a_model_that_is_a_folder_is_one_closed_list(first: Path) -> None:
    """Like a SavedModel: every file in it has a hash, and no other file belongs to it."""
    found = read_deployment(first)
    more = {"model.savedmodel/variables/variables.index": "0" * 64}
    changed = found.model_copy(update={"versions": [found.versions[0].model_copy(update={"files": more})]})
    added = files_of_deployment(changed) - files_of_deployment(found)
    assert added == {"models/pair/1/model.savedmodel/variables/variables.index"}
    with pytest.raises(ArtifactError, match=r"variables\.index differs from the deployed file: .*found no such file"):
        check_models(first, changed)


def test_versions_of_two_runtimes_are_gone_over_to_and_back(first: Path, tmp_path: Path) -> None:
    study = read_study(make_comparison(tmp_path / "compared"))
    folder = Path(shutil.copytree(first, tmp_path / "pair"))
    write_deployment(study, cell_name("rows"), folder, Narrator())
    found = check_deployment(folder)
    assert ([one.runtime for one in found.versions], config_of(found).backend) == (["openvino", ""], "onnxruntime")
    assert not (folder / "docker/requirements.txt").exists()
    assert not (folder / "openvino-model-server").exists()
    records = json.loads((folder / "deployment.json").read_text())["versions"]
    assert "runtime" not in records[1], "of ONNX Runtime it is as an older Assay wrote it, byte for byte"
    assert (folder / "models/pair/1/open_model.py").exists()
    assert not (folder / "models/pair/2/open_model.py").exists()
    assert config_of(roll_back(folder)).backend == "python"
    assert check_deployment(folder).serving == 1


@pytest.mark.parametrize("runtime", [entry.name for entry in RUNTIMES.values() if entry.served_by])
def test_what_opens_a_file_imports_nothing_of_ours(runtime: str) -> None:
    """A deployment includes it."""
    text = (OPENED / f"{served_by(runtime).opener.rpartition('.')[2]}.py").read_text()
    assert "assay" not in text
    assert np.all([name == name.strip() for name in served_by(runtime).options])
