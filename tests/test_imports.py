"""The direction of imports, checked by reading every one."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOPS = ("assay", "train", "export", "infer", "bench")
MAY_IMPORT = {
    "assay": {"assay"},
    "train": {"assay", "train"},
    "export": {"assay", "train", "export"},
    "infer": {"assay", "train", "infer"},
    "bench": set(TOPS),
}
DOORS = (ROOT / "assay" / "__main__.py", ROOT / "assay" / "__init__.py")
"""The command, and the calls from Python by name: the entry points."""
BESIDES_THE_BASE = {
    "assay/bench/deployment/checking/keys.py": {"cryptography"},
    "assay/infer/server/front/__main__.py": {"uvloop"},
    "assay/infer/server/front/calls.py": {"hpack"},
    "assay/infer/server/front/http_front.py": {"httptools"},
    "assay/infer/server/front/message.py": {"tritonclient"},
    "assay/infer/server/front/upstream.py": {"httptools"},
    "assay/infer/server/opened/in_triton.py": {"open_model", "triton_python_backend_utils"},
    "assay/train/datasets/pbc.py": {"PIL"},
}
"""The modules that a command without its extra does not reach, with the packages of the extra."""
OF_THE_BASE = {"google": "protobuf", "pydantic_core": "pydantic", "vl_convert": "vl-convert-python"}
"""Packages that others of the base install, or that have another name there."""
MOST_IN_A_ROOM = 15
MOST_LINES = 400
FRAMEWORKS = {
    "torch", "tensorflow", "keras", "jax", "flax", "optax", "onnx", "onnxruntime", "onnxscript", "tf2onnx",
    "jax2onnx", "openvino", "torchvision", "medmnist",
}  # fmt: skip


def modules() -> list[Path]:
    """Each module once: `assay/train` and the like are links, which are not followed."""
    return [path for top in TOPS for path in sorted((ROOT / top).rglob("*.py"))]


def imports(path: Path, *, at_import_time: bool) -> Iterator[str]:
    """Names of the modules a file imports, except those for type checking."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if at_import_time else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def top_of(name: str) -> str:
    """ "train" of assay.train.models, "assay" of assay.errors, "" for other packages."""
    first, _, rest = name.partition(".")
    second = rest.partition(".")[0]
    return "" if first != "assay" else second if second in TOPS else "assay"


def may_import_frameworks(path: Path) -> bool:
    return path.name.startswith(("on_", "from_")) or path.parent.name == "models" or "script" in path.name


def test_imports_follow_the_design() -> None:
    against = {
        str(path.relative_to(ROOT)): wrong
        for path in modules()
        if path not in DOORS
        and (
            wrong := {top_of(name) for name in imports(path, at_import_time=False)}
            - {"", *MAY_IMPORT[path.relative_to(ROOT).parts[0]]}
        )
    }
    assert against == {}


def test_only_what_every_installation_has_is_imported_everywhere() -> None:
    """Another package is imported in the function that needs it, where its absence is a message and no traceback."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    base = {re.split(r"[^\w-]", one)[0] for one in project["dependencies"]} | {"protobuf"}
    known = {*sys.stdlib_module_names, "assay", *base, *(name for name, of in OF_THE_BASE.items() if of in base)}
    against = {
        f"assay/{path.relative_to(ROOT)}".replace("assay/assay/", "assay/"): others
        for path in modules()
        if not may_import_frameworks(path)
        and (others := {name.partition(".")[0] for name in imports(path, at_import_time=True)} - known)
    }
    assert against == BESIDES_THE_BASE


def test_assay_is_the_only_name_of_ours() -> None:
    """A package of ours at the top of site-packages would hide a user's module of that name, or be hidden by it."""
    against = {
        str(path.relative_to(ROOT)): wrong
        for path in modules()
        if (wrong := {name.partition(".")[0] for name in imports(path, at_import_time=False)} & (set(TOPS) - {"assay"}))
    }
    assert against == {}


def test_no_module_imports_torchvision() -> None:
    every = {name.partition(".")[0] for path in modules() for name in imports(path, at_import_time=False)}
    assert "torchvision" not in every


@pytest.mark.parametrize(
    "module",
    [
        "assay.bench.cli.main",
        "assay.bench.conductor",
        "assay.bench.report.write",
        "assay.export.run",
        "assay.train.run",
    ],
)
def test_the_conductor_loads_no_framework(module: str) -> None:
    code = f"import {module}, sys; print(sorted(set(sys.modules) & {FRAMEWORKS!r}))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_only_framework_files_load_a_framework_when_imported() -> None:
    against = {
        str(path.relative_to(ROOT)): wrong
        for path in modules()
        if not may_import_frameworks(path)
        and (wrong := {name.partition(".")[0] for name in imports(path, at_import_time=True)} & FRAMEWORKS)
    }
    assert against == {}


