"""Assay as installed: one package, beside which a user's own modules keep their names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata

ROOT = Path(__file__).parents[1]
TOPS = ("train", "export", "infer", "bench")
MOST_BYTES = 3_000_000
"""The allowed size of a wheel or a source distribution."""
NAMES = ("train", "export", "infer", "bench", "assay", "utils", "data", "tests")
"""A user's modules with the names of ours, of our tests, or common ones."""
MODEL = """
import importlib

import torch
from torch import nn

import assay
import nets.block
import train
from nets.block import Block
from utils import NAME

assert (assay.NAME, train.NAME, NAME) == ("assay", "train", "utils"), "at the top"


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Block()

    def forward(self, x):
        import bench, data, export, infer, tests
        import assay as lazily

        found = [one.NAME for one in (bench, data, export, infer, tests, lazily, importlib.import_module("assay"))]
        assert found == ["bench", "data", "export", "infer", "tests", "assay", "assay"], found
        return self.block(x)


def build():
    return Model().eval()
"""
BLOCK = """
from torch import nn

import data
from . import sizes
from .sizes import OUT

assert data.NAME == "data"


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(sizes.IN, OUT)

    def forward(self, x):
        import assay
        assert assay.NAME == "assay"
        return self.dense(x)
"""


def tree_of(out: Path) -> Path:
    """A copy of everything that a release is built from."""
    tree = out / "tree"
    for name in ("assay", *TOPS):
        leave_out = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=leave_out)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree / name)
    return tree


def wheel_of(out: Path) -> Path:
    """The wheel of this tree, made from its source distribution, as for a release or for a user without a wheel.

    It is built from a copy, because it would include the files of an earlier build.
    """
    archive = built(tree_of(out), "sdist", out)
    with tarfile.open(archive) as packed:
        packed.extractall(out / "unpacked", filter="data")
    return built(next((out / "unpacked").iterdir()), "wheel", out)


def built(tree: Path, kind: str, out: Path) -> Path:
    command = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", str(out), str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=out)
    assert done.returncode == 0, done.stderr
    (path,) = out.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel_of(tmp_path_factory.mktemp("wheel"))


def test_a_wheel_has_one_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {name for name in tops if not name.startswith("onnx_assay-")} == {"assay"}
    for needed in (
        "assay/start.py",
        "assay/train/models/on_torch.py",
        "assay/export/envs/jax2tf.txt",
        "assay/export/localise/repro_script.txt",
        "assay/infer/runtimes/envs/tf-cuda.txt",
        "assay/infer/server/envs/triton.txt",
        "assay/bench/report/page/page.html",
        "assay/bench/deployment/templates/README.md",
    ):
        assert needed in names, needed
    metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
    found = Metadata.from_email(zipfile.ZipFile(wheel).read(metadata), validate=True)
    assert (found.license_expression, found.description_content_type) == ("Apache-2.0", "text/markdown")
    assert found.license_files == ["LICENSE"]
    assert metadata.replace("METADATA", "licenses/LICENSE") in names
    assert wheel.stat().st_size < MOST_BYTES
    sources = {f"assay/{path.relative_to(ROOT)}" for top in TOPS for path in (ROOT / top).rglob("*.py")}
    assert sources <= set(names)


def test_a_source_distribution_has_what_a_wheel_is_built_from_and_no_tests(wheel: Path) -> None:
    (archive,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
        links = [one.name for one in packed.getmembers() if not (one.isfile() or one.isdir())]
    assert {"PKG-INFO", "LICENSE", "README.md", "pyproject.toml", "assay/boxed/platform.py"} <= names
    assert not {name for name in names if name.startswith(("tests/", "artifacts/", "assay/tests/"))}
    assert links == [], "a link would not be unpacked everywhere"
    assert archive.stat().st_size < MOST_BYTES


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of an environment that has the wheel, and its needs from this one."""
    place = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "install", "--quiet", "--no-deps"]
    done = subprocess.run([*pip, str(wheel)], capture_output=True, text=True, check=False, cwd=place)
    assert done.returncode == 0, done.stderr
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return place / "bin" / "assay"


@pytest.mark.slow
def test_modules_of_the_users_keep_their_names(installed: Path, tmp_path: Path) -> None:
    """At the top of a file and in `forward`, from a sub-package, in every process that loads the model."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(f'NAME = "{name}"\n', encoding="utf-8")
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "__init__.py").touch()
    (tmp_path / "nets" / "sizes.py").write_text("IN, OUT = 8, 4\n", encoding="utf-8")
    (tmp_path / "nets" / "block.py").write_text(BLOCK, encoding="utf-8")
    (tmp_path / "model.py").write_text(MODEL, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": "."}

    def assay(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(installed), *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert assay("--version").returncode == 0
    known = [
        "--shape",
        "x=batch,8",
        "--minutes",
        "1",
        "--interval-width",
        "0",
        "--runtime",
        "ort.cpu",
        "--runtime",
        "torch.eager",
    ]
    done = assay("compare-model", "model.py:build", *known)
    assert "agree with the PyTorch model in float64" in done.stdout + done.stderr, done.stderr
    assert "Traceback" not in done.stderr
