"""The command that a deployment's container files give Triton: a real server obeys it, and nobody can open what it
closes.

The server here is older than the stock image's and has no limit for a request's size, so that option is left out.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sysconfig
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay import toolenv
from assay.bench.deployment.serving_limits import CLOSED, NEVER_SENT, stock_arguments
from assay.infer.server.ports import LOOPBACK, Ports, choose_ports
from assay.infer.server.triton import PROGRAM, REQUIREMENTS
from tests.bench.deployment.test_deploy_user import two_inputs

HEADER, VALUE = NEVER_SENT.split("=")
NEWER = "--http-max-input-size="
"""Newer servers have it, with 64 MiB by default."""
GRPC_PREFIX = "triton-grpc-protocol-"


@pytest.fixture(scope="module")
def ports(platform: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    """The addresses of a server that was started as the container files start it, except for its one model."""
    place = tmp_path_factory.mktemp("stock")
    (place / "models").mkdir()
    packages = toolenv.ensure("triton", REQUIREMENTS, lambda *_: None).parents[1] / "lib"
    (packages,) = packages.glob("python3.*/site-packages")
    found = choose_ports(LOOPBACK, None)
    arguments = [one for one in stock_arguments(two_inputs(32)) if not one.startswith((NEWER, "--load-model="))]
    listening = [f"--http-port={found.http}", f"--grpc-port={found.grpc}", f"--metrics-port={found.metrics}"]
    libraries = f"{packages / 'nvidia_pytriton.libs'}:{sysconfig.get_config_var('LIBDIR')}"
    with (place / "log").open("wb") as log:
        server = subprocess.Popen(
            [
                str(packages / "pytriton/tritonserver/bin" / PROGRAM),
                f"--model-repository={place / 'models'}",
                *(f"--{name}-address={LOOPBACK}" for name in ("http", "grpc", "metrics")),
                *listening,
                *arguments,
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LD_LIBRARY_PATH": libraries},
        )
    try:
        _wait_until_ready(server, found, place / "log")
        yield found
    finally:
        server.terminate()
        server.wait()


def _wait_until_ready(server: subprocess.Popen[bytes], ports: Ports, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{ports.http}/v2/health/ready", timeout=2):
                return
        except OSError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)


def asked(ports: Ports, path: str, header: bytes = b"") -> bytes:
    """The answer to a request that is sent exactly as written, header included; empty if the server does not
    read it.
    """
    body = b"" if path.endswith(("status", "logging", "setting")) else b"{}"
    request = b"GET" if not body else b"POST"
    request += f" {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n".encode()
    with socket.create_connection((LOOPBACK, ports.http), timeout=10) as connection:
        connection.sendall(request + header + b"\r\n" + body)
        try:
            return connection.recv(65536)
        except ConnectionResetError:
            return b""


def asked_by_grpc(ports: Ports, method: str, name: bytes, value: bytes) -> bytes:
    """The same in HTTP/2 frames, because no gRPC client sends what must not be sent."""

    def field(key: bytes, content: bytes) -> bytes:
        return bytes([0, len(key)]) + key + bytes([len(content)]) + content

    def frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
        return struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + content

    path = f"/inference.GRPCInferenceService/{method}".encode()
    fields = {b":method": b"POST", b":scheme": b"http", b":path": path, b":authority": b"x"}
    fields |= {b"content-type": b"application/grpc", b"te": b"trailers", name: value}
    headers = b"".join(field(*pair) for pair in fields.items())
    found = b""
    with socket.create_connection((LOOPBACK, ports.grpc), timeout=10) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 4, 1, headers))
        connection.sendall(frame(0, 1, 1, bytes(5)))
        while b"grpc-status" not in found and (more := connection.recv(65536)):
            found += more
    return found


@pytest.mark.parametrize(
    "path",
    [
        "/v2/repository/index",
        "/v2/repository/models/pair/load",
        "/v2/repository/models/pair/unload",
        "/v2/systemsharedmemory/status",
        "/v2/systemsharedmemory/region/x/register",
        "/v2/logging",
        "/v2/trace/setting",
    ],
)
def test_closed_interfaces_stay_closed_over_http_whatever_is_sent(ports: Ports, path: str) -> None:
    name, value = HEADER.encode(), VALUE.encode()
    assert asked(ports, path).startswith(b"HTTP/1.1 403")
    for sent in (
        b"%s: %s\r\n" % (name, value.strip()),
        b"%s: %s\r\n" % (name, value),
        b"%s: %s\r\n" % (name, value.replace(b"\n", b"\r\n ")),
        b"%s: %s\r\n \r\n" % (name, value.strip()),
        b"%s: %s\r\n\t\r\n" % (name, value.strip()),
        b"%s: %s%%0a\r\n" % (name, value.strip()),
    ):
        assert b" 200 " not in asked(ports, path, sent)[:20]
    assert asked(ports, "/v2/health/ready").startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize(
    "method", ["RepositoryIndex", "SystemSharedMemoryStatus", "LogSettings", "TraceSetting", "RepositoryModelUnload"]
)
def test_closed_interfaces_stay_closed_over_grpc_whatever_is_sent(ports: Ports, method: str) -> None:
    for name in (HEADER, HEADER.lower(), GRPC_PREFIX + HEADER, (GRPC_PREFIX + HEADER).lower()):
        for value in (VALUE, VALUE.strip()):
            answer = asked_by_grpc(ports, method, name.encode(), value.encode())
            assert b"grpc-status\x010" not in answer
            assert b"grpc-status" in answer


def test_requested_interfaces_stay_open(ports: Ports) -> None:
    assert CLOSED.split(",") == ["model-repository", "shared-memory", "trace", "logging"]
    for path in ("/v2", "/v2/health/ready", "/v2/health/live"):
        with urllib.request.urlopen(f"http://{LOOPBACK}:{ports.http}{path}") as answer:
            assert answer.status == 200
    assert b"grpc-status\x010" in asked_by_grpc(ports, "ServerLive", b"x", b"y")
