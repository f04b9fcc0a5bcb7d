"""The direction in which things flow, held by reading every import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("assay", "train", "export", "infer", "bench")
MAY_IMPORT = {
    "assay": {"assay"},
    "train": {"assay", "train"},
    "export": {"assay", "train", "export"},
    "infer": {"assay", "train", "infer"},
    "bench": set(PACKAGES),
}
FRAMEWORKS = {
    "torch", "tensorflow", "keras", "jax", "flax", "optax", "onnx", "onnxruntime", "onnxscript", "tf2onnx",
    "jax2onnx", "openvino", "torchvision", "medmnist",
}  # fmt: skip


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imports(path: Path, *, at_import_time: bool) -> Iterator[str]:
    """First names of the modules a file imports, those of type checking left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if at_import_time else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def may_import_frameworks(path: Path) -> bool:
    return path.name.startswith(("on_", "from_")) or path.parent.name == "models" or "script" in path.name


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_design(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    ours = set(imports(path, at_import_time=False)) & set(PACKAGES)
    assert ours <= MAY_IMPORT[package]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_imports_torchvision(path: Path) -> None:
    assert "torchvision" not in set(imports(path, at_import_time=False))


@pytest.mark.parametrize(
    "module",
    ["assay.bench.cli.main", "assay.bench.conductor", "assay.bench.report", "assay.export.run", "assay.train.run"],
)
def test_the_conductor_loads_no_framework(module: str) -> None:
    code = f"import {module}, sys; print(sorted(set(sys.modules) & {FRAMEWORKS!r}))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("module", sorted({".".join(p.relative_to(ROOT).with_suffix("").parts) for p in modules()}))
def test_only_framework_files_load_a_framework_when_imported(module: str) -> None:
    path = ROOT / (module.replace(".", "/") + ".py")
    if may_import_frameworks(path):
        return
    assert not set(imports(path, at_import_time=True)) & FRAMEWORKS


def test_the_conductor_knows_of_no_process_but_by_its_host() -> None:
    """Whoever measures is given a host: only the local one starts processes, and every job says where it runs."""
    naming, silent = set(), []
    for path in (ROOT / "bench").rglob("*.py"):
        tree, name = ast.parse(path.read_text(encoding="utf-8")), str(path.relative_to(ROOT))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("jobs.process"):
                naming.add(name)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "run_job":
                silent += [name] if "host" not in {keyword.arg for keyword in node.keywords} else []
    assert naming == {"bench/machine/host.py", "bench/cli/main.py"}, "the local host, and the end of the program"
    assert silent == []


def test_what_crosses_between_processes_is_typed() -> None:
    """Requests, answers and events are records; nothing tells the type checker that something is JSON."""
    told = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in modules()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if 'cast("JsonValue"' in line or 'cast("Message"' in line
    ]
    assert told == []


def test_the_store_is_the_only_place_that_finds_or_makes_an_artifact() -> None:
    inside = {"find_artifact", "write_artifact"}
    named = {
        str(path.relative_to(ROOT))
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Name) and node.id in inside) or (isinstance(node, ast.alias) and node.name in inside)
    }
    assert named == {"assay/store.py"}


@pytest.mark.parametrize("script", ["assay.export.routes.jax2tf_script", "assay.export.routes.user_jax2tf_script"])
def test_what_runs_in_a_tool_environment_needs_nothing_that_lacks_there(script: str) -> None:
    """Nothing of pydantic, rich or polars: the list of such an environment holds what converts, and numpy."""
    lacking = ("pydantic", "pydantic_core", "rich", "polars", "typer")
    code = f"import sys; sys.modules |= dict.fromkeys({lacking!r}); import {script}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
