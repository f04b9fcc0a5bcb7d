"""The interface through which the rest of Assay knows a runtime.

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
"""Images, or records of a user's inputs with a field for each."""


class ModelFiles(BaseModel):
    """A model, built or brought, and the files that were made from it.

    Attributes:
        model: the model that the frameworks' own runtimes run; the inputs of one that a user brought are records (see
            `assay.train.brought.model`), not images.
        onnx: an ONNX file, for the runtimes that run those.
        onnx_layout: layout of the ONNX file's input, "NHWC" or "NCHW".
        precision: precision of the ONNX file, by which it is judged.
        program: folder of the model's conversion for a runtime that loads its own format
            (`assay.runtimes.entry.RuntimeEntry.maker`).
        program_key: key of that folder's artifact; "" where there is none.
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
        """The model if a user brought it, else None."""
        return self.model if isinstance(self.model, UserModel) else None

    @property
    def built(self) -> BuiltModel:
        """
        Raises:
            InputError: a user brought it.
        """
        if isinstance(self.model, BuiltModel):
            return self.model
        raise InputError(
            f"{self.model.name} is not one of Assay's architectures", expected="a model with neutral weights"
        )

    @property
    def weights(self) -> Path | None:
        """Neutral weights, where the model has them."""
        return self.model.weights if isinstance(self.model, BuiltModel) else None

    @property
    def spec(self) -> ModelSpec:
        """The model's name in results, and how many numbers it answers with."""
        model = self.model
        return model.spec if isinstance(model, BuiltModel) else ModelSpec(model.name, model.image_size, model.width, 0)

    @property
    def fingerprint(self) -> str:
        """The fingerprint of a user's model; "" for our own, whose files identify it."""
        return self.user.fingerprint if self.user else ""


class Session(Protocol[Native]):
    """A loaded model. Between `prepare` and `fetch` values stay in the runtime's own form.

    Attributes:
        signature: the model's input and output as this runtime has them.
        precision: precision that it computes in, "fp32" unless it says otherwise.
        facts: settings worth recording with a measurement.
    """

    signature: Signature
    precision: str
    facts: dict[str, str]

    def prepare(self, images: Records) -> Native:
        """Convert float32 (batch, H, W, C), contiguous, or a user's records, to the runtime's own form, on its
        device.
        """

    def run(self, native: Native) -> Native:
        """Return the model's output in the runtime's own form, only when it is ready."""

    def fetch(self, native: Native) -> Array:
        """Convert the runtime's own form to float32 logits (batch, classes), or a user's outputs (records, numbers)."""

    def observe(self, native: Native) -> Observed:
        """Return the device and precision of a call of this input; used after all timing, it may take as long as a
        call.
        """

    def close(self) -> None:
        """Release what the session holds."""


Load = Callable[[ModelFiles, Settings], Session[object]]


@dataclass(frozen=True)
class Ends:
    """The conversion of records to the arrays of one call, and of its outputs to rows of numbers.

    Attributes:
        names: names of the inputs, in their order.
        arrays: converts records (batch,) or images (batch, H, W, C) to one contiguous array for each input.
        rows: converts one array for each output to (records, numbers).
    """

    names: tuple[str, ...]
    arrays: Callable[[Records], Sequence[Array]]
    rows: Callable[[Sequence[Array]], Array]


def ends_of(model: ModelFiles, layout: str = "NHWC") -> Ends:
    """Return the ends of one of our own models, images in and logits out, or of a user's model.

    Args:
        layout: layout of the input images, "NHWC" or "NCHW".
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
    """Return the signature of a model in every runtime, in the layout that this one wants."""
    return Signature(model.spec.image_shape, model.spec.classes, layout)


def predict(session: Session[object], images: Images, batch: int) -> Logits:
    """Return the logits (count, classes) of all images, `batch` at a time; the last batch is filled up by repeating.

    Every call has the full batch, so that runtimes that compile for a shape compile once.
    """
    found = []
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        whole = repeated(part, batch)
        found.append(session.fetch(session.run(session.prepare(whole)))[: len(part)])
    return np.concatenate(found)


def device_calls(session: Session[object], natives: Sequence[object], calls: int) -> list[int]:
    """Return nanoseconds of each of so many calls at the device boundary; the prepared inputs are used in turn."""
    clock = time.perf_counter_ns
    found = []
    for call in range(calls):
        value = natives[call % len(natives)]
        start = clock()
        session.run(value)
        found.append(clock() - start)
    return found
