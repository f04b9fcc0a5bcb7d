"""Deploying a real, audited export: the files written, the refusals, and going back a version."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from assay.bench.deployment.checking.contents import PLACES
from assay.bench.deployment.checking.verify import check_deployment
from assay.bench.deployment.config import config_of, config_text, preferred_batches, read_config
from assay.bench.deployment.deploy import render_again, roll_back, subject_of, write_deployment
from assay.bench.deployment.folder import write_checksums, write_whole
from assay.bench.deployment.measured import read
from assay.bench.deployment.render import CLIENTS, read_kept, render, rendered
from assay.bench.deployment.serving_limits import most_queued, most_request_bytes, stock_arguments
from assay.bench.deployment.subject import read_study
from assay.bench.words.progress import Narrator
from assay.errors import ArtifactError, FailedError, InputError
from assay.records.audit import read_audit
from assay.records.deployment import RENDERING, STOCK_TRITON, read_deployment
from assay.records.localisation import Calibration
from assay.records.results import read_results
from tests.bench.choosing.test_choose import cell as constructed
from tests.bench.cli.test_cli import ASSAY
from tests.bench.finished_study import CELL, finished_study
from tests.bench.golden_deployment import golden_and_generated
from tests.command import command
from tests.hostile.test_full_disk import limited


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_study(tmp_path_factory)


@pytest.fixture(scope="module")
def first(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment that no test changes."""
    out = tmp_path_factory.mktemp("deployed") / "cells"
    write_deployment(read_study(study), CELL, out, Narrator())
    return out


@pytest.fixture
def deployed(first: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(first, tmp_path / "cells"))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_written_folder_passes_every_check_and_names_the_audited_model(first: Path, study: Path) -> None:
    found = check_deployment(first)
    version = found.version(1)
    assert (version.cell, version.precision, found.serving) == (CELL, "fp32", 1)
    assert found.preferred_batches == [8]
    assert found.most_records == 32
    assert found.threads == read_results(study / "results.json").cells[0].threads
    answers = np.load(first / "audited/1/outputs.npy")
    labels = np.load(first / "audited/1/labels.npy")
    assert version.quality is not None
    assert version.quality.value == pytest.approx(float((answers["probabilities"].argmax(axis=1) == labels).mean()))
    assert 0 < version.tolerances["probabilities"].value < 1e-4
    assert read_audit(first / "audited/1/audit.json") == read_audit(study / "audit.json")
    assert str(study.parent) not in "".join(
        path.read_text() for path in first.rglob("*") if path.suffix in {".json", ".md", ".yaml", ".pbtxt", ".txt"}
    )


def test_sha256sum_agrees(first: Path) -> None:
    done = subprocess.run(["sha256sum", "--check", "--quiet", "checksums.sha256"], cwd=first, check=False)
    assert done.returncode == 0


def test_the_configuration_comes_back_from_its_text(first: Path) -> None:
    config = read_config(first / "models/bloodnet-28/config.pbtxt")
    assert config == config_of(read_deployment(first))
    assert config.backend == "onnxruntime"
    assert list(config.input[0].dims) == [28, 28, 3]
    assert list(config.dynamic_batching.preferred_batch_size) == [8]
    assert list(config.version_policy.specific.versions) == [1]
    assert config.parameters["intra_op_thread_count"].string_value == "1"
    image = first / "models/bloodnet-28/warmup" / config.model_warmup[0].inputs["images"].input_data_file
    assert image.stat().st_size == 28 * 28 * 3


def test_the_card_names_the_layers_that_stay_in_fp32(first: Path) -> None:
    deployment, kept = read_deployment(first), read_kept(first, read_deployment(first))
    assert kept.measured.export is not None
    said = "Layers that stay in fp32"
    assert said not in rendered(deployment, kept)["README.md"].decode()
    calibration = Calibration(method="percentile 99.99", images=9, seed=0, sha256="0", left_out=["conv1", "f`c"])
    export = kept.measured.export.model_copy(update={"precision": "int8", "calibration": calibration})
    kept = replace(kept, measured=kept.measured.model_copy(update={"export": export}))
    card = rendered(deployment, kept)["README.md"].decode()
    assert f"{said}, as the file failed its policy with them in" in card
    assert "`conv1`, ``f`c``." in card


