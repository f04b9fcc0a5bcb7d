"""A stranger's requests to `assay serve`: none ends it, and the next good one gets the audited answer."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import struct
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from typer.testing import CliRunner

from assay.bench.cli.main import app
from assay.errors import InputError
from assay.infer import wire
from assay.infer.server.front.calls import SERVICE
from assay.infer.server.front.crowd import MOST_CONNECTIONS
from assay.infer.server.front.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
)
from assay.infer.server.triton import PROGRAM
from tests import serving_folder
from tests.bench.serving.conftest import Served, alive, descendants, platform, start, stop
from tests.hostile import raw_grpc
from tests.hostile.raw_grpc import OPENING, call, headers, infer_request, message

__all__ = ["platform"]  # a fixture
NAME, SIDE = serving_folder.NAME, serving_folder.SIDE
INFER = f"/v2/models/{NAME}/infer"
DEEP = 100_000


@pytest.fixture(scope="module")
def served(platform: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with its default settings."""
    place = tmp_path_factory.mktemp("hostile-server")
    found = start(serving_folder.write_folder(place / "deployment"), place / "server.log")
    yield found
    if found.process.poll() is None:
        assert stop(found) == 0


@pytest.fixture(autouse=True)
def _goes_on(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test: the same server, and the audited answer over either transport."""
    if "served" not in request.fixturenames:
        yield
        return
    served: Served = request.getfixturevalue("served")
    before = server_of(served).pid
    yield
    assert server_of(served).pid == before
    audited(served)


def audited(served: Served) -> None:
    """A good request gets the audited answer."""
    for way in ("http", "grpc"):
        connection = wire.connect(way, served.target)  # type: ignore[arg-type]
        answer = connection.ask(serving_folder.records()[:3], "good")
        connection.close()
        np.testing.assert_allclose(answer.outputs["probabilities"], serving_folder.probabilities(1)[:3], atol=1e-5)


def server_of(served: Served) -> psutil.Process:
    """Triton's own process."""
    found = [psutil.Process(pid) for pid in descendants(served.process.pid) if alive(pid)]
    (server,) = [one for one in found if one.name() == PROGRAM]
    return server


def http(served: Served, sent: bytes, limit_seconds: float = 20) -> tuple[int, bytes]:
    """Send bytes, and return the status (0 if the connection just ends) and everything that was received."""
    host, port = served.http.split(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=limit_seconds) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
        except TimeoutError:
            raise
        except OSError:  # it hung up while we were talking, or before we had turned round
            pass
    return (int(answer.split()[1]) if answer else 0), answer


def answers_in(said: bytes) -> int:
    """The number of answers that a server gave on a connection."""
    return len(re.findall(rb"HTTP/1\.1 \d\d\d ", said))


def post(body: bytes, *more: str, path: str = INFER, kind: str = "application/json", host: str = "localhost") -> bytes:
    """A request as a client makes it."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}", f"Content-Type: {kind}", *more]
    return "\r\n".join([*lines, "", ""]).encode() + body


def get(path: str, *more: str, host: str = "localhost", method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *more, "", ""]).encode()


def asked(**changes: Any) -> bytes:
    """A JSON request of one image, with changes to its tensor."""
    tensor = {"name": "images", "datatype": "UINT8", "shape": [1, SIDE, SIDE, 3], "data": [0] * (SIDE * SIDE * 3)}
    return json.dumps({"inputs": [tensor | changes]}).encode()


def with_bytes(head: dict[str, Any] | bytes, tail: bytes, length: int | None = None) -> bytes:
    """A binary request."""
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    line = f"Inference-Header-Content-Length: {len(text) if length is None else length}"
    return post(text + tail, line, kind="application/octet-stream")


def binary(**changes: Any) -> dict[str, Any]:
    size = {"parameters": {"binary_data_size": SIDE * SIDE * 3}}
    return {"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, SIDE, SIDE, 3]} | size | changes]}


def chunked(parts: Sequence[bytes]) -> bytes:
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + body + b"0\r\n\r\n"


NESTED = b'{"inputs":' + b"[" * DEEP + b"]" * DEEP + b"}"
GOOD = asked()
LOAD = post(b"{}", path=f"/v2/repository/models/{NAME}/unload")

HTTP_REQUESTS: dict[str, tuple[bytes, set[int]]] = {
    "garbage": (os.urandom(2000), {400}),
    "HTTP/0.9": (b"GET /v2\r\n\r\n", {400}),
    "HTTP/1.0": (b"GET /v2 HTTP/1.0\r\nHost: localhost\r\n\r\n", {400}),
    "no host": (b"GET /v2 HTTP/1.1\r\n\r\n", {400}),
    "two hosts": (get("/v2", "Host: evil.example"), {400}),
    "no colon": (get("/v2", "nonsense"), {400}),
    "NUL in a header": (get("/v2", "X: a\0b"), {400}),
    "folded header": (get("/v2", "X: a", " b"), {400}),
    "space before the colon": (post(GOOD, "Transfer-Encoding : chunked"), {400}),
    "a hundred headers": (get("/v2", *(f"X-{number}: 1" for number in range(100))), {431}),
    "a long header": (get("/v2", f"X: {'a' * 100_000}"), {431}),
    "a header without end": (b"GET /v2 HTTP/1.1\r\nX: " + b"a" * 1_000_000, {431}),
    "a long path": (get("/" + "a" * 100_000), {404, 431}),
    "length and chunks": (post(b"0\r\n\r\n" + LOAD, "Transfer-Encoding: chunked"), {400}),
    "two lengths": (post(GOOD, "Content-Length: 3"), {400}),
    "length with a sign": (get("/v2", "Content-Length: +5") + b"aaaaa", {400}),
    "length below nothing": (get("/v2", "Content-Length: -5"), {400}),
    "length without bound": (get("/v2", f"Content-Length: {10**30}"), {400, 413}),
    "another transfer encoding": (
        post(b"", "Transfer-Encoding: gzip").replace(b"Content-Length: 0\r\n", b""),
        {400, 501},
    ),
    "chunked twice": (
        post(b"", "Transfer-Encoding: chunked, chunked").replace(b"Content-Length: 0\r\n", b""),
        {400, 501},
    ),
    "chunk too long to count": (chunked([]).replace(b"0\r\n\r\n", b"FFFFFFFFFFFFFFFFF\r\nabc"), {400, 413}),
    "chunk below nothing": (chunked([]).replace(b"0\r\n\r\n", b"-1\r\nabc\r\n"), {400}),
    "twenty thousand chunks": (chunked([b" "] * 20_000), {413}),
    "a body of a GET": (get("/v2", f"Content-Length: {len(LOAD)}") + LOAD, {413}),
    "absolute address": (get("http://localhost/v2"), {404}),
    "two slashes": (get("//v2"), {404}),
    "dots": (get("/v2/models/../models/cells"), {404}),
    "escaped dots": (get("/v2/models/%2e%2e/%2e%2e/etc/passwd"), {404}),
    "escaped name": (get("/v2/models/%63ells"), {404}),
    "query": (get("/v2?a=b"), {404}),
    "no path": (get("*", method="OPTIONS"), {404}),
    "preflight": (
        get(INFER, "Origin: http://evil.example", "Access-Control-Request-Method: POST", method="OPTIONS"),
        {403},
    ),
    "TRACE": (get("/v2", method="TRACE"), {405}),
    "CONNECT": (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", {400, 404}),
    "DELETE": (get(f"/v2/models/{NAME}", method="DELETE"), {405}),
    "upgrade": (get("/v2", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAA"), {400}),
    "HTTP/2": (OPENING, {400}),
    "a page's origin": (post(GOOD, "Origin: http://localhost"), {403}),
    "a page's fetch": (post(GOOD, "Sec-Fetch-Site: cross-site"), {403}),
    "a page of another name": (get("/v2", host="evil.example:8000"), {403}),
    "a name that begins well": (get("/v2", host="localhost.evil.example"), {403}),
    "an address elsewhere": (get("/v2", host="192.0.2.1"), {403}),
    "nested": (post(NESTED), {400}),
    "nested as text": (post(NESTED, kind="text/plain"), {415}),
    "nested as a form": (post(NESTED, kind="application/x-www-form-urlencoded"), {415}),
    "nested before bytes": (with_bytes(NESTED, b""), {400}),
    "nested data": (post(asked().replace(b'"data": [', b'"data": [' + b"[" * 5000)), {400}),
    "nested and compressed": (post(zlib.compress(NESTED), "Content-Encoding: deflate"), {415}),
    "gzip": (post(b"\x1f\x8b", "Content-Encoding: gzip"), {415}),
    "another type": (post(GOOD, kind="application/xml"), {415}),
    "UTF-16": (post(GOOD.decode().encode("utf-16")), {400}),
    "no UTF-8": (post(b'{"id":"\xff"}'), {400}),
    "a list": (post(b"[]"), {400}),
    "empty": (post(b""), {400}),
    "a name twice": (post(b'{"id":"a","id":"b"' + GOOD[1:].replace(b'"inputs"', b',"inputs"', 1)), {400}),
    "too large": (post(b" " * 1_000_000), {413}),
    "said to be too large": (post(b"").replace(b"Length: 0", b"Length: 99999999999"), {413}),
    "negative shape": (post(asked(shape=[-1, SIDE, SIDE, 3])), {400}),
    "shape that overflows": (post(asked(shape=[2**62, SIDE, SIDE, 3])), {400}),
    "shape beyond 64 bits": (post(asked(shape=[2**64 + 1, SIDE, SIDE, 3])), {400}),
    "product that overflows": (with_bytes(binary(shape=[2**62, 4, 4, 4]), bytes(432)), {400}),
    "shape of another kind": (post(asked(shape=[1.0, SIDE, SIDE, 3])), {400}),
    "shape of truth": (post(asked(shape=[True, SIDE, SIDE, 3])), {400}),
    "no shape": (post(asked(shape=None)), {400}),
    "many dimensions": (post(asked(shape=[1] * 50_000)), {400}),
    "too many records": (post(asked(shape=[10**9, SIDE, SIDE, 3])), {400}),
    "another datatype": (post(asked(datatype="FP64")), {400}),
    "text that lies about its length": (
        with_bytes(binary(datatype="BYTES", shape=[1], parameters={"binary_data_size": 5}), b"\xff\xff\xff\xffa"),
        {400},
    ),
    "data too short": (post(asked(data=[0])), {400}),
    "data that does not fit": (post(asked(data=[256] * (SIDE * SIDE * 3))), {400}),
    "data below nothing": (post(asked(data=[-1] * (SIDE * SIDE * 3))), {400}),
    "data of text": (post(asked(data=["a"] * (SIDE * SIDE * 3))), {400}),
    "ragged data": (post(asked(data=[[1], [2, 3]])), {400}),
    "NaN": (post(GOOD.replace(b"[0,", b"[NaN,")), {400}),
    "no end of a number": (post(GOOD.replace(b"[0,", b"[" + b"9" * 10_000 + b",")), {400}),
    "beyond any number": (post(GOOD.replace(b"[0,", b"[1e999,")), {400}),
    "bytes that are not there": (with_bytes(binary(), b""), {400}),
    "bytes that nobody wants": (with_bytes(binary(), bytes(SIDE * SIDE * 3 + 1)), {400}),
    "size that is not the shape's": (with_bytes(binary(parameters={"binary_data_size": 2**40}), bytes(432)), {400}),
    "size below nothing": (with_bytes(binary(parameters={"binary_data_size": -432}), bytes(432)), {400}),
    "header beyond the body": (with_bytes(binary(), bytes(432), length=10**9), {400}),
    "header's length twice": (
        post(GOOD, "Inference-Header-Content-Length: 1", "Inference-Header-Content-Length: 2"),
        {400},
    ),
    "header's length of words": (post(GOOD, "Inference-Header-Content-Length: many"), {400}),
    "an input twice": (post(json.dumps({"inputs": json.loads(GOOD)["inputs"] * 2}).encode()), {400}),
    "an unknown input": (post(asked(name="../../etc/passwd")), {400}),
    "an unknown output": (post(GOOD[:-1] + b',"outputs":[{"name":"secrets"}]}'), {400}),
    "a thousand outputs": (post(GOOD[:-1] + b',"outputs":[' + b",".join([b'{"name":"label"}'] * 1000) + b"]}"), {400}),
    "classes without bound": (
        post(GOOD[:-1] + b',"outputs":[{"name":"probabilities","parameters":{"classification":99999999999}}]}'),
        {400},
    ),
    "a sequence": (post(GOOD[:-1] + b',"parameters":{"sequence_id":1,"sequence_start":true}}'), {400}),
    "an id of control characters": (post(b'{"id":"a\\u0000\\r\\n",' + GOOD[1:]), {400}),
    "an id that is half a character": (post(b'{"id":"\\ud800",' + GOOD[1:]), {400}),
    "a region of memory": (
        post(json.dumps(binary(parameters={"shared_memory_region": "a", "shared_memory_byte_size": 432})).encode()),
        {403},
    ),
    "load": (post(b"{}", path=f"/v2/repository/models/{NAME}/load"), {404}),
    "unload": (LOAD, {404}),
    "load with a configuration": (
        post(b'{"parameters":{"config":"{}"}}', path="/v2/repository/models/../../evil/load"),
        {404},
    ),
    "index": (post(b"{}", path="/v2/repository/index"), {404}),
    "register": (
        post(b'{"key":"/x","offset":0,"byte_size":1}', path="/v2/systemsharedmemory/region/x/register"),
        {404},
    ),
    "memory's status": (get("/v2/systemsharedmemory/status"), {404}),
    "memory of a GPU": (post(b"{}", path="/v2/cudasharedmemory/region/x/register"), {404}),
    "logging": (post(b'{"log_file":"/tmp/owned"}', path="/v2/logging"), {404}),
    "trace": (post(b'{"trace_file":"/tmp/owned"}', path="/v2/trace/setting"), {404}),
    "generate": (post(b"{}", path=f"/v2/models/{NAME}/generate_stream"), {404}),
    "another model": (post(GOOD, path="/v2/models/other/infer"), {404}),
    "a version without bound": (post(GOOD, path=f"/v2/models/{NAME}/versions/{10**20}/infer"), {404}),
    "another expectation": (post(GOOD, "Expect: 200-maybe"), {417}),
    "half a request": (post(GOOD)[:-200], {0}),
    "half a chunk": (chunked([GOOD])[:-300], {0}),
}


@pytest.mark.parametrize("name", HTTP_REQUESTS)
def test_a_hostile_request_over_http_is_refused(served: Served, name: str) -> None:
    sent, statuses = HTTP_REQUESTS[name]
    status, said = http(served, sent)
    assert status in statuses, said[:500]
    assert answers_in(said) == (1 if status else 0)
    if status:
        assert "error" in json.loads(said.partition(b"\r\n\r\n")[2])


def test_a_request_behind_another_is_not_read(served: Served) -> None:
    """Neither in one packet nor hidden in the body of the first: no request gets past the filter."""
    status, said = http(served, post(GOOD) + LOAD + get("/v2"))
    assert (status, answers_in(said)) == (200, 1)
    status, said = http(served, post(GOOD) + b"\0" * 100)
    assert (status, answers_in(said)) == (200, 1)
    assert b"Connection: close" in said


def test_a_request_is_rewritten_before_it_is_passed_on(served: Served) -> None:
    """A client's own headers do not reach the server; a request in an unusual form of HTTP is answered all the same."""
    head = f"POST {INFER} HTTP/1.1\r\nhOsT: LOCALHOST:1\r\nassay-never: sent\r\nContent-type: Application/JSON; a=b\r\n"
    body = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(part), part) for part in (GOOD[:7], GOOD[7:]))
    sent = (
        f"{head}Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + body + b"0\r\nTrailer: 1\r\n\r\n"
    )
    status, said = http(served, sent)
    assert status == 100
    assert b"HTTP/1.1 200 OK" in said


