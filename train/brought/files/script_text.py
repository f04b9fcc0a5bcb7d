"""A check of the source in a TorchScript file, which torch's own interpreter runs: it knows no Python, but it can write
files.

`torch.save` and `torch.from_file` are operators of TorchScript, and a file's `__setstate__` runs while it is loaded. So
the source is read first: as Python's syntax, of which TorchScript's is a part, and once more as plain text, so that
anything which two parsers may see differently is refused.
"""

from __future__ import annotations

import ast
import re

from assay.errors import ArtifactError
from assay.train.brought.files.program_text import ON_FILES

NAMESPACES = {"aten", "prim", "prims", "quantized", "sparse", "torchvision", "mkldnn", "onednn", "mkldnn_prepacked"}
CLASSES = {"quantized", "rnn", "mkldnn", "xnnpack", "sparse"}
"""Namespaces of operators and of compiled classes that only compute."""
IN_TEXT = re.compile(rf"\.[\s\\]*({'|'.join(sorted(ON_FILES))})\b[\s\\]*\(")
CLASS_IN_PICKLE = re.compile(rb"torch\.classes\.(\w+)")


def check_script(member: str, content: bytes) -> None:
    """
    Args:
        member: its name in the file, for messages.
        content: the source, UTF-8.

    Raises:
        ArtifactError: it uses an operator that acts on files or is of an unknown kind, or it is not source text.
    """
    try:
        text = content.decode("utf-8")  # and in no encoding that the text itself names
        nodes = list(ast.walk(ast.parse(text)))
    except (UnicodeDecodeError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ArtifactError(f"{member} is not TorchScript source", found=str(error)[:200]) from error
    found = IN_TEXT.search(text)
    if found:
        raise _refusal(member, found.group(0))
    for node in nodes:
        if not _is_harmless(node):
            raise _refusal(member, ast.unparse(node))


def check_classes(member: str, content: bytes) -> None:
    """Refuse a pickle of torch's own kind that names compiled classes which may act; same errors as `check_script`."""
    for space in CLASS_IN_PICKLE.findall(content):
        if space.decode("ascii") not in CLASSES:
            raise _refusal(member, f"torch.classes.{space.decode('ascii')}")


def _is_harmless(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr not in ON_FILES and _is_known(ast.unparse(node).split("."))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
        name = node.args[1] if len(node.args) > 1 else None
        return isinstance(name, ast.Constant) and name.value not in ON_FILES
    return not isinstance(node, ast.Import | ast.ImportFrom) or _is_import_of_ours(node)


def _is_known(parts: list[str]) -> bool:
    if parts[0] == "ops" and len(parts) > 2:
        return parts[1] in NAMESPACES and not parts[2].startswith("rpc_")
    if parts[:3] == ["__torch__", "torch", "classes"] and len(parts) > 3:
        return parts[3] in CLASSES
    return True


def _is_import_of_ours(node: ast.Import | ast.ImportFrom) -> bool:
    return isinstance(node, ast.Import) and all(one.name.startswith("__torch__") for one in node.names)


def _refusal(member: str, found: str) -> ArtifactError:
    return ArtifactError(
        f"{member} uses an operator that reads or writes files, or an unknown one",
        expected="operators that only compute",
        found=found[:120],
        remedy="It was not loaded. Remove the operator from the model, or, if you trust it, give --trust",
    )
