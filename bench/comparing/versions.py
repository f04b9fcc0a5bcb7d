"""Two versions of one model, measured in turns on the same inputs: what a change to the model did to its speed.

Each version is looked at, exported and checked by itself, as `assay model` does, so that wrong numbers are seen as they
are there. Then every runtime is timed on both in the same blocks, so that what else the machine does falls on both
alike. Ratios are paired by block, and all of them are one family (`assay.bench.comparing.compare.changes_of`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from assay.bench.auditing.cells import Compared
from assay.bench.brought.compare import BLOCKS, check_wanted, command_seconds, compared_in, group_of_model
from assay.bench.brought.decided import decided
from assay.bench.brought.exports import Brought, bring, described, exported
from assay.bench.brought.which_runtimes import timed_on
from assay.bench.brought.work import Wanted, Work
from assay.bench.comparing.compare import CellPair, Outcome, changes_of
from assay.bench.comparing.turns import BASE, NEW, alone, disturbed, pairs_in_turns
from assay.bench.machine.host import LOCAL, Host
from assay.bench.python.given import written_inputs
from assay.bench.stages.groups import on_export
from assay.bench.stages.measure import cells_without_file, measured_cells
from assay.bench.timing.measurements import Measurements
from assay.bench.timing.schedule import Budget
from assay.bench.timing.trials import Group
from assay.bench.words.numbers import significant
from assay.bench.words.progress import Narrator
from assay.errors import InputError
from assay.export.probing.probe import RECORDS_FILE
from assay.files.arrays import load_array
from assay.records.results import Agreement, Cell, Export
from assay.registry import RUNTIMES
from assay.train.brought.arrays import inputs_of


@dataclass(frozen=True)
class LookedAt:
    """One of the two versions: its exports, and what is timed of it."""

    variant: str
    work: Work
    brought: Brought
    exports: list[Export]
    group: Group


def compare_versions(
    base: Wanted, new: Wanted, folder: Path, narrator: Narrator, *, threshold: float, host: Host = LOCAL
) -> Outcome:
    """Measure two versions of a model in turns and judge the second against the first.

    Args:
        base, new: the same but for where the model lies.
        threshold: a slowdown of more than this share is a regression.

    Raises:
        InputError: a version does not load or run, or they are not two of one model.
        NotInstalledError: their framework is missing.
    """
    check_wanted(new, host)
    works = {
        variant: Work(wanted, (folder / variant).resolve(), narrator, host)
        for variant, wanted in ((BASE, base), (NEW, new))
    }
    with narrator.showing():
        sides = [_exported(variant, *one) for variant, one in _on_the_same_inputs(works, folder).items()]
        cells, measured = _measured(sides)
    pairs = pairs_in_turns(cells, measured)
    if not pairs:
        raise InputError(
            "The two versions have nothing in common to compare",
            expected="a runtime that runs both",
            found=f"{', '.join(alone(cells, BASE)) or 'nothing'} and {', '.join(alone(cells, NEW)) or 'nothing'}",
        )
    return Outcome(
        base=str(base.location),
        new=str(new.location),
        interleaved=True,
        threshold=threshold,
        changes=changes_of(pairs, threshold),
        only_in_base=alone(cells, BASE),
        only_in_new=alone(cells, NEW),
        remarks=[_answers(sides), *precisions(pairs), *disturbed(pairs)],
    )


def _on_the_same_inputs(works: dict[str, Work], folder: Path) -> dict[str, tuple[Work, Brought]]:
    """Both versions looked at, with the same records.

    What is drawn depends on the model: where a version takes other numbers for the same inputs (indices into a longer
    table, say), both get what was drawn for base.

    Raises:
        InputError: they take other inputs, or are of two frameworks.
    """
    found = {variant: _looked_at(work, variant) for variant, work in works.items()}
    first, second = (found[variant].model for variant in (BASE, NEW))
    if (first.inputs, first.whole, first.batch, first.kind) != (second.inputs, second.whole, second.batch, second.kind):
        one, other = (_in_words(found[variant]) for variant in (BASE, NEW))
        raise InputError(
            "The two versions do different work, so their times cannot be compared",
            expected=f"as in base, {one}",
            found=other if one != other else f"{other}, whose rows depend on each other in only one of them",
        )
    records, others = (load_array(found[variant].folder / RECORDS_FILE) for variant in (BASE, NEW))
    if records.tobytes() == others.tobytes():
        return {variant: (works[variant], found[variant]) for variant in works}
    shared = {
        one.name: array if one.shared or first.whole else records[one.name]
        for one, array in zip(first.inputs, inputs_of(first, records), strict=True)
    }
    file = written_inputs(shared, list(shared), folder)
    again = {variant: replace(work, wanted=replace(work.wanted, inputs=file)) for variant, work in works.items()}
    return {variant: (work, _looked_at(work, variant)) for variant, work in again.items()}


def _looked_at(work: Work, variant: str) -> Brought:
    with work.stage("model", f"Inspecting {variant}, {work.wanted.location}"):
        return bring(work)


def _in_words(brought: Brought) -> str:
    model = brought.model
    return f"{model.kind} that takes {', '.join(described(model, one) for one in model.inputs)}"


def _exported(variant: str, work: Work, brought: Brought) -> LookedAt:
    if brought.model.kind == "onnx" and not work.wanted.runtimes:  # not every way to run a file
        usual = tuple(one.name for one in RUNTIMES.unasked("model") if one.runs_files)
        work = replace(work, wanted=replace(work.wanted, runtimes=usual))
    audited = decided(work.wanted, brought).records
    with work.stage("export", f"Exporting {variant} to ONNX"):
        brought, exports = exported(work, brought)
    return LookedAt(variant, work, brought, exports, group_of_model(work, brought.model, exports, audited))


def _measured(sides: Sequence[LookedAt]) -> tuple[list[Cell], Measurements]:
    """The cells of both sides, named by their variants, and their samples."""
    group, work = in_turns(sides), sides[-1].work
    wanted = work.wanted
    seconds = max(command_seconds(side.work) for side in sides)
    budget = Budget(wanted.minutes * 60, wanted.processes, seconds, BLOCKS, wanted.interval_width)
    fingerprint = sides[-1].brought.model.fingerprint
    measured, cells = measured_cells(
        work,
        [group],
        budget,
        work.store("units"),
        {group.name: fingerprint},
        partial(_compared, sides, group),
        again=wanted.again,
        show=work.narrator.times,
    )
    return [*cells, *(cell for side in sides for cell in _without_file(side, group))], measured


def in_turns(sides: Sequence[LookedAt]) -> Group:
    """One group of what is timed of all sides, each with its variant, under the last one's name."""
    last = sides[-1].group
    return replace(
        last,
        candidates=tuple(
            replace(one, variant=side.variant) for side in sides for one in side.group.candidates if one.framework
        ),
        refused=tuple(
            (replace(one, variant=side.variant), reason) for side in sides for one, reason in side.group.refused
        ),
    )


