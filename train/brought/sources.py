"""Where models come from: what a user writes for one, and the place that it stands for. Nothing is run here."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

from assay.errors import InputError
from assay.registry import LIBRARIES
from assay.train.brought.model import KINDS, Form, Kind, Location

FILES: dict[str, tuple[Kind, Form]] = {
    ".onnx": ("onnx", "onnx"),
    **dict.fromkeys((".pt", ".pth", ".ts", ".jit"), ("torch", "script")),
    ".pt2": ("torch", "program"),
    **dict.fromkeys((".keras", ".h5", ".hdf5"), ("tf", "keras")),
    ".tflite": ("tf", "tflite"),
}
WHAT_CAN_BE_GIVEN = (
    "a .onnx file, TorchScript (.pt, .pth, .ts, .jit), a torch.export .pt2, a SavedModel folder, a .keras or .h5 file, "
    "a .tflite file, a Hugging Face folder, FILE.py:FUNCTION, PACKAGE.MODULE:FUNCTION, "
    + ", ".join(f"{name}:NAME" for name in LIBRARIES)
)
OF_FOLDERS = ("hf", "hf-prefill", "hf-decode")
"""Libraries whose models may lie in a folder."""
SAVED_MODEL_FILE, HUGGING_FACE_FILE = "saved_model.pb", "config.json"


def locate(text: str, framework: str = "") -> Location:
    """Find a model by the text that a user writes; see `WHAT_CAN_BE_GIVEN`.

    Args:
        framework: the framework, if the user names it; only a function may need that.

    Raises:
        InputError: there is no such file, or its kind is unknown.
    """
    if framework and framework not in KINDS:
        raise InputError("Unknown framework", expected="torch, tf or jax", found=framework)
    before, separator, after = text.rpartition(":")
    if separator and before.endswith(".py"):
        return _function(Path(before), after, framework)
    library, _, name = text.partition(":")
    if separator and library in LIBRARIES:
        return _named(library, name)
    path = Path(text)
    if not path.exists():
        if separator and _is_dotted(before) and after.isidentifier():
            return _function(_file_of(before), after, framework, before)
        raise InputError(f"There is no model {path}", expected=WHAT_CAN_BE_GIVEN)
    if path.suffix == ".py":
        raise InputError(f"{path} needs the name of a function", expected=f"{path}:FUNCTION")
    return _folder(path) if path.is_dir() else _file(path)


def locate_function(text: str) -> Location | None:
    """Find a function by "FILE.py:FUNCTION" or "PACKAGE.MODULE:FUNCTION"; None where the text is neither.

    Raises:
        InputError: there is no such file or module.
    """
    before, _, name = text.rpartition(":")
    if before.endswith(".py"):
        return _function(Path(before), name, "")
    return _function(_file_of(before), name, "", before) if _is_dotted(before) and name.isidentifier() else None


def _file(path: Path) -> Location:
    if path.suffix.lower() not in FILES:
        raise InputError(
            f"{path} is not a model of a known kind",
            expected=WHAT_CAN_BE_GIVEN,
            found=f"the ending '{path.suffix}'" if path.suffix else "no ending",
        )
    kind, form = FILES[path.suffix.lower()]
    return Location(path=path.resolve(), form=form, kind=kind)


def _folder(path: Path, library: str = "hf") -> Location:
    if (path / SAVED_MODEL_FILE).is_file():
        return Location(path=path.resolve(), form="saved-model", kind="tf")
    if (path / HUGGING_FACE_FILE).is_file():
        return Location(path=path.resolve(), form="named", kind="torch", library=library)
    raise InputError(
        f"The folder {path} is not a SavedModel and not one of Hugging Face",
        expected=f"a file {SAVED_MODEL_FILE} or {HUGGING_FACE_FILE} in it",
    )


def _named(library: str, name: str) -> Location:
    if library in OF_FOLDERS and (Path(name) / HUGGING_FACE_FILE).is_file():
        return _folder(Path(name), library)
    if not name.strip():
        raise InputError(f"'{library}:' needs the name of a model", expected=f"{library}:NAME")
    kind = next(one for one in KINDS if one == LIBRARIES[library].framework)
    return Location(path=Path(f"{library}:{name}"), form="named", kind=kind, function=name, library=library)


def _function(path: Path, function: str, framework: str, module: str = "") -> Location:
    if not path.is_file():
        raise InputError(f"There is no file {path}", expected="FILE.py:FUNCTION")
    if not function.isidentifier():
        raise InputError(f"{path} needs the name of a function", expected=f"{path}:FUNCTION", found=f"'{function}'")
    kind = next((one for one in KINDS if one == framework), "")
    return Location(path=path.resolve(), form="function", kind=kind, function=function, module=module)


def _is_dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _file_of(module: str) -> Path:
    """Return the file of a module, as Python would find it from the working directory; no package on the way is run.

    Raises:
        InputError: there is none, or it is not written in Python.
    """
    places, spec = [str(Path.cwd()), *sys.path], None
    for part in module.split("."):
        spec = _spec_of(part, places)
        places = list(spec.submodule_search_locations or ()) if spec else []
    if spec is None or not (spec.origin or "").endswith(".py"):
        raise InputError(
            f"There is no module {module} written in Python",
            expected="PACKAGE.MODULE:FUNCTION, importable from the working directory",
            found="a package without an __init__.py" if spec and spec.submodule_search_locations else None,
        )
    return Path(str(spec.origin))


def _spec_of(name: str, places: list[str]) -> ModuleSpec | None:
    specs = (finder.find_spec(name, places) for finder in sys.meta_path)
    return next((one for one in specs if one is not None), None) if places else None
