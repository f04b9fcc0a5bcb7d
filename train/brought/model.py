"""A model that a user brings: its identity, location, inputs and outputs, as plain values.

Inputs are *records* in a numpy array with one named field for each input of the model. If the model takes a batch, a
record is one row of it, and any number of rows makes a call. If the rows of a call depend on each other, or there is no
batch, a record is the whole input of one call.
"""

from __future__ import annotations

import contextlib
import math
import operator
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from assay.errors import InputError
from assay.records.base import Record

Kind = Literal["onnx", "torch", "tf", "jax"]
Form = Literal["onnx", "script", "program", "saved-model", "keras", "tflite", "function", "named"]
Dimension = int | str

KINDS: tuple[Kind, ...] = ("onnx", "torch", "tf", "jax")


class Location(Record):
    """The location of a model.

    Attributes:
        kind: framework of the model; "" for a function, until its file has been run.
        function: its name in the file, or in the library that makes it; "" for all other forms.
        module: the dotted name that its file is imported by, "project.models.net", where the user gave that; else "".
        library: the library that makes it (`assay.registry.LIBRARIES`), of a model in the form "named"; else "".
    """

    path: Path
    form: Form
    kind: Kind | Literal[""] = ""
    function: str = ""
    module: str = ""
    library: str = ""

    @property
    def name(self) -> str:
        """The model's name in results."""
        if self.library:
            return f"{self.library}-{self.function or self.path.name}".replace("/", "-")
        return f"{self.path.stem}.{self.function}" if self.function else self.path.stem

    @property
    def is_of_library(self) -> bool:
        """Whether it is known by its name in a library alone, so that it lies in no file."""
        return bool(self.library and self.function)

    def __str__(self) -> str:
        if self.library:
            return f"{self.library}:{self.function or self.path.name}"
        file = self.module or self.path.name
        return f"{file}:{self.function}" if self.function else file


class Declared(Record):
    """An input as the file or the user declares it; a dimension is a number, or a name where it is dynamic.

    Attributes:
        optional: whether the model runs without it; it is not passed unless the user names it.
        any_rank: whether the file does not even say how many dimensions it has, so that `shape` says nothing.
    """

    name: str
    dtype: str
    shape: tuple[Dimension, ...]
    optional: bool = False
    any_rank: bool = False

    def __str__(self) -> str:
        if self.any_rank:
            return f"'{self.name}' {in_words(self.dtype)} of any shape"
        return f"'{self.name}' {in_words(self.dtype)} [{', '.join(map(str, self.shape))}]"


NARROW = "bfloat16"
TEXT = "str"
"""The type of an input of text; numpy's type has the length of the longest one, "<U12"."""


def held(dtype: str) -> str:
    """Return the type in which numpy holds the numbers of a type."""
    return "float32" if dtype == NARROW else dtype


def in_words(dtype: str) -> str:
    """Return the name of a type for a person: numpy's, and "text"."""
    return "text" if dtype.lstrip("<>=").startswith(("U", TEXT)) else dtype


def unnamed(name: str, place: int) -> str:
    """Return the name of an input's dimension that its file leaves open without a name; each is a dimension of its
    own.
    """
    return f"{name}.{place}"


class OpenSize(Record):
    """A dimension of an input that an export has to leave open, since the model is compared at several sizes of it.

    Attributes:
        axis: its place in the shape of one record.
        name: its name; dimensions of one name have one size.
        least, most: sizes between which it is compared.
    """

    axis: int
    name: str
    least: int
    most: int

    @property
    def symbol(self) -> str:
        """Its name as every exporter takes one."""
        plain = re.sub(r"\W", "_", self.name, flags=re.ASCII)
        return plain if plain.isidentifier() else f"size_{plain}"


