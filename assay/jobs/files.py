"""The files of a request: what a process reads and what it writes, so that a host elsewhere can send and fetch them.

A path in a request or an answer is the conductor's; what crosses is the one under which the process has it. Fields of
what a process writes say so by their type, `Written`; all others are there before it is asked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import BaseModel

Kind = TypeVar("Kind", bound=BaseModel)
Written = Annotated[Path, "written"]
"""A file or folder that the process writes, or adds to."""
Change = Callable[[Path, bool], Path]


class Files(Protocol):
    """Where a host's processes have the conductor's files."""

    def there(self, path: Path, written: bool) -> Path:
        """The path under which a process has it, which is sent there first where it has none.

        Args:
            written: the process writes it, or adds to it.
        """

    def here(self, path: Path) -> Path:
        """The conductor's path of one that a process has."""

    def fetch(self, path: Path) -> None:
        """Bring what a process wrote to the conductor's path."""


def mapped(record: Kind, change: Change) -> Kind:
    """The same record with every path in it changed; `change` is told whether the process writes it."""
    fields = type(record).model_fields
    found = {name: _mapped(getattr(record, name), change, _is_written(fields[name].metadata)) for name in fields}
    return record.model_copy(update=found)


def written_by(record: BaseModel) -> Iterator[Path]:
    """What a process writes that is asked this."""
    paths: list[Path] = []

    def note(path: Path, written: bool) -> Path:
        if written:
            paths.append(path)
        return path

    mapped(record, note)
    return iter(paths)


def _is_written(metadata: list[Any]) -> bool:
    return "written" in metadata


def _mapped(value: Any, change: Change, written: bool) -> Any:
    if isinstance(value, Path):
        return change(value, written)
    if isinstance(value, BaseModel):
        return mapped(value, change)
    if isinstance(value, Mapping):
        return {key: _mapped(one, change, written) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_mapped(one, change, written) for one in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found = {one.name: _mapped(getattr(value, one.name), change, written) for one in dataclasses.fields(value)}
        return dataclasses.replace(value, **found)
    return value
