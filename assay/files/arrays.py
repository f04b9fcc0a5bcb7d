"""Arrays in numpy's files, read only after their headers have said what they are and how much memory they need.

A header of 100 bytes may declare 10^10 numbers, and a zip of 3 MB may hold 3 GB of zeros. So the header comes first:
no objects (they are pickles, which run code), no more bytes than the file has, and no more than a share of the memory
that is free. Every array that Assay reads is read here; `tests/assay/files/test_arrays_on_disk.py` holds that.
"""

from __future__ import annotations

import ast
import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from assay.boxed.platform import available_bytes
from assay.errors import ArtifactError, InputError
from assay.files.mistakes import mistake_in
from assay.files.texts import check_plain

Array = NDArray[Any]

SHARE_OF_MEMORY = 0.25
"""The share of the free memory that arrays may take; most arrays are copied once while they are read."""
INFLATION, INFLATION_FLOOR = 50, 256 << 20
"""The factor by which a compressed file may grow, and the bytes above which that counts: honest arrays are smaller or
denser.
"""
MOST_ARRAYS = 10_000
ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")  # with members, and without
LONGEST_HEADER = 1 << 18
"""The longest header of an array of records, which has every name of a model. numpy's own limit, 10,000, is too small
for one long name.
"""
EXPECTED_ARRAY, EXPECTED_ARRAYS = "an array written by numpy.save", "arrays written by numpy.savez"
DAMAGE = (
    OSError, ValueError, EOFError, SyntaxError, KeyError, TypeError, RuntimeError, MemoryError, zipfile.BadZipFile,
    zlib.error, tokenize.TokenError,
)  # fmt: skip
"""Errors that numpy, zipfile and zlib raise for a damaged file; RuntimeError for an encrypted one. The parser raises
RuntimeError and MemoryError too, for a header with endless nesting.
"""


def most_bytes(share: float = SHARE_OF_MEMORY) -> int:
    """Return how many bytes a file may declare: a share of the memory that is free now."""
    return int(share * available_bytes())


def load_array(path: Path) -> Array:
    """Read the array of an .npy file.

    Raises:
        ArtifactError: it is missing or damaged, holds objects, is not as long as it says, or is too large.
    """
    check_plain(path)
    with _reporting(path, EXPECTED_ARRAY), path.open("rb") as stream:
        _check_whole(path, stream)
        _check_size(path, os.fstat(stream.fileno()).st_size)
        return np.lib.format.read_array(stream, allow_pickle=False, max_header_size=LONGEST_HEADER)


def map_array(path: Path) -> Array:
    """Open the array of an .npy file and leave it on disk: pages are loaded as they are read, and none is written.

    Raises:
        ArtifactError: it is missing or damaged, holds objects, or is not as long as it says.
    """
    check_plain(path)
    with _reporting(path, EXPECTED_ARRAY):
        with path.open("rb") as stream:
            shape = _check_whole(path, stream)
        if 0 in shape:  # nothing that could be mapped
            return load_array(path)
        mapped: Array = np.lib.format.open_memmap(path, mode="r", max_header_size=LONGEST_HEADER)
        return mapped


def load_arrays(path: Path) -> dict[str, Array]:
    """Read the arrays of an .npz file, by name.

    Raises:
        ArtifactError: it is missing or damaged, or an array holds objects, is not as long as it says, or is too large.
    """
    check_plain(path)
    with _reporting(path, EXPECTED_ARRAYS), zipfile.ZipFile(path) as bundle:
        check_inflation(path, bundle)
        return {member.removesuffix(".npy"): read_member(path, bundle, member) for member in bundle.namelist()}


def check_inflation(path: Path, bundle: zipfile.ZipFile, at_most: int | None = None) -> None:
    """Refuse a zip whose members declare more than memory holds, grow by more than honest ones do, or share a name.

    Args:
        at_most: bytes that all of them together may take; a share of the free memory by default.

    Raises:
        ArtifactError: one of these is so.
    """
    _check_begins_as_zip(path)
    entries = bundle.infolist()
    names = [entry.filename for entry in entries]
    if len(entries) > MOST_ARRAYS or len(set(names)) < len(names):
        raise ArtifactError(
            f"{path} has members with the same name",
            expected=f"at most {MOST_ARRAYS} members, each with a different name",
            found=f"{len(names)} members under {len(set(names))} names",
        )
    total = sum(entry.file_size for entry in entries)
    _check_size(path, total, at_most)
    packed = path.stat().st_size
    if total > max(INFLATION_FLOOR, INFLATION * packed):
        raise ArtifactError(
            f"{path} grows out of proportion when it is unpacked",
            expected=f"at most {INFLATION} times its {_size(packed)}, or {_size(INFLATION_FLOOR)}",
            found=_size(total),
            remedy="Save it with numpy.savez, which does not compress",
        )


