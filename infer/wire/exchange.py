"""One timed request, and its answer as arrays."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from assay.errors import FailedError
from assay.infer.wire.clients import UNREADABLE, refusal, text_of
from assay.infer.wire.target import Answer, Target
from assay.numerics.served import DTYPES, Array, ServedTensor

FIELDS = {
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    **{name: f"{name.lower()}_contents" for name in ("BOOL", "INT64", "UINT64", "FP32", "FP64")},
}
"""The field in which gRPC carries a tensor's numbers one by one, by data type; FP16 has none."""


def exchange(
    client: Any,  # either of tritonclient's clients, which have no common type
    target: Target,
    prepare: Callable[[], tuple[list[object], object]],
    count: int,
    identifier: str,
    **options: object,
) -> Answer:
    """Send one timed request, and check its answer against the request.

    Raises:
        FailedError: the server refused it, did not answer, or answered something else.
    """
    clock = time.perf_counter_ns
    begun = clock()
    tensors, wanted = prepare()
    sent = clock()
    try:
        result = client.infer(target.model, tensors, outputs=wanted, request_id=identifier, **options)
        received = clock()
        arrays = _arrays_of(result, target)
    except (OSError, *UNREADABLE, refusal()) as error:
        raise FailedError(f"A request of {count} records failed", found=text_of(error)) from error
    read = clock()
    response = result.get_response()
    said = response if isinstance(response, dict) else {"id": response.id, "model_version": response.model_version}
    answered = str(said.get("id") or "")
    if answered not in {"", identifier}:
        raise FailedError("An answer reached the wrong request", expected=identifier, found=answered)
    return Answer(
        outputs={
            one.name: _checked(target, count, one, array) for one, array in zip(target.outputs, arrays, strict=True)
        },
        version=str(said.get("model_version") or ""),
        begun_ns=begun,
        wire_ns=received - sent,
        client_ns=(sent - begun) + (read - received),
    )


def _arrays_of(result: Any, target: Target) -> list[object]:
    """Return the outputs in order, None for a missing one. tritonclient reads raw bytes and JSON; over gRPC a server
    may also send numbers in typed fields.
    """
    response = result.get_response()
    if isinstance(response, dict) or response.raw_output_contents:
        return [result.as_numpy(one.name) for one in target.outputs]
    sent = {one.name: one for one in response.outputs}
    return [_typed(sent[one.name]) if one.name in sent else None for one in target.outputs]


def _typed(output: Any) -> Array:
    """Return an output whose numbers are in a typed field."""
    numbers = getattr(output.contents, FIELDS[output.datatype])
    return np.array(numbers, DTYPES[output.datatype]).reshape(list(output.shape))


def _checked(target: Target, count: int, tensor: ServedTensor, array: object) -> Array:
    """Return an output as (count, *shape).

    Raises:
        FailedError: the output has another type or shape, or is missing.
    """
    batch = target.batch(count)
    wanted = (*batch, *tensor.shape)
    fits = isinstance(array, np.ndarray) and array.shape in {wanted, (*batch, *tensor.wire_shape)}
    if not isinstance(array, np.ndarray) or not fits or array.dtype != tensor.dtype:
        found = "nothing" if array is None else f"{getattr(array, 'dtype', '')} {getattr(array, 'shape', '')}"
        raise FailedError(
            f"The output {tensor.name} differs from the audited one", expected=f"{tensor.dtype} {wanted}", found=found
        )
    return array.reshape(count, *tensor.shape)
