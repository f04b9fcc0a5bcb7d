"""A check of whether a served file could act when it is loaded or called, in a process of its own. A server of a
TorchScript file or a SavedModel runs the code in it. A deployment may come from somebody else, so such a file is
checked to hold only what a model needs before a server, or anything else, opens it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from assay.entries import load_function
from assay.errors import ArtifactError, AssayError, InputError
from assay.foreign import said_by
from assay.jobs.job import Job, Nothing
from assay.jobs.serving import serve_job
from assay.records.base import Record
from assay.records.deployment import served_runtime


class ActingRequest(Record):
    """A model's file, and the runtime that serves it."""

    path: Path
    runtime: str


CHECK_ACTING = Job("assay.export.served.acting_job", "check", ActingRequest, Nothing)


def work(request: ActingRequest) -> Nothing:
    """
    Raises:
        ArtifactError: the file could act, or is damaged.
    """
    check_cannot_act(request.path, request.runtime)
    return Nothing()


def check_cannot_act(path: Path, runtime: str) -> None:
    """Check a file, with errors as for `work` and `refuse_code`; a format that cannot act is not examined."""
    refuse_code(path, runtime)
    entry = served_runtime(runtime)
    if entry.served_by is None or not entry.served_by.checker:
        return
    check: Callable[[Path], None] = load_function(entry.name, entry.served_by.checker, entry.installed_by)
    try:
        check(path)
    except AssayError:
        raise
    except Exception as error:  # frameworks raise whatever their parts raise
        raise ArtifactError(f"{path} cannot be read", found=f"{type(error).__name__}: {said_by(error)}") from error


def refuse_code(path: Path, runtime: str) -> None:
    """
    Raises:
        InputError: the file is code for a processor, whatever it does.
    """
    entry = served_runtime(runtime)
    if entry.served_by is not None and entry.served_by.is_code:
        raise InputError(
            f"{path.name} is compiled code, which cannot be inspected",
            expected=f"a package of {entry.words or entry.name} from a source that you trust to run programs",
            remedy="If you made it, or know who did and verified the signature, add --trust",
        )


if __name__ == "__main__":
    serve_job(CHECK_ACTING.done_by(work))
