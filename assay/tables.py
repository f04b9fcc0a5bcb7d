"""Tables in Parquet: written whole or not at all, and read from a file of any name.

Polars takes a path with brackets or stars for a pattern, and one with a colon for an address; an open file is neither.
"""

from __future__ import annotations

import io
from pathlib import Path

import polars

from assay.errors import ArtifactError
from assay.store import write_atomically


def write_table(path: Path, table: polars.DataFrame) -> None:
    """Write a table; readers see the old one until the new one is complete.

    Raises:
        DiskError: the place cannot be written.
    """
    write_atomically(path, table_bytes(table))


def table_bytes(table: polars.DataFrame) -> bytes:
    """A table as a Parquet file."""
    stream = io.BytesIO()
    table.write_parquet(stream)
    return stream.getvalue()


def read_table(path: Path) -> polars.DataFrame:
    """Read a table.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    try:
        with path.open("rb") as stream:
            return polars.read_parquet(stream)
    except (polars.exceptions.PolarsError, OSError) as error:
        raise ArtifactError(f"{path} cannot be read", found=" ".join(str(error).split())[:200]) from error
