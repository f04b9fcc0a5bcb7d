"""The file that a runtime's own maker made and that was timed and audited, as a server gets it. It is served as it is,
byte for byte, and its opener takes decoded pixels where those are asked for; or, where the format is a graph that can
be extended, pixels go into a graph around it (`assay.runtimes.entry.ServedBy.wrapper`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from assay.entries import load_function
from assay.records.base import Record
from assay.records.deployment import served_by, served_runtime
from assay.spec import ModelSpec


class ExportContract(Record):
    """The contract around an export or its conversion; `layout` is that of its input."""

    spec: ModelSpec
    layout: str


@dataclass(frozen=True)
class WrappedFile:
    """A request to a wrapper: the audited file, and the one to write."""

    source: Path
    contract: ExportContract
    file: Path


Wrap = Callable[[WrappedFile], None]


def serve_made(runtime: str, source: Path, contract: ExportContract | None, file: Path) -> None:
    """Write the served form of the file that was made for a runtime.

    Raises:
        ExportFailedError: its inputs or outputs are not the expected ones.
        NotInstalledError: a package is missing.
    """
    entry = served_runtime(runtime)
    served = served_by(runtime)
    if contract is not None and served.wrapper:
        wrap: Wrap = load_function(entry.name, served.wrapper, entry.installed_by)
        wrap(WrappedFile(source, contract, file))
        return
    for name in (file.name, *served.beside):
        if (source.parent / name).is_file():
            shutil.copyfile(source.parent / name, file.with_name(name))
