"""The paths that exist, and the requests that each of them takes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from assay.infer.server.front.contract import Contract, RefusedError
from assay.infer.server.front.json_request import Canonical
from assay.infer.server.front.memory import checked_registration
from assay.infer.server.front.upstream import Reply

SMALL_BYTES = 4_096
MOST_REGIONS = 256
EXTENSIONS = frozenset({"classification", "model_configuration", "binary_tensor_data", "parameters", "statistics"})
"""The extensions that can be used, out of those that the server claims; shared memory only if requested."""
JSON, OCTETS = b"application/json", b"application/octet-stream"


@dataclass(frozen=True)
class RequestHead:
    """A request's own words: its path, and what its headers say about the body."""

    path: str
    content_type: bytes | None
    header_bytes: int | None


Check = Callable[[RequestHead, bytes], tuple[str, bytes, bytes]]
"""Turns a request and its body into the path, headers and body for the server; raises RefusedError."""


@dataclass(frozen=True)
class Route:
    """A kind of request.

    Attributes:
        method: HTTP method.
        largest: most bytes of its body.
        write: makes the request for the server.
        read: changes the server's reply before the client has it.
    """

    method: str
    pattern: re.Pattern[str]
    largest: int
    write: Check
    read: Callable[[Reply], Reply] = lambda reply: reply


def metrics_routes() -> list[Route]:
    """Return the paths of the port for metrics."""
    return [Route("GET", re.compile("/metrics"), 0, _nothing_else)]


def inference_routes(contract: Contract) -> list[Route]:
    """Return the requests that clients may make about one model."""
    model = rf"/v2/models/{re.escape(contract.model)}(/versions/[1-9][0-9]{{0,9}})?"
    canonical = Canonical(contract)
    looks = rf"/v2/health/(live|ready)|/v2/models/stats|{model}(/(ready|config|stats))?"

    def infer(asked: RequestHead, body: bytes) -> tuple[str, bytes, bytes]:
        if (asked.content_type or JSON) not in ({JSON} if asked.header_bytes is None else {JSON, OCTETS}):
            raise RefusedError(
                "a request is application/json, or application/octet-stream with its header's length", 415
            )
        text, tail = canonical(body, asked.header_bytes)
        headers = b"Content-Type: application/octet-stream\r\nInference-Header-Content-Length: %d\r\n" % len(text)
        return asked.path, headers, text + tail

    found = [
        Route("POST", re.compile(f"{model}/infer"), contract.largest_body, infer),
        Route("GET", re.compile(looks), 0, _nothing_else),
        Route("GET", re.compile("/v2/?"), 0, _nothing_else, _Metadata(contract)),
    ]
    return found + (_memory_routes(contract) if contract.shared_memory else [])


def _nothing_else(asked: RequestHead, body: bytes) -> tuple[str, bytes, bytes]:
    return asked.path, b"", b""


@dataclass(frozen=True)
class _Metadata:
    """The server's description of itself, without what cannot be reached."""

    contract: Contract

    def __call__(self, reply: Reply) -> Reply:
        if reply.status != 200:
            return reply
        said: dict[str, Any] = json.loads(reply.body)
        offered = EXTENSIONS | ({"system_shared_memory"} if self.contract.shared_memory else set())
        said["extensions"] = [one for one in said.get("extensions", []) if one in offered]
        return Reply(reply.status, reply.headers, json.dumps(said, separators=(",", ":")).encode())


def _memory_routes(contract: Contract) -> list[Route]:
    """Return the requests about regions of shared memory, whose number is limited."""
    region = "/v2/systemsharedmemory/region/[A-Za-z0-9_.-]{1,200}"
    registered: set[str] = set()

    def register(asked: RequestHead, body: bytes) -> tuple[str, bytes, bytes]:
        content = checked_registration(body, contract)
        if len(registered) >= MOST_REGIONS:
            raise RefusedError(f"{MOST_REGIONS} regions of shared memory are registered, which is the most", 503)
        registered.add(asked.path.rpartition("/")[0])
        return asked.path, b"Content-Type: application/json\r\n", content

    def unregister(asked: RequestHead, body: bytes) -> tuple[str, bytes, bytes]:
        registered.discard(asked.path.rpartition("/")[0])
        return asked.path, b"", b""

    return [
        Route("POST", re.compile(f"{region}/register"), SMALL_BYTES, register),
        Route("POST", re.compile(f"{region}/unregister"), SMALL_BYTES, unregister),
        Route("GET", re.compile(f"/v2/systemsharedmemory/status|{region}/status"), 0, _nothing_else),
    ]
