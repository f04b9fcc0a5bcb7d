"""A connection to a server for each transport."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from assay.errors import FailedError
from assay.infer.wire.clients import UNREADABLE, grpc_client, http_client, package, refusal, text_of
from assay.infer.wire.exchange import exchange
from assay.infer.wire.target import LIMIT_SECONDS, Answer, Connection, Target, Way
from assay.numerics.served import Array, Records

ALIGNMENT = 64
"""The number of bytes of which each tensor's beginning in shared memory is a multiple."""


def connect(way: Way, target: Target) -> Connection:
    """Connect to a server.

    Raises:
        NotInstalledError: tritonclient is not installed.
        FailedError: shared memory is not available.
    """
    if way == "http":
        return _Http(target)
    return _Grpc(target) if way == "grpc" else _SharedMemory(target)


def why_no_shared_memory(target: Target) -> str:
    """Return why a server that offers shared memory shares none with this process, in its own words; "" if it does. A
    server on a loopback address may be in a container, whose shared memory is its own.
    """
    connection = _SharedMemory(target)
    try:
        connection.make_room(ALIGNMENT)
    except FailedError as error:
        return str(error)
    finally:
        connection.close()
    return ""


class _Http:
    """A connection over HTTP, with the tensors as bytes or as JSON."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._package = package("http")
        self._client = http_client(target.http, LIMIT_SECONDS)
        self._headers = None if target.binary else {"Content-Type": "application/json"}  # some servers insist on it

    def ask(self, records: Records, identifier: str) -> Answer:
        def prepare() -> tuple[list[object], object]:
            binary = self._target.binary
            wanted = [self._package.InferRequestedOutput(one.name, binary_data=binary) for one in self._target.outputs]
            return _tensors(self._package, self._target, records, binary_data=binary), wanted

        return exchange(self._client, self._target, prepare, len(records), identifier, headers=self._headers)

    def close(self) -> None:
        self._client.close()


class _Grpc:
    """A connection over gRPC."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._package = package("grpc")
        self._client = grpc_client(target.grpc)

    def ask(self, records: Records, identifier: str) -> Answer:
        def prepare() -> tuple[list[object], object]:
            return _tensors(self._package, self._target, records), None

        return exchange(self._client, self._target, prepare, len(records), identifier, client_timeout=LIMIT_SECONDS)

    def close(self) -> None:
        self._client.close()


def _tensors(package: ModuleType, target: Target, records: Records, **options: bool) -> list[object]:
    """Return the inputs of a request, with their content."""
    found: list[object] = []
    arrays = target.arrays(records)
    for one in target.inputs:
        shape = [*target.batch(len(records)), *one.wire_shape]
        tensor = package.InferInput(one.name, shape, one.datatype)
        tensor.set_data_from_numpy(arrays[one.name].reshape(shape), **options)
        found.append(tensor)
    return found


class _SharedMemory:
    """A connection over gRPC with the inputs in memory that the server reads; the answers come by gRPC."""

    def __init__(self, target: Target) -> None:
        import tritonclient.utils.shared_memory as memory  # noqa: PLC0415  only where it is used

        self._target, self._memory = target, memory
        self._package = package("grpc")
        self._client = grpc_client(target.grpc)
        self._name = f"assay-{time.monotonic_ns()}-{id(self)}"
        self._region: object | None = None
        self._bytes = 0

    @contextmanager
    def _control(self) -> Iterator[Any]:
        """Yield an HTTP client to register regions with: a careful server allows that over HTTP where gRPC is closed to
        it.
        """
        client = http_client(self._target.http, LIMIT_SECONDS)
        try:
            yield client
        finally:
            client.close()

    def ask(self, records: Records, identifier: str) -> Answer:
        arrays = self._target.arrays(records)
        self.make_room(sum(_aligned(array.nbytes) for array in arrays.values()))

        def prepare() -> tuple[list[object], object]:
            return self._shared(arrays, len(records)), None

        return exchange(self._client, self._target, prepare, len(records), identifier, client_timeout=LIMIT_SECONDS)

    def close(self) -> None:
        self._give_back()
        self._client.close()

    def _shared(self, arrays: Mapping[str, Array], records: int) -> list[object]:
        """Return the inputs of a request, with their content put into the memory one after the other."""
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
            with self._control() as control:
                control.register_system_shared_memory(self._name, f"/{self._name}", size)
        except (OSError, *UNREADABLE, self._memory.SharedMemoryException, refusal()) as error:
            raise FailedError("The server cannot share memory with this process", found=text_of(error)) from error
        self._bytes = size

    def _give_back(self) -> None:
        if self._region is None:
            return
        try:
            with self._control() as control:
                control.unregister_system_shared_memory(self._name)
        except (OSError, *UNREADABLE, refusal()):
            pass  # a server that has ended holds nothing
        finally:
            self._memory.destroy_shared_memory_region(self._region)
            self._region, self._bytes = None, 0


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
