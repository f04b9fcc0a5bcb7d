"""A model as the file with which its framework's own runtime is served, made from what was audited: neutral weights of
one of our architectures, or a user's own file. A study's has the contract of `assay.export.served.contract` around it:
decoded pixels in, probabilities and label out, normalised as `assay.train.batches.normalise` does. It runs in the job
that judges its answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from assay.entries import load_function
from assay.errors import AssayError, ExportFailedError
from assay.foreign import said_by
from assay.records.deployment import served_runtime
from assay.steps import MOST_SECONDS, step
from assay.train.brought.model import UserModel
from assay.train.built import BuiltModel


@dataclass(frozen=True)
class NativeModel:
    """A request to a maker.

    Attributes:
        runtime: the served runtime.
        pixels: whether it takes decoded pixels and gives probabilities and the most probable class.
        file: the file to write, in a folder of its own.
        threads: number of threads with which it runs afterwards, in the same process.
    """

    runtime: str
    model: BuiltModel | UserModel
    pixels: bool
    file: Path
    threads: int


MakeServed = Callable[[NativeModel], None]


def make_served(asked: NativeModel) -> None:
    """Write the file.

    Raises:
        AssayError: a user's file fails, or a package is missing.
        ExportFailedError: the framework refuses to write the model.
    """
    entry = served_runtime(asked.runtime)
    assert entry.served_by is not None
    make: MakeServed = load_function(entry.name, entry.served_by.maker, entry.installed_by)
    try:
        with step("Writing the model to be served", MOST_SECONDS):
            make(asked)
    except AssayError:
        raise
    except Exception as error:  # frameworks raise whatever their parts raise
        raise ExportFailedError(
            f"{entry.name} cannot be served: {entry.family.words} does not write {asked.model.name}",
            found=f"{type(error).__name__}: {said_by(error)}",
            remedy="Deploy another cell, for example one of an ONNX file",
        ) from error
