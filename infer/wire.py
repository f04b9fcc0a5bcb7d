"""Ask an inference server of the Open Inference Protocol, one way for every transport.

The protocol is KServe's "Open Inference Protocol" (V2): tensors over HTTP or gRPC. Binary tensors over HTTP and shared
memory are Triton's extensions, used where the server says that it has them. tritonclient speaks all of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from assay.errors import FailedError, InputError, NotInstalledError

Way = Literal["http", "grpc", "shared-memory"]
WAYS: tuple[Way, ...] = ("http", "grpc", "shared-memory")
BINARY, SHARED_MEMORY = "binary_tensor_data", "system_shared_memory"
LIMIT_SECONDS = 30.0
Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Target:
    """A served model and where it is.

    Attributes:
        http, grpc: host and port.
        model, image, probabilities, label: the names of the model and its tensors.
        classes: how many probabilities an image has.
        most_images: in one request.
    """

    http: str
    grpc: str
    model: str
    image: str
    probabilities: str
    label: str
    classes: int
    most_images: int


@dataclass(frozen=True)
class Answer:
    """What a request came back with.

    Attributes:
        probabilities: float32 (images, classes).
        labels: int64 (images,).
        version: of the model that answered, "" where the server does not say.
        begun_ns: when the call began, on the monotonic clock.
        wire_ns: from handing the request to the transport to having its answer.
        client_ns: spent on making the request and reading the answer.
    """

    probabilities: NDArray[np.float32]
    labels: NDArray[np.int64]
    version: str
    begun_ns: int
    wire_ns: int
    client_ns: int

    @property
    def total_ns(self) -> int:
        return self.wire_ns + self.client_ns


class Connection(Protocol):
    """A client of one server; for one thread."""

    def ask(self, images: Images, identifier: str) -> Answer:
        """Send one request with these images, (count, height, width, channels).

        Raises:
            FailedError: the server refused it, did not answer, or answered something else.
        """

    def close(self) -> None:
        """Give back the connection and what the server holds for it."""


def extensions(target: Target) -> frozenset[str]:
    """What the server can do beyond the protocol.

    Raises:
        InputError: nothing answers there.
    """
    return frozenset(describe(target.http)["extensions"])


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


class _Http:
    """Over HTTP, the tensors as bytes or as JSON."""

    def __init__(self, target: Target, *, binary: bool) -> None:
        self._target, self._binary = target, binary
        self._package = _package("http")
        self._client = _http(target.http, LIMIT_SECONDS)

    def ask(self, images: Images, identifier: str) -> Answer:
        target = self._target

        def prepare() -> tuple[object, object]:
            tensor = self._package.InferInput(target.image, images.shape, "UINT8")
            tensor.set_data_from_numpy(images, binary_data=self._binary)
            wanted = [
                self._package.InferRequestedOutput(name, binary_data=self._binary)
                for name in (target.probabilities, target.label)
            ]
            return tensor, wanted

        return _asked(self._client, target, prepare, len(images), identifier)

    def close(self) -> None:
        self._client.close()


class _Grpc:
    """Over gRPC."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._package = _package("grpc")
        self._client = self._package.InferenceServerClient(target.grpc)

    def ask(self, images: Images, identifier: str) -> Answer:
        def prepare() -> tuple[object, object]:
            tensor = self._package.InferInput(self._target.image, images.shape, "UINT8")
            tensor.set_data_from_numpy(images)
            return tensor, None

        return _asked(self._client, self._target, prepare, len(images), identifier, client_timeout=LIMIT_SECONDS)

    def close(self) -> None:
        self._client.close()


class _SharedMemory:
    """Over gRPC, the images in memory that the server reads; the answers come by gRPC."""

    def __init__(self, target: Target) -> None:
        import tritonclient.utils.shared_memory as memory  # noqa: PLC0415  only where it is used

        self._target, self._memory = target, memory
        self._package = _package("grpc")
        self._client = self._package.InferenceServerClient(target.grpc)
        self._name = f"assay-{time.monotonic_ns()}-{id(self)}"
        self._region: object | None = None
        self._bytes = 0

    def ask(self, images: Images, identifier: str) -> Answer:
        self._make_room(images.nbytes)

        def prepare() -> tuple[object, object]:
            try:
                self._memory.set_shared_memory_region(self._region, [images])
            except self._memory.SharedMemoryException as error:
                raise FailedError(f"A request of {len(images)} images failed", found=text_of(error)) from error
            tensor = self._package.InferInput(self._target.image, images.shape, "UINT8")
            tensor.set_shared_memory(self._name, images.nbytes)
            return tensor, None

        return _asked(self._client, self._target, prepare, len(images), identifier, client_timeout=LIMIT_SECONDS)

    def close(self) -> None:
        self._give_back()
        self._client.close()

    def _make_room(self, size: int) -> None:
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


def _asked(
    client: Any,  # either of tritonclient's clients, which have no common type
    target: Target,
    prepare: Callable[[], tuple[object, object]],
    count: int,
    identifier: str,
    **options: object,
) -> Answer:
    """One timed request; its answer is held against what was asked for."""
    clock = time.perf_counter_ns
    begun = clock()
    tensor, wanted = prepare()
    sent = clock()
    try:
        result = client.infer(target.model, [tensor], outputs=wanted, request_id=identifier, **options)
    except (OSError, _refusal()) as error:
        raise FailedError(f"A request of {count} images failed", found=text_of(error)) from error
    received = clock()
    probabilities, labels = result.as_numpy(target.probabilities), result.as_numpy(target.label)
    read = clock()
    response = result.get_response()
    said = response if isinstance(response, dict) else {"id": response.id, "model_version": response.model_version}
    _check(target, count, identifier, probabilities, labels, str(said.get("id", "")))
    return Answer(
        probabilities=probabilities.astype(np.float32, copy=False),
        labels=labels.reshape(count).astype(np.int64, copy=False),
        version=str(said.get("model_version", "")),
        begun_ns=begun,
        wire_ns=received - sent,
        client_ns=(sent - begun) + (read - received),
    )


def _check(target: Target, count: int, identifier: str, probabilities: object, labels: object, answered: str) -> None:
    """
    Raises:
        FailedError: this is no answer to the request.
    """
    if answered not in {"", identifier}:
        raise FailedError("An answer reached the wrong request", expected=identifier, found=answered)
    shape = (count, target.classes)
    if not isinstance(probabilities, np.ndarray) or probabilities.shape != shape:
        found = "nothing" if probabilities is None else str(getattr(probabilities, "shape", ""))
        raise FailedError(
            f"The output {target.probabilities} is not what was audited", expected=str(shape), found=found
        )
    if not isinstance(labels, np.ndarray) or labels.size != count or labels.dtype.kind not in "iu":
        found = "nothing" if labels is None else f"{getattr(labels, 'dtype', '')} {getattr(labels, 'shape', '')}"
        raise FailedError(
            f"The output {target.label} is not what was audited", expected=f"{count} integers", found=found
        )


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
