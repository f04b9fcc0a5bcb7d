"""Reasons why a group of cells has no verdict, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from assay.bench.judging.races import CUDA, computed_in
from assay.bench.judging.summary import is_short_of_samples
from assay.bench.judging.validity import is_too_short
from assay.bench.report.evidence import (
    CellGroup,
    agreement_fails,
    group_of,
    is_timed,
    median_of,
)
from assay.bench.words.names import EXPORT_FAILED, runtime_in_words
from assay.bench.words.numbers import (
    counted,
    interval,
    listed,
)
from assay.records.results import Cell, Results
from assay.registry import FRAMEWORKS


def why_nothing_compared(group: CellGroup, results: Results) -> str:
    """Say what one side lacks, or both, as the end of a sentence."""
    cells = [cell for cell in results.cells if group_of(cell) == group]
    if not any(cell.framework in FRAMEWORKS for cell in results.cells):
        return _fastest_of_onnx(cells, results)
    sides = {
        "ONNX": [cell for cell in cells if cell.framework == "onnx"],
        "native": [cell for cell in cells if cell.framework in FRAMEWORKS],
    }
    missing = [
        _nothing_ran(kind, side, results)
        for kind, side in sides.items()
        if not any(may_be_ranked(cell, results) for cell in side)
    ]
    unranked = [side for side in sides.values() if not any(may_be_ranked(cell, results) for cell in side)]
    if missing and all(_too_short(side, results) for side in unranked):
        return _too_short([cell for side in unranked for cell in side], results)
    if not missing and (apart := _on_other_devices(sides, results) or _in_other_precisions(sides, results)):
        return f"nothing is compared: {apart}."
    if not missing:
        return "both sides were timed, but no comparison was recorded."
    lacks = {_lack(side, results) for side in sides.values()}
    if len(missing) == 2 and len(lacks) == 1 and lacks != {""}:
        missing = [_nothing_ran("", [*sides["ONNX"], *sides["native"]], results)]
    return f"nothing is compared: {'; '.join(missing)}."


def invalid_everywhere(results: Results) -> dict[str, list[str]]:
    """Return the labels that are INVALID in more than half of the cases they were timed in.

    Each has the subjects of its reasons, the most frequent first: this is said once, and in no single verdict.
    """
    found = {}
    for label, cells in _timed_by_label(results).items():
        wrong = [cell for cell in cells if cell.invalid and not is_short_of_samples(cell)]
        if len(cells) > 2 and len(wrong) > len(cells) / 2:
            kinds = Counter(reason.partition(":")[0] for cell in wrong for reason in cell.invalid)
            found[label] = [kind for kind, _ in kinds.most_common()]
    return found


def said_once_of_invalid(results: Results) -> list[str]:
    """A sentence for each reason of these, and one on all that has times and no rank."""
    by_reason: dict[str, list[str]] = {}
    for label, kinds in invalid_everywhere(results).items():
        by_reason.setdefault(listed(kinds[:2]), []).append(runtime_in_words(label))
    invalid = [
        f"{listed(names)} {'are' if names[1:] else 'is'} INVALID in nearly all cases and not named again ({reason})."
        for reason, names in by_reason.items()
    ]
    short = [runtime_in_words(label) for label in _short_everywhere(results)]
    return invalid + ([f"Timed but not ranked, because too few processes ran: {listed(short)}."] if short else [])


def _short_everywhere(results: Results) -> list[str]:
    """The labels that were timed in too few processes for a rank wherever they were, while others have one."""
    timed = _timed_by_label(results)
    short = [label for label, cells in timed.items() if all(is_short_of_samples(cell) for cell in cells)]
    return short if len(short) < len(timed) else []


def _timed_by_label(results: Results) -> dict[str, list[Cell]]:
    timed: dict[str, list[Cell]] = {}
    for cell in results.cells:
        if cell.status == "ok" and cell.framework:
            timed.setdefault(cell.label, []).append(cell)
    return timed


def _on_other_devices(sides: Mapping[str, Sequence[Cell]], results: Results) -> str:
    """Say that only one side ran on a GPU; else ""."""
    on_gpu = {
        kind: any(CUDA in cell.device_kind for cell in side if may_be_ranked(cell, results))
        for kind, side in sides.items()
    }
    if len(set(on_gpu.values())) == 1:
        return ""
    there, here = ("native", "ONNX") if on_gpu["native"] else ("ONNX", "native")
    return (
        f"a runtime of the {there} side ran on the GPU and none of the {here} side did, and a difference in devices is "
        "no basis for a verdict on ONNX"
    )


def _in_other_precisions(sides: Mapping[str, Sequence[Cell]], results: Results) -> str:
    """Say that no precision is on both sides, so that a ratio would be no verdict on ONNX; else ""."""
    found = {
        kind: sorted({computed_in(cell) for cell in side if may_be_ranked(cell, results)})
        for kind, side in sides.items()
    }
    if set(found["native"]) & set(found["ONNX"]):
        return ""
    return (
        f"the native runtimes compute in {listed(found['native'])} and those of ONNX in {listed(found['ONNX'])}, and a "
        "difference in precision is no basis for a verdict on ONNX"
    )


def may_be_ranked(cell: Cell, results: Results) -> bool:
    """Check whether a cell was timed, and its times and numbers are trusted."""
    return is_timed(cell) and not cell.invalid and not agreement_fails(cell, results)


def _fastest_of_onnx(cells: list[Cell], results: Results) -> str:
    """Describe a file that was ONNX from the beginning: there is nothing native to compare it with."""
    good = [cell for cell in cells if is_timed(cell) and cell.framework and not cell.invalid]
    good = [cell for cell in good if not agreement_fails(cell, results)]
    if not good and (short := _too_short(cells, results)):
        return short
    if not good:
        return f"nothing is compared: {_nothing_ran('ONNX', [c for c in cells if c.framework == 'onnx'], results)}."
    best = min(good, key=lambda cell: median_of(cell).value)
    return (
        f"{runtime_in_words(best.label)} is the fastest of {counted(len(good), 'valid ONNX cell')} with "
        f"{interval(median_of(best), ' ms')}; no native runtime was requested."
    )


def _too_short(cells: list[Cell], results: Results) -> str:
    """Say that some of these cells are right but so short that the harness's own time is too large a share; otherwise
    "".
    """
    timed = [cell for cell in cells if is_timed(cell) and not agreement_fails(cell, results)]
    short = [cell for cell in timed if is_too_short(cell)]
    if not short:
        return ""
    longest = max(short, key=lambda cell: median_of(cell).value)
    name, (reason, *_) = runtime_in_words(longest.label), longest.invalid
    return (
        f"nothing is ranked, because calls are too short: the longest of them, with {name}, takes "
        f"{interval(median_of(longest), ' ms')} ({reason}). A larger batch makes calls longer."
    )


def _lack(cells: list[Cell], results: Results) -> str:
    """Return what all of these cells lack, or "" where some lack something else: one sentence then covers both
    sides.
    """
    if not cells or any(agreement_fails(cell, results) for cell in cells):
        return ""
    found = {"valid" if is_timed(cell) else cell.reason for cell in cells}
    return found.pop() if len(found) == 1 else ""


def _nothing_ran(kind: str, cells: list[Cell], results: Results) -> str:
    """Return "no ONNX runtime finished (5 cells failed or skipped; ort.cpu@jax2onnx: does not load)".

    Args:
        kind: side, "ONNX", "native", or "" for both.
    """
    runtime = f"{kind} runtime".strip()
    if not cells:
        return f"no {runtime} was requested"
    timed = [cell for cell in cells if is_timed(cell)]
    right = [cell for cell in timed if not agreement_fails(cell, results)]
    if timed and not right:
        return f"no {runtime} gave outputs that agree (agreement FAILS for {listed([one.label for one in timed])})"
    invalid = next((cell for cell in right if cell.invalid), None)
    if invalid:
        return f"no {runtime} has a valid measurement ({invalid.label}: {invalid.invalid[0]})"
    told = (f"; {cell.label}: {_reason_told(cell, results)}" for cell in cells if cell.reason)
    reason = next(told, "")
    return f"no {runtime} finished ({counted(len(cells), 'cell')} failed or skipped{reason})"


def _reason_told(cell: Cell, results: Results) -> str:
    """Say why a cell has no time. A user's failed export is not reported again: its numbers come before."""
    return EXPORT_FAILED if cell.lacks == "file" and results.kind == "model" else cell.reason.rstrip(".")
