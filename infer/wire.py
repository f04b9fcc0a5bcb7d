"""Ask an inference server of the Open Inference Protocol, one way for every transport.

The protocol is KServe's "Open Inference Protocol" (V2): tensors over HTTP or gRPC. Binary tensors over HTTP and shared
memory are Triton's extensions, used where the server says that it has them. tritonclient speaks all of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, Protocol, cast

import numpy as np

from assay.errors import FailedError, InputError, NotInstalledError
from assay.records import Record
from assay.served import Array, Records, Tensor

Way = Literal["http", "grpc", "shared-memory"]
WAYS: tuple[Way, ...] = ("http", "grpc", "shared-memory")
BINARY, SHARED_MEMORY = "binary_tensor_data", "system_shared_memory"
LIMIT_SECONDS = 30.0
ALIGNMENT = 64
"""Bytes that each tensor begins at a multiple of in shared memory."""


class Target(Record):
    """A served model and where it is.

    Attributes:
        http, grpc: host and port.
        model: its name.
        inputs, outputs: of one record.
        most_records: in one request; 0 where a request is one record, without a batch around it.
    """

    http: str
    grpc: str
    model: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    most_records: int

    def batch(self, records: int) -> list[int]:
        """What comes before a record's shape in a request of so many."""
        return [records] if self.most_records else []

    def arrays(self, records: Records) -> dict[str, Array]:
        """The inputs of one request by name, contiguous, in the shapes that the graph has.

        Raises:
            FailedError: it is none or more than one record where a request is one.
        """
        if not self.most_records and len(records) != 1:
            raise FailedError(f"A request of {len(records)} records failed", expected="one, the model takes no batch")
        source = records if self.most_records else records[0]
        return {one.name: np.asarray(source[one.name], order="C") for one in self.inputs}


@dataclass(frozen=True)
class Answer:
    """What a request came back with.

    Attributes:
        outputs: by name, (records, *shape).
        version: of the model that answered, "" where the server does not say.
        begun_ns: when the call began, on the monotonic clock.
        wire_ns: from handing the request to the transport to having its answer.
        client_ns: spent on making the request and reading the answer.
    """

    outputs: Mapping[str, Array]
    version: str
    begun_ns: int
    wire_ns: int
    client_ns: int

    @property
    def total_ns(self) -> int:
        return self.wire_ns + self.client_ns


class Connection(Protocol):
    """A client of one server; for one thread."""

    def ask(self, records: Records, identifier: str) -> Answer:
        """Send one request with these records, (count,).

        Raises:
            FailedError: the server refused it, did not answer, or answered something else.
        """

    def close(self) -> None:
        """Give back the connection and what the server holds for it."""


def describe(http: str, model: str = "", limit_seconds: float = LIMIT_SECONDS) -> dict[str, Any]:
    """What a server says of itself, or of one of its models.

    Raises:
        InputError: nothing answers there, or it has no such model.
    """
    client = _http(http, limit_seconds)
    try:
        if not client.is_server_ready():
            raise InputError(f"The server at {http} is not ready")
        found = client.get_model_metadata(model) if model else client.get_server_metadata()
    except (OSError, _refusal()) as error:
        raise InputError(
            f"No answer from {http}" + (f" about the model {model}" if model else ""),
            expected="a server of the Open Inference Protocol",
            found=text_of(error),
        ) from error
    finally:
        client.close()
    return cast("dict[str, Any]", found)


def describe_by_grpc(grpc: str, model: str) -> dict[str, Any]:
    """What a server says of one of its models over gRPC, in the shape of the HTTP answer.

    Raises:
        InputError: as `describe`.
    """
    client = _package("grpc").InferenceServerClient(grpc)
    try:
        found = client.get_model_metadata(model, as_json=True, client_timeout=LIMIT_SECONDS)
    except _refusal() as error:
        raise InputError(
            f"No answer from {grpc} over gRPC about the model {model}",
            expected="the gRPC address of the server",
            found=text_of(error),
            remedy="Name it with --grpc HOST:PORT, or leave gRPC out with --way http",
        ) from error
    finally:
        client.close()
    for tensor in (*found["inputs"], *found["outputs"]):
        tensor["shape"] = [int(size) for size in tensor["shape"]]
    return cast("dict[str, Any]", found)


