"""The refusal of a deployment's model file that could act, before anything opens it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from assay.bench.machine.host import LOCAL
from assay.boxed.boxing import Box
from assay.export.served.acting_job import CHECK_ACTING, ActingRequest, refuse_code
from assay.jobs.host import Starter
from assay.jobs.running import run_job
from assay.records.deployment import served_by
from assay.steps import Limit, load_seconds, size_of
from assay.store import file_sha256

_found_harmless: set[tuple[str, str]] = set()
"""Runtimes and contents that this process has checked, so that one command checks a file only once."""


def refuse_what_acts(path: Path, runtime: str, host: Starter = LOCAL, *, trusted: bool = False) -> None:
    """Check a file in a process of its own, if its format is one that could act.

    Args:
        runtime: the runtime that serves it, as recorded in a deployment's version.
        trusted: whether it may act.

    Raises:
        InputError: the file could act, or is damaged.
        NotInstalledError: its framework is missing.
    """
    if trusted:
        return
    refuse_code(path, runtime)
    if not served_by(runtime).checker:
        return
    known = (runtime, file_sha256(path) if path.is_file() else "")
    if known in _found_harmless:
        return
    with tempfile.TemporaryDirectory(prefix="assay-acting-") as text:
        run_job(
            CHECK_ACTING,
            ActingRequest(path=path, runtime=runtime),
            Path(text) / "acting.log",
            limit_seconds=Limit(load_seconds(size_of(path)), "Inspecting the file that is served"),
            box=Box(),
            host=host,
        )
    _found_harmless.add(known)