GRPC_BYTES: dict[str, bytes] = {
    "garbage": os.urandom(2000),
    "HTTP/1": get("/v2"),
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(200),
    "half a preface": OPENING[:10],
    "no such index": OPENING + frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\x0f"),
    "a table of no size": OPENING + frame(HEADERS, END_HEADERS, 1, b"\x3f\xff\xff\xff\xff\x0f"),
    "headers that grow": OPENING
    + frame(HEADERS, END_HEADERS, 1, b"\x40\x01a\x7f\xd9\x1e" + b"a" * 4056 + b"\xbe" * 9000),
    "headers without end": OPENING + frame(HEADERS, 0, 1, headers()) + frame(CONTINUATION, 0, 1, bytes(1000)) * 100,
    "empty continuations": OPENING + frame(HEADERS, 0, 1, headers()) + frame(CONTINUATION, 0, 1) * 5000,
    "a continuation without headers": OPENING + frame(CONTINUATION, 4, 1, headers()),
    "headers cut by another frame": OPENING + frame(HEADERS, 0, 1, headers()) + frame(PING, 0, 0, bytes(8)),
    "no headers": OPENING + frame(HEADERS, END_HEADERS, 1),
    "a frame of 16 MB": OPENING + b"\xff\xff\xff\0\0\0\0\0\1" + bytes(100_000),
    "settings without end": OPENING + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535)) * 5000,
    "settings too long": OPENING + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535) * 1000),
    "pings without end": OPENING + frame(PING, 0, 0, bytes(8)) * 5000,
    "updates without end": OPENING + frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1") * 5000,
    "unknown frames without end": OPENING + frame(77, 0, 0, bytes(8)) * 5000,
    "a push": OPENING + frame(PUSH_PROMISE, END_HEADERS, 1, bytes(4) + headers()),
    "an even stream": OPENING + call(b"", number=2),
    "streams that go back": OPENING + call(b"", number=5) + call(b"", number=3),
    "data of no stream": OPENING + frame(DATA, 0, 1, b"a"),
    "data of the connection": OPENING + frame(DATA, 0, 0, b"a"),
    "padded data": OPENING + frame(HEADERS, END_HEADERS, 1, headers()) + frame(DATA, PADDED, 1, b"\xff"),
    "empty data without end": OPENING + frame(HEADERS, END_HEADERS, 1, headers()) + frame(DATA, 0, 1) * 5000,
    "data of ended streams without end": OPENING + call(b"", number=9) + frame(DATA, 0, 1) * 5000,
    "resets without end": OPENING
    + b"".join(
        frame(HEADERS, END_HEADERS, number, headers()) + frame(RST_STREAM, 0, number, b"\0\0\0\x08")
        for number in range(1, 10_001, 2)
    ),
    "calls without end": OPENING
    + b"".join(frame(HEADERS, END_HEADERS, number, headers()) for number in range(1, 10_001, 2)),
    "a method of HTTP": OPENING + frame(HEADERS, END_HEADERS, 1, headers().replace(b"POST", b"HEAD")),
    "a header twice": OPENING + frame(HEADERS, END_HEADERS, 1, headers(more=[(b":path", b"/")])),
    "a hundred headers": OPENING + frame(HEADERS, END_HEADERS, 1, headers(more=[(b"x", b"1")] * 100)),
}
"""Errors of a connection that ends."""

