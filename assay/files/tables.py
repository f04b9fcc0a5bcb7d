"""Tables in Parquet, written whole or not at all, and read from a file of any name.

Polars takes a path with brackets or stars for a pattern, and one with a colon for an address, so it is given open
files.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import polars

from assay.errors import ArtifactError
from assay.files.arrays import most_bytes
from assay.files.texts import read_bytes
from assay.files.upgrades import name_of_today
from assay.records.results import Results
from assay.store import write_atomically

BYTES_PER_VALUE = 16
"""Bytes that a number or a short text takes in memory, including copies made on the way."""


def write_table(path: Path, table: polars.DataFrame) -> None:
    """Write a table; readers see the old one until the new one is complete.

    Raises:
        DiskError: the place cannot be written.
    """
    write_atomically(path, table_bytes(table))


def table_bytes(table: polars.DataFrame) -> bytes:
    """Return a table as the bytes of a Parquet file."""
    stream = io.BytesIO()
    table.write_parquet(stream)
    return stream.getvalue()


def read_table(path: Path) -> polars.DataFrame:
    """Read a table.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    return _parsed(path, _content(path))


def read_table_of(results: Results, path: Path) -> polars.DataFrame:
    """Read a table that was written with a record of results.

    Raises:
        ArtifactError: it is missing or damaged, or belongs to another run than the record.
    """
    content = _content(path)
    written, found = results.tables.get(path.name), hashlib.sha256(content).hexdigest()
    if written not in {None, found}:
        raise ArtifactError(
            f"{path} and the results beside it are from different runs",
            expected=f"sha256 {written[:12]}..." if written else None,
            found=f"sha256 {found[:12]}...",
            remedy="A run may have been writing them, or was stopped while it did: try again, or run the study again",
        )
    table = _parsed(path, content)
    names = table["cell"].unique().to_list() if table.schema.get("cell") == polars.String else []
    renamed = {name: name_of_today(name) for name in names if name}
    return table.with_columns(polars.col("cell").replace(renamed)) if names else table


def _content(path: Path) -> bytes:
    try:
        return read_bytes(path, most_bytes())
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read", found=error.strerror) from error


def _check_declared(path: Path, content: bytes) -> None:
    """Refuse a file of some kilobytes that declares 10^10 rows, since Parquet stores repeated values by their count.

    Raises:
        ArtifactError: memory cannot hold them.
    """
    columns = max(1, len(polars.read_parquet_schema(io.BytesIO(content))))
    rows = polars.scan_parquet(io.BytesIO(content)).select(polars.len()).collect().item()
    most = most_bytes() // (columns * BYTES_PER_VALUE)
    if rows > most:
        raise ArtifactError(
            f"{path} would need more memory than is available",
            expected=f"a table of at most {most:,} rows",
            found=f"{rows:,}",
        )


def _parsed(path: Path, content: bytes) -> polars.DataFrame:
    try:
        _check_declared(path, content)
        return polars.read_parquet(io.BytesIO(content))
    except polars.exceptions.PolarsError as error:
        raise ArtifactError(f"{path} cannot be read", found=" ".join(str(error).split())[:200]) from error
