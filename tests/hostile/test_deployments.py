"""Deployment folders that were changed after they were written: each is refused, and the file is named."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.bench.deployment.checking.check import check_files, check_rendered
from assay.bench.deployment.checking.ties import check_version
from assay.bench.deployment.checking.verify import check_deployment
from assay.bench.deployment.deploy import write_deployment
from assay.bench.deployment.folder import write_checksums
from assay.bench.deployment.render import render
from assay.bench.deployment.subject import read_study
from assay.bench.words.progress import Narrator
from assay.errors import ArtifactError, AssayError
from assay.records.audit import read_audit
from assay.records.deployment import RENDERING, Deployment, read_deployment
from tests.bench.finished_study import CELL, finished_study
from tests.command import command

MODEL, CONFIG = "models/bloodnet-28/1/model.onnx", "models/bloodnet-28/config.pbtxt"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = finished_study(tmp_path_factory)
    write_deployment(read_study(study), CELL, study.parent / "cells", Narrator())
    return study.parent / "cells"


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "cells"))


def one_byte(folder: Path) -> None:
    path = folder / MODEL
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def link_out(folder: Path) -> None:
    (folder / "models/bloodnet-28/1/more").symlink_to(folder.parent)


def model_is_a_link(folder: Path) -> None:
    shutil.move(folder / MODEL, folder.parent / "elsewhere.onnx")
    (folder / MODEL).symlink_to(folder.parent / "elsewhere.onnx")


def checksum_path_leaves(folder: Path) -> None:
    with (folder / "checksums.sha256").open("a") as stream:
        stream.write(f"{'0' * 64}  ../outside\n")


def warm_up_leaves(folder: Path) -> None:
    text = (folder / CONFIG).read_text().replace('"image.raw"', '"../../../../../etc/passwd"')
    (folder / CONFIG).write_text(text)
    write_checksums(folder)


def config_serves_another(folder: Path) -> None:
    (folder / CONFIG).write_text((folder / CONFIG).read_text().replace("versions: 1", "versions: 2"))
    write_checksums(folder)


def another_model(folder: Path) -> None:
    (folder / MODEL).write_bytes(b"no model")
    write_checksums(folder)


def labels_swapped(folder: Path) -> None:
    path = folder / "models/bloodnet-28/labels.txt"
    path.write_text("".join(f"{line}\n" for line in reversed(path.read_text().splitlines())))
    write_checksums(folder)


def answers_cut(folder: Path) -> None:
    path = folder / "audited/1/outputs.npy"
    path.write_bytes(path.read_bytes()[:200])
    write_checksums(folder)


def image_gone(folder: Path) -> None:
    (folder / "models/bloodnet-28/warmup/image.raw").unlink()
    write_checksums(folder)


def labels_gone(folder: Path) -> None:
    (folder / "models/bloodnet-28/labels.txt").unlink()
    write_checksums(folder)


def put(folder: Path, name: str, content: str = "x") -> None:
    """A file that does not belong there, with its checksum."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)
    write_checksums(folder)


def replace(folder: Path, name: str, old: str, new: str) -> None:
    """Change a file's text, and its checksum to match."""
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    write_checksums(folder)


def second_model(folder: Path) -> None:
    """A model whose backend runs a program."""
    shutil.copytree(folder / "models/bloodnet-28", folder / "models/evil")
    (folder / "models/evil/config.pbtxt").write_text('name: "evil"\nbackend: "python"\n')
    put(folder, "models/evil/1/model.py", "import os")


def more_folders(folder: Path) -> None:
    (folder / "models/bloodnet-28/2").mkdir()


def link_inside(folder: Path) -> None:
    (folder / "docker/Containerfile").symlink_to("Dockerfile")


def hard_name(folder: Path) -> None:
    put(folder, "requests/\u202eyp.tneilc\x1b[31m.py")


def may_be_run(folder: Path, name: str, mode: int) -> None:
    (folder / name).chmod(mode)


def pipe(folder: Path) -> None:
    (folder / "audited/1/outputs.npy").unlink()
    os.mkfifo(folder / "audited/1/outputs.npy")


def in_the_record(folder: Path, **changes: object) -> None:
    """Change the record and everything that follows from it, as somebody who has Assay can."""
    deployment = read_deployment(folder)
    render(folder, Deployment.model_validate(deployment.model_dump() | changes))
    write_checksums(folder)


def better_accuracy(folder: Path) -> None:
    version = read_deployment(folder).versions[0].model_dump()
    version["quality"] = {"value": 1.0, "low": 1.0, "high": 1.0}
    in_the_record(folder, versions=[version])


def other_export(folder: Path) -> None:
    version = read_deployment(folder).versions[0].model_dump()
    in_the_record(folder, versions=[version | {"audited_sha256": "1" * 64}])


