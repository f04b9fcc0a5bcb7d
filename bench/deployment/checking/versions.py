"""A check of whether a deployment's runtime is installed here, in the version that was measured and audited."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from importlib.util import find_spec

from pydantic import JsonValue

from assay.errors import NotInstalledError
from assay.records.deployment import served_by, served_runtime

SAME_ANYWAY = frozenset({"numpy"})
"""Packages whose version does not matter: numpy passes on numbers and computes none that were audited."""


def refuse_other_versions(runtime: str, environment: Mapping[str, JsonValue], what: str) -> None:
    """
    Args:
        runtime: the runtime that serves, as recorded in a deployment's version.
        environment: environment of the machine that measured; versions that it lacks are not required.
        what: name of what is served, for the message.

    Raises:
        NotInstalledError: a package is missing, or installed in another version.
    """
    entry = served_runtime(runtime)
    extra = entry.installed_by
    for name in entry.family.packages:
        if find_spec(name) is None:
            remedy = f"pip install 'onnx-assay[{extra}]'" if extra else None
            raise NotInstalledError(
                f"{what} needs {entry.words or entry.name}, and '{name}' is not installed", remedy=remedy
            )
    told = environment.get("packages")
    measured = told if isinstance(told, Mapping) else {}
    for name in served_by(runtime).packages:
        here, wanted = _installed(name), _public(str(measured.get(name, "")))
        if name in SAME_ANYWAY or not wanted or here is None or _public(here) == wanted:
            continue
        raise NotInstalledError(
            f"{what} was measured and audited with another version of {name}",
            expected=wanted,
            found=_public(here),
            remedy=f"pip install '{name}=={wanted}', or measure again with this version",
        )


def _public(version: str) -> str:
    """Return a version without a builder's addition, such as "+cpu"."""
    return version.partition("+")[0]


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
