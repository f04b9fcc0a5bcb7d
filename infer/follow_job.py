"""A causal language model's two parts in one runtime, called as a text is written: the prompt, and then token after
token, each with the cache that the call before gave. Every token is a given one (teacher forcing), so that the logits
of each step can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.errors import InputError
from assay.files.arrays import load_array
from assay.infer.runtime import ModelFiles, Session
from assay.infer.runtimes.same_for_all import begin
from assay.jobs.files import Written
from assay.jobs.job import Job, Nothing
from assay.jobs.serving import serve_job
from assay.records.base import Record
from assay.registry import RUNTIMES
from assay.spec import Settings
from assay.train.brought.arrays import Array, record_type
from assay.train.brought.model import Tensor, UserModel


class PartOfText(Record):
    """One part of the model, and the runtime that computes it."""

    runtime: str
    model: ModelFiles


class FollowRequest(Record):
    """A runtime's two parts, and the text.

    Attributes:
        prompts: .npy file of tokens (records, tokens), as many as the first size of both parts.
        tokens: .npy file of the tokens that follow, (records, steps).
        out: .npy file for the logits (records, steps + 1, vocabulary), in the precision that they come in.
    """

    prefill: PartOfText
    decode: PartOfText
    settings: Settings
    prompts: Path
    tokens: Path
    out: Written


FOLLOW = Job("assay.infer.follow_job", "follow", FollowRequest, Nothing)


def follow(request: FollowRequest) -> Nothing:
    """
    Raises:
        InputError: a part takes one batch size alone, or does not take a longer cache.
        AssayError: the runtime does not load or run it.
    """
    begin(request.settings.cores, request.settings.device)
    prompts, tokens = load_array(request.prompts), load_array(request.tokens)
    (prefill, reading), (decode, writing) = (
        _opened(one, request.settings) for one in (request.prefill, request.decode)
    )
    logits, *cache = _called(prefill, reading.inputs, [one.shape for one in reading.outputs], [prompts])
    found = [logits]
    for step in range(tokens.shape[1]):
        inputs = [tokens[:, step : step + 1], *cache]
        logits, *cache = _called(decode, writing.inputs, _shapes_after(writing, cache), inputs)
        found.append(logits)
    np.save(request.out, np.stack([one[:, -1] for one in found], axis=1))
    return Nothing()


def _opened(part: PartOfText, settings: Settings) -> tuple[Session[object], UserModel]:
    model = part.model.user
    if model is None or model.batch is not None or model.whole:
        raise InputError("A text is followed with models of any batch")
    return RUNTIMES[part.runtime].load()(part.model, settings), model


def _shapes_after(model: UserModel, cache: Sequence[Array]) -> list[tuple[int, ...]]:
    """Return the shapes of a step's outputs for one record: the cache is one token longer than it was."""
    grown = [_longer(tensor, array.shape[1:]) for tensor, array in zip(model.inputs[1:], cache, strict=True)]
    return [model.outputs[0].shape, *grown]


def _longer(tensor: Tensor, shape: tuple[int, ...]) -> tuple[int, ...]:
    axes = {size.axis for size in tensor.open}
    return tuple(size + (axis in axes) for axis, size in enumerate(shape))


def _called(
    session: Session[object], inputs: Sequence[Tensor], shapes: Sequence[tuple[int, ...]], arrays: Sequence[Array]
) -> list[Array]:
    """Return the outputs of one call as arrays.

    Args:
        shapes: shape of each output, for one record.
        arrays: inputs of any sizes, in the model's order.
    """
    sized = [one.model_copy(update={"shape": array.shape[1:]}) for one, array in zip(inputs, arrays, strict=True)]
    records = np.zeros(len(arrays[0]), record_type(sized))
    for one, array in zip(inputs, arrays, strict=True):
        records[one.name] = array
    rows = session.fetch(session.run(session.prepare(records)))
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    if rows.shape[1] != ends[-1]:
        raise InputError(
            "A step gave outputs of other sizes",
            expected=f"{ends[-1]} numbers for each record",
            found=str(rows.shape[1]),
        )
    parts: list[NDArray[np.generic]] = np.split(rows, ends[:-1], axis=1)
    return [part.reshape(len(rows), *shape) for part, shape in zip(parts, shapes, strict=True)]


if __name__ == "__main__":
    serve_job(FOLLOW.done_by(follow))
