"""The numbers that an output of an ONNX file may have, where floating-point scores decide it.

A threshold, a rounding or a choice of the largest makes whole numbers of scores, and what follows (Where, And, a
look-up in a table, a sum) passes them on, also as floating-point numbers. An operator that is not followed gives one
result where all that it reads is certain, as do NonZero of a mask far from its threshold, and NonMaxSuppression where
no score and no overlap is near its limit. Each score may be off by its tolerance. Every number that a correct run can
have then is followed to the output, for each number by itself: a score that decides two numbers is not required to
decide both alike. A score that is the same in float64 and in fp32 has not been rounded and stays what it is, such as
the zeros of a ReLU.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper

from assay.export.checking.suppression import Boxes, BoxLimits, Keeping, kept
from assay.export.reference.on_onnx_double import without_initialisers
from assay.export.reference.on_onnx_evaluator import evaluator_of
from assay.numerics.agreement import tolerance_of_errors
from assay.numerics.following import LARGEST_SHARE, deviation_of
from assay.numerics.values import is_whole

Array = NDArray[Any]
Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

INNER = {"If", "Loop", "Scan"}
"""Operators with graphs inside."""
COMPARES = {"Greater", "GreaterOrEqual", "Less", "LessOrEqual"}
EQUALS, SUPPRESSES = "Equal", "NonMaxSuppression"
ROUNDS = {"Round", "Floor", "Ceil", "Sign", "Cast"}
"""Operators that make a whole number of one score; `Cast` where it casts to whole numbers or bools."""
CHOOSERS = {"ArgMax": 0, "ArgMin": 0, "TopK": 1}
"""The output of each operator that is the index."""
AXES = {"ArgMax": 0, "ArgMin": 0, "TopK": -1, "Gather": 0, "GatherElements": 0, "GatherND": 0}
"""The dimension that each operator chooses along, or takes from, where the node names none."""
MOVES = {
    "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Slice", "Concat", "Split", "Expand", "Tile",
}  # fmt: skip
"""Operators each of whose numbers is one number of one input."""
ONE_BY_ONE = {
    "And", "Or", "Xor", "Not", "Where", "Equal", "Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Min", "Max", "Clip",
    "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot", "BitShift", "Gather", "GatherElements", "OneHot",
    "ArrayFeatureExtractor", "LabelEncoder", *COMPARES, *ROUNDS,
}  # fmt: skip
"""Operators each of whose numbers depends on one number of each input."""
SUMS = {"ReduceSum", "ReduceMax", "ReduceMin"}
"""Operators that grow with each number of their input: whatever lies between their least and largest result is possible
for whole numbers.
"""
IF_CERTAIN = {
    "NonZero", "Compress", "CumSum", "Unique", "Range", "ConstantOfShape", "Trilu", "ScatterElements", "ScatterND",
    "GatherND", "ReduceProd", SUPPRESSES, *INNER,
}  # fmt: skip
"""Operators that are passed where all that they read is certain."""
FOLLOWED = {*MOVES, *ONE_BY_ONE, *SUMS, *CHOOSERS, *IF_CERTAIN}
SIZES = {"Shape", "Size"}
MOST_FOLLOWED, MOST_ALTERNATIVES, MOST_TRIED = 200, 16, 256
"""The most nodes between scores and an output, the most numbers that one may be, and the most combinations of an
operator's inputs; what needs more is not followed.
"""
MOST_COMPARED = 1 << 26
"""The most pairs of a choice's best values and all values."""
WHOLE = {
    TensorProto.BOOL, TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8,
    TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64,
}  # fmt: skip


def followed(model: ModelProto, output: str, given: Collection[str] = ()) -> list[NodeProto]:
    """Return the nodes that an output may be followed through, up to `given` values; empty where no score decides it
    that can be.
    """
    maker = {name: node for node in model.graph.node for name in node.output}
    found: list[NodeProto] = []
    names, seen = [output], set()
    while names and len(found) <= MOST_FOLLOWED:
        name = names.pop()
        node = maker.get(name)
        if name in seen or name in given or node is None or node.op_type not in FOLLOWED:
            continue
        seen.add(name)
        if node not in found:
            found.append(node)
            names += read_by(node)
    decides = any(node.op_type in {*COMPARES, *ROUNDS, *CHOOSERS, *INNER, EQUALS, SUPPRESSES} for node in found)
    return found if decides and len(found) <= MOST_FOLLOWED else []


