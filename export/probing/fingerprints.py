"""Fingerprints of users' models: a hash of the files, or of the versions of the library, and of the outputs."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from assay.registry import LIBRARIES, installed_versions
from assay.store import file_sha256
from assay.train.brought.model import Location
from assay.train.brought.source import source_hash


def fingerprint_of(location: Location, native: NDArray[np.generic]) -> str:
    """Return the hash of a model's files and of its outputs, in hexadecimal digits."""
    return hashlib.sha256((_files_hash(location) + hashlib.sha256(native.tobytes()).hexdigest()).encode()).hexdigest()


def _files_hash(location: Location) -> str:
    if location.is_of_library:
        versions = installed_versions(LIBRARIES[location.library].packages)
        return hashlib.sha256(f"{location} {versions}".encode()).hexdigest()
    if location.form == "function":
        return source_hash(location.path)
    if location.path.is_file():
        return file_sha256(location.path)
    files = sorted(path for path in location.path.rglob("*") if path.is_file())
    return hashlib.sha256("".join(file_sha256(path) for path in files).encode()).hexdigest()
