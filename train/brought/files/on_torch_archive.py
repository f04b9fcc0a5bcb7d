"""Files of PyTorch, opened by torch's own reader and checked member by member before anything in them is loaded.

`torch.export.load` unpickles what its weights-only reader refuses, loads compiled libraries that lie in the file, and
turns text into Python (`assay.train.brought.files.program_text`). Here every member has to be one that
`torch.export.save` writes for plain tensors; pickles are first read by the weights-only reader, which cannot run code.
TorchScript is code for an interpreter of its own (`assay.train.brought.files.script_text`).
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from assay.boxed.boxing import is_trusted
from assay.errors import ArtifactError
from assay.files.arrays import check_inflation, most_bytes
from assay.files.mistakes import mistake_in
from assay.files.texts import parse_json
from assay.train.brought.files.program_text import check_program
from assay.train.brought.files.script_text import check_classes, check_script

CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
PICKLES = ("data/sample_inputs/model.pt", "data/weights/model.pt", "data/constants/model.pt")
PROGRAM = "models/model.json"
PLAIN = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/\w+|\.format_version|\.storage_alignment"
    r"|data/weights/weight_\d+|data/constants/tensor_\d+|extra/[^\0]*"
)
SCRIPT_PICKLES = re.compile(r"(data|constants|traced_inputs)\.pkl|code/[\w./-]+\.debug_pkl")
SCRIPT_SOURCES = re.compile(r"code/[\w./-]+\.py")
SCRIPT_PLAIN = re.compile(r"(data|constants|traced_inputs)/\w+|version|byteorder|\.data/\w+|extra/[^\0]*|\.\w+")
OLD_PROGRAM = "serialized_exported_program.json"
OLD_PICKLES = ("serialized_state_dict", "serialized_constants", "serialized_example_inputs")
ACTING = {
    "data/aotinductor/": "compiled code, which would be loaded as a library",
    "data/constants/custom_obj_": "a pickled object",
    "data/constants/opaque_obj_": "a pickled object",
    "data/executorch/": "a compiled program",
}
"""Members of a torch.export file that can run code, by the beginning of their names, and what they are."""
EXPECTED = "only members that torch.export.save writes for a model of plain tensors"
REMEDY = "It was not loaded. Export the model again, or give FILE.py:FUNCTION"
WIDEST_NUMBER = 16


def load_checked_program(path: Path) -> torch.export.ExportedProgram:
    """Load a file of `torch.export.save`, in today's layout or in that from before torch 2.8.

    Raises:
        ArtifactError: a member could run code, or declares more than memory holds; the message names it.
        Exception: whatever torch raises on a damaged file.
    """
    with zipfile.ZipFile(path) as bundle:
        check_inflation(path, bundle, most_bytes(1))
        old = OLD_PROGRAM in bundle.namelist()
        if old:
            return _load_old(path, bundle)
    _check_archive(path)
    from torch.export.pt2_archive._package import load_pt2  # noqa: PLC0415  takes as long as PyTorch's own import

    program: torch.export.ExportedProgram = load_pt2(str(path)).exported_programs["model"]
    _forget_sources(program)
    return program


def load_checked_script(path: Path) -> torch.jit.ScriptModule:
    """Load a file of `torch.jit.save`.

    Raises:
        ArtifactError: its code acts on files, or it has an unknown member; the message names which.
        Exception: whatever torch raises on a damaged file.
    """
    if is_trusted():
        _check_size(path)
    else:
        check_script_file(path)
    script: torch.jit.ScriptModule = torch.jit.load(str(path), map_location="cpu")
    return script


def _check_size(path: Path) -> None:
    with zipfile.ZipFile(path) as bundle:
        check_inflation(path, bundle, most_bytes(1))


def check_script_file(path: Path) -> None:
    """Check every member of a file of `torch.jit.save` as torch's reader sees it.

    Raises:
        ArtifactError: its code acts on files, or it has an unknown member; the message names which.
        Exception: whatever torch raises on a damaged file.
    """
    _check_size(path)
    reader = torch._C.PyTorchFileReader(str(path))
    for name in reader.get_all_records():
        if SCRIPT_SOURCES.fullmatch(name):
            check_script(f"{path}, {name},", reader.get_record(name))
        elif SCRIPT_PICKLES.fullmatch(name):
            check_classes(f"{path}, {name},", reader.get_record(name))
        elif not SCRIPT_PLAIN.fullmatch(name):
            raise ArtifactError(
                f"{path} has a member that Assay does not load, {name!r:.200}",
                expected="only members that torch.jit.save writes",
                remedy=REMEDY,
            )


def _check_archive(path: Path) -> None:
    """Check every member as torch's reader sees it, which may differ from what zipfile sees."""
    reader = torch._C.PyTorchFileReader(str(path))
    names = list(reader.get_all_records())
    for name in names:
        _check_known(path, name)
    if PROGRAM not in names:
        raise ArtifactError(f"{path} has no program", expected=PROGRAM, found=", ".join(names[:8]))
    check_program(f"{path}, {PROGRAM},", reader.get_record(PROGRAM))
    for name in set(CONFIGS) & set(names):
        _check_config(f"{path}, {name},", reader.get_record(name))
    for name in set(PICKLES) & set(names):
        _check_pickle(f"{path}, {name},", reader.get_record(name))


