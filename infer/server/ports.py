"""The three ports of a server on this machine, chosen or refused before it is started."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from assay.errors import InputError
from assay.files.mistakes import mistake_in

LOOPBACK = "127.0.0.1"
LOOPBACK_HOSTS = (LOOPBACK, "localhost", "::1")
FIRST_PORT = 8000
WORK_PREFIX = "assay-serve-"
"""The beginning of the names of every server's folder and shared memory on this machine."""
PORTS_TRIED = 200


@dataclass(frozen=True)
class Ports:
    """Three consecutive ports, as clients expect them: HTTP, gRPC and metrics."""

    http: int

    @property
    def grpc(self) -> int:
        return self.http + 1

    @property
    def metrics(self) -> int:
        return self.http + 2

    def __iter__(self) -> Iterator[int]:
        return iter((self.http, self.grpc, self.metrics))


@dataclass(frozen=True)
class Addresses:
    """The addresses that a server listens on; host and port of each."""

    http: str
    grpc: str
    metrics: str


def is_on_loopback(address: str) -> bool:
    """Return whether HOST:PORT can only be on this machine."""
    return is_loopback(address.rpartition(":")[0].strip("[]"))


def is_loopback(host: str) -> bool:
    """Return whether a host's name or address is for this machine alone."""
    if host.lower() in LOOPBACK_HOSTS:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def address_of(host: str, port: int) -> str:
    """Return HOST:PORT in the form that clients take."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_host(host: str, *, open_to_network: bool) -> None:
    """
    Raises:
        InputError: others can reach this address, and the user did not say that they may.
    """
    if is_loopback(host) or open_to_network:
        return
    raise InputError(
        f"Anyone who reaches {host} could use this server: it has neither TLS nor authentication",
        expected=f"an address of this machine alone, such as {LOOPBACK}",
        found=host,
        remedy="Put a proxy with both in front of it, or give --open-to-network if the network is trusted",
    )


def choose_ports(host: str, wanted: int | None) -> Ports:
    """Return the wanted port and the two after it, or the first three in a row from 8000 that are free.

    Raises:
        InputError: the host is not on this machine, or one of the wanted ports is in use.
    """
    if wanted is not None:
        ports = Ports(wanted)
        for port in ports:
            problem = _why_not_free(host, port)
            if problem:
                raise InputError(
                    f"Cannot listen on {host}:{port}",
                    expected=f"the free ports {ports.http} to {ports.metrics} (HTTP, gRPC, metrics)",
                    found=problem,
                    remedy="Name another --port, or leave it out and free ports are chosen",
                )
        return ports
    problem = ""
    for first in range(FIRST_PORT, FIRST_PORT + PORTS_TRIED, len(tuple(Ports(0)))):
        problem = next(filter(None, (_why_not_free(host, port) for port in Ports(first))), "")
        if not problem:
            return Ports(first)
    raise InputError(
        f"No three ports in a row are free on {host} from {FIRST_PORT}", found=problem, remedy="Name one with --port"
    )


def _why_not_free(host: str, port: int) -> str:
    if not 0 < port < 65536:
        return "no port number"
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            return mistake_in(error)
    return ""