def _compared(sides: Sequence[LookedAt], group: Group, measured: Measurements) -> Compared:
    """Every side's numbers against its own float64."""
    images: dict[str, Agreement] = {}
    calls: dict[str, Agreement] = {}
    for side in sides:
        mine = replace(group, candidates=tuple(one for one in group.candidates if one.variant == side.variant))
        of_images, of_calls = compared_in(side.work, side.brought, mine, side.exports, measured)
        images |= of_images
        calls |= of_calls
    return images, calls


def _without_file(side: LookedAt, group: Group) -> list[Cell]:
    model, wanted = side.brought.model, side.work.wanted
    named = replace(group, candidates=side.group.candidates)
    cells = cells_without_file(named, side.exports, partial(on_export, timed_on(wanted, model)))
    return [cell.model_copy(update={"name": f"{cell.name}[{side.variant}]"}) for cell in cells]


def _answers(sides: Sequence[LookedAt]) -> str:
    """How far the versions' own answers to the same inputs are apart: a change on purpose, or none."""
    before, after = (side.brought.native for side in sides)
    if before.shape != after.shape:
        return "The two give outputs of different shapes."
    if np.array_equal(before, after, equal_nan=before.dtype.kind in "fc"):
        return "The two give the same outputs for the same inputs."
    with np.errstate(all="ignore"):
        apart = np.abs(after.astype(np.float64) - before.astype(np.float64))
        share = float(np.nanmax(apart) / max(float(np.nanmax(np.abs(before.astype(np.float64)))), 1e-300))
    return (
        f"Their outputs for the same inputs differ by at most {significant(share * 100, 2)} % of base's largest output."
    )


def precisions(pairs: Sequence[CellPair]) -> list[str]:
    """Runtimes that compute in other precisions on the two: the ratio is then of that too."""
    return [
        f"{pair.new.name} computes in {pair.new.precision}, and in {pair.base.precision} in base."
        for pair in pairs
        if pair.base.host and pair.new.host and pair.base.precision != pair.new.precision
    ]