def only_decided(model: ModelProto, output: str) -> bool:
    """Return whether an output depends on the inputs through operators that decide alone, so that it only takes numbers
    which scores decide.
    """
    maker = {name: node for node in model.graph.node for name in node.output}
    computed, names, seen = computed_in(model), [output], set[str]()
    while names:
        name = names.pop()
        if name in seen or name not in computed:
            continue
        seen.add(name)
        node = maker.get(name)
        if node is None or node.op_type not in FOLLOWED:
            return False
        rounds = node.op_type in ROUNDS and (node.op_type != "Cast" or attribute_of(node, "to", 0) in WHOLE)
        if not (rounds or node.op_type in {*COMPARES, *CHOOSERS, EQUALS, SUPPRESSES}):
            names += read_by(node)
    return True


def computed_in(model: ModelProto) -> set[str]:
    """Return the names of the values that depend on an input of the file, and not only on its shape."""
    found = {one.name for one in without_initialisers(model.graph)}
    for node in model.graph.node:
        if node.op_type not in SIZES and found.intersection(read_by(node)):
            found.update(node.output)
    return found


def names_read(nodes: Sequence[NodeProto]) -> set[str]:
    """Return the names of all values that have to be known in order to follow these nodes."""
    return {name for node in nodes for name in (*read_by(node), *node.output) if name}


def read_by(node: NodeProto) -> Iterator[str]:
    """Iterate over the names of the values that a node reads; its inner graphs take some from outside."""
    yield from node.input
    for attribute in node.attribute:
        for graph in [attribute.g] if attribute.HasField("g") else attribute.graphs:
            own = {one.name for one in (*graph.input, *graph.initializer)}
            own |= {name for inner in graph.node for name in inner.output}
            read = (name for inner in graph.node for name in read_by(inner))
            yield from (name for name in (*read, *(one.name for one in graph.output)) if name not in own)


def tolerance_of_scores(exact: Float64, rounded: Float64) -> float | None:
    """Return how far scores may be from float64; None where nothing can be derived.

    Args:
        exact, rounded: the same scores in float64 and in fp32, finite.
    """
    error, scale = float(np.abs(exact - rounded).max(initial=0.0)), float(np.abs(exact).max(initial=0.0))
    found = tolerance_of_errors(scale, {"it": error}, len(exact) if exact.ndim else 1)
    return None if found.problem else found.value


class Scores(NamedTuple):
    """Floating-point numbers that decide something.

    Attributes:
        exact, single: the numbers in float64 and in fp32, finite.
        moves: which of them may be off. One that is the same in both has not been rounded, and is off in reduced
            precision alone; of a model that computes in float64 nothing is known.
    """

    exact: Float64
    single: Float64
    moves: NDArray[np.bool_]


