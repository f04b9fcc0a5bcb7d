"""Which units are run in which order within the time budget, and which are finished already."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import cast

import polars
from pydantic import JsonValue

from assay.registry import RUNTIMES, installed_versions
from assay.results import SAMPLE_COLUMNS
from assay.store import Artifact, artifact_key, file_sha256, find_artifact, write_artifact
from bench.trials import CellFacts, Group, Limits, Tell, Unit, logits_name

SAMPLES_FILE, FACTS_FILE = "samples.parquet", "facts.json"


@dataclass(frozen=True)
class Budget:
    """What timing may cost.

    Attributes:
        seconds: in all, start-up of the workers included, over all sittings.
        processes: fresh processes for each cell, fewer where the seconds do not suffice.
        call_seconds: for one load or one call.
        blocks: most blocks in one process.
    """

    seconds: float
    processes: int
    call_seconds: float
    blocks: int


@dataclass(frozen=True)
class Measured:
    """All units of a study: the samples, what each process told, and the seconds they took."""

    samples: polars.DataFrame
    facts: list[CellFacts]
    logits: dict[str, Path]
    seconds: float


def measure(groups: list[Group], budget: Budget, folder: Path, tell: Tell) -> Measured:
    """Run every unit that is not finished, all groups once before any for the second time.

    A unit gets the seconds that its own least work took the first time, and an equal share of what is left beyond
    that. When the budget ends, what has no process yet is recorded as skipped.
    """
    units: list[Artifact] = []
    plan = [(process, group) for process in range(budget.processes) for group in groups]
    with _fresh_folder(folder) as compile_cache:
        for place, (process, group) in enumerate(plan):
            spent = sum(_seconds(unit) for unit in units)
            left = budget.seconds - spent
            inputs = _inputs(group, process)
            where = folder / f"{group.name.replace('/', '-')}-p{process}-{artifact_key('unit', inputs)[:12]}"
            finished = find_artifact(where, "unit", inputs)
            least = _least_seconds(units, group)
            if finished:
                units.append(finished)
            elif process == 0 or left > least:
                later = sum(_least_seconds(units, other) for _, other in plan[place:])
                share = least + max(left - later, 0) / (len(plan) - place)
                now = time.monotonic()
                limits = Limits(share=now + share, end=now + left, call=budget.call_seconds, blocks=budget.blocks)
                fill = partial(_fill, group, process, limits, compile_cache, tell)
                units.append(write_artifact(where, "unit", inputs, made_by={}, fill=fill))
    return _gathered(units)


def _fill(
    group: Group, process: int, limits: Limits, compile_cache: Path, tell: Tell, folder: Path
) -> dict[str, JsonValue]:
    """Run one unit and keep what it gave."""
    begun = time.monotonic()
    unit = Unit(group, process, limits, folder, compile_cache)
    least = unit.run(tell)
    unit.samples().write_parquet(folder / SAMPLES_FILE)
    facts = [fact.model_dump(mode="json") for fact in unit.facts]
    (folder / FACTS_FILE).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return {"group": group.name, "seconds": time.monotonic() - begun, "least_seconds": least}


def _inputs(group: Group, process: int) -> dict[str, JsonValue]:
    """All that determines what a unit measures."""
    candidates: list[JsonValue] = []
    for candidate in group.candidates:
        file = candidate.model.weights if RUNTIMES[candidate.runtime].framework != "onnx" else candidate.model.onnx
        candidates.append(
            {
                "label": candidate.label,
                "file": file_sha256(file) if file else "",
                "versions": dict(installed_versions(RUNTIMES[candidate.runtime].packages)),
            }
        )
    return {
        "group": group.name,
        "candidates": candidates,
        "batches": list(group.batches),
        "settings": cast("JsonValue", json.loads(json.dumps(asdict(group.settings)))),
        "images": file_sha256(group.images),
        "process": process,
    }


def _seconds(unit: Artifact) -> float:
    return cast("float", unit.manifest.facts["seconds"])


def _least_seconds(units: list[Artifact], group: Group) -> float:
    """What the first process of a group needed for starting, warming and its first blocks; 0 when unknown."""
    same = [unit for unit in units if unit.manifest.facts["group"] == group.name]
    return cast("float", same[0].manifest.facts["least_seconds"]) if same else 0.0


def _gathered(units: list[Artifact]) -> Measured:
    facts, logits, samples = [], {}, [polars.DataFrame(schema=SAMPLE_COLUMNS)]
    for unit in units:
        samples.append(polars.read_parquet(unit.file(SAMPLES_FILE)))
        for record in json.loads(unit.file(FACTS_FILE).read_text(encoding="utf-8")):
            fact = CellFacts.model_validate(record)
            facts.append(fact)
            if logits_name(fact.cell) in unit.manifest.files:
                logits[fact.cell] = unit.file(logits_name(fact.cell))
    return Measured(polars.concat(samples), facts, logits, sum(_seconds(unit) for unit in units))


@contextmanager
def _fresh_folder(beside: Path) -> Iterator[Path]:
    """An empty folder for compilers' caches, so that a cold start is cold; gone afterwards."""
    beside.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".compile-cache.", dir=beside)).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