REFUSED_CALLS: dict[str, tuple[bytes, int]] = {
    **{
        name: (call(b"", SERVICE + name.encode()), 12)
        for name in (
            *("RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload", "SystemSharedMemoryRegister"),
            *("SystemSharedMemoryStatus", "SystemSharedMemoryUnregister", "CudaSharedMemoryRegister", "LogSettings"),
            *("TraceSetting", "ModelStreamInfer", "../ModelInfer", "ModelInfer/", "modelinfer"),
        )
    },
    "reflection": (call(b"", b"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"), 12),
    "load, with the header that opens it": (
        call(b"", SERVICE + b"RepositoryModelLoad", more=[(b"assay-never", b"sent")]),
        12,
    ),
    "compression": (call(b"", more=[(b"grpc-encoding", b"gzip")]), 12),
    "a compressed message": (frame(HEADERS, END_HEADERS, 1, headers()) + frame(DATA, 1, 1, b"\1\0\0\0\0"), 12),
    "a limit of no time": (call(b"", more=[(b"grpc-timeout", b"-1S")]), 3),
    "no message": (frame(HEADERS, END_HEADERS | END_STREAM, 1, headers()), 3),
    "half a prefix": (frame(HEADERS, END_HEADERS, 1, headers()) + frame(DATA, END_STREAM, 1, b"\0\0"), 3),
    "half a message": (
        frame(HEADERS, END_HEADERS, 1, headers()) + frame(DATA, END_STREAM, 1, message(bytes(99))[:50]),
        3,
    ),
    "two messages": (frame(HEADERS, END_HEADERS, 1, headers()) + frame(DATA, 0, 1, message(b"") * 2), 3),
    "a message of 4 GB": (frame(HEADERS, END_HEADERS, 1, headers()) + frame(DATA, 0, 1, b"\0\xff\xff\xff\xff"), 8),
    "a message that is too large": (call(bytes(1_000_000)), 8),
    "no protobuf": (call(b"\xff" * 1000), 3),
    "nested protobuf": (call(b"\x2b" * 5000), 3),
    "another model": (call(infer_request(model="other").SerializeToString()), 5),
    **{
        name: (call(infer_request(**changes).SerializeToString()), 3)
        for name, changes in {
            "shape that overflows": {"shape": [2**62, SIDE, SIDE, 3]},
            "product that overflows": {"shape": [2**62, 4, 4, 4], "raw": [b""]},
            "negative shape": {"shape": [-1, SIDE, SIDE, 3]},
            "many dimensions": {"shape": [1] * 100},
            "no records": {"shape": [0, SIDE, SIDE, 3], "raw": [b""]},
            "another datatype": {"datatype": "FP64"},
            "text that lies": {"datatype": "BYTES", "shape": [1], "raw": [b"\xff\xff\xff\xffa"]},
            "bytes too few": {"raw": [b"1"]},
            "bytes too many": {"raw": [bytes(432), bytes(432)]},
            "no bytes": {"raw": []},
            "an unknown input": {"name": "\0"},
            "numbers too large": {"raw": [], "contents": {"uint_contents": [256] * 432}},
            "numbers of another type": {"raw": [], "contents": {"fp32_contents": [1.0] * 432}},
            "bytes and numbers": {"contents": {"uint_contents": [1] * 432}},
            "unknown parameters": {"parameters": {"binary_data_size": {"int64_param": 432}}},
        }.items()
    },
    "a region of memory": (
        call(
            infer_request(
                raw=[],
                parameters={
                    "shared_memory_region": {"string_param": "x"},
                    "shared_memory_byte_size": {"int64_param": 432},
                },
            ).SerializeToString()
        ),
        7,
    ),
}


