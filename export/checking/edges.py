"""Records at the edges of a user's model's input: which of them are telling, and how an export is compared on them.

They are kept apart from the others: they are not timed, and each tier has a scale of its own, so that its large numbers
hide nothing of the ordinary ones. A record counts where the model in fp32 is itself within half a step of TF32 of
float64, and an export is wrong at an edge where it is further away than a whole step; for a model in fp16 or bf16,
`assay.numerics.rounding` sets the limits. Whole numbers must be equal; where they come from floating-point inputs, the
zeros of an edge may tie, so they are not compared here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.errors import AssayError
from assay.export.pairs.pair_inputs import OnnxValue
from assay.export.probing.calls import MOST_ROWS, computed, rows_apart
from assay.export.probing.drawn_ranges import Range
from assay.export.probing.edge_inputs import TIERS, draw_edges, zeros
from assay.files.arrays import load_array
from assay.numerics.agreement import without_numbers
from assay.numerics.precisions import is_quantised
from assay.numerics.rounding import rounding_of
from assay.numerics.values import is_whole, settled
from assay.records.results import Agreement
from assay.train.brought.agreement import agreement_of, distress
from assay.train.brought.arrays import Records, in_bf16, record_type
from assay.train.brought.judged import JudgedOutput
from assay.train.brought.loaders.loaded import Compute
from assay.train.brought.model import Tensor, UserModel
from assay.train.brought.varying import in_order

Array = NDArray[np.generic]
Float64 = NDArray[np.float64]

EDGES_FILE, EDGES_NATIVE_FILE = "edges.npy", "edges-native.npy"
EDGES_REFERENCE_FILE, TIERS_FILE = "edges-reference.npy", "edges-tiers.npy"
FILES = (EDGES_FILE, EDGES_NATIVE_FILE, EDGES_REFERENCE_FILE, TIERS_FILE)
ROWS, CALLS = 4, 2
"""The number of records tried in a tier, where records are rows and where they are whole calls; half of them have one
sign.
"""
AT_THE_EDGES = "at the edges"


@dataclass(frozen=True)
class Edges:
    """
    Attributes:
        records: the records, (n,).
        native: the model's outputs for them, (n, `model.width`).
        reference: the same in float64, where there is one.
        tiers: places in `TIERS`, (n,).
    """

    records: Records
    native: Array
    reference: Array
    tiers: NDArray[np.integer]

    def __len__(self) -> int:
        return len(self.records)

    def at(self, places: NDArray[np.integer]) -> Edges:
        """Return the records at some places."""
        return Edges(self.records[places], self.native[places], self.reference[places], self.tiers[places])

    def save(self, folder: Path) -> None:
        """Write the arrays for `read_edges`."""
        for name, array in zip(FILES, (self.records, self.native, self.reference, self.tiers), strict=True):
            np.save(folder / name, array)


def read_edges(folder: Path) -> Edges | None:
    """Read the edges that lie beside a model's records, or return None."""
    if not (folder / EDGES_FILE).is_file():
        return None
    return Edges(*(load_array(folder / name) for name in FILES))


def tried_edges(
    model: UserModel, ordinary: Records, ranges: Mapping[str, Range], native: Compute, at_once: int = MOST_ROWS
) -> Edges:
    """Return records of every tier that the model runs, with its own outputs as their reference for now.

    Args:
        ordinary: the other records; inputs that all rows of a call share are taken from there.
        at_once: number of rows in one call, where the model takes any number.
    """
    found = []
    for tier in range(len(TIERS)):
        records = _drawn(model, ordinary, ranges, tier)
        try:
            rows = computed(model, native, records, at_once)
        except AssayError:  # the model does not take them, which is not a defect
            continue
        found.append(Edges(records, rows, rows, np.full(len(records), tier)))
    if not found:
        nothing = np.zeros((0, model.width))
        return Edges(np.zeros(0, record_type(model.inputs)), nothing, nothing, np.zeros(0, int))
    parts = zip(*((one.records, one.native, one.reference, one.tiers) for one in found), strict=True)
    edges = Edges(*(np.concatenate(part) for part in parts))
    return edges.at(np.zeros(0, int)) if _mind_company(model, edges, native, at_once) else edges


def _mind_company(model: UserModel, edges: Edges, native: Compute, at_once: int) -> bool:
    """Return whether rows at the edges change with the other rows of a call, though ordinary ones do not: a loop that
    ends when the largest row has grown may do that. An export is called with other company, so they tell nothing.
    """
    if model.whole or model.batch == 1:
        return False
    order = np.random.default_rng(1).permutation(len(edges))
    moved = edges.at(order)
    try:
        again = computed(model, native, moved.records, at_once)
    except AssayError:
        return True
    of_tiers = (moved.tiers == tier for tier in np.unique(moved.tiers))
    return any(rows_apart(model, moved.native[one], again[one]) for one in of_tiers)


