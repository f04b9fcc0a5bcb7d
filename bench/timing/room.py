"""Candidates that find no room on a GPU beside the others of their unit are run after them, each by itself.

All processes of a unit hold their memory on the GPU while one of them is timed. A large model may then find none left,
when it is loaded or at its first call. It is run once more when the others have ended, with no process beside it. Its
calls are then not interleaved with theirs, which its record says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from assay.bench.timing.trials import CellFacts, Tell, Unit
from assay.bench.timing.workers import Candidate

NO_ROOM = re.compile(
    r"out of memory|oom when allocating|resource_?exhausted|failed to allocate memory|status_alloc_failed",
    re.IGNORECASE,
)
"""The words of CUDA and TensorRT, TensorFlow, JAX, ONNX Runtime, and cuBLAS and cuDNN for a full memory."""
TIMED, AFTER = "timed", "after the others, beside which the GPU had no room for it"


def run_after(unit: Unit, tell: Tell) -> list[Unit]:
    """Run each candidate of a unit, which has ended, that found no room on a GPU; return a unit of each."""
    found = []
    for candidate, batches in _without_room(unit).items():
        tell(f"{unit.group.name}: {candidate.label} by itself, since the GPU had no room for it beside the others")
        part = replace(unit.group, candidates=(candidate,), batches=batches)
        alone = Unit(part, unit.process, unit.limits, unit.folder, unit.compile_cache, unit.host, unit.firsts)
        alone.run(tell)
        found.append(alone)
    return found


def facts_of_all(unit: Unit, after: Sequence[Unit]) -> list[CellFacts]:
    """Return the facts of a unit, in which those of what ran after it replace its failures."""
    said = {TIMED: AFTER}
    again = {
        fact.cell: fact.model_copy(update={"facts": fact.facts | said})
        for one in after
        for fact in one.facts
        if not fact.skipped
    }
    return [again.get(fact.cell, fact) if NO_ROOM.search(fact.reason) else fact for fact in unit.facts]


def _without_room(unit: Unit) -> dict[Candidate, tuple[int, ...]]:
    """Return the candidates that found no room, each with the batches that it lacks; none on the CPU."""
    failed = {fact.cell for fact in unit.facts if NO_ROOM.search(fact.reason)}
    lacking = {
        one: tuple(batch for batch in unit.group.batches if unit.group.cell_name(batch, one.label) in failed)
        for one in unit.group.candidates
        if one.asked_device(unit.group.settings.device) == "cuda"
    }
    return {one: batches for one, batches in lacking.items() if batches} if len(unit.group.candidates) > 1 else {}
