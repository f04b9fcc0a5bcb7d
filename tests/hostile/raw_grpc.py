"""A gRPC client that sends whatever it is told to, frame by frame."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import Any

from assay.infer.server.front.calls import INFER, literal
from assay.infer.server.front.frames import DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, frame
from tests import serving_folder

OPENING = PREFACE + frame(SETTINGS, 0, 0)
RECORD_BYTES = serving_folder.SIDE * serving_folder.SIDE * 3
LIMIT_SECONDS = 20


def headers(path: bytes = INFER, more: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """The header block of a call."""
    pairs = [
        *((b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"localhost")),
        *((b"te", b"trailers"), (b"content-type", b"application/grpc"), *more),
    ]
    return b"".join(literal(*pair) for pair in pairs)


def message(content: bytes) -> bytes:
    """A message as it appears in a stream."""
    return b"\0" + struct.pack(">I", len(content)) + content


def call(content: bytes, path: bytes = INFER, number: int = 1, more: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """All frames of a call."""
    sent = message(content)
    parts = [sent[place : place + 16_000] for place in range(0, len(sent), 16_000)]
    data = b"".join(frame(DATA, 0, number, part) for part in parts)
    return frame(HEADERS, END_HEADERS, number, headers(path, more)) + data + frame(DATA, END_STREAM, number)


def infer_request(**changes: Any) -> Any:
    """A request for one image, with changes to its input."""
    from tritonclient.grpc import service_pb2  # noqa: PLC0415  only there with the extra 'serve'

    raw = changes.pop("raw", [bytes(RECORD_BYTES)])
    request = service_pb2.ModelInferRequest(model_name=changes.pop("model", serving_folder.NAME))
    side = serving_folder.SIDE
    request.inputs.add(**({"name": "images", "datatype": "UINT8", "shape": [1, side, side, 3]} | changes))
    request.raw_input_contents.extend(raw)
    return request


def exchange(address: str, sent: bytes, *, until: bytes = b"grpc-status") -> bytes:
    """The server's answer to these bytes, until it has said something or closed."""
    host, port = address.split(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=LIMIT_SECONDS) as connection:
        try:
            connection.sendall(sent)
            while until not in answer:
                part = connection.recv(65536)
                if not part:
                    break
                answer += part
        except ConnectionError:  # it hung up while we were talking
            pass
    return answer
