"""The measurements of a search, saved line by line while it runs, so that a stopped search can continue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import FiniteFloat, ValidationError

from assay.errors import ArtifactError
from assay.files.texts import read_text
from assay.records.base import Record
from assay.records.localisation import Tried
from assay.store import reporting_disk_errors

FILE = "tried.jsonl"


class _Line(Record):
    """A layer's error alone in int8, or a set of layers in fp32."""

    alone: str | None = None
    error: FiniteFloat | None = None
    tried: Tried | None = None


class Notebook:
    """Makes measurements that were not made before, and writes them down.

    Args:
        folder: folder of this search alone, created if missing. Unreadable lines, such as one that was cut off, are
            measured again.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._alone: dict[str, float] = {}
        self._tried: dict[frozenset[str], Tried] = {}
        with reporting_disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        for line in self._lines():
            if line.alone is not None and line.error is not None:
                self._alone[line.alone] = line.error
            if line.tried is not None:
                self._tried[frozenset(line.tried.left)] = line.tried

    def alone(self, layer: str, measure: Callable[[], float]) -> float:
        """Return a layer's error alone in int8."""
        if layer not in self._alone:
            self._alone[layer] = measure()
            self._write(_Line(alone=layer, error=self._alone[layer]))
        return self._alone[layer]

    def tried(self, left: Sequence[str], measure: Callable[[], Tried]) -> Tried:
        """Return the result for a file with these layers in fp32, which are named in the given order."""
        key = frozenset(left)
        if key not in self._tried:
            self._tried[key] = measure()
            self._write(_Line(tried=self._tried[key]))
        return self._tried[key].model_copy(update={"left": list(left)})

    def _write(self, line: _Line) -> None:
        with reporting_disk_errors(self._file), self._file.open("a", encoding="utf-8") as stream:
            stream.write(line.model_dump_json(exclude_none=True) + "\n")

    def _lines(self) -> list[_Line]:
        try:
            text = read_text(self._file)
        except (FileNotFoundError, ArtifactError, UnicodeDecodeError):
            return []
        return [line for one in text.splitlines() if (line := _read(one))]


def _read(text: str) -> _Line | None:
    try:
        return _Line.model_validate_json(text)
    except ValidationError:
        return None
