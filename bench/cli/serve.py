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

from assay.bench.cli.alone import alone_on_this_machine
from assay.bench.cli.options import DataRoot, Json
from assay.bench.words.terminal import Terminal, print_json
from assay.texts import printable

if TYPE_CHECKING:
    from assay.bench.serving.audited import AuditedAnswers
    from assay.bench.serving.serve import Event
    from assay.infer.wire import Way

WATCH_SECONDS = 0.5
SignedBy = Annotated[
    Path | None,
    typer.Option("--signed-by", metavar="PUBLIC.pem", help="The public key whose signature the deployment must have."),
]

TrustFile = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Open the model's file even if it is or could run code; use this only for sources that you trust.",
    ),
]


def serve(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder written by `assay deploy`.")],
    host: Annotated[str, typer.Option("--host", help="Address to listen on; this machine alone by default.")] = (
        "127.0.0.1"
    ),
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65533, help="Port of HTTP; gRPC and metrics get the two after it."),
    ] = None,
    cores: Annotated[
        int | None,
        typer.Option(
            "--cores", min=1, help="Processor cores for the server; one for each of the model's threads when not given."
        ),
    ] = None,
    log: Annotated[Path | None, typer.Option("--log", help="File for the server's log.")] = None,
    shared_memory: Annotated[
        bool, typer.Option("--shared-memory", help="Let clients of this user pass tensors in shared memory.")
    ] = False,
    open_to_network: Annotated[
        bool,
        typer.Option(
            "--open-to-network", help="Allow a --host that other machines can reach, without TLS or authentication."
        ),
    ] = False,
    signed_by: SignedBy = None,
    trust: TrustFile = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print events as JSON, one on each line.")] = False,
) -> None:
    """Serve a deployment with the Triton server, and change to another version when the folder names one."""
    from assay.bench.serving.serve import cores_for, serving
    from assay.bench.words.progress import Narrator
    from assay.infer.server.ports import check_host, choose_ports
    from assay.infer.server.triton import ServerPlacement
    from assay.records.deployment import read_deployment
    from assay.toolenv import cache_folder

    check_host(host, open_to_network=open_to_network)
    deployment = read_deployment(folder)
    on = cores_for(deployment, cores)
    ports = choose_ports(host, port)
    log = log or cache_folder() / "logs" / f"serve-{deployment.name}-{ports.http}.log"
    place = ServerPlacement(host, ports, on, log)
    tell = _printing(as_json=as_json)
    narrator = Narrator()
    stopping = threading.Event()
    with (
        narrator.showing(),
        serving(
            folder, place, narrator.bar, shared_memory=shared_memory, signed_by=signed_by, trusted=trust
        ) as current,
    ):
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
                "cores": list(on),
                "log": str(log),
                "seconds": round(current.server.seconds_to_ready, 2),
            }
        )
        while not stopping.wait(WATCH_SECONDS):
            current.watch(tell)
    tell({"event": "stopped"})


Url = Annotated[str, typer.Argument(metavar="URL", help="HTTP address of the server, such as http://127.0.0.1:8000.")]
DeploymentFolder = Annotated[Path, typer.Option("--deployment", help="The folder written by `assay deploy`.")]
Grpc = Annotated[str | None, typer.Option("--grpc", help="HOST:PORT of gRPC; by default the port after that of HTTP.")]
Images = Annotated[
    Path | None, typer.Option("--images", help="An .npy of the test split's images, instead of its data set.")
]


def verify_server(
    url: Url,
    deployment: DeploymentFolder,
    grpc: Grpc = None,
    way: Annotated[
        list[str] | None, typer.Option("--way", help="http, grpc or shared-memory; all of them when not given.")
    ] = None,
    images: Images = None,
    data_root: DataRoot = None,
    signed_by: SignedBy = None,
    as_json: Json = False,
) -> None:
    """Ask a server for every audited answer again, and compare both; exit 1 when one differs."""
    from assay.bench.serving.audited import target_of
    from assay.bench.serving.verify import verify
    from assay.bench.words.serving import render_verification

    audited = _audited(deployment, images, data_root, signed_by)
    target, ways = target_of(audited.deployment, url, grpc), _ways(way)
    with alone_on_this_machine():
        found = verify(audited, target, ways, insist=bool(way))
    if as_json:
        print_json(found)
    else:
        render_verification(found, Terminal())
    if not found.passed:
        raise typer.Exit(1)