def test_a_wrong_field_is_reported_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "config.pbtxt").write_text('name: "x"\nbackends: "onnxruntime"\n')
    with pytest.raises(ArtifactError, match="2:1"):
        read_config(tmp_path / "config.pbtxt")


def test_the_sample_requests_are_what_the_server_reads(first: Path) -> None:
    body = json.loads((first / "requests/image.json").read_text())["inputs"][0]
    raw = (first / "requests/image.bin").read_bytes()
    pixels = np.array(body["data"], np.uint8)
    assert raw.endswith(pixels.tobytes())
    header = raw[: len(raw) - len(pixels)]
    assert json.loads(header)["inputs"][0]["parameters"]["binary_data_size"] == len(pixels)
    assert f"Inference-Header-Content-Length: {len(header)}" in (first / "requests/infer.sh").read_text()
    compile((first / "requests/client.py").read_text(), "client.py", "exec")


@pytest.mark.parametrize("name", ["config.pbtxt", *PLACES, CLIENTS["image"]])
def test_the_generated_manifests_are_the_golden_ones(name: str, first: Path, tmp_path: Path) -> None:
    """After an intended change: UPDATE_GOLDEN=1 make test. Machine-dependent parts are made the same first."""
    others = {"config.pbtxt": "models/bloodnet-28/config.pbtxt", CLIENTS["image"]: "requests/client.py"}
    golden, generated = golden_and_generated(name, first, tmp_path, "deployment", PLACES | others)
    assert generated == golden


@pytest.mark.parametrize("name", ["config.pbtxt", *PLACES, CLIENTS["image"]])
def test_an_older_assay_s_files_are_still_rendered_as_it_wrote_them(name: str, first: Path, tmp_path: Path) -> None:
    """Its golden files are never updated, because existing deployments are compared with these texts."""
    others = {"config.pbtxt": "models/bloodnet-28/config.pbtxt", CLIENTS["image"]: "requests/client.py"}
    golden, generated = golden_and_generated(name, first, tmp_path, "deployment-rendering-1", PLACES | others, 1)
    assert generated == golden


def test_a_deployment_whose_measure_was_called_accuracy_is_read_and_passes(deployed: Path) -> None:
    path = deployed / "deployment.json"
    text = path.read_text()
    older = text.replace('   "measure": "accuracy",\n', "").replace('"quality": {', '"accuracy": {')
    assert older != text
    assert '"accuracy": {' in older
    path.write_text(older)
    write_checksums(deployed)
    found = check_deployment(deployed)
    assert found.version(1).quality is not None
    assert found.version(1).measure == "accuracy"


def test_the_measure_on_record_is_the_one_of_the_audit_s_task(deployed: Path) -> None:
    before = read_deployment(deployed)
    version = before.version(1).model_copy(update={"measure": "mean IoU"})
    render(deployed, before.model_copy(update={"versions": [version]}))
    write_checksums(deployed)
    with pytest.raises(ArtifactError, match="audit of the recorded measure") as raised:
        check_deployment(deployed)
    assert "mean IoU" in str(raised.value)


def test_an_older_deployment_is_brought_up_to_date(deployed: Path, study: Path) -> None:
    older = read_deployment(deployed).model_copy(update={"rendering": 1, "warm_up": {}})
    write_whole(deployed, lambda folder: render(folder, older))
    assert not (deployed / "requests/model.json").exists()
    assert check_deployment(deployed) == older
    done = command("deploy", "--check", str(deployed))
    assert (done.returncode, "written by an older Assay" in done.stdout) == (0, True)
    assert render_again(deployed).rendering == RENDERING
    assert check_deployment(deployed).warm_up.keys() == {"image.raw"}
    write_whole(deployed, lambda folder: render(folder, older))
    assert write_deployment(read_study(study), CELL, deployed, Narrator()).rendering == RENDERING
    assert check_deployment(deployed).serving == 2


