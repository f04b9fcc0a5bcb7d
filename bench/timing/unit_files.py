"""Stored parts of a unit: its files, the facts about it, and everything that determines its measurements."""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import polars
from pydantic import JsonValue, TypeAdapter

from assay.bench.timing.room import facts_of_all, run_after
from assay.bench.timing.trials import AUDITED_IMAGES, CellFacts, Group, Tell, Unit
from assay.files.disk import TEMPORARY
from assay.files.tables import write_table
from assay.fingerprint import Fingerprint
from assay.records.base import Record
from assay.registry import RUNTIMES
from assay.store import file_sha256, reporting_disk_errors

SAMPLES_FILE, BURSTS_FILE, FACTS_FILE = "samples.parquet", "bursts.parquet", "facts.json"
KIND = "unit"
CELL_FACTS = TypeAdapter(list[CellFacts])
RECORDS = 5  # raised when a unit records more than before, so that older ones are measured again


class UnitFacts(Record):
    """Facts about a finished unit.

    Attributes:
        seconds: seconds that it took.
        least_seconds: seconds without the blocks beyond the least number.
        spent: seconds of single candidates by label, and of each by batch, see `assay.bench.timing.trials.Unit`.
        try_again: whether it lacks times since somebody else ended a process of it.
    """

    group: str
    process: int
    seconds: float
    least_seconds: float
    spent: dict[str, dict[str, float]]
    try_again: bool = False


def fill_unit(unit: Unit, tell: Tell) -> dict[str, JsonValue]:
    """Run one unit and keep what it gave."""
    begun, folder = time.monotonic(), unit.folder
    least = unit.run(tell)
    after = run_after(unit, tell)
    units = [unit, *after]
    write_table(folder / SAMPLES_FILE, polars.concat([one.samples() for one in units]))
    write_table(folder / BURSTS_FILE, polars.concat([one.burst_table() for one in units], how="diagonal"))
    facts = [fact.model_dump(mode="json") for fact in facts_of_all(unit, after)]
    (folder / FACTS_FILE).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    spent: dict[str, dict[str, float]] = {}
    for label, mine in (pair for one in units for pair in one.spent.items()):
        spent.setdefault(label, {}).update({str(batch): seconds for batch, seconds in mine.items()})
    return UnitFacts(
        group=unit.group.name,
        process=unit.process,
        seconds=time.monotonic() - begun,
        least_seconds=least,
        spent=spent,
        try_again=any(fact.ended_from_outside for fact in unit.facts),
    ).model_dump(mode="json")


def inputs_of(group: Group, process: int, machine: Fingerprint) -> dict[str, JsonValue]:
    """All that determines what a unit measures."""
    candidates: list[JsonValue] = []
    for candidate in group.candidates:
        model = candidate.model
        file = model.onnx if RUNTIMES[candidate.runtime].runs_files else model.weights
        candidates.append(
            {
                "label": candidate.label,
                "file": file_sha256(file) if file else candidate.model.fingerprint,
                **({"program": model.program_key} if model.program_key else {}),
                "versions": dict(RUNTIMES[candidate.runtime].versions()),
                "python": str(candidate.python or ""),
            }
        )
    more: dict[str, JsonValue] = {} if group.audited == AUDITED_IMAGES else {"audited": group.audited}
    if group.others:
        more["others"] = [file_sha256(one) for one in group.others]
    return more | {
        "records": RECORDS,
        "machine": machine.key,
        "group": group.name,
        "candidates": candidates,
        "batches": list(group.batches),
        "settings": json.loads(json.dumps(asdict(group.settings))),
        "images": file_sha256(group.images),
        "process": process,
    }


@contextmanager
def fresh_folder(beside: Path) -> Iterator[Path]:
    """An empty folder for compilers' caches, so that a cold start is cold; gone afterwards."""
    with reporting_disk_errors(beside):
        beside.mkdir(parents=True, exist_ok=True)
        plain = shlex.quote(str(beside.resolve())) == str(beside.resolve())
        place = beside if plain else None  # PyTorch's compiler splits its commands at spaces and quotes of a path
        folder = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=place)).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
