"""The built wheel in separate environments, one for each extra: the extra's contents work, and nothing else is
there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.small_study import small_study
from tests.test_installed import ROOT, wheel_of

pytestmark = pytest.mark.slow
MOST_BYTES = 600_000_000
FRAMEWORKS = {"torch", "tensorflow", "jax", "openvino"}
MODELS = {
    "torch": ("import torch\n\n\ndef build():\n    return torch.nn.Linear(3, 2)\n", {"torch"}),
    "tf": (
        "import keras\n\n\ndef build():\n    x = keras.Input((3,), name='x')\n"
        "    return keras.Model(x, keras.layers.Dense(2)(x))\n",
        {"tensorflow"},
    ),
    "jax": ("import jax\n\n\ndef build():\n    return lambda x: jax.nn.relu(x)\n", {"jax"}),
}
BRINGS = {
    "openvino": "openvino", "nncf": "nncf", "litert": "ai_edge_litert", "torchao": "torchao",
    "serve": "tritonclient.http", "train": "medmnist", "fleet": "ray",
}  # fmt: skip
OTHER = {"torch": "jax", "tf": "torch", "jax": "tf"}
RELU = """
import onnx
from onnx import TensorProto as T, helper as h
x, y = (h.make_tensor_value_info(name, T.FLOAT, ["batch", 8]) for name in "xy")
graph = h.make_graph([h.make_node("Relu", ["x"], ["y"])], "relu", [x], [y])
onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8), "relu.onnx")
"""
STUDY = small_study(
    limit=400, train={"frameworks": ["{framework}"]}, bench={"batches": [1], "processes": 2, "budget_minutes": 2}
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for one environment and its files; the environment, up to gigabytes, is deleted afterwards."""
    yield tmp_path
    shutil.rmtree(tmp_path / "venv", ignore_errors=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel_of(tmp_path_factory.mktemp("dist"))


def environment(wheel: Path, extra: str, folder: Path) -> Path:
    """The folder of programs in a new environment that has the wheel with an extra."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    install(wheel, extra, folder / "bin")
    return folder / "bin"


def install(wheel: Path, extra: str, programs: Path) -> None:
    pip = [str(programs / "pip"), "install", "--quiet", "--constraint", str(ROOT / "constraints.txt")]
    done = subprocess.run(
        [*pip, f"{wheel}[{extra}]" if extra else str(wheel)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    subprocess.run([str(programs / "pip"), "check"], check=True, capture_output=True)


def packages_in(programs: Path, *names: str) -> set[str]:
    """Which of these modules can be found there."""
    code = f"import importlib.util as u; print(*[n for n in {names!r} if u.find_spec(n)])"
    return set(subprocess.check_output([str(programs / "python"), "-c", code], text=True).split())


def assay(programs: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(programs / "assay"), *words]
    found = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    return subprocess.run(command, cwd=folder, env=found, capture_output=True, text=True, check=False)


def test_the_base_is_small_and_answers_for_an_onnx_file(wheel: Path, folder: Path) -> None:
    programs = environment(wheel, "", folder / "venv")
    assert not packages_in(programs, *FRAMEWORKS, "scipy", "uv", "PIL")
    size = sum(path.lstat().st_size for path in (folder / "venv").rglob("*") if path.is_file())
    assert size < MOST_BYTES, f"{size / 1e6:.0f} MB"
    subprocess.run([str(programs / "python"), "-c", RELU], cwd=folder, check=True)
    done = assay(programs, folder, "compare-model", "relu.onnx", "--minutes", "0.5")
    assert "agrees with the file in float64" in done.stdout, done.stderr
    assert (folder / "artifacts" / "model-relu" / "report" / "figures" / "latency.png").is_file()
    pair = assay(programs, folder, "audit", "--reference", "relu.onnx", "--candidate", "relu.onnx")
    assert pair.returncode == 0, pair.stderr
    (folder / "model.py").write_text(MODELS["torch"][0], encoding="utf-8")
    lacking = assay(programs, folder, "compare-model", "model.py:build", "--shape", "x=batch,3")
    assert lacking.returncode == 3
    assert "pip install 'onnx-assay[torch]'" in lacking.stderr


@pytest.mark.parametrize("extra", MODELS)
def test_one_framework_alone_answers_for_its_models(extra: str, wheel: Path, folder: Path) -> None:
    programs = environment(wheel, extra, folder / "venv")
    text, own = MODELS[extra]
    assert packages_in(programs, *FRAMEWORKS) == own
    (folder / "model.py").write_text(text, encoding="utf-8")
    shape = ("--shape", "x=batch,3")
    done = assay(programs, folder, "compare-model", "model.py:build", *shape, "--minutes", "0.5", "--json")
    assert "Traceback" not in done.stderr
    assert done.returncode in {0, 1, 2}, done.stderr
    made = folder / "artifacts" / "model-model-build"
    results = json.loads((made / "results.json").read_text(encoding="utf-8"))
    assert {one["status"] for one in results["exports"]} == {"ok"}, results["exports"]
    audit = json.loads((made / "audit.json").read_text(encoding="utf-8"))
    compared = [one for model in audit["models"] for one in model["comparisons"]]
    assert compared
    assert [one["subject"] for one in compared if not one["passed"]] == []
    lacking = {one["runtime"]: one["reason"] for one in results["cells"] if "is not installed" in one["reason"]}
    assert set(lacking) <= {"openvino", "litert"}, "those are timed unasked where they are there"
    assert all(f"onnx-assay[{runtime}]" in reason for runtime, reason in lacking.items())
    whole = assay(programs, folder, "list", "runtimes", "--json")
    known = {one["name"]: one["install"] for one in json.loads(whole.stdout)["runtimes"]}
    assert {one["runtime"] for one in results["cells"] if one["status"] == "ok"} <= {
        name for name, install in known.items() if not install
    } | {"null"}
    (folder / "study.toml").write_text(STUDY.format(framework=extra), encoding="utf-8")
    _answers_for_a_study(extra, programs, folder)
    cell = next(one["name"] for one in results["cells"] if one["runtime"] == "ort.cpu")
    deploy = ("deploy", str(made), "--cell", cell, "--out", "deployed")
    without = assay(programs, folder, *deploy)
    assert (without.returncode, "pip install 'onnx-assay[serve]'" in without.stderr) == (3, True), without.stderr
    install(wheel, f"{extra},serve", programs)
    deployed = assay(programs, folder, *deploy)
    assert deployed.returncode == 0 or "is not valid" in deployed.stderr, deployed.stderr


def _answers_for_a_study(extra: str, programs: Path, folder: Path) -> None:
    """It is trained, exported by the framework's own routes, timed, audited and chosen from; whatever is missing is
    named.
    """
    ran = assay(programs, folder, "run", "study.toml")
    assert ran.returncode in {0, 1}, ran.stderr  # 1 where the machine is too busy for a valid time
    assert "Traceback" not in ran.stderr
    made = folder / "artifacts" / "small"
    results = json.loads((made / "results.json").read_text(encoding="utf-8"))
    own = {"torch": {"torch-dynamo", "torch-script"}, "tf": {"tf2onnx"}, "jax": {"jax2onnx", "jax2tf"}}[extra]
    assert {one["exporter"] for one in results["exports"] if one["status"] == "ok"} == own
    lacking = [one for one in results["exports"] if one["status"] != "ok"]
    assert all("pip install 'onnx-assay[" in one["reason"] for one in lacking), lacking
    assert assay(programs, folder, "audit", "study.toml").returncode == 0
    audit = json.loads((made / "audit.json").read_text(encoding="utf-8"))
    assert {one["reference"].partition(", ")[2] for one in audit["models"]} == {"checked by NumPy in float64"}
    chosen = assay(programs, folder, "choose", str(made))
    assert chosen.returncode in {0, 1}, chosen.stderr
    without = assay(programs, folder, "run", "study.toml", "--set", f"train.frameworks=[{OTHER[extra]}]")
    assert (without.returncode, f"pip install 'onnx-assay[{OTHER[extra]}]'" in without.stderr) == (3, True)


@pytest.mark.parametrize("extra", BRINGS)
def test_every_other_extra_brings_what_it_is_for(extra: str, wheel: Path, folder: Path) -> None:
    programs = environment(wheel, extra, folder / "venv")
    code = f"import {BRINGS[extra]}"
    done = subprocess.run([str(programs / "python"), "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert assay(programs, folder, "--version").returncode == 0
    listed = json.loads(assay(programs, folder, "list", "extras", "--json").stdout)["extras"]
    assert {one["name"]: one["install"] for one in listed}[extra] == ""
