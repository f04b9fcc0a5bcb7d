"""The entries that outputs of an ONNX file may have, where NonMaxSuppression or NonZero selects them by scores.

One selection after the other is replaced by all that some correct run selects, with those of the run in float64 first,
and what follows is computed again, in float64 and in fp32. The outputs then have a row for each candidate. An output is
followed where the rows of those first candidates are what it has in float64, as each row then is of its own candidate
alone, and where nothing else that scores decide is uncertain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
from onnx import ModelProto, NodeProto, helper

from assay.errors import InputError
from assay.export.checking.on_onnx_alternatives import (
    CHOOSERS,
    COMPARES,
    EQUALS,
    INNER,
    ROUNDS,
    SIZES,
    SUPPRESSES,
    WHOLE,
    Array,
    Follower,
    attribute_of,
    axis_of,
    computed_in,
    followed,
    names_read,
    read_by,
    tolerance_of_scores,
)
from assay.export.checking.selections import LOST, Rows, Selection, as_before, selected
from assay.export.reference.on_onnx_double import evaluate
from assay.numerics.ties.deciding import Deciding, Unfollowed
from assay.numerics.ties.selected import AtLimit, Selected
from assay.numerics.values import is_whole

NON_ZERO = "NonZero"
SELECTORS = {SUPPRESSES, NON_ZERO}
DECIDES = {*COMPARES, *ROUNDS, *CHOOSERS, *INNER, EQUALS, "Compress", "Unique"}
GATHERS = {"Gather", "GatherND", "GatherElements"}
SAME = 1e-9
"""The relative distance up to which a row is the one that float64 has without the other candidates."""


class Selections:
    """The selections of a file that depend on its inputs, and the outputs that depend on them.

    Attributes:
        double: the file with float64 throughout.
        nodes: the selections, in order; `selected` are the names of their results.
        outputs: the names of the outputs that depend on them.
    """

    def __init__(self, model: ModelProto, double: ModelProto) -> None:
        self.model, self.double = model, double
        computed = computed_in(double)
        self.nodes = [one for one in double.graph.node if one.op_type in SELECTORS and computed.intersection(one.input)]
        self._computed = computed
        self._makers = {name: node for node in double.graph.node for name in node.output if name}
        self.selected = {name for node in self.nodes for name in node.output}
        after = {name for node in _after(double, self.selected) for name in node.output} | self.selected
        self.outputs = [one.name for one in model.graph.output if one.name in after]

    @cached_property
    def followed(self) -> list[NodeProto]:
        """The nodes from scores to everything that they decide on the way to the outputs."""
        names = [name for node in self._before(self.outputs) for name in _decided(node)]
        names += [node.input[0] for node in self.nodes if node.op_type == NON_ZERO]
        found = {id(node): node for name in names for node in followed(self.double, name, self.selected)}
        return list(found.values())

    @property
    def wanted(self) -> set[str]:
        """The names of the values that have to be known."""
        if not self.outputs:
            return set()
        after = [node for one in (self.model, self.double) for node in _after(one, self.selected)]
        return names_read([*self.nodes, *after, *self.followed]) | set(self.outputs)

    def candidates(self, exact: Mapping[str, Array], single: Mapping[str, Array], name: str) -> dict[str, Deciding]:
        """Return the entries that outputs may have, by output; `Unfollowed` where they are uncertain and not followed.

        Args:
            exact, single: the `wanted` values of one call in float64 and in fp32.
            name: name of the file in messages.
        """
        run = _Run(self, exact, single, name)
        for node in self.nodes:
            run.replace(node)
        found: dict[str, Deciding] = {}
        for output in self.outputs:
            ends_at = run.ends_at(output)
            known = None if ends_at else run.candidates(output)
            if known is not None:
                found[output] = known
            elif ends_at or not run.is_certain:
                found[output] = Unfollowed(ends_at or self.nodes[-1].op_type)
        return found

    def maker(self, name: str) -> NodeProto | None:
        """Return the node that makes a value that depends on the inputs."""
        return self._makers.get(name) if name in self._computed else None

    def _before(self, names: Iterable[str]) -> Iterator[NodeProto]:
        waiting, seen = [*names], set[int]()
        while waiting:
            node = self.maker(waiting.pop())
            if node is None or id(node) in seen:
                continue
            seen.add(id(node))
            yield node
            waiting += read_by(node)


class _Run:
    """One call, in which selections are replaced by their candidates one after the other."""

    def __init__(
        self, all_of_them: Selections, exact: Mapping[str, Array], single: Mapping[str, Array], name: str
    ) -> None:
        self._all, self._name = all_of_them, name
        self._original, self._exact, self._single = exact, dict(exact), dict(single)
        self._rows: dict[str, Rows | None] = {}
        self._replaced: dict[str, Array] = {}

    @property
    def is_certain(self) -> bool:
        """Whether every correct run selects the same."""
        known = [rows for name in self._replaced if (rows := self._rows.get(name)) is not None]
        return len(known) == len(self._all.nodes) and all((one.of.always == one.of.sometimes).all() for one in known)

    def replace(self, node: NodeProto) -> None:
        """Put the candidates of a selection in its place."""
        output = node.output[0]
        found = None
        if not any(name in self._rows and self._rows[name] is LOST for name in node.input):
            found = self._suppressed(node) if node.op_type == SUPPRESSES else self._not_zero(node)
        if found is None or not self._compute_after(output, found[0]):
            self._rows[output] = LOST
        else:
            self._rows[output] = Rows(np.arange(len(found[1].always)), found[1])
            self._replaced[output] = found[0][None]
        for after in _after(self._all.double, {output}):
            for place, name in enumerate(after.output):
                if name and after.op_type not in SELECTORS:
                    self._follow(after, place)

    def candidates(self, output: str) -> Selected | None:
        """Return the entries that an output may have; None where its rows are not those of candidates."""
        rows, value, single = self._rows.get(output), self._exact[output], self._single.get(output)
        own = self._original[output]
        if rows is None or single is None or not value.ndim or len(value) != len(rows.candidates):
            return None
        if value.shape.count(len(value)) > 1 and not self._grows_by_rows(output, rows):
            return None
        mine = value[rows.own]
        if single.shape != value.shape or mine.shape != own.shape or not _are_same(mine, own):
            return None
        tolerance = 0.0 if is_whole(value.dtype) else tolerance_of_scores(value, single.astype(np.float64))
        if tolerance is None and value.any():
            return None
        of, at = rows.of, rows.candidates
        width = int(np.prod(value.shape[1:]))
        return Selected(
            values=value.reshape(1, len(value), width),
            always=of.always[at][None],
            sometimes=of.sometimes[at][None],
            near=of.near[at][None],
            why=of.why[at][None],
            tolerance=tolerance or 0.0,
            operator=of.operator,
        )

    def _grows_by_rows(self, output: str, rows: Rows) -> bool:
        """Return whether the first dimension has the candidates: it has one more where one of them is there twice."""
        last = next(name for name in self._replaced if (known := self._rows.get(name)) and known.of is rows.of)
        value, axis = self._replaced[last][0], 1 if rows.of.operator == NON_ZERO else 0
        longer = np.concatenate([value, np.take(value, [0], axis)], axis)
        found = self._after_selection(self._all.double, {**self._exact, last: longer}, last).get(output)
        return found is not None and found.shape == (len(self._exact[output]) + 1, *self._exact[output].shape[1:])

    def ends_at(self, output: str) -> str:
        """Return the operator that decides something on the way to an output in a way that is not followed; "" where
        there is none.
        """
        follower, waiting, seen = self._follower(), [output], set[str]()
        while waiting:
            name = waiting.pop()
            node = self._all.maker(name)
            if node is None or name in seen:
                continue
            seen.add(name)
            if node.op_type in SELECTORS:
                if node.output[0] not in self._replaced:
                    return str(node.op_type)
                waiting += self._scores_of(node)
                continue
            for decided in _decided(node):
                known = follower.alternatives(decided)
                if (known is None or len(known) > 1) and not self._only_orders(node):
                    return str(node.op_type)
            waiting += read_by(node)
        return ""

    def _scores_of(self, node: NodeProto) -> list[str]:
        """Return the names of the scores that decide a selection, and of what else it reads."""
        if node.op_type == SUPPRESSES:
            return list(node.input)
        between = followed(self._all.double, node.input[0], self._all.selected)
        made = {name for one in between for name in one.output}
        return [name for one in between for name in read_by(one) if name not in made]

    def _only_orders(self, node: NodeProto) -> bool:
        """Return whether an operator only puts all rows into another order, which a set does not have."""
        if node.op_type != "TopK":
            return False
        rows, places = self._rows.get(node.input[0]), self._exact.get(node.output[1])
        return rows is not None and places is not None and places.size == len(rows.candidates)

    def _suppressed(self, node: NodeProto) -> tuple[Array, Selection] | None:
        rows = self._rows.get(node.input[0]) or self._rows.get(node.input[1])
        there = (rows.of.always[rows.candidates], rows.of.sometimes[rows.candidates]) if rows else (None, None)
        if rows is not None and self._exact[node.input[0]].shape[1] != len(rows.candidates):
            return None
        found = self._follower().suppressed(node, *there)
        if found is None:
            return None
        own = np.array(self._original[node.output[0]], np.int64)
        if rows is not None:
            own[:, 2] = rows.own[own[:, 2]]
        near, why = (found.near, found.why) if rows is None else as_before(found.near, found.why, rows, axis=2)
        return selected(str(node.op_type), own, (found.always, found.sometimes, near, why))

    def _not_zero(self, node: NodeProto) -> tuple[Array, Selection] | None:
        may_be = self._follower().alternatives(node.input[0])
        if may_be is None or may_be.ndim < 2:
            return None
        always, sometimes = (may_be != 0).all(axis=0), (may_be != 0).any(axis=0)
        own = np.array(self._original[node.output[0]].T, np.int64)
        uncertain = always != sometimes
        near, why = np.where(uncertain, np.nan, 0.0), np.where(uncertain, AtLimit.MASK, AtLimit.NONE).astype(np.uint8)
        if rows := self._rows.get(node.input[0]):
            if always.shape[0] != len(rows.candidates):
                return None
            spread = (-1, *[1] * (always.ndim - 1))
            always &= rows.of.always[rows.candidates].reshape(spread)
            sometimes &= rows.of.sometimes[rows.candidates].reshape(spread)
            own[:, 0] = rows.own[own[:, 0]]
            near, why = as_before(near, why, rows, axis=0)
        found = selected(str(node.op_type), own, (always, sometimes, near, why))
        return None if found is None else (np.ascontiguousarray(found[0].T), found[1])

    def _follower(self) -> Follower:
        run = self._all
        return Follower(run.double, run.followed, self._exact, self._single, rows=False, given=self._replaced)

    def _compute_after(self, output: str, value: Array) -> bool:
        """Compute what follows a selection again, with its candidates in its place."""
        for model, values in ((self._all.double, self._exact), (self._all.model, self._single)):
            values[output] = value
            found = self._after_selection(model, values, output)
            if not found:
                return False
            values.update(found)
        return True

    def _after_selection(self, model: ModelProto, values: Mapping[str, Array], output: str) -> dict[str, Array]:
        """Return the values with those that depend on a selection computed again; nothing where that fails."""
        graph = helper.make_graph(_after(model, {output}), "after a selection", [], [])
        part = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
        part.functions.extend(model.functions)
        try:
            return evaluate(part, values, self._name)
        except InputError:
            return {}

    def _follow(self, node: NodeProto, place: int) -> None:
        """Note the rows of a node's result. One without rows, such as the largest number of all, has to be the same as
        without the further candidates; sizes are not.
        """
        name = node.output[place]
        given = {one: self._rows[one] for one in read_by(node) if one in self._rows}
        self._rows.pop(name, None)
        if not given or node.op_type in SIZES:
            return
        known = [one for one in given.values() if one is not None]
        value, own = self._exact.get(name), self._original.get(name)
        if value is None or own is None or len(known) < len(given):
            self._rows[name] = LOST
        elif node.op_type == "TopK" and place == CHOOSERS["TopK"] and value.size == len(known[0].candidates):
            return  # an order of all rows, by which what is gathered has its own
        elif not any(len(one.candidates) in value.shape for one in known):
            if value.shape != own.shape or not _are_same(value, own):
                self._rows[name] = LOST
        else:
            self._rows[name] = self._rows_of(node, place, known)

    def _rows_of(self, node: NodeProto, place: int, known: Sequence[Rows]) -> Rows | None:
        """Return the rows of a node's result, from those of what it reads."""
        rows: Rows | None = known[0]
        if node.op_type in GATHERS and node.input[1] in self._rows:
            rows = self._rows[node.input[1]]
        elif node.op_type in GATHERS:
            rows = self._in_another_order(node, known[0], self._exact[node.input[1]])
        elif node.op_type == "TopK":
            rows = self._in_another_order(node, known[0], self._exact[node.output[1]])
        elif not all(one.of is known[0].of and np.array_equal(one.candidates, known[0].candidates) for one in known):
            rows = LOST
        return rows

    def _in_another_order(self, node: NodeProto, rows: Rows, places: Array) -> Rows | None:
        """Return the rows that a node takes at these places; the rows themselves where it takes from another axis, as
        one of the same size is unless it is the first.
        """
        shape, size = self._exact[node.input[0]].shape, len(rows.candidates)
        axis = axis_of(node) % len(shape)
        if shape[axis] != size or not places.ndim or (shape.count(size) > 1 and axis):
            return rows
        return rows.at(places.reshape(-1)) if places.size == max(places.shape, default=0) else LOST


def selected_outputs(model: ModelProto) -> list[str]:
    """Return the outputs whose entries may be selected by scores."""
    return Selections(model, model).outputs


def _after(model: ModelProto, names: set[str]) -> list[NodeProto]:
    """Return the nodes that depend on values, in order."""
    found, known = list[NodeProto](), set(names)
    for node in model.graph.node:
        if known.intersection(read_by(node)):
            found.append(node)
            known.update(name for name in node.output if name)
    return found


def _decided(node: NodeProto) -> Sequence[str]:
    """Return the results of a node that scores decide, if it is one of those that decide."""
    if node.op_type not in DECIDES or (node.op_type == "Cast" and attribute_of(node, "to", 0) not in WHOLE):
        return ()
    if node.op_type in CHOOSERS:
        return [node.output[CHOOSERS[node.op_type]]]
    return [name for name in node.output if name]


def _are_same(found: Array, own: Array) -> bool:
    if is_whole(own.dtype):
        return bool((found == own).all())
    scale = float(np.abs(np.nan_to_num(own, posinf=0, neginf=0)).max(initial=0.0))
    return bool(np.allclose(found, own, rtol=SAME, atol=SAME * scale, equal_nan=True))