def test_the_composed_container_has_no_rights_that_it_does_not_need(first: Path) -> None:
    service = yaml.safe_load((first / PLACES["compose.yaml"]).read_text())["services"]["triton"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert (service["read_only"], service["user"]) == (True, "1000:1000")
    assert "privileged" not in service
    assert "volumes" not in service
    assert service["mem_limit"] == service["memswap_limit"]
    assert service["pids_limit"] < 1000
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert {"noexec", "nosuid", "nodev"} <= set(service["tmpfs"][0].rpartition(":")[2].split(","))


def test_the_inference_service_runs_without_privileges(first: Path) -> None:
    predictor = yaml.safe_load((first / PLACES["inference-service.yaml"]).read_text())["spec"]["predictor"]
    model = predictor["model"]
    assert predictor["automountServiceAccountToken"] is False
    assert predictor["securityContext"]["runAsNonRoot"] is True
    assert predictor["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert model["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
    }
    assert model["runtimeVersion"] == f"{STOCK_TRITON}-py3"
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= model.keys()
    assert model["args"] == stock_arguments(read_deployment(first))


def test_both_container_commands_serve_one_model_by_its_name(first: Path) -> None:
    dockerfile = (first / PLACES["Dockerfile"]).read_text()
    command = json.loads(dockerfile.partition("CMD ")[2].replace("\\\n", ""))
    assert command == ["tritonserver", "--model-repository=/models", *stock_arguments(read_deployment(first))]
    assert {"--model-control-mode=explicit", "--load-model=bloodnet-28", "--disable-auto-complete-config"} <= {*command}
    assert "COPY --chown=triton-server models/bloodnet-28 /models/bloodnet-28\n" in dockerfile
    assert "\nUSER 1000:1000\n" in dockerfile


def test_a_queue_is_bounded_by_what_it_holds(first: Path) -> None:
    deployment = read_deployment(first)
    policy = config_of(deployment).dynamic_batching.default_queue_policy
    assert (policy.timeout_action, policy.max_queue_size) == (policy.REJECT, 1024)
    assert policy.default_timeout_microseconds == 30_000_000
    (images,) = deployment.inputs
    large = deployment.model_copy(update={"inputs": [images.model_copy(update={"shape": [224, 224, 3]})]})
    assert most_queued(large) == 64
    assert 32 * 224 * 224 * 3 * 4 < most_request_bytes(large) < 2**28


@pytest.mark.parametrize(("threads", "instances", "cores", "asked"), [(1, 1, "0", "1"), (2, 3, "0-5", "6")])
def test_a_deployment_asks_for_a_core_for_each_thread(
    threads: int, instances: int, cores: str, asked: str, first: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(first, tmp_path / "copy"))
    render(copy, read_deployment(copy).model_copy(update={"threads": threads, "instances": instances}))
    assert f'cpuset: "${{CPUSET:-{cores}}}"' in (copy / PLACES["compose.yaml"]).read_text()
    assert f'cpu: "{asked}"' in (copy / PLACES["inference-service.yaml"]).read_text()


def test_a_second_deployment_adds_a_version_and_going_back_serves_the_first(deployed: Path, study: Path) -> None:
    before = content(deployed)
    second = write_deployment(read_study(study), CELL, deployed, Narrator())
    assert [one.number for one in second.versions] == [1, 2]
    assert check_deployment(deployed).serving == 2
    after = content(deployed)
    for name in ("models/bloodnet-28/1/model.onnx", "audited/1/outputs.npy", "audited/1/audit.json"):
        assert after[name] == before[name]
    assert roll_back(deployed).serving == 1
    assert list(read_config(deployed / "models/bloodnet-28/config.pbtxt").version_policy.specific.versions) == [1]
    assert check_deployment(deployed).serving == 1
    assert roll_back(deployed, to=2).serving == 2
    with pytest.raises(ArtifactError, match="no such version"):
        roll_back(deployed, to=3)
    assert not [path for path in deployed.parent.iterdir() if path.name.startswith(".")]


def test_there_is_nothing_before_the_first(deployed: Path) -> None:
    before = content(deployed)
    with pytest.raises(InputError, match="no earlier version"):
        roll_back(deployed)
    assert content(deployed) == before


def test_an_error_while_writing_leaves_what_was_there(deployed: Path) -> None:
    before = content(deployed)

    def broken(folder: Path) -> None:
        (folder / "deployment.json").write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_whole(deployed, broken)
    assert content(deployed) == before
    assert [path.name for path in deployed.parent.iterdir()] == ["cells"]


def test_a_full_disk_leaves_the_deployment_whole(deployed: Path, study: Path) -> None:
    before = content(deployed)
    command = [str(ASSAY), "deploy", str(study), "--cell", CELL, "--out", str(deployed)]
    done = subprocess.run(limited(command), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("assay: ")
    assert content(deployed) == before
    check_deployment(deployed)


def changed_cell(study: Path, tmp_path: Path, **changes: object) -> Path:
    """A copy of the study with a different first cell."""
    folder = Path(shutil.copytree(study, tmp_path / "small"))
    record = read_results(folder / "results.json")
    cells = [record.cells[0].model_copy(update=changes), *record.cells[1:]]
    (folder / "results.json").write_text(record.model_copy(update={"cells": cells}).model_dump_json())
    return folder


def refused(folder: Path, data: Path, name: str = CELL) -> str:
    with pytest.raises((InputError, FailedError)) as raised:
        subject_of(read_study(folder, data), name)
    return str(raised.value)


def test_an_invalid_measurement_is_refused(study: Path, tmp_path: Path) -> None:
    folder = changed_cell(study, tmp_path, invalid=["the machine was disturbed"])
    assert "the machine was disturbed" in refused(folder, study.parent / "data")


def test_a_runtime_that_no_server_runs_is_refused_with_those_that_one_does(study: Path, tmp_path: Path) -> None:
    folder = changed_cell(study, tmp_path, runtime="torch.eager")
    said = refused(folder, study.parent / "data")
    assert "found torch.eager (it runs Python, operator by operator, and has no file: torch.script has the same" in said
    assert all(name in said for name in ("ort.cpu", "openvino", "openvino.bf16"))


def test_an_unknown_cell_is_refused_with_the_nearest(study: Path) -> None:
    assert f"Did you mean '{CELL}'?" in refused(study, study.parent / "data", CELL.replace("script", "scrip"))


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda model: model.model_copy(update={"comparisons": []}), "was not audited"),
        (
            lambda model: model.model_copy(
                update={
                    "comparisons": [one.model_copy(update={"passed": False, "reason": "differs by 3"})
                                    for one in model.comparisons]
                }
            ),
            "did not pass its audit: found test, batch 32: differs by 3",
        ),
        (
            lambda model: model.model_copy(
                update={"models": dict.fromkeys(model.models, "0" * 64)}
            ),
            "differs from the file that was audited",
        ),
    ],
)  # fmt: skip
def test_only_what_passed_its_audit_is_deployed(change: object, part: str, study: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(study, tmp_path / "small"))
    record = read_audit(folder / "audit.json")
    models = [change(one) for one in record.models]  # type: ignore[operator]
    (folder / "audit.json").write_text(record.model_copy(update={"models": models}).model_dump_json())
    assert part in refused(folder, study.parent / "data")


