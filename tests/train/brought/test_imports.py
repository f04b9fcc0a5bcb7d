"""The imports of a user's file: the user's own module if there is one, and none of the user's modules for other
code.
"""

from __future__ import annotations

import builtins
import importlib
import json
import sys
from pathlib import Path

import pytest

import assay
from assay.errors import AssayError, InputError
from assay.train.brought import imports
from assay.train.brought.source import built, forget, source_hash


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the imports of these files, as the end of the process would."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.setattr(builtins, "__import__", builtins.__import__)
    monkeypatch.setattr(importlib, "import_module", importlib.import_module)
    monkeypatch.setattr(imports._Importing, "_before", None)
    built.cache_clear()


def given(folder: Path, **files: str) -> Path:
    """A folder of modules, "nets/block" for nets/block.py; the first is the model's file."""
    for name, text in files.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / f"{next(iter(files))}.py"


@pytest.mark.parametrize("name", ["assay", "json", "numpy", "tests", "helper"])
@pytest.mark.parametrize("statement", ["import {name}", "from {name} import WHOSE", "import {name} as other"])
def test_a_module_beside_the_file_is_the_users(name: str, statement: str, tmp_path: Path) -> None:
    text = f"{statement.format(name=name)}\ndef build():\n    from {name} import WHOSE\n    return [WHOSE]"
    path = given(tmp_path, model=text, **{name: "WHOSE = 'mine'"})
    assert built(path, "build") == ["mine"]


def test_everybody_else_keeps_their_own(tmp_path: Path) -> None:
    """json is imported by the user's file, and by a library while the user's file runs."""
    text = "import assay, json, logging.config\ndef build():\n    import assay as a, json as j\n    return [a.W, j.W]"
    path = given(tmp_path, model=text, assay="W = 'mine'", json="W = 'mine too'")
    assert built(path, "build") == ["mine", "mine too"]
    assert sys.modules["assay"] is assay
    assert sys.modules["json"] is json
    assert importlib.import_module("json") is json


def test_a_dotted_module_is_run_from_the_folder_of_its_project(tmp_path: Path) -> None:
    """No folder has an __init__.py; imports are absolute, relative and of a module beside the project's packages."""
    text = (
        "from project.nets.parts import A\nfrom . import parts\nimport beside\ndef build():\n    return [A, __name__]"
    )
    path = given(tmp_path, **{"project/nets/net": text, "project/nets/parts": "from beside import A", "beside": "A=7"})
    assert built(path, "build", "project.nets.net") == [7, "project.nets.net"]
    before = source_hash(path)
    (tmp_path / "beside.py").write_text("A = 8")
    assert source_hash(path) != before
    forget(path)
    assert built(path, "build", "project.nets.net")[0] == 8


def test_an_import_by_function_is_the_users_too(tmp_path: Path) -> None:
    text = "import importlib\ndef build():\n    return [importlib.import_module('assay').W]"
    assert built(given(tmp_path, model=text, assay="W = 1"), "build") == [1]


def test_sub_modules_of_ours_are_ours(tmp_path: Path) -> None:
    text = "def build():\n    import assay.errors\n    return assay.errors.AssayError"
    assert built(given(tmp_path, model=text, assay="W = 1"), "build") is AssayError


@pytest.mark.parametrize("package", ["nets", "assay", "json"])
def test_a_package_of_the_users_has_its_parts(package: str, tmp_path: Path) -> None:
    path = given(
        tmp_path,
        model=f"import {package}.block\nfrom {package} import sizes\n"
        f"def build():\n    return [{package}.block.IN, sizes.IN]",
        **{
            f"{package}/__init__": "",
            f"{package}/block": f"from . import sizes\nfrom {package}.sizes import IN\n",
            f"{package}/sizes": "IN = 8",
        },
    )
    assert built(path, "build") == [8, 8]


@pytest.mark.parametrize("marked", [True, False])
def test_a_file_in_a_package_is_a_part_of_it(marked: bool, tmp_path: Path) -> None:
    """With `__init__.py` or without, as `python -m project.nets.model` would run it."""
    files = {
        "project/nets/model": "from . import sizes\nfrom ..common import W\n"
        "def build():\n    from .sizes import IN\n    return [IN, sizes.IN, W]",
        "project/nets/sizes": "IN = 8",
        "project/common": "W = 'common'",
    }
    if marked:
        files |= {"project/__init__": "", "project/nets/__init__": ""}
    path = given(tmp_path, **files)
    assert built(path, "build") == [8, 8, "common"]
    before = source_hash(path)
    (tmp_path / "project" / "common.py").write_text("W = 'another'")
    assert source_hash(path) != before
    forget(path)
    assert built(path, "build") == [8, 8, "another"]


def test_a_module_that_is_missing_is_missed(tmp_path: Path) -> None:
    path = given(tmp_path, model="def build():\n    from assay import nothing_of_the_kind", assay="W = 1")
    with pytest.raises(InputError, match="nothing_of_the_kind"):
        built(path, "build")