def statistics(target: Target, version: str) -> dict[str, Any]:
    """Triton's own counters for one version of the model, or nothing where the server keeps none."""
    client = _http(target.http, LIMIT_SECONDS)
    try:
        found = client.get_inference_statistics(target.model, version)["model_stats"]
    except (OSError, _refusal()):
        return {}
    finally:
        client.close()
    return cast("dict[str, Any]", found[0]) if found else {}


def connect(way: Way, target: Target, *, binary: bool = True) -> Connection:
    """Connect to a server.

    Args:
        binary: over HTTP, send tensors as bytes, which is an extension of the protocol.

    Raises:
        NotInstalledError: tritonclient is not there.
        FailedError: shared memory cannot be had.
    """
    if way == "http":
        return _Http(target, binary=binary)
    return _Grpc(target) if way == "grpc" else _SharedMemory(target)


def why_no_shared_memory(target: Target) -> str:
    """Why a server that offers shared memory has none with this process, in its own words; empty where it has. One on
    a loopback address may be in a container, whose shared memory is its own."""
    connection = _SharedMemory(target)
    try:
        connection.make_room(ALIGNMENT)
    except FailedError as error:
        return str(error)
    finally:
        connection.close()
    return ""


class _Http:
    """Over HTTP, the tensors as bytes or as JSON."""

    def __init__(self, target: Target, *, binary: bool) -> None:
        self._target, self._binary = target, binary
        self._package = _package("http")
        self._client = _http(target.http, LIMIT_SECONDS)

    def ask(self, records: Records, identifier: str) -> Answer:
        def prepare() -> tuple[list[object], object]:
            wanted = [
                self._package.InferRequestedOutput(one.name, binary_data=self._binary) for one in self._target.outputs
            ]
            return _tensors(self._package, self._target, records, binary_data=self._binary), wanted

        return _asked(self._client, self._target, prepare, len(records), identifier)

    def close(self) -> None:
        self._client.close()


