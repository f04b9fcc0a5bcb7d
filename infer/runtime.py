"""The one thing that the rest of Assay knows about a runtime.

A runtime is a function `load(model, settings) -> Session`, named by an entry in `assay/runtimes/`. Timing, profiling
and audit are functions over a session.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from assay.errors import InputError
from assay.infer.observing.observed import Observed
from assay.spec import INPUT_NAME, ModelSpec, Settings, Signature
from assay.train.brought.arrays import Array, inputs_of, repeated, rows_of
from assay.train.brought.model import UserModel
from assay.train.built import BuiltModel

Native = TypeVar("Native")
Images = NDArray[np.float32]
Logits = NDArray[np.float32]
Records = NDArray[Any]
"""Images, or records of a user's inputs, a field each."""


class ModelFiles(BaseModel):
    """A model, built or brought, and the files that were made of it.

    Attributes:
        model: what the frameworks' own runtimes run; the inputs of one that somebody brought are records (see
            `assay.train.brought.model`), not images.
        onnx: an ONNX file, for the runtimes that run those.
        onnx_layout: layout of the ONNX file's input, "NHWC" or "NCHW".
        precision: of the ONNX file; what is not fp32 is judged as such.
        program: folder of what was made of the model for a runtime that loads its own format
            (`assay.runtimes.entry.RuntimeEntry.maker`).
        program_key: of that folder's artifact; "" where there is none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: BuiltModel | UserModel
    onnx: Path | None = None
    onnx_layout: str = "NHWC"
    precision: str = "fp32"
    program: Path | None = None
    program_key: str = ""

    @property
    def user(self) -> UserModel | None:
        """The model where somebody brought it."""
        return self.model if isinstance(self.model, UserModel) else None

    @property
    def built(self) -> BuiltModel:
        """
        Raises:
            InputError: somebody brought it.
        """
        if isinstance(self.model, BuiltModel):
            return self.model
        raise InputError(f"{self.model.name} is none of our architectures", expected="a model with neutral weights")

    @property
    def weights(self) -> Path | None:
        """Neutral weights, where the model has some."""
        return self.model.weights if isinstance(self.model, BuiltModel) else None

    @property
    def spec(self) -> ModelSpec:
        """What results call the model, and how many numbers it answers with."""
        model = self.model
        return model.spec if isinstance(model, BuiltModel) else ModelSpec(model.name, model.image_size, model.width, 0)

    @property
    def fingerprint(self) -> str:
        """What changes with a user's model; "" for our own, whose files say it."""
        return self.user.fingerprint if self.user else ""


class Session(Protocol[Native]):
    """A loaded model. Between `prepare` and `fetch` values stay in the runtime's own form.

    Attributes:
        signature: the model's input and output as this runtime has them.
        precision: what it computes in, "fp32" unless it says otherwise.
        facts: settings worth recording with a measurement.
    """

    signature: Signature
    precision: str
    facts: dict[str, str]

    def prepare(self, images: Records) -> Native:
        """From float32 (batch, H, W, C), contiguous, or from a user's records, to the runtime's own form, on its
        device.
        """

    def run(self, native: Native) -> Native:
        """The model's output in the runtime's own form; returns only when it is ready."""

    def fetch(self, native: Native) -> Array:
        """From the runtime's own form to float32 logits (batch, classes), or a user's outputs (records, numbers)."""

    def observe(self, native: Native) -> Observed:
        """Where a call of this input computes and in what; asked after all timing, it may take as long as a call."""

    def close(self) -> None:
        """Give back what the session holds."""


Load = Callable[[ModelFiles, Settings], Session[object]]


@dataclass(frozen=True)
class Ends:
    """How records become the arrays that go into one call, and what comes out becomes rows of numbers.

    Attributes:
        names: of the inputs, in their order.
        arrays: from records (batch,) or images (batch, H, W, C) to one array for each input, contiguous.
        rows: from one array for each output to (records, numbers).
    """

    names: tuple[str, ...]
    arrays: Callable[[Records], Sequence[Array]]
    rows: Callable[[Sequence[Array]], Array]


def ends_of(model: ModelFiles, layout: str = "NHWC") -> Ends:
    """The ends of one of our own models, images in and logits out, or of a user's.

    Args:
        layout: that images go in with, "NHWC" or "NCHW".
    """
    user = model.user
    if user is not None:
        names = tuple(one.name for one in user.inputs)
        return Ends(names, functools.partial(inputs_of, user), functools.partial(rows_of, user))
    return Ends((INPUT_NAME,), _channels_first if layout == "NCHW" else _as_they_are, _first)


def _as_they_are(images: Images) -> Sequence[Images]:
    return (images,)


def _channels_first(images: Images) -> Sequence[Images]:
    return (np.ascontiguousarray(images.transpose(0, 3, 1, 2)),)


def _first(outputs: Sequence[Array]) -> Array:
    return outputs[0]


def signature_of(model: ModelFiles, layout: str) -> Signature:
    """The signature every runtime of a model has, in the layout it wants."""
    return Signature(model.spec.image_shape, model.spec.classes, layout)


def predict(session: Session[object], images: Images, batch: int) -> Logits:
    """Logits (count, classes) of all images, `batch` at a time; the last batch is filled up by repeating.

    Every call has the full batch, so that runtimes that compile for a shape compile once.
    """
    found = []
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        whole = repeated(part, batch)
        found.append(session.fetch(session.run(session.prepare(whole)))[: len(part)])
    return np.concatenate(found)


def device_calls(session: Session[object], natives: Sequence[object], calls: int) -> list[int]:
    """Nanoseconds of each of so many calls at the device boundary; the prepared inputs take turns."""
    clock = time.perf_counter_ns
    found = []
    for call in range(calls):
        value = natives[call % len(natives)]
        start = clock()
        session.run(value)
        found.append(clock() - start)
    return found