def _check_known(path: Path, name: str) -> None:
    if name in {PROGRAM, *CONFIGS, *PICKLES} or PLAIN.fullmatch(name):
        return
    found = next((what for start, what in ACTING.items() if name.startswith(start)), "an unknown member")
    raise ArtifactError(
        f"{path} has a member that Assay does not load, {name!r:.200}", expected=EXPECTED, found=found, remedy=REMEDY
    )


def _check_config(member: str, content: bytes) -> None:
    """Check where tensors lie: none may be a pickle, and none larger than memory."""
    try:
        config = parse_json(content)["config"]
        entries = [(str(name), dict(one)) for name, one in config.items()]
        sizes = [(name, one.get("tensor_meta") or {}) for name, one in entries]
        numbers = {name: math.prod(_sizes(meta.get("sizes", []))) for name, meta in sizes}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{member} cannot be read", expected="JSON of tensors", found=mistake_in(error)) from error
    for name, one in entries:
        if one.get("use_pickle") is not False or not _is_plain(str(one.get("path_name"))):
            what = f"{member} keeps tensor '{name:.100}' as a pickle"
            raise ArtifactError(what, expected=EXPECTED, found=str(one)[:120], remedy=REMEDY)
        if numbers[name] * WIDEST_NUMBER > most_bytes(1):
            found = f"{name:.100}, {numbers[name]:,} numbers"
            raise ArtifactError(f"{member} has a tensor that does not fit into memory", found=found)


def _sizes(sizes: list[dict[str, Any]]) -> list[int]:
    return [abs(int(size["as_int"])) for size in sizes]


def _is_plain(name: str) -> bool:
    return bool(re.fullmatch(r"(weight|tensor)_\d+", name))


def _check_pickle(member: str, content: bytes) -> None:
    """Read a pickle as weights only, which runs nothing; torch itself would fall back to running it.

    Raises:
        ArtifactError: it holds more than tensors in tuples and dictionaries.
    """
    if not content:
        return
    try:
        torch.load(io.BytesIO(content), weights_only=True)  # torch tries this first, too
    except Exception as error:  # whatever its reader raises
        raise ArtifactError(
            f"{member} is a pickle that contains more than tensors and could run code",
            expected=EXPECTED,
            found=_global_in(error),
            remedy=REMEDY,
        ) from error


def _global_in(error: Exception) -> str:
    """Return what the pickle asked for; torch's own message goes on to say how to run it anyway."""
    named = re.search(r"GLOBAL ([\w.]+)", str(error))
    return named.group(1) if named else f"something that its weights-only reader refuses ({type(error).__name__})"


def _load_old(path: Path, bundle: zipfile.ZipFile) -> torch.export.ExportedProgram:
    """Load a file from before torch 2.8: torch is given the very content that is checked here, and opens no file
    again.
    """
    from torch._export.serde.serialize import SerializedArtifact, deserialize  # noqa: PLC0415  as above

    known = {"version", OLD_PROGRAM, *(f"{name}{ending}" for name in OLD_PICKLES for ending in (".pt", ".json"))}
    for name in bundle.namelist():
        if name not in known and not name.startswith("extra_files/"):
            raise ArtifactError(
                f"{path} has a member that Assay does not load, {name!r:.200}",
                expected=EXPECTED,
                found="an unknown member",
            )
    check_program(f"{path}, {OLD_PROGRAM},", bundle.read(OLD_PROGRAM))
    pickles = []
    for name in OLD_PICKLES:
        member = next((one for one in (f"{name}.pt", f"{name}.json") if one in bundle.namelist()), f"{name}.pt")
        pickles.append(bundle.read(member))
        _check_pickle(f"{path}, {member},", pickles[-1])
    program: torch.export.ExportedProgram = deserialize(SerializedArtifact(bundle.read(OLD_PROGRAM), *pickles))
    _forget_sources(program)
    return program


def _forget_sources(program: torch.export.ExportedProgram) -> None:
    """Remove texts of the file that compilers would write into comments of generated code."""
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)