def test_no_room_is_crowded() -> None:
    """A folder with more files than a reader takes in at once needs sub-folders."""
    counts: dict[str, int] = {}
    for path in modules():
        if path.name != "__init__.py":
            room = str(path.parent.relative_to(ROOT))
            counts[room] = counts.get(room, 0) + 1
    assert {room: count for room, count in counts.items() if count > MOST_IN_A_ROOM} == {}


def test_no_file_is_longer_than_a_reader_follows() -> None:
    lines = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in modules()}
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


def test_every_room_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in modules()
        if path.name == "__init__.py" and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


OF_A_MACHINE = ("usable_cores", "environment", "fingerprint", "disturbance", "busy_seconds")


def test_the_conductor_knows_of_no_process_but_by_its_host() -> None:
    """Code that measures is given a host: only the local one starts processes, and every job says where it runs."""
    naming, silent, asked = set(), [], set()
    for path in (ROOT / "bench").rglob("*.py"):
        tree, name = ast.parse(path.read_text(encoding="utf-8")), str(path.relative_to(ROOT))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("jobs.process"):
                naming.add(name)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "run_job":
                silent += [name] if "host" not in {keyword.arg for keyword in node.keywords} else []
        for node in ast.walk(tree) if "bench/machine" not in name and "bench/serving" not in name else ():
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("assay.bench.machine"):
                asked |= {f"{name}: {one.name}" for one in node.names} & {f"{name}: {fact}" for fact in OF_A_MACHINE}
    assert asked == set(), "a host says it of its machine; a server is on this one"
    ends = {"bench/cli/main.py", "bench/python/calls.py"}
    assert naming == {"bench/machine/host.py", *ends}, "the local host, and the end of a command or call"
    assert silent == []


WITHOUT_ASSAY = {"infer/server/triton_guard.py", "infer/server/opened/elsewhere.py"}
"""Files that run in the server's Python, which has no Assay."""


def test_processes_are_started_in_one_room() -> None:
    starters = {"subprocess", "multiprocessing", "concurrent.futures.ProcessPoolExecutor"}
    found = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        if any(
            name == one or name.startswith(f"{one}.")
            for name in imports(path, at_import_time=False)
            for one in starters
        )
    }
    assert {one for one in found if not one.startswith("assay/jobs/")} == WITHOUT_ASSAY


CASTS = {"assay/numerics/values.py", "infer/ceilings/job.py", "infer/server/front/crowd.py"}
"""Places where the type checker is told a type. Requests, answers and events are records, and the code of an entry is
checked where it is loaded.
"""


def casts(path: Path) -> Iterator[int]:
    """The lines that call `typing.cast`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = any(
        isinstance(node, ast.ImportFrom) and node.module == "typing" and "cast" in {one.name for one in node.names}
        for node in ast.walk(tree)
    )
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else None
        by_name = imported and isinstance(called, ast.Name) and called.id == "cast"
        if by_name or (called is not None and ast.unparse(called) in {"typing.cast", "t.cast"}):
            yield called.lineno if called is not None else 0


def test_every_cast_has_its_reason_on_its_line() -> None:
    found = {
        f"{path.relative_to(ROOT)}": path.read_text(encoding="utf-8").splitlines()[line - 1].partition("  # ")[2]
        for path in modules()
        for line in casts(path)
    }
    assert set(found) == CASTS, "say it with a type, a check or an overload"
    assert [place for place, reason in found.items() if len(reason.split()) < 4] == []


def test_the_store_is_the_only_place_that_finds_or_makes_an_artifact() -> None:
    inside = {"find_artifact", "write_artifact"}
    named = {
        str(path.relative_to(ROOT))
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Name) and node.id in inside) or (isinstance(node, ast.alias) and node.name in inside)
    }
    assert named == {"assay/store.py"}


def test_what_runs_in_a_tool_environment_needs_nothing_that_lacks_there() -> None:
    """Nothing of pydantic, rich or polars: the list of such an environment has the converter and numpy."""
    lacking = ("pydantic", "pydantic_core", "rich", "polars", "typer")
    code = f"import sys; sys.modules |= dict.fromkeys({lacking!r}); import assay.export.routes.jax2tf_script"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


OF_ONE_ARCHITECTURE = "train/models"


def test_no_class_name_is_used_twice() -> None:
    """One name for one thing. An architecture has the same name in every framework, because it is the same function."""
    where: dict[str, list[str]] = {}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                where.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    twice = {name: paths for name, paths in where.items() if len(paths) > 1}
    assert {
        name: paths
        for name, paths in twice.items()
        if any(not path.startswith(OF_ONE_ARCHITECTURE) for path in paths) or len(set(paths)) < len(paths)
    } == {}
