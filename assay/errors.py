"""Every error Assay raises on purpose, in one tree.

    AssayError                  exit 2
    ├── InputError              exit 2   a file, an option or a value that cannot be used
    │   ├── StudyError                   ... in a study file
    │   ├── DataError                    ... in a data set
    │   ├── ArtifactError                ... in something a run wrote earlier
    │   └── DiskError                    the machine cannot write: a full, read-only or failing disk
    ├── NotInstalledError       exit 3   a package or program that has to be installed first
    └── FailedError             exit 1   the work was done or tried, and the answer is no
        ├── ExportFailedError            an exporter gave no file, or one that may not be used
        └── WorkerError                  a worker process crashed, hung or was killed

An error says what it concerns, what was expected, what was found and what to do about it, in that order.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class AssayError(Exception):
    """Base of all errors raised on purpose; its text is complete and meant for a person.

    Args:
        what: the file, option or value concerned, and what is wrong with it.
        expected: the value that would have been right.
        found: the value there instead.
        remedy: advice to the reader.
    """

    exit_code: ClassVar[int] = 2

    def __init__(
        self, what: str, *, expected: str | None = None, found: str | None = None, remedy: str | None = None
    ) -> None:
        self.what, self.expected, self.found, self.remedy = what, expected, found, remedy
        details = [f"expected {expected}"] if expected else []
        details += [f"found {found}"] if found else []
        text = what + (f": {', '.join(details)}" if details else "")
        super().__init__(f"{text}. {remedy}" if remedy else text)


class InputError(AssayError):
    """The user gave something that cannot be used."""


class StudyError(InputError):
    """A study file cannot be read, or asks for something that does not exist."""


class DataError(InputError):
    """A data set is missing, damaged or not what it says it is."""


class ArtifactError(InputError):
    """A stored artifact is missing, damaged, or of another kind or version."""


class DiskError(InputError):
    """The machine cannot write, whatever the content: code that handles a model's failures must let this one pass."""


class NotInstalledError(AssayError):
    """A needed package or program is not installed; the message names what installs it."""

    exit_code = 3


class FailedError(AssayError):
    """The work was tried and the answer is no."""

    exit_code = 1


class ExportFailedError(FailedError):
    """An exporter made no file, or one that failed its checks."""


class WorkerError(FailedError):
    """A worker process crashed, exceeded its time limit or was killed."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like `name`, or None if nothing is close."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None


def meant_by(name: str, known: Iterable[str]) -> str | None:
    """Return the remedy that offers the nearest known name, or None."""
    close = nearest(name, known)
    return f"Did you mean '{close}'?" if close else None


def unknown_name(kind: str, name: str, known: Iterable[str], also: str = "") -> InputError:
    """Return the error for an unregistered name: it offers the nearest name and lists all.

    Args:
        also: sentences about other possible causes.
    """
    known = sorted(known)
    remedies = [meant_by(name, known), also]
    return InputError(
        f"Unknown {kind} '{name}'",
        expected=f"one of {', '.join(known)}",
        remedy=" ".join(one for one in remedies if one) or None,
    )


EXTRA_OF = {
    "PIL": "images", "cryptography": "serve", "flax": "jax", "fsspec": "fleet", "hpack": "serve", "httptools": "serve",
    "jax": "jax", "jax2onnx": "jax", "jaxlib": "jax", "keras": "tf", "medmnist": "train", "mlflow": "mlflow",
    "mlperf_loadgen": "serve", "nncf": "nncf", "onnxscript": "torch", "optax": "jax", "ray": "fleet",
    "tensorflow": "tf", "tf2onnx": "tf", "timm": "zoo", "torch": "torch", "torchao": "torchao", "torchvision": "zoo",
    "transformers": "zoo", "tritonclient": "serve", "uv": "tools", "uvloop": "serve", "wandb": "wandb",
}  # fmt: skip
"""Extras of this distribution by the import package that they install; a package without one comes with every
installation, or is somebody else's.
"""


def missing(who: str, error: ImportError, extra: str = "", *, otherwise: str | None = None) -> NotInstalledError:
    """Return the error for a package that is not installed, with the extra that brings it.

    Args:
        who: the feature that needs the package.
        extra: the extra for everything that `who` needs, used for a package that we do not know.
        otherwise: the remedy where no extra of ours brings it.
    """
    found = EXTRA_OF.get((error.name or "").partition(".")[0], extra)
    return NotInstalledError(needing(who, error), remedy=installed_by(found) if found else otherwise)


def installed_by(extra: str) -> str:
    """Return the remedy that installs an extra."""
    return f"Install it with: pip install 'onnx-assay[{extra}]'"


def needing(who: str, error: ImportError) -> str:
    """Return a sentence on the missing package: its name, or the words of the error where it gives no name."""
    if error.name:
        return f"{who} needs the Python package '{error.name}', which is not installed"
    said = " ".join(str(error).split())[:300] or "it does not say which"
    return f"{who} needs a Python package that is not installed: {said}"