@pytest.mark.parametrize("name", GRPC_BYTES)
def test_a_hostile_connection_to_grpc_ends(served: Served, name: str) -> None:
    sent = GRPC_BYTES[name]
    if name == "half a preface":
        with socket.create_connection(served.grpc.split(":"), timeout=20) as connection:  # type: ignore[arg-type]
            connection.sendall(sent)
        return
    raw_grpc.exchange(served.grpc, sent, until=b"\0never\0")  # returns when it is closed


@pytest.mark.parametrize("name", REFUSED_CALLS)
def test_a_hostile_call_over_grpc_is_refused(served: Served, name: str) -> None:
    sent, status = REFUSED_CALLS[name]
    answer = raw_grpc.exchange(served.grpc, OPENING + sent, until=b"grpc-message")
    assert b"grpc-status" + bytes([len(str(status))]) + str(status).encode() in answer


def test_connections_that_are_held_open_do_not_block_others(served: Served) -> None:
    """Silent clients, and clients that send a request byte by byte: more than there is room for, to all three ports."""
    host, port = served.http.split(":")
    openings = {0: post(GOOD)[:100], 1: OPENING + frame(HEADERS, END_HEADERS, 1, headers()), 2: b"G"}
    held = []
    try:
        for number in range(MOST_CONNECTIONS + 20):
            for place, opening in openings.items():
                connection = socket.create_connection((host, int(port) + place), timeout=20)
                held.append(connection)
                connection.sendall(opening if number % 2 else b"")
        audited(served)
    finally:
        for connection in held:
            connection.close()


