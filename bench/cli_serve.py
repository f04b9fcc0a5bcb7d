"""The commands `assay serve`, `assay verify-server` and `assay load`."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bench.serving.serve import Event

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
WATCH_SECONDS = 0.5


def serve(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder written by `assay deploy`.")],
    host: Annotated[str, typer.Option("--host", help="Address to listen on; this machine alone by default.")] = (
        "127.0.0.1"
    ),
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65533, help="Of HTTP; gRPC and metrics are on the two after it."),
    ] = None,
    log: Annotated[Path | None, typer.Option("--log", help="File for the server's log.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print events as JSON, one a line.")] = False,
) -> None:
    """Serve a deployment with the Triton server, and follow the folder when another version is to serve."""
    from assay.deployment import read_deployment
    from assay.toolenv import cache_folder
    from bench.progress import Narrator
    from bench.serving.serve import serving
    from infer.triton import choose_ports

    deployment = read_deployment(folder)
    ports = choose_ports(host, port)
    log = log or cache_folder() / "logs" / f"serve-{deployment.name}-{ports.http}.log"
    tell = _printing(as_json=as_json)
    narrator = Narrator()
    stopping = threading.Event()
    with narrator.showing(), serving(folder, host, ports, log, narrator.bar) as current:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopping.set())
        addresses = current.server.addresses
        tell(
            {
                "event": "ready",
                "model": current.current.name,
                "version": current.current.serving,
                "http": f"http://{addresses.http}",
                "grpc": addresses.grpc,
                "metrics": f"http://{addresses.metrics}/metrics",
                "log": str(log),
                "seconds": round(current.server.seconds_to_ready, 2),
            }
        )
        while not stopping.wait(WATCH_SECONDS):
            current.watch(tell)
    tell({"event": "stopped"})


def _printing(*, as_json: bool) -> Callable[[Event], None]:
    """How events are shown: as JSON, or in words."""

    def tell(event: Event) -> None:
        sys.stdout.write((json.dumps(event) if as_json else _words(event)) + "\n")
        sys.stdout.flush()

    return tell


def _words(event: Event) -> str:
    if event["event"] == "ready":
        return (
            f"Serving {event['model']}, version {event['version']}, ready in {event['seconds']} s. Ctrl-C stops it.\n"
            f"  HTTP     {event['http']}\n  gRPC     {event['grpc']}\n  metrics  {event['metrics']}\n"
            f"  health   {event['http']}/v2/health/ready\n  log      {event['log']}"
        )
    return {
        "log": f"server: {event.get('text')}",
        "serving": f"Version {event.get('version')} serves now.",
        "kept": f"Version {event.get('version')} goes on: {event.get('reason')}",
        "unhealthy": "The server does not say that it is ready.",
        "healthy": "The server is ready again.",
        "stopped": "Stopped.",
    }[str(event["event"])]
