"""Obstacles to joining runs: any other difference between them would pass for a difference of machines."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Sequence

from assay.bench.comparing.compare import packages_of
from assay.bench.fleet.runs import RunApart
from assay.errors import InputError
from assay.records.results import Export
from assay.records.trainings import Training

MAY_BE_MEANT = ("packages",)
"""Differences that a user may declare as intended: a machine with a GPU needs other packages than one without."""
SHOWN = 12


def check_joinable(runs: Sequence[RunApart], allowed: Collection[str] = (), *, least: int = 2) -> list[str]:
    """Refuse runs that differ in more than their machines.

    Args:
        allowed: permitted differences, from `MAY_BE_MEANT`.
        least: fewest runs: somebody who names one alone means something else.

    Returns:
        The permitted differences, in words.

    Raises:
        InputError: fewer runs than that, one given twice, an unknown name in `allowed`, no cell in common, or a
            difference, which is named with the runs' folders.
    """
    if len(runs) < least:
        raise InputError("A single run cannot be joined", expected="two runs or more")
    unknown = sorted(set(allowed) - set(MAY_BE_MEANT))
    if unknown:
        raise InputError(
            "--allow names a difference that joined runs must not have",
            expected=", ".join(MAY_BE_MEANT),
            found=", ".join(unknown),
        )
    _check_each_once(runs)
    first, meant = runs[0], []
    for other in runs[1:]:
        for what, differing in DIFFERENCES.items():
            found = differing(first, other)
            if found and what not in allowed:
                raise _refused(what, found, first, other)
            meant += [f"{what}: {found[0]} in {first.folder}, {found[1]} in {other.folder}"] if found else []
    _check_in_common(runs)
    return list(dict.fromkeys(meant))


def _check_in_common(runs: Sequence[RunApart]) -> None:
    """Check that each run shares a cell with another one, or is a part of the same study with other groups."""
    having = Counter(name for run in runs for name in run.cells)
    settings = [json.dumps(run.results.settings, sort_keys=True) for run in runs]
    parts = Counter(settings)
    for one, own in zip(runs, settings, strict=True):
        alone = parts[own] == 1 and all(having[name] == 1 for name in one.cells)
        if alone and len(runs) > 1:
            other = next(run for run in runs if run is not one)
            raise InputError(
                f"{one.folder} has no cell in common with the others",
                expected="the same study on each machine, or groups of one study",
                found=f"{_some(one)}, and {_some(other)}",
            )


def _check_each_once(runs: Sequence[RunApart]) -> None:
    seen: dict[bytes, RunApart] = {}
    for run in runs:
        content = hashlib.sha256(run.results.model_dump_json().encode()).digest()
        if content in seen:
            raise InputError(
                f"{run.folder} and {seen[content].folder} are the same run",
                expected="each run once: counted twice, it would make intervals too narrow",
            )
        seen[content] = run


def _refused(what: str, found: tuple[str, str], first: RunApart, other: RunApart) -> InputError:
    may = what in MAY_BE_MEANT
    return InputError(
        f"{first.folder} and {other.folder} cannot be joined",
        expected=f"the same {what}",
        found=f"{found[0]} and {found[1]}",
        remedy=f"If that difference is intended: --allow {what}" if may else REMEDIES.get(what),
    )


def _versions(one: RunApart, other: RunApart) -> tuple[str, str] | None:
    return _unequal(f"version {one.written_as}", f"version {other.written_as}")


def _studies(one: RunApart, other: RunApart) -> tuple[str, str] | None:
    return _unequal(*(f"{run.results.kind} {run.results.study} ({run.results.task})" for run in (one, other)))


def _data(one: RunApart, other: RunApart) -> tuple[str, str] | None:
    told = [f"{run.results.data.name} {run.results.data.content_hash[:SHOWN]}" for run in (one, other)]
    same = one.results.data.content_hash == other.results.data.content_hash
    return None if same else (told[0], told[1])


def _weights(one: RunApart, other: RunApart) -> tuple[str, str] | None:
    """Compare by keys, and for keys of one recipe by the results of training, which differ between processors."""
    for name in one.cells.keys() & other.cells.keys():
        if pair := _unequal(*(side.cells[name].weights[:SHOWN] for side in (one, other))):
            return pair
    timed = {cell.weights for cell in one.cells.values()}
    ours, theirs = ({training.weights: training for training in run.results.trainings} for run in (one, other))
    for key in sorted(timed & ours.keys() & theirs.keys()):
        if _outcome(ours[key]) != _outcome(theirs[key]):
            return f"{key[:SHOWN]} {_outcome_in_words(ours[key])}", f"{key[:SHOWN]} {_outcome_in_words(theirs[key])}"
    return None


def _files(one: RunApart, other: RunApart) -> tuple[str, str] | None:
    """Compare only exports that both have: joining is to show the ones that fail on one processor, as int8 may."""
    ours, theirs = (
        {_place(export): export for export in run.results.exports if export.status == "ok"} for run in (one, other)
    )
    for place in sorted(ours.keys() & theirs.keys()):
        if ours[place].key != theirs[place].key:
            told = [f"{'/'.join(map(str, place))} {side[place].key[:SHOWN]}" for side in (ours, theirs)]
            return told[0], told[1]
    return None


def _packages(one: RunApart, other: RunApart) -> tuple[str, str] | None:
    ours, theirs = (packages_of(run.results) | {"onnx-assay": run.results.assay_version} for run in (one, other))
    names = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
    told = (", ".join(f"{name} {side.get(name, 'none')}" for name in names) for side in (ours, theirs))
    return _unequal(*told) if names else None


def _outcome(training: Training) -> tuple[object, ...]:
    return (training.test.confusion, [epoch.training_loss for epoch in training.history])


def _outcome_in_words(training: Training) -> str:
    loss = f", last loss {training.history[-1].training_loss:.9g}" if training.history else ""
    return f"(accuracy {training.test.accuracy.value:.4%}{loss})"


def _place(export: Export) -> tuple[str, int, str]:
    return export.architecture, export.size, export.exporter


def _unequal(ours: str, theirs: str) -> tuple[str, str] | None:
    return None if ours == theirs else (ours, theirs)


def _some(run: RunApart) -> str:
    names = list(run.cells)
    return f"{', '.join(names[:2])}{' ...' if len(names) > 2 else ''}" if names else "no cells"


DIFFERENCES: dict[str, Callable[[RunApart, RunApart], tuple[str, str] | None]] = {
    "schema version": _versions,
    "study": _studies,
    "data": _data,
    "weights": _weights,
    "packages": _packages,
    "files": _files,
}
"""In this order: the first one often explains those after it."""
REMEDIES = {
    "schema version": "Run the study with one version of onnx-assay on all machines",
    "weights": "Train once, and give every machine the artifacts of that: a copy of the study's folder without units/, "
    "results.json and the tables beside it",
    "files": "Export once, and give every machine the artifacts of that",
}