def _check_begins_as_zip(path: Path) -> None:
    """Refuse a zip with something before it: other readers may take that for the file.

    Raises:
        ArtifactError: it has.
    """
    with path.open("rb") as stream:
        start = stream.read(len(ZIP_STARTS[0]))
    if start not in ZIP_STARTS:
        raise ArtifactError(
            f"{path} is not a plain zip file",
            expected="the first member at the beginning of the file",
            found=repr(start),
        )


def check_call(shapes: dict[str, tuple[tuple[int, ...], int]], what: str) -> None:
    """Refuse inputs that one call could not hold in memory.

    Args:
        shapes: each input's shape and the bytes of one of its numbers, by name.

    Raises:
        InputError: one of them takes more than a share of the free memory, or all together do.
    """
    total, most = 0, most_bytes()
    for name, (shape, width) in shapes.items():
        total += math.prod(shape) * width
        if total > most:
            raise InputError(
                f"{what}: one call would need more memory than is available, with input '{name}'",
                expected=f"at most {_size(most)}, a quarter of the free memory",
                found=f"{' x '.join(map(str, shape))}, {_size(total)} in all",
            )


def read_member(path: Path, bundle: zipfile.ZipFile, member: str) -> Array:
    """Read one array of an .npz file that is open.

    Raises:
        ArtifactError: it holds objects, is not as long as it says, or is too large.
        ValueError: it is not an array.
    """
    size = bundle.getinfo(member).file_size
    _check_size(path, size)
    with bundle.open(member) as stream:
        shape, dtype = _header(path, stream)
        _check_length(path, f", {member},", shape, math.prod(shape) * dtype.itemsize, size - stream.tell())
    with bundle.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False, max_header_size=LONGEST_HEADER)


def _check_whole(path: Path, stream: IO[bytes]) -> tuple[int, ...]:
    """Read the header of a file and go back to its start.

    Returns:
        The shape.

    Raises:
        ArtifactError: it holds objects, or is not as long as it says.
    """
    shape, dtype = _header(path, stream)
    there = os.fstat(stream.fileno()).st_size - stream.tell()
    _check_length(path, "", shape, math.prod(shape) * dtype.itemsize, there)
    stream.seek(0)
    return shape


def _read_header_3_0(stream: IO[bytes], max_header_size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the format of header that numpy writes for a field name that is not Latin; numpy has no public reader for
    it.

    Raises:
        ValueError, SyntaxError, TypeError, KeyError: it is none.
    """
    length = int.from_bytes(stream.read(4), "little")
    if length > max_header_size:
        raise ValueError(f"a header of {length} bytes")
    told = ast.literal_eval(stream.read(length).decode("utf-8"))
    if not isinstance(told, dict) or told.keys() != {"descr", "fortran_order", "shape"}:
        raise ValueError("a header that does not declare an array")
    shape = told["shape"]
    if not isinstance(shape, tuple) or not all(type(size) is int for size in shape):
        raise ValueError(f"a shape of {shape!r}"[:100])
    return shape, bool(told["fortran_order"]), np.lib.format.descr_to_dtype(told["descr"])


def _header(path: Path, stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    readers: dict[tuple[int, int], Callable[..., tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
        (3, 0): _read_header_3_0,
    }
    if version not in readers:
        raise ValueError(f"numpy's format {'.'.join(map(str, version))}, which Assay does not read")
    shape, _, dtype = readers[version](stream, max_header_size=LONGEST_HEADER)
    if dtype.hasobject:
        raise ArtifactError(
            f"{path} holds Python objects, not numbers",
            expected="numbers",
            found=f"dtype {dtype}",
            remedy="Objects are refused: they are stored as pickles, which run code when they are read",
        )
    if any(size < 0 for size in shape):
        raise ValueError(f"a shape of {shape}")
    return tuple(map(int, shape)), dtype


def _check_length(path: Path, member: str, shape: tuple[int, ...], declared: int, there: int) -> None:
    if declared != there:
        raise ArtifactError(
            f"{path}{member} does not contain the data that its header declares",
            expected=f"{' x '.join(map(str, shape)) or 'one number'}, {declared:,} bytes",
            found=f"{there:,} bytes",
        )


def _check_size(path: Path, declared: int, at_most: int | None = None) -> None:
    most = most_bytes() if at_most is None else at_most
    if declared > most:
        raise ArtifactError(
            f"{path} would need more memory than is available",
            expected=f"at most {_size(most)}" + (", a quarter of the free memory" if at_most is None else ""),
            found=_size(declared),
        )


@contextmanager
def _reporting(path: Path, expected: str) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        found = "nothing" if isinstance(error, FileNotFoundError) else mistake_in(error)[:300]
        raise ArtifactError(f"{path} cannot be read", expected=expected, found=found or type(error).__name__) from error


def _size(number: int) -> str:
    return f"{number / 2**30:,.1f} GiB" if number >= 2**30 else f"{number / 2**20:,.1f} MiB"