@dataclass(frozen=True)
class Follower:
    """One call of a file whose outputs are followed.

    Attributes:
        model: the file with float64 throughout.
        nodes: see `followed`.
        exact, single: the values of the call in float64 and in fp32, by name.
        rows: whether the first dimension of every output counts records.
        given: all that some values can be, known beforehand, see `alternatives`.
        reduced: whether scores may be as far off as reduced precision may make them, see `assay.numerics.following`.
    """

    model: ModelProto
    nodes: Sequence[NodeProto]
    exact: Mapping[str, Array]
    single: Mapping[str, Array]
    rows: bool
    reduced: bool = False
    given: Mapping[str, Array] = field(default_factory=dict)
    _known: dict[str, Array | None] = field(init=False, default_factory=dict)

    def alternatives(self, name: str) -> Array | None:
        """Return all that a value can be, (alternatives, *its shape); None where it is a score, or not followed."""
        if name in self.given:
            return self.given[name]
        if name not in self._known:
            try:
                self._known[name] = self._followed(name)
            except Exception:  # noqa: BLE001  the evaluator and numpy may raise anything
                self._known[name] = None
        return self._known[name]

    def ends_at(self, name: str) -> str:
        """Return the operator at which following ends, for a value that is not followed."""
        node = next((one for one in self.model.graph.node if name in one.output), None)
        if node is None:
            return "an input"
        for one in filter(None, read_by(node)):
            value = self.exact.get(one)
            if value is not None and is_whole(value.dtype) and self.alternatives(one) is None:
                return self.ends_at(one)
        return str(node.op_type)

    @cached_property
    def _makers(self) -> dict[str, tuple[NodeProto, Any, int]]:
        """The nodes with what runs them, and the place of the output, by output."""
        run_alone = [node for node in self.nodes if node.op_type not in IF_CERTAIN]
        graph = helper.make_graph(run_alone, "followed", [], [])
        alone = helper.make_model(graph, opset_imports=self.model.opset_import, ir_version=self.model.ir_version)
        alone.functions.extend(self.model.functions)
        runs = [*zip(run_alone, evaluator_of(alone).rt_nodes_, strict=True)]
        return {
            name: (node, run, place)
            for node, run in [*runs, *((node, None) for node in self.nodes if node.op_type in IF_CERTAIN)]
            for place, name in enumerate(node.output)
            if name
        }

    @cached_property
    def _computed(self) -> set[str]:
        return computed_in(self.model)

    def _followed(self, name: str) -> Array | None:
        value = self.exact.get(name)
        if value is None:
            return None
        if name not in self._computed:
            return value[None]
        if name not in self._makers:
            is_input = any(one.name == name for one in self.model.graph.input)
            return value[None] if is_input and is_whole(value.dtype) else None
        node, run, place = self._makers[name]
        if node.op_type in IF_CERTAIN:
            return value[None] if self._is_certain(node) else None
        given = [self.alternatives(one) if one else None for one in node.input]
        if all(one is not None for one, name in zip(given, node.input, strict=True) if name):
            found = self._passed_on(node.op_type, run, given, place)
        else:
            found = self._decided(node, run, place)
        return found if found is None or len(found) <= MOST_ALTERNATIVES else None

    def _passed_on(self, operator: str, run: Any, given: Sequence[Array | None], place: int) -> Array | None:
        """Return what an operator makes of whole numbers, which may each be several."""
        if operator in SUMS:
            return self._sums(run, given, place)
        counts = [1 if one is None else len(one) for one in given]
        if operator in CHOOSERS and max(counts) > 1:
            return None
        if operator in MOVES:
            tries = [[min(number, count - 1) for count in counts] for number in range(max(counts))]
        elif np.prod(counts) > MOST_TRIED:
            return None
        else:
            tries = [list(one) for one in itertools.product(*map(range, counts))]
        results = [
            run.run(*(None if one is None else np.asarray(one[at]) for one, at in zip(given, which, strict=True)))[
                place
            ]
            for which in tries
        ]
        return _distinct(np.stack([np.asarray(one) for one in results]))

    @staticmethod
    def _sums(run: Any, given: Sequence[Array | None], place: int) -> Array | None:
        data, *others = given
        assert data is not None, "it is followed, and so are its inputs"
        fixed = [None if one is None else np.asarray(one[0]) for one in others]
        if any(one is not None and len(one) > 1 for one in others):
            return None
        least, most = (np.asarray(run.run(one, *fixed)[place]) for one in (data.min(axis=0), data.max(axis=0)))
        steps = (most.astype(np.float64) - least.astype(np.float64)).max(initial=0.0)
        if not steps < MOST_ALTERNATIVES:
            return None
        between = np.arange(int(steps) + 1).reshape(-1, *[1] * least.ndim)
        found: Array = np.minimum(least.astype(np.int64) + between, most.astype(np.int64)).astype(least.dtype)
        return found

    def _decided(self, node: NodeProto, run: Any, place: int) -> Array | None:
        """Return what an operator makes of scores that may each be off by their tolerance."""
        operator = node.op_type
        if operator in {*COMPARES, EQUALS}:
            return self._compared(node, run)
        if operator in CHOOSERS and place == CHOOSERS[operator]:
            return self._chosen(node)
        if operator in ROUNDS and (operator != "Cast" or attribute_of(node, "to", 0) in WHOLE):
            return self._rounded(node, run)
        return None

    def _is_certain(self, node: NodeProto) -> bool:
        """Return whether an operator gives one result whatever correct runs make of its inputs."""
        if node.op_type == SUPPRESSES:
            known = self.suppressed(node)
            return known is not None and known.is_certain
        given = [self.alternatives(name) for name in read_by(node) if name]
        return all(one is not None and len(one) == 1 for one in given)

    def suppressed(self, node: NodeProto, always: Mask | None = None, sometimes: Mask | None = None) -> Keeping | None:
        """Return what a NonMaxSuppression keeps; None where its boxes or scores cannot be followed.

        Args:
            always, sometimes: which of its boxes are there, see `Boxes`.
        """
        boxes, scores = self._scores(node.input[0]), self._scores(node.input[1])
        if boxes is None or scores is None:
            return None
        box_off, score_off = self._tolerance(boxes), self._tolerance(scores)
        if box_off is None or score_off is None:
            return None
        most, overlap, least = (
            float(self.exact[name].reshape(-1)[0]) if name and name in self.exact else default
            for name, default in zip([*node.input[2:5], *[""] * (5 - len(node.input))], (0, 0, -np.inf), strict=True)
        )
        centred = bool(attribute_of(node, "center_point_box", 0))
        there = Boxes(boxes.exact, box_off, centred, always, sometimes)
        return kept(there, scores.exact, np.where(scores.moves, score_off, 0.0), BoxLimits(least, overlap, most))

    def _compared(self, node: NodeProto, run: Any) -> Array | None:
        first, second = (self._scores(name) for name in node.input)
        if first is None or second is None:
            return None
        both = Scores(*(np.stack(np.broadcast_arrays(*pair), axis=-1) for pair in zip(first, second, strict=True)))
        tolerance = self._tolerance(both)
        if tolerance is None:
            return None
        answer = np.asarray(run.run(first.exact, second.exact)[0])
        apart = np.abs(both.exact[..., 0] - both.exact[..., 1])
        return _distinct(np.stack([answer, answer ^ ((apart <= 2 * tolerance) & both.moves.any(axis=-1))]))

    def _rounded(self, node: NodeProto, run: Any) -> Array | None:
        scores = self._scores(node.input[0])
        if scores is None or (tolerance := self._tolerance(scores)) is None:
            return None
        exact, off = scores.exact, np.where(scores.moves, tolerance, 0.0)
        places = np.linspace(-1.0, 1.0, min(2 * int(np.ceil(tolerance)) + 3, 2 * MOST_ALTERNATIVES + 1))
        tries = [exact + place * off for place in places]
        tries += [exact, np.where(np.abs(exact) <= off, 0.0, exact)]
        return _distinct(np.stack([np.asarray(run.run(one)[0]) for one in tries]))

    def _chosen(self, node: NodeProto) -> Array | None:
        scores, chosen = self._scores(node.input[0]), self.exact.get(node.output[CHOOSERS[node.op_type]])
        if scores is None or chosen is None or (tolerance := self._tolerance(scores)) is None:
            return None
        values = scores.exact
        axis = axis_of(node) % values.ndim
        if self.rows and axis == 0:  # the choice is among records
            return None
        keeps = chosen.ndim == values.ndim
        indices = np.moveaxis(chosen, axis, -1) if keeps else chosen[..., None]
        last = np.moveaxis(values, axis, -1)
        if indices.size * last.shape[-1] > MOST_COMPARED:
            return None
        apart = np.abs(last[..., None, :] - np.take_along_axis(last, indices, axis=-1)[..., None])
        nearest = np.argsort(apart, axis=-1, kind="stable")[..., :MOST_ALTERNATIVES]
        ties = np.take_along_axis(apart, nearest, axis=-1) <= 2 * tolerance
        found = np.moveaxis(np.where(ties, nearest, indices[..., None]), -1, 0).astype(chosen.dtype)
        found = np.moveaxis(found, -1, 1 + axis) if keeps else found[..., 0]
        return _distinct(np.concatenate([chosen[None], found]))

    def _scores(self, name: str) -> Scores | None:
        """Return scores; None where they are not finite floating-point numbers."""
        exact, single = self.exact.get(name), self.single.get(name)
        if exact is None or single is None or is_whole(exact.dtype) or exact.shape != single.shape:
            return None
        wide, rounded = exact.astype(np.float64), single.astype(np.float64)
        if not (np.isfinite(wide).all() and np.isfinite(rounded).all()):
            return None
        computed = name in self._computed and (self.reduced or single.dtype == np.float64)
        return Scores(wide, rounded, np.ones(wide.shape, bool) if computed else wide != rounded)

    def _tolerance(self, scores: Scores) -> float | None:
        if not self.reduced:
            return tolerance_of_scores(scores.exact, scores.single)
        rows = len(scores.exact) if self.rows and scores.exact.ndim else 1
        return LARGEST_SHARE * deviation_of(scores.exact.reshape(rows, -1))


def axis_of(node: NodeProto) -> int:
    """Return the dimension that an operator chooses along, or takes from."""
    return attribute_of(node, "axis", AXES[node.op_type])


def attribute_of(node: NodeProto, name: str, default: int) -> int:
    """Return a number that a node states as an attribute."""
    return next((int(helper.get_attribute_value(one)) for one in node.attribute if one.name == name), default)


def _distinct(found: Array) -> Array:
    """Return the same alternatives, each once, as far as they are equally many: others are repeated."""
    ordered = np.sort(found, axis=0)
    first = np.concatenate([np.ones((1, *ordered.shape[1:]), bool), ordered[1:] != ordered[:-1]])
    most = int(first.sum(axis=0).max(initial=1))
    return np.take_along_axis(ordered, np.argsort(~first, axis=0, kind="stable"), axis=0)[:most]