def test_sixty_four_clients_between_hostile_ones_get_their_answers(served: Served) -> None:
    wrong: list[str] = []
    hostile = [sent for sent, _ in HTTP_REQUESTS.values()]

    def ask(number: int) -> None:
        random = np.random.default_rng(number)
        connection = wire.connect("grpc", served.target)
        for turn in range(2):
            http(served, hostile[(number * 2 + turn) % len(hostile)], limit_seconds=60)
            places = random.integers(0, serving_folder.IMAGES, 4)
            answer = connection.ask(serving_folder.records()[places], f"{number}-{turn}")
            if np.abs(answer.outputs["probabilities"] - serving_folder.probabilities(1)[places]).max() > 1e-5:
                wrong.append(f"{number}-{turn}")
        connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_only_its_owner_reaches_the_server_and_no_secret_is_visible(served: Served) -> None:
    server = server_of(served)
    assert server.net_connections("tcp") == []
    work = Path(os.readlink(f"/proc/{server.pid}/cwd"))
    assert stat.S_IMODE(work.stat().st_mode) == 0o700
    assert {path.name for path in work.iterdir() if path.is_socket()} == {"http", "grpc:1", "metrics"}
    arguments = [" ".join(psutil.Process(pid).cmdline()) for pid in descendants(served.process.pid) if alive(pid)]
    assert not any("key" in one for one in arguments)


