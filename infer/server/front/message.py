"""A request over gRPC, checked against the contract."""

from __future__ import annotations

from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from tritonclient.grpc import service_pb2

from assay.infer.server.front.contract import Contract, RefusedError, check_id, shown
from assay.infer.server.front.json_request import MEMORY_KEYS, check_memory
from assay.infer.wire.exchange import FIELDS
from assay.numerics.served import DTYPES

OTHER_BYTES = 4_096
"""The largest request that is not about an inference."""


def check_infer(content: bytes, contract: Contract) -> None:
    """
    Raises:
        RefusedError: the message is not a request that the model answers.
    """
    request = _parsed(content)
    if request.model_name != contract.model:
        raise RefusedError(f"Request for unknown model: {shown(request.model_name)} is not found", 404)
    if request.model_version and not (request.model_version.isascii() and request.model_version.isdecimal()):
        raise RefusedError("a version is a number")
    check_id(request.id)
    if request.parameters:
        raise RefusedError("the request has unexpected parameters")
    contract.check_inputs([one.name for one in request.inputs])
    _check_inputs(request, contract)
    if request.outputs:
        contract.check_outputs([one.name for one in request.outputs])
        for output in request.outputs:
            _check_output(output)


def _check_inputs(request: Any, contract: Contract) -> None:
    raw = request.raw_input_contents
    place, shapes = 0, []
    for one in request.inputs:
        shapes.append(list(one.shape))
        size = contract.check_tensor(one.name, one.datatype, shapes[-1])
        if one.parameters:
            _check_memory(one, size, contract)
            continue
        if raw:
            found = len(raw[place]) if place < len(raw) else 0
            place += 1
            if found != size or one.HasField("contents"):
                raise RefusedError(f"the input {one.name} has {found} bytes, expected {size}")
        else:
            _check_typed(one, size)
    if place != len(raw):
        raise RefusedError(f"{len(raw)} inputs have bytes, expected {place}")
    contract.check_records(shapes)


def _parsed(content: bytes) -> Any:  # protobuf's classes are made when it is imported
    try:
        return service_pb2.ModelInferRequest.FromString(content)
    except DecodeError:
        raise RefusedError("Unable to parse request") from None


def _check_memory(one: Any, size: int, contract: Contract) -> None:
    parameters = {name: _value(value) for name, value in one.parameters.items()}
    if not parameters.keys() <= MEMORY_KEYS or one.HasField("contents"):
        raise RefusedError(f"the input {one.name} has unexpected parameters")
    check_memory(parameters, size, contract)


def _check_typed(one: Any, size: int) -> None:
    field = FIELDS[one.datatype]
    numbers = getattr(one.contents, field)
    kind = np.dtype(DTYPES[one.datatype])
    if len(numbers) * kind.itemsize != size or [found.name for found, _ in one.contents.ListFields()] != [field]:
        raise RefusedError(f"the input {one.name} has {len(numbers)} numbers, expected {size // kind.itemsize}")
    if kind.kind in "iu" and not (min(numbers) >= np.iinfo(kind).min and max(numbers) <= np.iinfo(kind).max):
        raise RefusedError(f"the input {one.name} has numbers that are not {kind}")


def _check_output(output: Any) -> None:
    for name, value in output.parameters.items():
        classes = _value(value)
        if name != "classification" or type(classes) is not int or not 1 <= classes <= 1_000:
            raise RefusedError(f"the output {output.name} has unexpected parameters")


def _value(parameter: Any) -> object:
    kind = parameter.WhichOneof("parameter_choice")
    return getattr(parameter, kind) if kind else None
