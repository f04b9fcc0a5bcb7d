"""The headers of gRPC calls: read from a client's blocks, rewritten for the server."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hpack import Decoder, HPACKError
from hpack.table import HeaderTable

from assay.infer.server.front.frames import COMPRESSION_ERROR, PROTOCOL_ERROR

HEADER_BYTES, MOST_HEADERS, MOST_KEPT = 16_384, 64, 64
SERVICE = b"/inference.GRPCInferenceService/"
INFER = SERVICE + b"ModelInfer"
METHODS = frozenset(
    {INFER, b"/grpc.health.v1.Health/Check"}
    | {SERVICE + name for name in (b"ServerLive", b"ServerReady", b"ServerMetadata", b"ModelReady", b"ModelMetadata")}
    | {SERVICE + name for name in (b"ModelConfig", b"ModelStatistics")}
)
TIMEOUT = re.compile(rb"[0-9]{1,8}[HMSmun]")
TABLE_SIZE_BITS, TABLE_SIZE = 0xE0, 0x20
"""Bits at the beginning of a block that changes the table's size (RFC 7541, 6.3)."""
ONCE = frozenset({b":method", b":path", b":scheme", b"content-type", b"grpc-encoding", b"grpc-timeout"})
UNIMPLEMENTED, INVALID, NOT_FOUND, DENIED, EXHAUSTED, UNAVAILABLE = 12, 3, 5, 7, 8, 14
STATUSES = {400: INVALID, 403: DENIED, 404: NOT_FOUND, 413: EXHAUSTED, 503: UNAVAILABLE}
"""gRPC's status for each HTTP status with which a check refuses a request."""


class HostileError(Exception):
    """The client sent something that no gRPC client sends; the connection ends.

    Attributes:
        code: HTTP/2's code for the error.
    """

    def __init__(self, text: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class RelayedCall:
    """A call as the server receives it.

    Attributes:
        headers: headers for the server, in HPACK that refers to nothing before it.
        infer: whether its message is a request for an inference.
        refused: status and text of a refusal; None where the call is passed on.
    """

    headers: bytes
    infer: bool
    refused: tuple[int, bytes] | None = None


class _Table(HeaderTable):
    """HPACK's table, which records whether it has changed."""

    changed = False

    def add(self, name: bytes, value: bytes) -> None:
        self.changed = True
        super().add(name, value)

    def _shrink(self) -> None:
        self.changed = True
        super()._shrink()


class Calls:
    """Reads one client's header blocks. Most blocks equal the one before; while the table that they refer to has not
    changed, equal blocks mean the same and are read once.
    """

    def __init__(self) -> None:
        self._decoder = Decoder(max_header_list_size=HEADER_BYTES)
        self._decoder.header_table = self._table = _Table()
        self._kept: dict[bytes, RelayedCall] = {}

    def read(self, block: bytes) -> RelayedCall:
        """
        Raises:
            HostileError: the block is not HPACK, or too long.
        """
        found = self._kept.get(block)
        if found is not None:
            return found
        if not block:
            raise HostileError("no headers")
        self._table.changed = False
        try:
            headers = [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except HPACKError as error:
            raise HostileError("headers that cannot be read", COMPRESSION_ERROR) from error
        found = _call(headers)
        changed = self._table.changed or block[0] & TABLE_SIZE_BITS == TABLE_SIZE
        if changed or len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        if not changed:
            self._kept[block] = found
        return found


def _call(headers: list[tuple[bytes, bytes]]) -> RelayedCall:
    """
    Raises:
        HostileError: it is not a gRPC call.
    """
    names = [name for name, _ in headers if name in ONCE]
    if len(headers) > MOST_HEADERS or len(set(names)) != len(names):
        raise HostileError("too many headers")
    said = dict(headers)
    if said.get(b":method") != b"POST" or not said.get(b"content-type", b"").startswith(b"application/grpc"):
        raise HostileError("this is not a call of gRPC")
    path, timeout = said.get(b":path", b""), said.get(b"grpc-timeout")
    if path not in METHODS:
        return RelayedCall(b"", False, (UNIMPLEMENTED, b"this server answers no such call"))
    if said.get(b"grpc-encoding", b"identity") != b"identity":
        return RelayedCall(b"", False, (UNIMPLEMENTED, b"compressed messages are not read"))
    if timeout is not None and not TIMEOUT.fullmatch(timeout):
        return RelayedCall(b"", False, (INVALID, b"malformed grpc-timeout"))
    written = b"\x83\x86" + literal(b":path", path) + literal(b":authority", b"triton")
    written += literal(b"te", b"trailers") + literal(b"content-type", b"application/grpc")
    if timeout is not None:
        written += literal(b"grpc-timeout", timeout)
    return RelayedCall(written, path == INFER)


def status_block(status: int, text: bytes) -> bytes:
    """Return the headers that end a call without an answer."""
    safe = re.sub(rb"[^ -$&-~]", lambda found: b"%%%02X" % found.group()[0], text)
    return (
        b"\x88"
        + literal(b"content-type", b"application/grpc")
        + literal(b"grpc-status", b"%d" % status)
        + literal(b"grpc-message", safe)
    )


def literal(name: bytes, value: bytes) -> bytes:
    """Encode a header in HPACK without entering it into a table (RFC 7541, 6.2.2)."""
    return b"\x00" + _text(name) + _text(value)


def _text(text: bytes) -> bytes:
    size = len(text)
    if size < 127:
        return bytes([size]) + text
    size -= 127
    found = bytearray([127])
    while size >= 128:
        found.append(size % 128 + 128)
        size //= 128
    found.append(size)
    return bytes(found) + text