class Tensor(Record):
    """One input or output, with the shape of one record: without the batch where records are rows.

    Attributes:
        open: dimensions that an export leaves open beside the batch.
        shared: whether it is an input without a batch where the others have one, such as a threshold, so that it is the
            same for all records of a call.
        narrow: whether it is an input that the model takes in bfloat16, which numpy lacks: it is float32 here, and is
            cast before the model gets it.
        varying: dimensions of an output whose size depends on the values of the inputs; `shape` has room for more than
            was seen (`assay.train.brought.varying`).
        lines: the number of the call that gives an output whose lines come in no order that is defined, as those of
            top-k that need not be sorted, and the dimension of a line; None where all is in order.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    shared: bool = False
    open: tuple[OpenSize, ...] = Field(default=(), exclude_if=operator.not_)
    narrow: bool = Field(default=False, exclude_if=operator.not_)
    varying: tuple[int, ...] = Field(default=(), exclude_if=operator.not_)
    lines: tuple[int, int] | None = Field(default=None, exclude_if=operator.not_)

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class UserModel(Record):
    """A model that a user brought and that has been probed.

    It and `assay.train.built.BuiltModel` answer the same questions (name, inputs, outputs, shapes, fingerprint), so
    that every job, runtime and stage takes either. They are two records, since their origins have no field in common: a
    file or function with a framework of its own here, an architecture with neutral weights there.

    Attributes:
        whole: whether a record is a whole call, not a row of a batch.
        batch: number of rows in every call if it is fixed; None where the model takes any.
        without: names of outputs that the user leaves out: they are not computed, compared or exported.
        arithmetic: the least exact floating point that a call of it computes in; a model in "fp16" or "bf16" is judged
            by their rounding, all others by fp32's (`assay.numerics.rounding`).
        axis_size: the size at which it is timed, of the dimension along which it is compared; 0 where there is none.
        weights: where a library's model has its weights from; "" where the user's own file says it.
        written: names of the inputs that it writes to: it gets a copy of each in every call.
        fingerprint: hash of its files, of the source that was run, and of its results: it changes with the model.
    """

    location: Location
    kind: Kind
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    whole: bool = False
    batch: int | None = None
    without: tuple[str, ...] = ()
    arithmetic: str = "fp32"
    weights: str = ""
    axis_size: int = Field(default=0, exclude_if=operator.not_)
    written: tuple[str, ...] = Field(default=(), exclude_if=operator.not_)
    fingerprint: str = ""

    @property
    def name(self) -> str:
        """The model's name in results."""
        return self.location.name

    @property
    def narrow(self) -> tuple[str, ...]:
        """The names of the inputs that it takes in bfloat16."""
        return tuple(one.name for one in self.inputs if one.narrow)

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that a runtime of its framework may load it in (`assay.runtimes.entry.RuntimeEntry`)."""
        step = f"{self.kind}-decode"
        return (self.kind, step) if self.location.library.endswith("-decode") else (self.kind,)

    @property
    def parts(self) -> list[tuple[Tensor, slice]]:
        """Every output, with its columns among all."""
        return list(parts_of(self.outputs))

    @property
    def width(self) -> int:
        """The count of numbers in the outputs of one record."""
        return sum(output.size for output in self.outputs)

    @property
    def image_size(self) -> int:
        """The size by which results name it: that of the dimension along which it is compared, or the height of the
        square image that is the only input; 0 for other inputs, and for a model whose sizes are open.
        """
        if self.axis_size or self.is_of_any_size:
            return self.axis_size
        shape = self.inputs[0].shape[-3:] if len(self.inputs) == 1 else ()
        if len(self.inputs[0].shape) != (4 if self.whole else 3) or len(shape) != 3:
            return 0
        first, middle, last = shape
        return middle if middle in (first, last) and min(first, last) <= 4 else 0

    def shape_of(self, tensor: Tensor, batch: int) -> tuple[int, ...]:
        """Return the shape of an input in a call with so many records."""
        return tensor.shape if self.whole or tensor.shared else (batch, *tensor.shape)

    def open_shape_of(self, tensor: Tensor) -> tuple[int | None, ...]:
        """Return the same, with None for a batch of any size."""
        return tensor.shape if self.whole or tensor.shared else (self.batch, *tensor.shape)

    def any_shape_of(self, tensor: Tensor) -> tuple[int | None, ...]:
        """Return the same, with None also for a size that is left open beside the batch."""
        shape = list(self.open_shape_of(tensor))
        for size in tensor.open:
            shape[size.axis + len(shape) - len(tensor.shape)] = None
        return tuple(shape)

    @property
    def is_of_any_size(self) -> bool:
        """Whether sizes beside the batch are left open, so that calls may be of several."""
        return any(one.open for one in self.inputs)

    @property
    def example_batch(self) -> int:
        """A batch to trace with: two where it may be any, so that no dimension of one is baked in."""
        return self.batch or (1 if self.whole else 2)


def parts_of(outputs: Sequence[Tensor]) -> Iterator[tuple[Tensor, slice]]:
    """Iterate over outputs that lie side by side in rows, each with its columns."""
    start = 0
    for output in outputs:
        yield output, slice(start, start + output.size)
        start += output.size


def read_shapes(texts: list[str]) -> tuple[Declared, ...]:
    """Read inputs from "NAME=1,3,224,224" or "NAME=int64:batch,128"; a word in place of a number is a dynamic
    dimension.

    Raises:
        InputError: a text is not of this form.
    """
    return tuple(_declared(text) for text in texts)


def read_ranges(ranges: Sequence[str], values: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Read the least and the largest number of inputs from "NAME=0:30522", and from "NAME=16000" where they are one.

    Raises:
        InputError: a text is not of this form, or an input is named twice.
    """
    found: dict[str, tuple[float, float]] = {}
    for option, text in (*(("--range", one) for one in ranges), *(("--value", one) for one in values)):
        name, _, rest = text.partition("=")
        ends = [_number(part) for part in (rest.split(":") if option == "--range" else [rest, rest])]
        least, *more = [one for one in ends if one is not None] or [0]
        if not name or None in ends or len(more) != 1 or least > more[0] or name in found:
            raise InputError(
                f"{option} cannot be read: '{text}'",
                expected="NAME=LEAST:MOST, each input once" if option == "--range" else "NAME=NUMBER, each input once",
            )
        found[name] = (least, more[0])
    return found


def _number(text: str) -> float | None:
    """Return a whole or other finite number; None where the text is none."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            found = kind(text)
            return found if math.isfinite(found) else None
    return None


def _declared(text: str) -> Declared:
    name, separator, rest = text.partition("=")
    dtype, colon, dimensions = rest.rpartition(":")
    parts = [part.strip() for part in dimensions.split(",")] if dimensions.strip() else []
    good = all(part.isidentifier() or (part.isdecimal() and int(part) > 0) for part in parts)
    if not name or not separator or not good or (colon and dtype not in DTYPES):
        raise InputError(
            f"--shape cannot be read: '{text}'",
            expected="NAME=1,3,224,224 or NAME=TYPE:batch,128, a type among " + ", ".join(DTYPES),
        )
    shape = tuple(int(part) if part.isdecimal() else part for part in parts)
    return Declared(name=name, dtype=dtype or "float32", shape=shape)


DTYPES = (
    "float32", "float64", "float16", NARROW, "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "bool",
)  # fmt: skip