def failed_audit(folder: Path) -> None:
    audit = read_audit(folder / "audited/1/audit.json")
    (model,) = audit.models
    comparisons = [one.model_copy(update={"passed": False, "reason": "differs"}) for one in model.comparisons]
    changed = audit.model_copy(update={"models": [model.model_copy(update={"comparisons": comparisons})]})
    put(folder, "audited/1/audit.json", changed.model_dump_json())


def other_warm_up(folder: Path) -> None:
    path = folder / "models/bloodnet-28/warmup/image.raw"
    path.write_bytes(bytes(len(path.read_bytes())))
    write_checksums(folder)


def hidden_in_the_picture(folder: Path) -> None:
    path = folder / "requests/image.png"
    path.write_bytes(path.read_bytes() + b"#!/bin/sh")
    write_checksums(folder)


def listed_twice(folder: Path) -> None:
    path = folder / "checksums.sha256"
    path.write_text(path.read_text() * 2)


COMPOSE, CLIENT = "docker/compose.yaml", "requests/client.py"
CHANGES: list[tuple[Callable[[Path], object], str]] = [
    (one_byte, "model.onnx differs from the deployed file"),
    (link_out, "leaves the deployment folder"),
    (model_is_a_link, "leaves the deployment folder"),
    (checksum_path_leaves, "does not name a file of the folder"),
    (warm_up_leaves, "is not the configuration of this deployment"),
    (config_serves_another, "is not the configuration of this deployment"),
    (another_model, "model.onnx differs from the deployed file"),
    (labels_swapped, "labels.txt is not the deployed file"),
    (answers_cut, "outputs.npy"),
    (image_gone, "image.raw does not hold one image of this model"),
    (labels_gone, "labels.txt is not the deployed file"),
    (lambda folder: (folder / "deployment.json").write_text("{}"), "deployment.json"),
    (lambda folder: (folder / "deployment.json").unlink(), "deployment.json"),
    (lambda folder: (folder / "checksums.sha256").unlink(), "checksums.sha256"),
    (lambda folder: (folder / MODEL).unlink(), "model.onnx"),
    (lambda folder: (folder / "models/bloodnet-28/1/model.py").write_text("x"), "does not belong"),
    (lambda folder: shutil.rmtree(folder / "audited"), "audited"),
    (second_model, "models/evil does not belong"),
    (more_folders, "models/bloodnet-28/2 does not belong"),
    (lambda folder: put(folder, "models/bloodnet-28/1/model.py"), "model.py does not belong"),
    (lambda folder: put(folder, "models/bloodnet-28/config.h100.pbtxt"), "config.h100.pbtxt does not belong"),
    (lambda folder: put(folder, ".env", "COMPOSE_FILE=evil.yaml"), ".env does not belong"),
    (lambda folder: put(folder, "docker/compose.override.yaml"), "compose.override.yaml does not belong"),
    (lambda folder: put(folder, "requests/numpy.py"), "numpy.py does not belong"),
    (hard_name, "does not belong"),
    (link_inside, "Containerfile leaves the deployment folder"),
    (lambda folder: may_be_run(folder, "requests/infer.sh", 0o755), "infer.sh is executable"),
    (lambda folder: may_be_run(folder, MODEL, 0o4644), "model.onnx is executable"),
    (pipe, "outputs.npy is neither a file nor a folder"),
    (listed_twice, "does not name a file of the folder"),
    (other_warm_up, "image.raw differs from the deployed file"),
]
"""Problems that are found without rendering or loading a model, and therefore also before a folder is served."""
RENDERED: list[tuple[Callable[[Path], object], str]] = [
    (lambda folder: replace(folder, COMPOSE, "read_only: true", "privileged: true"), "compose.yaml is not what Assay"),
    (
        lambda folder: replace(folder, "docker/Dockerfile", "USER 1000:1000", "USER root"),
        "Dockerfile is not what Assay",
    ),
    (lambda folder: replace(folder, CLIENT, "import json", "import json, os"), "client.py is not what Assay"),
    (lambda folder: replace(folder, "requests/model.json", "bloodnet", "other"), "model.json is not what Assay"),
    (lambda folder: replace(folder, "requests/infer.sh", "set -eu", "set -eu; id"), "infer.sh is not what Assay"),
    (lambda folder: replace(folder, "requests/image.json", "[1,28,28,3]", "[1,28,3,28]"), "image.json is not what"),
    (lambda folder: replace(folder, "README.md", "Not for diagnosis", "For diagnosis"), "README.md is not what Assay"),
    (
        lambda folder: replace(folder, "kubernetes/inference-service.yaml", "runAsNonRoot: true", "runAsNonRoot: no"),
        "inference-service.yaml is not what Assay",
    ),
    (hidden_in_the_picture, "image.png is not what Assay"),
    (lambda folder: replace(folder, "deployment.json", '"version', ' "version'), "deployment.json is not what Assay"),
]
TIED: list[tuple[Callable[[Path], object], str]] = [
    (better_accuracy, "outputs.npy is not the answers of the recorded accuracy"),
    (other_export, "audit.json is not the audit of the deployed file"),
    (failed_audit, "audit.json does not allow"),
    (lambda folder: in_the_record(folder, threads=7), "measured.json is not the measurement"),
    (lambda folder: in_the_record(folder, preferred_batches=[2]), "measured.json is not the measurement"),
]


