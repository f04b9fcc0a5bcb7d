"""A metric as a user names it. Nothing is run here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from assay.errors import InputError, missing
from assay.records.base import Record
from assay.registry import METRICS
from assay.train.brought.model import Location
from assay.train.brought.sources import locate_function

Array = NDArray[Any]
Outputs = Mapping[str, Array]
"""Outputs of the same records by name, each (records, ...) in the shape that the model gives it."""
Score = Callable[[Outputs, Any], object]
"""A metric, from outputs and labels to a number; higher is better. The labels are those that the user gave: an array,
or several by name.
"""


class Metric(Record):
    """A metric by its name.

    Attributes:
        name: name in reports.
        library: the library that has it (`assay.registry.METRICS`); "" where it is a function of the user's own.
        location: the file and function of the user's own; None for a library's.
    """

    name: str
    library: str = ""
    location: Location | None = None

    def __str__(self) -> str:
        return f"{self.library}:{self.name}" if self.location is None else str(self.location)


def read_metric(text: str) -> Metric:
    """Read "FILE.py:FUNCTION", "PACKAGE.MODULE:FUNCTION" or "LIBRARY:NAME".

    Raises:
        InputError: it is none of these, or there is no such file.
        NotInstalledError: the library is not installed.
    """
    library, colon, name = text.partition(":")
    if colon and library in METRICS:
        if not name.isidentifier():
            raise InputError(f"--metric {text} names no metric", expected=f"{library}:NAME, {METRICS[library].summary}")
        if lacks := METRICS[library].lacks:
            package = {"sklearn": "scikit-learn"}.get(lacks, lacks)
            raise missing(f"--metric {text}", ModuleNotFoundError(name=lacks), otherwise=f"pip install {package}")
        return Metric(name=name, library=library)
    expected = ", ".join(["FILE.py:FUNCTION", "PACKAGE.MODULE:FUNCTION", *(f"{one}:NAME" for one in METRICS)])
    location = locate_function(text)
    if location is None:
        raise InputError(f"--metric {text} names no function", expected=expected)
    return Metric(name=location.function, location=location)
