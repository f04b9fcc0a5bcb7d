"""The text that a causal language model writes in float64, greedily: at each step the token whose logit is largest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.errors import InputError
from assay.export.probing.loading import load
from assay.files.arrays import load_array
from assay.jobs.files import Written
from assay.jobs.job import Job, Nothing
from assay.jobs.serving import serve_job
from assay.records.base import Record
from assay.train.brought.loaders.loaded import Compute
from assay.train.brought.model import UserModel

TOKENS_FILE, LOGITS_FILE = "tokens.npy", "logits.npy"


class GreedyRequest(Record):
    """A model's two parts (`assay.bench.tasks.causal_lm.task`), and its prompts.

    Attributes:
        prompts: .npy file of tokens (records, tokens).
        steps: number of tokens to write after each.
        folder: folder for `TOKENS_FILE`, the written tokens (records, steps), and `LOGITS_FILE`, float64 logits
            (records, steps + 1, vocabulary), the first of which follow the prompt.
    """

    prefill: UserModel
    decode: UserModel
    prompts: Path
    steps: int
    folder: Written


GREEDY = Job("assay.export.reference.greedy_job", "greedy", GreedyRequest, Nothing)


def greedy(request: GreedyRequest) -> Nothing:
    """
    Raises:
        InputError: a part cannot be computed in float64, or the two do not fit together.
    """
    prompts = load_array(request.prompts)
    prefill, decode = (_in_double(one) for one in (request.prefill, request.decode))
    logits, *cache = prefill([prompts]).values()
    if len(cache) != len(request.decode.inputs) - 1:
        raise InputError(
            "The prefill and the decode of the model do not fit together",
            expected=f"{len(request.decode.inputs) - 1} tensors of a cache, which decode takes",
            found=f"{len(cache)} from prefill",
        )
    found: list[NDArray[np.float64]] = [logits[:, -1].astype(np.float64)]
    written = []
    kind = np.dtype(request.decode.inputs[0].dtype)
    for _ in range(request.steps):
        tokens = found[-1].argmax(axis=1)
        written.append(tokens)
        logits, *cache = decode([tokens[:, None].astype(kind), *cache]).values()
        found.append(logits[:, -1].astype(np.float64))
    np.save(request.folder / TOKENS_FILE, np.stack(written, axis=1))
    np.save(request.folder / LOGITS_FILE, np.stack(found, axis=1))
    return Nothing()


def _in_double(model: UserModel) -> Compute:
    loaded = load(model.location)[1]
    return loaded.bound([one.name for one in model.inputs], model.without, model.narrow).double()


if __name__ == "__main__":
    serve_job(GREEDY.done_by(greedy))
