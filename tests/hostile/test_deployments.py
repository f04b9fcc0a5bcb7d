"""Deployment folders that were changed after they were written: each is refused, naming the file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.errors import AssayError
from bench.deploy import write_deployment
from bench.deployment.folder import write_checksums
from bench.deployment.subject import read_study
from bench.deployment.verify import check_deployment
from bench.progress import Narrator
from tests.bench.finished_study import CELL, make_study
from tests.bench.test_cli import assay

MODEL, CONFIG = "models/bloodnet-28/1/model.onnx", "models/bloodnet-28/config.pbtxt"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("study")
    write_deployment(read_study(make_study(root)), CELL, root / "cells", Narrator())
    return root / "cells"


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


CHANGES: list[tuple[Callable[[Path], object], str]] = [
    (one_byte, "model.onnx is not what was deployed"),
    (link_out, "leaves the deployment folder"),
    (model_is_a_link, "leaves the deployment folder"),
    (checksum_path_leaves, "names no file of the folder"),
    (warm_up_leaves, "is not the configuration of this deployment"),
    (config_serves_another, "is not the configuration of this deployment"),
    (another_model, "model.onnx is not what was deployed"),
    (labels_swapped, "labels.txt is not what was deployed"),
    (answers_cut, "outputs.npy"),
    (image_gone, "image.raw is no image of this model"),
    (labels_gone, "labels.txt is not what was deployed"),
    (lambda folder: (folder / "deployment.json").write_text("{}"), "deployment.json"),
    (lambda folder: (folder / "deployment.json").unlink(), "deployment.json"),
    (lambda folder: (folder / "checksums.sha256").unlink(), "checksums.sha256"),
    (lambda folder: (folder / MODEL).unlink(), "model.onnx"),
    (lambda folder: (folder / "models/bloodnet-28/1/model.py").write_text("x"), "does not belong"),
    (lambda folder: shutil.rmtree(folder / "audited"), "audited"),
]


@pytest.mark.parametrize(("change", "part"), CHANGES)
def test_a_changed_folder_is_refused(change: Callable[[Path], object], part: str, folder: Path) -> None:
    change(folder)
    with pytest.raises(AssayError) as raised:
        check_deployment(folder)
    assert part in str(raised.value)


def test_a_folder_that_is_not_there_is_one_message(tmp_path: Path) -> None:
    done = assay("deploy", "--check", str(tmp_path / "none"))
    assert done.returncode == 2
    assert "There is no folder" in done.stderr.splitlines()[-1]