def load(
    url: Url,
    deployment: DeploymentFolder,
    grpc: Grpc = None,
    way: Annotated[str, typer.Option("--way", help="http, grpc or shared-memory.")] = "grpc",
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.2, max=600, help="Duration of each client process.")
    ] = 2.0,
    processes: Annotated[
        int,
        typer.Option(
            "--processes",
            min=2,
            max=50,
            help="Fresh client processes for each measurement; more for the server's cost.",
        ),
    ] = 3,
    clients: Annotated[
        list[int] | None,
        typer.Option("--clients", min=1, max=64, help="Concurrent clients; 1, 2, 4 and 8 when not given."),
    ] = None,
    p99_ms: Annotated[
        float | None,
        typer.Option(
            "--p99-ms", min=0.01, help="The latency bound for the rate; ten times one client's median when not given."
        ),
    ] = None,
    images: Images = None,
    data_root: DataRoot = None,
    trust: TrustFile = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for load.json; in a study's folder, the report shows it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Load a server with closed loops and MLPerf LoadGen, and measure its cost; exit 1 when a number is INVALID."""
    from assay.bench.serving.audited import target_of
    from assay.bench.serving.client import LoadPlan
    from assay.bench.serving.load import measure_load
    from assay.bench.words.progress import Narrator
    from assay.bench.words.serving import render_load
    from assay.files.locks import working_in
    from assay.records.load import LOAD_FILE
    from assay.store import write_atomically

    audited = _audited(deployment, images, data_root)
    (chosen,) = _ways([way])
    plan = LoadPlan(
        chosen, seconds, processes, tuple(sorted(set(clients or (1, 2, 4, 8)))), bound_ms=p99_ms, trusted=trust
    )
    target = target_of(audited.deployment, url, grpc)
    path = (out or Path("artifacts") / f"load-{audited.deployment.name}") / LOAD_FILE
    narrator = Narrator()
    with working_in(path.parent), alone_on_this_machine():
        with narrator.showing():
            found = measure_load(audited, deployment, target, plan, narrator.tell)
        write_atomically(path, found.model_dump_json(indent=1).encode())
    console = Terminal()
    if as_json:
        print_json(found)
    else:
        render_load(found, console)
        console.print(f"Record: {path}", soft_wrap=True)
    if found.invalid:
        raise typer.Exit(1)


def _audited(
    folder: Path, images: Path | None, data_root: Path | None, signed_by: Path | None = None
) -> AuditedAnswers:
    from assay.bench.serving.audited import read_audited
    from assay.bench.words.progress import Narrator

    narrator = Narrator()
    with narrator.showing():
        return read_audited(folder, images, data_root, Path("artifacts") / "data", narrator.bar, signed_by)


def _ways(names: list[str] | None) -> list[Way]:
    from assay.errors import unknown_name
    from assay.infer.wire import WAYS

    for name in names or ():
        if name not in WAYS:
            raise unknown_name("way", name, WAYS)
    return [way for way in WAYS if not names or way in names]


def _printing(*, as_json: bool) -> Callable[[Event], None]:
    """Return a function that shows events: as JSON, or in words."""

    def tell(event: Event) -> None:
        sys.stdout.write((json.dumps(event) if as_json else printable(_words(event), lines=True)) + "\n")
        sys.stdout.flush()

    return tell


def _words(event: Event) -> str:
    if event["event"] == "ready":
        cores = ", ".join(map(str, event["cores"])) if isinstance(event["cores"], list) else ""
        return (
            f"Serving {event['model']}, version {event['version']}, ready in {event['seconds']} s. Ctrl-C stops it.\n"
            f"  HTTP     {event['http']}\n  gRPC     {event['grpc']}\n  metrics  {event['metrics']}\n"
            f"  health   {event['http']}/v2/health/ready\n  cores    {cores}\n  log      {event['log']}"
        )
    return {
        "log": f"server: {printable(str(event.get('text')))}",
        "serving": f"Version {event.get('version')} serves now.",
        "kept": f"Version {event.get('version')} keeps serving: {event.get('reason')}",
        "worker lost": "A process that runs the model was killed; the model is being reloaded.",
        "unhealthy": "The server does not report that it is ready.",
        "healthy": "The server is ready again.",
        "stopped": "Stopped.",
    }[str(event["event"])]
