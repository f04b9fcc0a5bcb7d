"""A request over HTTP: read as JSON with or without bytes behind it, checked against the contract, and rewritten."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from assay.infer.server.front.contract import Contract, RefusedError, check_id, shown

Said = dict[str, Any]
REQUEST_KEYS = frozenset({"id", "parameters", "inputs", "outputs"})
INPUT_KEYS = frozenset({"name", "shape", "datatype", "parameters", "data"})
OUTPUT_KEYS = frozenset({"name", "parameters"})
MEMORY_KEYS = frozenset({"shared_memory_region", "shared_memory_byte_size", "shared_memory_offset"})
LARGEST_OFFSET = 2**40
KEPT_BYTES, MOST_KEPT = 1_024, 4_096


class Canonical:
    """Rewrites requests. Clients repeat the same text before their numbers, so its translation is kept."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._kept: dict[bytes, tuple[bytes, int]] = {}

    def __call__(self, body: bytes, header_bytes: int | None) -> tuple[bytes, bytes]:
        """Do the same as `canonical`."""
        short = header_bytes is not None and header_bytes <= KEPT_BYTES
        head = body[:header_bytes] if short else b""
        text, size = self._kept.get(head, (b"", -1))
        if len(body) - len(head) == size:
            return text, body[header_bytes:]
        text, tail = canonical(body, header_bytes, self._contract)
        if short and tail == body[header_bytes:]:  # no number was JSON
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[head] = text, len(tail)
        return text, tail


def canonical(body: bytes, header_bytes: int | None, contract: Contract) -> tuple[bytes, bytes]:
    """Return the same request for the server: its JSON, and all inputs as bytes in order.

    Args:
        header_bytes: length of the body's JSON; None if all of it is JSON.

    Raises:
        RefusedError: the model does not answer such a request.
    """
    if header_bytes is not None and header_bytes > len(body):
        raise RefusedError(f"the header is declared to be {header_bytes} bytes of {len(body)}")
    said = parsed(body if header_bytes is None else body[:header_bytes])
    check_keys(said, REQUEST_KEYS, "the request")
    check_id(said.get("id", ""))
    inputs, tail = _inputs(said, memoryview(body)[header_bytes or len(body) :], contract)
    written: Said = {"id": said.get("id", ""), "inputs": inputs}
    parameters = _parameters(said.get("parameters", {}))
    if parameters:
        written["parameters"] = parameters
    outputs = _outputs(said.get("outputs", []), contract)
    if outputs:
        written["outputs"] = outputs
    return json.dumps(written).encode(), tail


def parsed(text: bytes) -> Said:
    """
    Raises:
        RefusedError: it is not a JSON object in UTF-8, has a name twice or numbers that JSON does not have, or is
            nested deeply.
    """
    try:
        said = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise RefusedError("the JSON is nested too deeply") from None
    except ValueError as error:  # includes text that is not UTF-8
        raise RefusedError(f"failed to parse the request JSON: {shown(str(error))}") from None
    if not isinstance(said, dict):
        raise RefusedError("the request JSON is not an object")
    return said


def check_keys(said: Said, known: frozenset[str], where: str) -> None:
    """
    Raises:
        RefusedError: there is another key.
    """
    if not said.keys() <= known:
        unknown = next(key for key in said if key not in known)
        raise RefusedError(f"{where} has the unexpected key {shown(unknown)}")


def _unique(pairs: list[tuple[str, Any]]) -> Said:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name appears twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def _objects(said: object, known: frozenset[str], where: str) -> list[Said]:
    if not isinstance(said, list) or not all(isinstance(one, dict) for one in said):
        raise RefusedError(f"{where} are not a list of objects")
    for one in said:
        check_keys(one, known, f"one of {where}")
    return said


def _inputs(said: Said, sent: memoryview, contract: Contract) -> tuple[list[Said], bytes]:
    found = _objects(said.get("inputs"), INPUT_KEYS, "the inputs")
    names = [name for one in found if isinstance(name := one.get("name"), str)]
    if len(names) != len(found):
        raise RefusedError("an input's name is not text")
    contract.check_inputs(names)
    written: list[Said] = []
    parts: list[bytes | memoryview] = []
    shapes: list[list[int]] = []
    for one in found:
        name, shape = one["name"], one.get("shape")
        if not isinstance(shape, list):
            raise RefusedError(f"the input {name} has no shape")
        size = contract.check_tensor(name, one.get("datatype"), shape)
        shapes.append(shape)
        parameters, part, sent = _content(one, size, sent, contract)
        parts.append(part)
        written.append({"name": name, "datatype": one["datatype"], "shape": shape, "parameters": parameters})
    if len(sent):
        raise RefusedError(f"{len(sent)} bytes are left after every input has its own")
    contract.check_records(shapes)
    return written, b"".join(parts)


