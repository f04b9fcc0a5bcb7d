"""Shared memory that a client asks the server to read, where `assay serve --shared-memory` allows it."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

from assay.infer.server.front.contract import Contract, RefusedError, shown
from assay.infer.server.front.json_request import check_keys, parsed

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  its place on Linux
KEY = re.compile(r"/[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
LARGEST_BYTES = 2**40


def checked_registration(body: bytes, contract: Contract) -> bytes:
    """Return a request to register a region, rewritten.

    Raises:
        RefusedError: the region is the server's own, belongs to another user, does not exist, or is smaller than
            claimed.
    """
    said = parsed(body)
    check_keys(said, frozenset({"key", "offset", "byte_size"}), "the request")
    key, offset, size = said.get("key"), said.get("offset", 0), said.get("byte_size")
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise RefusedError(f"{shown(key)} is not a name of shared memory, expected letters, digits, '_', '-' and '.'")
    if key[1:].startswith(contract.memory_prefix):
        raise RefusedError(f"{shown(key)} is a server's own shared memory", 403)
    if type(offset) is not int or type(size) is not int or not (0 <= offset <= LARGEST_BYTES and size > 0):
        raise RefusedError("a region of shared memory has an offset and a size, both whole numbers")
    _check_file(key, offset + size)
    return json.dumps({"key": key, "offset": offset, "byte_size": size}).encode()


def _check_file(key: str, end: int) -> None:
    try:
        found = os.lstat(SHARED_MEMORY / key[1:])
    except OSError:
        raise RefusedError(f"Unable to open shared memory region: {shown(key)}") from None
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
        raise RefusedError(f"the shared memory {shown(key)} is another user's", 403)
    if end > found.st_size:
        raise RefusedError(f"the shared memory {shown(key)} has {found.st_size} bytes, expected at least {end}")
