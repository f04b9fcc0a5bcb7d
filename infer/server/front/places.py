"""The sockets through which the server and the filter communicate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CONTRACT_FILE = "contract.json"
HTTP, GRPC, METRICS = "http", "grpc", "metrics"
GRPC_PORT = 1
"""The port that gRPC's server appends to every address, so that it becomes part of a socket's name."""


@dataclass(frozen=True)
class Sockets:
    """The server's unix sockets in its folder, in the form in which a client opens them."""

    folder: Path

    @property
    def http(self) -> str:
        return str(self.folder / HTTP)

    @property
    def grpc(self) -> str:
        return str(self.folder / f"{GRPC}:{GRPC_PORT}")

    @property
    def metrics(self) -> str:
        return str(self.folder / METRICS)
