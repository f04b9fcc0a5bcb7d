"""Every extra resolves from wheels alone on every system that supports it; nothing is installed.

uv queries the package index as an installer does, for a system that need not be this one. Real installations are in
`test_each_extra.py`, on this system only.
"""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from assay.bench.timing.environments import list_of
from assay.pins import read_pins
from assay.toolenv import find_uv

pytestmark = [pytest.mark.slow, pytest.mark.network]
ROOT = Path(__file__).parents[1]
PROJECT = ROOT / "pyproject.toml"
EXTRAS = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
OF_DEVELOPERS = {"dev", "docs", "mutants"}
SYSTEMS = {
    "Linux on ARM64": "aarch64-manylinux_2_35",
    "macOS": "aarch64-apple-darwin",
    "Windows": "x86_64-pc-windows-msvc",
}
NOT_THERE = {"macOS": {"serve", "all"}}
"""Extras for which a system lacks some wheels, as docs/reference/platforms.md says."""
LINUX = "x86_64-manylinux_2_28"
PYTHONS = ("3.11.7", "3.12")
"""In full if an extra needs a later one than the first of its minor version."""
MACOS = {"MACOSX_DEPLOYMENT_TARGET": "14.0"}
"""The oldest macOS that ONNX Runtime has a wheel for; uv takes 13 by itself."""
GPU = ("--override", "overrides-gpu.txt", "--constraint", "constraints-gpu.txt")


def resolved(*words: str) -> subprocess.CompletedProcess[str]:
    """The answer of uv to the question which versions would be installed."""
    command = [str(find_uv()), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-build", *words]
    told = os.environ | MACOS
    return subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, check=False)


def versions_in(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    assert done.returncode == 0, done.stderr
    lines = [line.partition(" ;")[0].split("==") for line in done.stdout.splitlines() if "==" in line]
    return {canonicalize_name(name.partition("[")[0]): version.strip() for name, version in lines}


def extra_on(extra: str, system: str, python: str, *words: str) -> dict[str, str]:
    """The versions by name that an extra, or the base for "", installs on a system."""
    named = ("--extra", extra) if extra else ()
    place = ("--python-platform", system, "--python-version", python)
    return versions_in(resolved(str(PROJECT), *named, *place, "--constraint", "constraints.txt", *words))


@pytest.fixture(scope="module", autouse=True)
def _index() -> None:
    """Skip where no index answers."""
    done = subprocess.run(
        [str(find_uv()), "pip", "compile", "--quiet", "--no-cache", "-"],
        input="packaging",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"the package index does not answer: {done.stderr.strip().splitlines()[-1:]}")


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("extra", ["", *(one for one in EXTRAS if one not in OF_DEVELOPERS | {"gpu"})])
def test_an_extra_resolves_on_a_system(extra: str, system: str) -> None:
    if extra in NOT_THERE.get(system, ()):
        place = ("--python-platform", SYSTEMS[system], "--python-version", PYTHONS[0])
        done = resolved(str(PROJECT), "--extra", extra, *place, "--constraint", "constraints.txt")
        assert done.returncode, "it does: say so in the page"
        assert "gevent" in done.stderr
        return
    found = extra_on(extra, SYSTEMS[system], PYTHONS[0])
    assert {"onnx", "onnxruntime", "numpy"} <= set(found)


@pytest.mark.parametrize("python", PYTHONS)
def test_with_a_gpu_pytorch_jax_and_onnxruntime_have_cuda_13_and_tensorflow_none(python: str) -> None:
    found = extra_on("gpu", LINUX, python, *GPU)
    assert {"torch", "jax-cuda13-plugin", "onnxruntime-gpu", "tensorflow-cpu"} <= set(found)
    assert "onnxruntime" not in found, "it would write over the files of onnxruntime-gpu"
    assert "tensorflow" not in found
    of_twelve = [name for name in found if name.startswith("nvidia-") and name.endswith("-cu12")]
    assert of_twelve == []
    assert found["nvidia-cuda-runtime"].startswith("13.")


@pytest.mark.parametrize("extras", ["gpu,openvino,nncf,litert,torchao,serve,dev,docs", "gpu,openvino,serve,dev"])
def test_make_with_a_gpu_resolves(extras: str) -> None:
    named = [word for one in extras.split(",") for word in ("--extra", one)]
    place = ("--python-platform", LINUX, "--python-version", PYTHONS[0])
    found = versions_in(resolved(str(PROJECT), *named, *place, "--constraint", "constraints.txt", *GPU))
    assert "onnxruntime-gpu" in found
    assert "onnxruntime" not in found


@pytest.mark.parametrize("python", PYTHONS)
def test_tensorflow_s_environment_with_cuda_resolves_as_it_is_pinned(python: str) -> None:
    place = ("--python-platform", LINUX, "--python-version", python)
    found = versions_in(resolved(str(list_of("tf-cuda")), *place))
    assert found.items() <= {pin.name: pin.version for pin in read_pins(list_of("tf-cuda"))}.items()
    assert "nvidia-cudnn-cu12" in found


def test_tensorrt_10_has_no_wheels_in_the_index_and_so_no_environment(tmp_path: Path) -> None:
    """ONNX Runtime needs its libnvinfer.so.10. The index has only an archive whose own code downloads the rest from
    elsewhere, and no tool environment runs such code. If that changes, `ort.tensorrt` can have one.
    """
    wanted = tmp_path / "wanted.in"
    wanted.write_text("onnxruntime-gpu[cuda,cudnn]==1.31.1\ntensorrt-cu13==10.*\n", encoding="utf-8")
    done = resolved(str(wanted), "--python-platform", LINUX, "--python-version", PYTHONS[1])
    assert done.returncode
    assert "no usable wheels" in done.stderr


def test_tensorflow_with_a_gpu_has_cuda_12_to_itself() -> None:
    names = {pin.name for pin in read_pins(list_of("tf-cuda"))}
    assert {"tensorflow", "nvidia-cudnn-cu12", "nvidia-cuda-runtime-cu12"} <= names
    assert not {"torch", "jax", "onnxruntime-gpu"} & names
