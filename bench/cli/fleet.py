"""The commands on many machines: `assay join`, and `assay run --fleet`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay.bench.cli.options import Json
from assay.bench.words.terminal import complain, print_json, print_line

if TYPE_CHECKING:
    from assay.fleet.joined import Joined
    from assay.study import Study

OnFleet = Annotated[
    str | None,
    typer.Option(
        "--fleet", metavar="ADDRESS", help="Machines of a Ray cluster: auto or ray://HEAD:10001; local is this one."
    ),
]


def join(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of finished runs of one study, from any machines.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the joined results and their report.")],
    prices: Annotated[
        Path | None,
        typer.Option("--prices", metavar="PRICES.toml", help="Hourly price of each kind of machine."),
    ] = None,
    allow: Annotated[str, typer.Option("--allow", help="Intended differences between the runs: packages.")] = "",
    as_json: Json = False,
) -> None:
    """Join runs of one study from several machines: one report by kind of machine, with intervals over machines."""
    from assay.bench.fleet.join import join as joined_in
    from assay.bench.fleet.runs import read_run
    from assay.files.locks import working_in
    from assay.fleet.prices import read_prices

    priced = read_prices(prices) if prices else None
    read = [read_run(run) for run in runs]
    with working_in(out):
        joined = joined_in(read, out, priced, [name.strip() for name in allow.split(",") if name.strip()])
        _say(joined, out, as_json=as_json)


def run_there(study: Study, out: Path, address: str, *, again: bool, store: str | None, as_json: bool) -> None:
    """Run a study on the machines of a fleet, and say what it gave.

    Raises:
        Exit: something was given up, or nothing is compared.
    """
    from assay.bench.fleet.conduct import run_on_fleet
    from assay.bench.fleet.on_ray import RayFleet
    from assay.bench.words.progress import Narrator
    from assay.files.locks import working_in

    if store and "://" not in store:
        store = str(Path(store).absolute())
    folder = out / study.name
    with working_in(folder):
        fleet = RayFleet(address)
        joined, failed = run_on_fleet(study, folder, out / "data", fleet, Narrator(), store=store or "", again=again)
        for work, why in failed.items():
            complain(f"assay: {work} is given up: {why}")
        if joined:
            _say(joined, folder, as_json=as_json)
    if failed:
        raise typer.Exit(1)


def _say(joined: Joined, folder: Path, *, as_json: bool) -> None:
    """Write the report of joined runs, and say what is in it.

    Raises:
        Exit: nothing is compared.
    """
    from assay.bench.fleet.page import render_joined
    from assay.bench.fleet.words import spoken
    from assay.store import write_atomically

    page = folder / "report" / "report.html"
    write_atomically(page, render_joined(joined).encode())
    if as_json:
        print_json(joined)
    else:
        for line in spoken(joined):
            print_line(line)
        print_line(f"Report: {page}")
    if all(cell.median_ms is None for cell in joined.cells):
        complain(f"assay: nothing is compared, since no time is valid on any machine: {joined.cells[0].reason}")
        raise typer.Exit(1)