@pytest.mark.parametrize(("change", "part"), RENDERED)
def test_a_file_that_follows_from_the_record_is_rendered_again(
    change: Callable[[Path], object], part: str, folder: Path
) -> None:
    deployment = read_deployment(folder)
    change(folder)
    with pytest.raises(ArtifactError) as raised:
        check_rendered(folder, deployment)
    assert part in str(raised.value)


@pytest.mark.parametrize(("change", "part"), TIED)
def test_a_record_that_was_changed_with_all_that_follows_from_it_is_refused(
    change: Callable[[Path], object], part: str, folder: Path
) -> None:
    change(folder)
    deployment = read_deployment(folder)
    check_files(folder, deployment)
    with pytest.raises(ArtifactError) as raised:
        check_version(folder, deployment, deployment.version(1))
    assert part in str(raised.value)


@pytest.mark.parametrize(("times", "passes"), [(1.0, True), (1.0001, False), (0.0, True)])
def test_a_tolerance_is_at_most_twice_what_the_audit_tolerates_of_a_probability(
    times: float, passes: bool, folder: Path
) -> None:
    """Half of a logit's tolerance and the softmax's own rounding, 6 operations plus one for each class."""
    deployment = read_deployment(folder)
    audit = read_audit(folder / "audited/1/audit.json")
    (model,) = audit.models
    (of_a_logit,) = (one.value for one in model.tolerances if one.inputs == "test" and not one.for_subject)
    most = of_a_logit + 2 * (len(deployment.classes) + 6) * 2.0**-24
    version = deployment.versions[0].model_dump()
    for tolerance in version["tolerances"].values():
        tolerance["value"] = most * times
    larger = [one.model_copy(update={"value": 1.0}) for one in model.tolerances if one.inputs == "test"][:1]
    of_others = [one.model_copy(update=why) for one in larger for why in ({"for_subject": "x"}, {"problem": "unknown"})]
    widened = model.model_copy(update={"tolerances": [*model.tolerances, *of_others]})
    put(folder, "audited/1/audit.json", audit.model_copy(update={"models": [widened]}).model_dump_json())
    in_the_record(folder, versions=[version])
    changed = read_deployment(folder)
    if passes:
        check_version(folder, changed, changed.version(1))
        return
    with pytest.raises(ArtifactError, match=r"audit\.json is not the derivation of the tolerance of '.*'"):
        check_version(folder, changed, changed.version(1))


def test_the_whole_check_has_every_part_and_the_command_names_the_file(folder: Path) -> None:
    replace(folder, COMPOSE, "read_only: true", "privileged: true")
    done = command("deploy", "--check", str(folder))
    assert done.returncode == 2
    assert "compose.yaml is not what Assay writes" in done.stderr.splitlines()[-1]
    better_accuracy(folder)
    with pytest.raises(ArtifactError, match="recorded accuracy"):
        check_deployment(folder)


def test_a_deployment_of_an_older_assay_is_compared_with_what_that_one_wrote(folder: Path) -> None:
    in_the_record(folder, rendering=1, warm_up={})
    assert check_deployment(folder).rendering == 1
    replace(folder, COMPOSE, "read_only: true", "privileged: true")
    with pytest.raises(ArtifactError, match=r"compose\.yaml is not what Assay writes"):
        check_deployment(folder)


def test_a_name_that_an_older_assay_put_into_a_program_may_not_be_one(folder: Path) -> None:
    deployment = read_deployment(folder).model_copy(update={"rendering": 1})
    output = deployment.outputs[0].model_copy(update={"name": 'a"; import os'})
    with pytest.raises(ArtifactError, match=r"deployment\.json has the tensor 'a\"; import os', which an older"):
        check_rendered(folder, deployment.model_copy(update={"outputs": [output]}))


def test_what_only_a_newer_assay_knows_is_refused(folder: Path) -> None:
    replace(folder, "deployment.json", f'"rendering": {RENDERING}', f'"rendering": {RENDERING + 1}')
    with pytest.raises(ArtifactError, match="written by a newer Assay"):
        check_deployment(folder)


@pytest.mark.parametrize(("change", "part"), CHANGES)
def test_a_changed_folder_is_refused(change: Callable[[Path], object], part: str, folder: Path) -> None:
    change(folder)
    with pytest.raises(AssayError) as raised:
        check_deployment(folder)
    assert part in str(raised.value)


def test_a_folder_that_is_not_there_is_one_message(tmp_path: Path) -> None:
    done = command("deploy", "--check", str(tmp_path / "none"))
    assert done.returncode == 2
    assert "There is no folder" in done.stderr.splitlines()[-1]