def test_a_filter_that_is_killed_is_started_again_and_says_so(served: Served) -> None:
    (front,) = [
        pid
        for pid in descendants(served.process.pid)
        if alive(pid) and "assay.infer.server.front" in psutil.Process(pid).cmdline()
    ]
    os.kill(front, signal.SIGKILL)
    audited(served)  # the ports were open all the time
    assert "filter in front of the server ended with status -9" in served.event("log")["text"]


def test_shared_memory_that_is_off_is_skipped_and_an_error_where_it_is_asked_for(
    served: Served, tmp_path: Path
) -> None:
    np.save(tmp_path / "images.npy", serving_folder.images())
    command = ["verify-server", str(served.ready["http"]), "--deployment", str(served.folder), "--json"]
    command += ["--images", str(tmp_path / "images.npy")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["skipped"] == {"shared-memory": "the server does not offer it"}
    insisted = CliRunner().invoke(app, [*command, "--way", "shared-memory"])
    assert isinstance(insisted.exception, InputError)
    assert "assay serve --shared-memory" in str(insisted.exception)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_a_host_that_others_reach_needs_consent(tmp_path: Path, host: str) -> None:
    folder = serving_folder.write_folder(tmp_path / "deployment")
    done = CliRunner().invoke(app, ["serve", str(folder), "--host", host])
    assert isinstance(done.exception, InputError)
    assert "neither TLS nor authentication" in str(done.exception)
    assert "--open-to-network" in str(done.exception)


@pytest.mark.slow
@pytest.mark.parametrize("attack", ["nested", "chunks"])
def test_what_the_filter_keeps_out_ends_the_server_behind_it(platform: None, tmp_path: Path, attack: str) -> None:
    """The same requests to the server's own socket: if it survived them, the tests above would show nothing."""
    served = start(serving_folder.write_folder(tmp_path / "deployment"), tmp_path / "log")
    server = server_of(served)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"/proc/{server.pid}/cwd/http")
        nested = b'{"inputs":' + b"[" * 2_000_000 + b"]" * 2_000_000 + b"}"
        sent = post(nested, kind="text/plain") if attack == "nested" else chunked([b"a"] * 2_000_000)
        try:
            connection.sendall(sent)
            connection.recv(65536)
        except ConnectionError:
            pass
    deadline = time.monotonic() + 60
    while alive(server.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    ended = not alive(server.pid)
    if not ended:
        stop(served)
    else:
        with served.process:
            served.process.communicate()
    assert ended