def _drawn(model: UserModel, ordinary: Records, ranges: Mapping[str, Range], tier: int) -> Records:
    random = np.random.default_rng(tier + 1)
    count = CALLS if model.whole else ROWS
    kind = record_type(model.inputs)
    pieces = []
    for signed, rows in ((True, count - count // 2), (False, count // 2)):
        values = [OnnxValue(one.name, one.dtype, (rows, *one.shape)) for one in model.inputs]
        pieces.append(draw_edges(values, ranges, TIERS[tier], random, signed=signed))
    if not tier:
        pieces.append(zeros([OnnxValue(one.name, one.dtype, (1, *one.shape)) for one in model.inputs], ranges))
    records = np.zeros(count + (not tier), kind)
    for one in model.inputs:
        numbers = np.concatenate([piece[one.name] for piece in pieces])
        records[one.name] = ordinary[one.name][0] if one.shared else numbers
    return in_bf16(model.inputs, records)


def sound_edges(model: UserModel, edges: Edges, exactly: Callable[[Records], Array] | None, ordinary: Array) -> Edges:
    """Return the records that the model itself computes to rounding, with float64 as their reference.

    Args:
        ordinary: the model's outputs for the other records, which show a filling (`assay.numerics.values`).
        exactly: computes rows in float64; None where all outputs are whole numbers, which need no reference.
    """
    if exactly is None or not len(edges):
        return edges
    exact = in_order(edges.native, exactly(edges.records), model.outputs)
    sound = np.ones(len(edges), bool)
    for output, part in model.parts:
        own, right = edges.native[:, part], exact[:, part]
        if is_whole(output.dtype):
            sound &= (own == right).all(axis=1)
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            both = settled(right, own, ordinary[:, part])
            apart = both.errors.max(axis=1)
            limit = rounding_of(model.arithmetic).ceiling / 2 * np.abs(both.reference).max(axis=1)
        sound &= np.isfinite(right).all(axis=1) & (apart <= np.maximum(limit, np.finfo(np.float32).tiny))
    return Edges(edges.records[sound], edges.native[sound], exact[sound], edges.tiers[sound])


def compare_edges(model: UserModel, subject: str, edges: Edges, rows: Array, ordinary: Array) -> Agreement:
    """Return the comparison of the tier and output that do worst.

    Args:
        rows: an export's outputs for the records.
        ordinary: the reference of the other records: an output that is small at an edge is judged on their scale.
    """
    found, rows, named = [], in_order(edges.reference, rows, model.outputs), f"{subject}, {AT_THE_EDGES}"
    may_tie = not all(is_whole(one.dtype) for one in model.inputs)
    for output, part in model.parts:
        whole, usual = is_whole(output.dtype), settled(ordinary[:, part], ordinary[:, part]).scale
        for tier in np.unique(edges.tiers) if not (whole and may_tie) else ():
            chosen = edges.tiers == tier
            right = edges.reference[chosen, part]
            one = JudgedOutput(
                output.name,
                right,
                {},
                output.shape,
                whole,
                arithmetic=model.arithmetic,
                usual_scale=usual,
                usual=ordinary[:, part],
            )
            found.append(agreement_of(named, one, one.judged(rows[chosen, part]), len(right)))
    return max(found, key=distress) if found else without_numbers(named, len(edges), "")


def not_run(subject: str, edges: Edges, reason: str) -> Agreement:
    """Return the comparison for an export that fails to run records that the model runs."""
    said = f"it does not run inputs that the model accepts: {reason}"
    return without_numbers(f"{subject}, {AT_THE_EDGES}", len(edges), said)


def is_wrong_at_edges_alone(comparisons: Iterable[Agreement]) -> bool:
    """Return whether an export agrees on all other records."""
    failed = [one.subject for one in comparisons if not one.passed]
    return bool(failed) and all(subject.endswith(AT_THE_EDGES) for subject in failed)


def made_how(model: UserModel, ranges: Mapping[str, Range], edges: Edges | None) -> str:
    """Say how the records of a model were drawn and what they do not cover, in sentences."""
    said = [f"Random inputs, drawn with seed 0: {', '.join(_ordinary(one, ranges) for one in model.inputs)}."]
    if edges is not None and len(edges):
        reached = TIERS[int(edges.tiers.max())]
        far = ", ".join(filter(None, (_far(one, ranges, reached.reach, reached.whole) for one in model.inputs)))
        said.append(f"{len(edges)} more records at the edges, with which exports are checked: {far or 'zeros'}.")
    elif is_quantised(model.arithmetic):
        said.append("No records at the edges: the ranges of a quantised model end before them.")
    else:
        said.append(
            f"No records at the edges: the model in {model.arithmetic} does not agree with float64 to "
            "rounding there, its rows depend on each other there, or there is no float64."
        )
    said.append("Not covered: realistic inputs, and numbers beyond these ranges. Give real inputs with --inputs.")
    return " ".join(said)


def _ordinary(one: Tensor, ranges: Mapping[str, Range]) -> str:
    if one.dtype == "bool":
        return f"'{one.name}' true and false"
    if not is_whole(one.dtype) and one.name not in ranges:
        return f"'{one.name}' standard normal"
    known = ranges.get(one.name, Range())
    return f"'{one.name}' {known}" + (f" ({known.why} more)" if known.why and known.most == known.far_most else "")


def _far(one: Tensor, ranges: Mapping[str, Range], reach: float, whole: int) -> str:
    if one.dtype == "bool" or one.shared:
        return ""
    if not is_whole(one.dtype) and one.name in ranges:
        return f"'{one.name}' {ranges[one.name]}"
    if not is_whole(one.dtype):
        return f"'{one.name}' zero, tiny and up to {reach:g} of either sign"
    known = ranges.get(one.name, Range())
    return f"'{one.name}' from {max(known.far_least, -whole - 1):,} to {min(known.far_most, whole):,}"
