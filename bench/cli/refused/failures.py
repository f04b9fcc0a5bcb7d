"""The message when a command fails on its input or on the machine, and refusals at the start."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable

from typer import Abort
from typer.exceptions import TyperException

from assay.bench.cli.refused.usage import told_of_usage
from assay.errors import AssayError, InputError
from assay.files.disk import disk_error_in
from assay.toolenv import CACHE_VARIABLE


def check_names(arguments: Iterable[str]) -> None:
    """Refuse names of files that are not UTF-8, before any work: neither records nor frameworks can hold them.

    Raises:
        InputError: an argument, the working folder or the one for temporary files or caches has such a name.
    """
    for name in (*arguments, _here(), tempfile.gettempdir(), os.environ.get(CACHE_VARIABLE, "")):
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            raise InputError(
                f"The name {os.fsencode(name)!r} cannot be used",
                expected="UTF-8",
                found="bytes that are not",
                remedy="Rename the file or folder",
            ) from None


def told_of(error: Exception) -> AssayError | None:
    """Return an error in the form that is shown: ours, the command line's, the disk's, or the system's about a file.

    Returns None for a mistake in this program.
    """
    if isinstance(error, AssayError):
        return error
    if isinstance(error, TyperException):
        return told_of_usage(error)
    if isinstance(error, Abort):
        return InputError("A question was not answered", remedy="Nothing was done; run the command again")
    found = disk_error_in(error)
    if found is None and isinstance(error, OSError):
        what = f"{os.fsdecode(error.filename)} cannot be used" if error.filename else "The system refused an operation"
        remedy = "Another program may have removed or changed it in the meantime; finished work is kept"
        return InputError(what, found=error.strerror or str(error), remedy=remedy)
    return found


def flush() -> None:
    """Write out standard output while a failure can still be reported.

    Raises:
        OSError: it cannot be written; the rest of it is given up, so that the interpreter does not try again.
    """
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        raise


def _here() -> str:
    """Return the working folder.

    Raises:
        InputError: the folder is gone.
    """
    try:
        return os.getcwd()
    except OSError as error:
        raise InputError("The current folder no longer exists", found=error.strerror) from error
