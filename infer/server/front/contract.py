"""The requests that the served model accepts, and how large they can be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from assay.numerics.served import ServedTensor
from assay.records.base import Record

OVERHEAD_BYTES = 65_536
NAME_BYTES, TENSOR_BYTES = 6, 512
"""Bytes that a request may have besides its numbers: for each character of a tensor's name, and for the rest of a
tensor.
"""
JSON_BYTES, VARINT_BYTES = 32, 10
"""The most bytes that one number takes as JSON with its surroundings, and in a typed field of gRPC."""
LARGEST_ID = 256


class RefusedError(Exception):
    """A request that is not passed on; its text goes to the client.

    Attributes:
        status: HTTP status.
    """

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Expected:
    """The required type and size of an input.

    Attributes:
        shape: shape of one record.
        record_bytes: bytes of one record.
    """

    datatype: str
    shape: list[int]
    record_bytes: int
    kind: np.dtype[Any]


class Contract(Record):
    """The served model, as a deployment describes it.

    Attributes:
        model: its name, the only one that may be requested.
        inputs, outputs: tensors of one record.
        most_records: most records in one request; 0 where a request is one record, without a batch around it.
        hosts: names that a client may call this server by.
        any_address: whether it may be called by any address; unlike a name, an address cannot be made to lead here.
        shared_memory: whether clients may register memory.
        memory_prefix: beginning of the names of the servers' own shared memory, which nobody may register.
    """

    model: str
    inputs: tuple[ServedTensor, ...]
    outputs: tuple[ServedTensor, ...]
    most_records: int
    hosts: tuple[str, ...]
    any_address: bool = False
    shared_memory: bool = False
    memory_prefix: str = ""

    @cached_property
    def by_name(self) -> dict[str, Expected]:
        """The required type and size of each input, by name."""
        return {
            one.name: Expected(
                one.datatype,
                one.wire_shape,
                math.prod(one.wire_shape) * np.dtype(one.dtype).itemsize,
                np.dtype(one.dtype),
            )
            for one in self.inputs
        }

    @cached_property
    def output_names(self) -> frozenset[str]:
        return frozenset(one.name for one in self.outputs)

    @cached_property
    def numbers(self) -> int:
        """The count of numbers in the largest request."""
        return max(self.most_records, 1) * sum(math.prod(one.wire_shape) for one in self.inputs)

    @cached_property
    def overhead(self) -> int:
        """The bytes of a request besides its numbers."""
        tensors = [*self.inputs, *self.outputs]
        return OVERHEAD_BYTES + sum(NAME_BYTES * len(one.name) + TENSOR_BYTES for one in tensors)

    @cached_property
    def largest_body(self) -> int:
        """The most bytes of a request over HTTP, as JSON."""
        return self.numbers * JSON_BYTES + self.overhead

    @cached_property
    def largest_message(self) -> int:
        """The most bytes of a request over gRPC, with its numbers raw or in typed fields."""
        return self.numbers * VARINT_BYTES + self.overhead

    def check_inputs(self, names: Sequence[str]) -> None:
        """
        Raises:
            RefusedError: the names are not the model's inputs, each once.
        """
        known = self.by_name
        if len(names) == 1 == len(known) and names[0] in known:
            return
        for name in names:
            if name not in known:
                raise RefusedError(f"unexpected input {shown(name)}, expected {', '.join(known)}")
        if len(names) != len(known) or len(set(names)) != len(names):
            raise RefusedError(f"{len(names)} inputs, expected each of {', '.join(self.by_name)} once")

    def check_outputs(self, names: Sequence[str]) -> None:
        """
        Raises:
            RefusedError: the model has no output of such a name, or one is requested twice.
        """
        for name in names:
            if name not in self.output_names:
                raise RefusedError(f"unexpected output {shown(name)}, expected {', '.join(sorted(self.output_names))}")
        if len(set(names)) != len(names):
            raise RefusedError("an output is asked for twice")

    def check_tensor(self, name: str, datatype: object, shape: list[Any]) -> int:
        """Return the bytes of an input of this type and shape.

        Raises:
            RefusedError: the type, shape or number of records is not the model's.
        """
        expected = self.by_name[name]
        if datatype != expected.datatype:
            raise RefusedError(f"invalid datatype {shown(datatype)} of the input {name}, expected {expected.datatype}")
        if not self.most_records:
            records, given = 1, shape
        else:
            records, given = (shape[0], shape[1:]) if shape else (0, shape)
        if given != expected.shape or not all(type(size) is int for size in shape):
            batch = [f"1..{self.most_records}"] if self.most_records else []
            wanted = ", ".join([*batch, *map(str, expected.shape)])
            raise RefusedError(f"the shape of the input {name} is {shown(shape)}, expected [{wanted}]")
        if not 1 <= records <= max(self.most_records, 1):
            raise RefusedError(f"the request has {shown(records)} records, expected 1 to {self.most_records}")
        return int(records) * expected.record_bytes

    def check_records(self, shapes: Sequence[Sequence[int]]) -> None:
        """
        Raises:
            RefusedError: the inputs have different numbers of records.
        """
        if self.most_records and len(shapes) > 1 and len({shape[0] for shape in shapes}) > 1:
            raise RefusedError("the inputs have different numbers of records")


def check_id(identifier: object) -> None:
    """
    Raises:
        RefusedError: a request's identifier is long, or not printable ASCII.
    """
    text = identifier if isinstance(identifier, str) else "\n"
    if len(text) > LARGEST_ID or not (text.isascii() and text.isprintable()):
        raise RefusedError(f"a request's id is at most {LARGEST_ID} printable characters of ASCII")


def shown(value: object) -> str:
    """Return a client's own words for an error's text: short, printable, ASCII."""
    return ascii(value)[:80]
