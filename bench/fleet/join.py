"""Several runs as one: grouped by kind of machine, and written into a folder with the original runs."""

from __future__ import annotations

import re
import shutil
import string
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from assay import __version__
from assay.bench.fleet.cells import OfKind, cells_of_kind, with_front
from assay.bench.fleet.differences import check_joinable
from assay.bench.fleet.races import races_of_kinds
from assay.bench.fleet.runs import RunApart, by_machine
from assay.bench.timing.unit_files import BURSTS_FILE, SAMPLES_FILE
from assay.fleet.joined import JOINED_FILE, RUNS, Joined, JoinedKind, JoinedRun
from assay.fleet.kind import short_names
from assay.fleet.prices import Prices
from assay.records.audit import AUDIT_FILE
from assay.records.results import RESULTS_FILE, Results
from assay.store import Store, file_sha256, reporting_disk_errors, write_atomically

KEPT = (RESULTS_FILE, SAMPLES_FILE, BURSTS_FILE, AUDIT_FILE)
"""Files of a run that are kept, where it has them."""
KIND_OF_ARTIFACT = "run"


def join(
    runs: Sequence[RunApart],
    out: Path,
    prices: Prices | None = None,
    allowed: Collection[str] = (),
    *,
    least: int = 2,
) -> Joined:
    """Join runs and write them with their record into a folder.

    Args:
        prices: prices of the kinds of machines.
        allowed: permitted differences, see `assay.bench.fleet.differences.check_joinable`.
        least: fewest runs.

    Raises:
        InputError: the runs cannot be joined, or the folder cannot be written.
    """
    meant = check_joinable(runs, allowed, least=least)
    names = [_keep(run, Store(out / RUNS)) for run in runs]
    joined = joined_of(runs, names, prices or Prices(per_hour={}), meant)
    write_atomically(out / JOINED_FILE, joined.model_dump_json(indent=1).encode())
    return joined


def joined_of(runs: Sequence[RunApart], names: Sequence[str], prices: Prices, meant: Sequence[str]) -> Joined:
    """Return the record of runs that may be joined.

    Args:
        names: names of the runs' folders.
        meant: permitted differences, in words.
    """
    kinds, letters = _kinds(runs, prices)
    by_key = {run.kind.key: run.kind for run in runs}
    called = short_names(by_key.values())
    cells = [(kind, cells_of_kind(kind)) for kind in kinds]
    first = runs[0].results
    return Joined(
        study=first.study,
        title=first.title,
        task=first.task,
        data=f"{first.data.name} {first.data.content_hash}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        assay_version=__version__,
        currency=prices.currency,
        allowed=list(meant),
        runs=[_run(run, name, letters[run.machine]) for run, name in zip(runs, names, strict=True)],
        kinds=[
            JoinedKind(
                key=kind.key,
                name=called[kind.key],
                kind=by_key[kind.key],
                machines=len(kind.machines),
                price_per_hour=kind.price_per_hour,
            )
            for kind in kinds
        ],
        cells=with_front([cell for _, some in cells for cell in some]),
        races=races_of_kinds(cells),
    )


def _kinds(runs: Sequence[RunApart], prices: Prices) -> tuple[list[OfKind], dict[str, str]]:
    """Return the kinds in the order of the runs, and the letter of each machine of its kind."""
    letters: dict[str, str] = {}
    found: dict[str, dict[str, list[RunApart]]] = {}
    for machine, some in by_machine(runs).items():
        of_kind = found.setdefault(some[0].kind.key, {})
        letters[machine] = _letter(len(of_kind))
        of_kind[letters[machine]] = some
    kinds = [OfKind(key, machines, prices.of(next(iter(machines.values()))[0].kind)) for key, machines in found.items()]
    return kinds, letters


def _letter(number: int) -> str:
    """Return a letter: A, B, ..., Z, A1, B1, ..."""
    rounds, place = divmod(number, len(string.ascii_uppercase))
    return f"{string.ascii_uppercase[place]}{rounds or ''}"


def _run(run: RunApart, name: str, letter: str) -> JoinedRun:
    return JoinedRun(
        name=name,
        created=run.results.created,
        assay_version=run.results.assay_version,
        kind=run.kind.key,
        machine=letter,
        ruler_passed=run.results.selfcheck.passed if run.results.selfcheck else None,
        ceilings=_ceilings(run.results),
    )


def _ceilings(results: Results) -> dict[str, float]:
    """Return the rates of a run's machine at the fewest threads that they were measured with."""
    if not results.ceilings:
        return {}
    least = min(results.ceilings, key=lambda one: one.threads)
    found = {f"{precision} GFLOP/s": rate.best for precision, rate in least.gflop_s.items()}
    memory = next((one for one in least.bandwidths if one.level == "memory"), None)
    return found | ({"memory GB/s": memory.gb_s.best} if memory else {})


def _keep(run: RunApart, store: Store) -> str:
    """Return the name of a run's folder, by content, so that it is not copied when joined again."""
    files = [name for name in KEPT if (run.folder / name).is_file()]
    inputs: dict[str, JsonValue] = {"files": {name: file_sha256(run.folder / name) for name in files}}

    def fill(work: Path) -> dict[str, JsonValue]:
        for name in files:
            shutil.copyfile(run.folder / name, work / name)
        return {}

    with reporting_disk_errors(store.folder):
        called = re.sub(r"[^a-z0-9]+", "-", run.folder.name.lower()).strip("-")[:40]
        return store.kept(KIND_OF_ARTIFACT, inputs, fill, name=called).folder.name
