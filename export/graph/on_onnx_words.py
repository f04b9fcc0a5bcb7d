"""The words that an ONNX file knows, for its inputs of text: those of an encoder, a vocabulary or a table that they
reach. Other words tell nothing about such a file, and some encoders refuse them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

TEXT = TensorProto.STRING
LISTS = ("keys_strings", "cats_strings", "pool_strings")
PICKS = {"Gather", "ArrayFeatureExtractor"}
SPLITS = {"Tokenizer", "StringSplit", "RegexSplit"}
LENGTH, TEXTS = 6, 16
"""The words of a text that the file splits into words, and how many texts are made."""
ANY = ("apple", "Zürich", "It was a fine day.", "12 34", "a")

Origin = tuple[str, int | None, bool]
"""An input of text, the column of it where it is one, and whether it has been split into words."""


def words_of(model: ModelProto) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Return the texts to draw for each input of text: for each of its columns, or one group for all of them."""
    inputs = [one.name for one in model.graph.input if one.type.tensor_type.elem_type == TEXT]
    if not inputs:
        return {}
    constants = {one.name: one for one in model.graph.initializer}
    origins: dict[str, set[Origin]] = {name: {(name, None, False)} for name in inputs}
    known: dict[str, dict[int | None, dict[str, None]]] = {name: {} for name in inputs}
    for node in model.graph.node:
        reached = set[Origin]().union(*(origins.get(name, set()) for name in node.input))
        if not reached:
            continue
        words = list(_words_in(node, constants))
        for name, column, split in reached:
            texts = _texts(words) if split else words
            known[name].setdefault(column, {}).update(dict.fromkeys(texts))
        if not words:
            column = _column(node, constants)
            moved = {
                (name, before if column is None else column, split or node.op_type in SPLITS)
                for name, before, split in reached
            }
            origins.update(dict.fromkeys(node.output, moved))
    return {name: _groups({column: tuple(some) for column, some in known[name].items() if some}) for name in inputs}


def _groups(by_column: Mapping[int | None, tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    columns = sorted(column for column in by_column if column is not None)
    if columns and columns == list(range(len(columns))):
        return tuple(by_column[column] for column in columns)
    together = tuple(dict.fromkeys(word for words in by_column.values() for word in words))
    return (together or ANY,)


def _words_in(node: NodeProto, constants: Mapping[str, TensorProto]) -> Iterator[str]:
    for attribute in node.attribute:
        if attribute.name in LISTS:
            yield from (one.decode("utf-8", "replace") for one in attribute.strings)
        elif attribute.name == "keys_tensor" and attribute.t.data_type == TEXT:
            yield from _strings(attribute.t)
    for name in node.input:
        if name in constants and constants[name].data_type == TEXT:
            yield from _strings(constants[name])


def _strings(tensor: TensorProto) -> Iterator[str]:
    yield from (one.decode("utf-8", "replace") for one in tensor.string_data)


def _texts(words: list[str]) -> list[str]:
    """Return texts of several words each."""
    random = np.random.default_rng(0)
    return [" ".join(map(str, random.choice(words, LENGTH))) for _ in range(TEXTS)] if words else []


def _column(node: NodeProto, constants: Mapping[str, TensorProto]) -> int | None:
    """Return the column that a node picks from its input; None where it picks none, or several."""
    if node.op_type not in PICKS or len(node.input) != 2 or node.input[1] not in constants:
        return None
    places = numpy_helper.to_array(constants[node.input[1]]).reshape(-1)
    return int(places[0]) if places.size == 1 and places.dtype.kind in "iu" else None
