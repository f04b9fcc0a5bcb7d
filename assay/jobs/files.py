"""The files of a request, those read and those written, so that a host elsewhere can send and fetch them.

A path in a request or an answer is the conductor's; the process is sent the path under which it has the file. A field
for a path that a process writes has the type `Written`; all other files exist before the request.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Kind = TypeVar("Kind", bound=BaseModel)
Written = Annotated[Path, "written"]
"""A file or folder that the process writes, or adds to."""
Change = Callable[[Path, bool], Path]
PLAIN = {str, int, float, bool, type(None)}


class Files(Protocol):
    """A host's mapping between the conductor's files and those of its processes."""

    def there(self, path: Path, written: bool) -> Path:
        """Return the path under which a process has a file, which is sent there first if it is missing.

        Args:
            written: whether the process writes the file, or adds to it.
        """

    def here(self, path: Path) -> Path:
        """Return the conductor's path of a file that a process has."""

    def fetch(self, path: Path) -> None:
        """Bring a file that a process wrote to the conductor's path."""


def mapped(record: Kind, change: Change) -> Kind:
    """Return the same record with every path in it changed; `change` is also told whether the process writes the
    path.
    """
    fields = _fields(type(record))
    found = {name: _mapped(getattr(record, name), change, written) for name, written in fields.items()}
    return record.model_copy(update=found)


def written_by(record: BaseModel) -> Iterator[Path]:
    """Iterate over the paths that a process writes for this request."""
    paths: list[Path] = []

    def note(path: Path, written: bool) -> Path:
        if written:
            paths.append(path)
        return path

    mapped(record, note)
    return iter(paths)


@cache
def _fields(kind: type[BaseModel]) -> dict[str, bool]:
    """By name of a field, whether the process writes the path in it."""
    return {name: _is_written(field) for name, field in kind.model_fields.items()}


def _is_written(field: FieldInfo) -> bool:
    """Check whether a field is `Written`, or `Written | None`."""
    below = [mark for kind in get_args(field.annotation) for mark in getattr(kind, "__metadata__", ())]
    return "written" in [*field.metadata, *below]


def _mapped(value: Any, change: Change, written: bool) -> Any:
    return value if type(value) in PLAIN else _mapped_within(value, change, written)


def _mapped_within(value: Any, change: Change, written: bool) -> Any:
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