class _Grpc:
    """Over gRPC."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._package = _package("grpc")
        self._client = self._package.InferenceServerClient(target.grpc)

    def ask(self, records: Records, identifier: str) -> Answer:
        def prepare() -> tuple[list[object], object]:
            return _tensors(self._package, self._target, records), None

        return _asked(self._client, self._target, prepare, len(records), identifier, client_timeout=LIMIT_SECONDS)

    def close(self) -> None:
        self._client.close()


def _tensors(package: ModuleType, target: Target, records: Records, **options: bool) -> list[object]:
    """The inputs of a request, with their content."""
    found: list[object] = []
    arrays = target.arrays(records)
    for one in target.inputs:
        shape = [*target.batch(len(records)), *one.wire_shape]
        tensor = package.InferInput(one.name, shape, one.datatype)
        tensor.set_data_from_numpy(arrays[one.name].reshape(shape), **options)
        found.append(tensor)
    return found


class _SharedMemory:
    """Over gRPC, the inputs in memory that the server reads; the answers come by gRPC."""

    def __init__(self, target: Target) -> None:
        import tritonclient.utils.shared_memory as memory  # noqa: PLC0415  only where it is used

        self._target, self._memory = target, memory
        self._package = _package("grpc")
        self._client = self._package.InferenceServerClient(target.grpc)
        self._name = f"assay-{time.monotonic_ns()}-{id(self)}"
        self._region: object | None = None
        self._bytes = 0

    def ask(self, records: Records, identifier: str) -> Answer:
        arrays = self._target.arrays(records)
        self.make_room(sum(_aligned(array.nbytes) for array in arrays.values()))

        def prepare() -> tuple[list[object], object]:
            return self._shared(arrays, len(records)), None

        return _asked(self._client, self._target, prepare, len(records), identifier, client_timeout=LIMIT_SECONDS)

    def close(self) -> None:
        self._give_back()
        self._client.close()

    def _shared(self, arrays: Mapping[str, Array], records: int) -> list[object]:
        """The inputs of a request, their content put into the memory one after the other."""
        found: list[object] = []
        place = 0
        for one in self._target.inputs:
            array = arrays[one.name].reshape([*self._target.batch(records), *one.wire_shape])
            try:
                self._memory.set_shared_memory_region(self._region, [array], place)
            except self._memory.SharedMemoryException as error:
                raise FailedError(f"A request of {records} records failed", found=text_of(error)) from error
            tensor = self._package.InferInput(one.name, array.shape, one.datatype)
            tensor.set_shared_memory(self._name, array.nbytes, place)
            found.append(tensor)
            place += _aligned(array.nbytes)
        return found

    def make_room(self, size: int) -> None:
        """Share at least so many bytes with the server.

        Raises:
            FailedError: the two share no memory.
        """
        if size <= self._bytes:
            return
        self._give_back()
        try:
            self._region = self._memory.create_shared_memory_region(self._name, f"/{self._name}", size)
            self._client.register_system_shared_memory(self._name, f"/{self._name}", size)
        except (self._memory.SharedMemoryException, _refusal()) as error:
            raise FailedError("The server cannot share memory with this process", found=text_of(error)) from error
        self._bytes = size

    def _give_back(self) -> None:
        if self._region is None:
            return
        try:
            self._client.unregister_system_shared_memory(self._name)
        except _refusal():
            pass  # a server that has ended holds nothing
        finally:
            self._memory.destroy_shared_memory_region(self._region)
            self._region, self._bytes = None, 0


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _asked(
    client: Any,  # either of tritonclient's clients, which have no common type
    target: Target,
    prepare: Callable[[], tuple[list[object], object]],
    count: int,
    identifier: str,
    **options: object,
) -> Answer:
    """One timed request; its answer is held against what was asked for."""
    clock = time.perf_counter_ns
    begun = clock()
    tensors, wanted = prepare()
    sent = clock()
    try:
        result = client.infer(target.model, tensors, outputs=wanted, request_id=identifier, **options)
    except (OSError, _refusal()) as error:
        raise FailedError(f"A request of {count} records failed", found=text_of(error)) from error
    received = clock()
    arrays = [result.as_numpy(one.name) for one in target.outputs]
    read = clock()
    response = result.get_response()
    said = response if isinstance(response, dict) else {"id": response.id, "model_version": response.model_version}
    answered = str(said.get("id", ""))
    if answered not in {"", identifier}:
        raise FailedError("An answer reached the wrong request", expected=identifier, found=answered)
    return Answer(
        outputs={
            one.name: _checked(target, count, one, array) for one, array in zip(target.outputs, arrays, strict=True)
        },
        version=str(said.get("model_version", "")),
        begun_ns=begun,
        wire_ns=received - sent,
        client_ns=(sent - begun) + (read - received),
    )


def _checked(target: Target, count: int, tensor: Tensor, array: object) -> Array:
    """An output as (count, *shape).

    Raises:
        FailedError: it is of another type or shape, or missing.
    """
    batch = target.batch(count)
    wanted = (*batch, *tensor.shape)
    fits = isinstance(array, np.ndarray) and array.shape in {wanted, (*batch, *tensor.wire_shape)}
    if not isinstance(array, np.ndarray) or not fits or array.dtype != tensor.dtype:
        found = "nothing" if array is None else f"{getattr(array, 'dtype', '')} {getattr(array, 'shape', '')}"
        raise FailedError(
            f"The output {tensor.name} is not what was audited", expected=f"{tensor.dtype} {wanted}", found=found
        )
    return array.reshape(count, *tensor.shape)


def text_of(error: BaseException) -> str:
    """What an error of tritonclient, or of the socket below it, says."""
    message = getattr(error, "message", None)
    return " ".join(str(message() if callable(message) else error).split()) or type(error).__name__


def _http(address: str, limit_seconds: float) -> Any:  # tritonclient has no types
    return _package("http").InferenceServerClient(
        address, connection_timeout=limit_seconds, network_timeout=limit_seconds
    )


def _refusal() -> type[Exception]:
    """What tritonclient raises."""
    _package("http")
    from tritonclient.utils import InferenceServerException  # noqa: PLC0415  installed with the extra 'serve'

    return cast("type[Exception]", InferenceServerException)


def _package(name: Literal["http", "grpc"]) -> ModuleType:
    """
    Raises:
        NotInstalledError: tritonclient is not there.
    """
    import importlib  # noqa: PLC0415

    try:
        return importlib.import_module(f"tritonclient.{name}")
    except ImportError as error:
        raise NotInstalledError(
            "tritonclient, which speaks to inference servers, is not installed",
            found=str(error),
            remedy="pip install 'onnx-assay[serve]'",
        ) from error