def _content(one: Said, size: int, sent: memoryview, contract: Contract) -> tuple[Said, bytes | memoryview, memoryview]:
    """Return an input's parameters for the server, its bytes, and the remainder of the bytes sent."""
    name, parameters = one["name"], one.get("parameters", {})
    if not isinstance(parameters, dict):
        raise RefusedError(f"the parameters of the input {name} are not an object")
    if parameters.keys() & MEMORY_KEYS:
        check_memory(parameters, size, contract)
        if "data" in one:
            raise RefusedError(f"the input {name} is in shared memory and in the request")
        return parameters, b"", sent
    check_keys(parameters, frozenset({"binary_data_size"}), f"the input {name}")
    if "data" in one:
        if parameters:
            raise RefusedError(f"the input {name} has its data twice")
        return {"binary_data_size": size}, _numbers(one, size, contract), sent
    if type(parameters.get("binary_data_size")) is not int or parameters["binary_data_size"] != size:
        raise RefusedError(f"the input {name} has {shown(parameters.get('binary_data_size'))} bytes, expected {size}")
    if len(sent) < size:
        raise RefusedError(f"the input {name} has {len(sent)} bytes, expected {size}")
    return parameters, sent[:size], sent[size:]


def _numbers(one: Said, size: int, contract: Contract) -> bytes:
    """Return the bytes of numbers that came as JSON, flat or nested."""
    kind = contract.by_name[one["name"]].kind
    try:
        found = np.asarray(one["data"])
    except (ValueError, OverflowError, RecursionError):
        raise RefusedError(f"the data of the input {one['name']} is not an array of numbers") from None
    fitting = {"b": "b", "i": "iu", "u": "iu", "f": "iuf"}[kind.kind]
    if found.size * kind.itemsize != size or found.dtype.kind not in fitting:
        raise RefusedError(f"the data of the input {one['name']} is not {size // kind.itemsize} numbers of {kind}")
    if kind.kind in "iu" and not (found.min() >= np.iinfo(kind).min and found.max() <= np.iinfo(kind).max):
        raise RefusedError(f"the data of the input {one['name']} has numbers that are not {kind}")
    with np.errstate(over="ignore"):
        values = found.astype(kind)
    if kind.kind == "f" and not np.isfinite(values).all():
        raise RefusedError(f"the data of the input {one['name']} has numbers that are not {kind}")
    return values.tobytes()


def check_memory(parameters: Said, size: int, contract: Contract) -> None:
    """
    Raises:
        RefusedError: shared memory is off, or the parameters are not a place of `size` bytes in a region.
    """
    if not contract.shared_memory:
        raise RefusedError("shared memory is off: `assay serve --shared-memory` turns it on", 403)
    check_keys(parameters, MEMORY_KEYS, "an input")
    offset = parameters.get("shared_memory_offset", 0)
    region, given = parameters.get("shared_memory_region"), parameters.get("shared_memory_byte_size")
    if not isinstance(region, str) or type(given) is not int or given != size:
        raise RefusedError(f"an input in shared memory has {shown(given)} bytes, expected {size}")
    if type(offset) is not int or not 0 <= offset <= LARGEST_OFFSET:
        raise RefusedError(f"{shown(offset)} is not a place in shared memory")


def _parameters(said: object) -> Said:
    """Return the parameters of the whole request."""
    if not isinstance(said, dict):
        raise RefusedError("the parameters of the request are not an object")
    check_keys(said, frozenset({"binary_data_output"}), "the request's parameters")
    if not all(isinstance(value, bool) for value in said.values()):
        raise RefusedError("binary_data_output is true or false")
    return said


def _outputs(said: object, contract: Contract) -> list[Said]:
    found = _objects(said, OUTPUT_KEYS, "the outputs")
    contract.check_outputs([str(one.get("name")) for one in found])
    for one in found:
        parameters = one.get("parameters", {})
        if not isinstance(parameters, dict):
            raise RefusedError("the parameters of an output are not an object")
        check_keys(parameters, frozenset({"binary_data", "classification"}), "an output")
        if not isinstance(parameters.get("binary_data", False), bool):
            raise RefusedError("binary_data is true or false")
        classes = parameters.get("classification", 1)
        if type(classes) is not int or not 1 <= classes <= 1_000:
            raise RefusedError("classification is a number of classes from 1 to 1000")
    return found