def test_an_export_that_changed_after_its_audit_is_refused(study: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(study, tmp_path / "small"))
    model = next(folder.glob("onnx/*/model.onnx"))
    model.write_bytes(model.read_bytes() + b"\0")
    assert "is not the file that was written" in refused(folder, study.parent / "data")


def test_a_folder_of_something_else_is_left_alone(study: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not a deployment"):
        write_deployment(read_study(study), CELL, tmp_path, Narrator())
    assert content(tmp_path) == {"notes.txt": b"mine"}


def test_only_batches_that_pay_beyond_the_error_are_preferred(first: Path) -> None:
    curve = [constructed("ort.cpu@tf2onnx", ms, batch=batch) for batch, ms in ((1, 1), (2, 1.99), (4, 2), (8, 8))]
    assert preferred_batches(curve) == [4]
    assert preferred_batches(curve[:1]) == []
    assert [one.batch for one in read(first / "audited/1/measured.json").curve] == [1, 8, 32]
    without = read_deployment(first).model_copy(update={"preferred_batches": []})
    assert "dynamic_batching" not in config_text(config_of(without))


def test_the_command_deploys_the_choice_checks_and_goes_back(study: Path, tmp_path: Path) -> None:
    none = command("deploy", str(study), "--out", str(tmp_path / "cells"))
    assert (none.returncode, "assay choose" in none.stderr) == (2, True)
    assert command("choose", str(study)).returncode == 0
    done = command("deploy", str(study), "--out", str(tmp_path / "cells"), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["versions"][0]["cell"] == CELL
    checked = command("deploy", "--check", str(tmp_path / "cells"))
    assert (checked.returncode, "every check passed" in checked.stdout) == (0, True)
    assert command("deploy", "--rollback", str(tmp_path / "cells")).returncode == 2
    assert command("deploy").returncode == 2
