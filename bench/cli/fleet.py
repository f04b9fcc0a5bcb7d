"""The commands on many machines: `assay join`, `assay fleet list`, and `assay run --fleet`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay.bench.cli.options import Json
from assay.bench.words.terminal import Terminal, complain, print_json, print_line, shown

if TYPE_CHECKING:
    from assay.fleet.joined import Joined
    from assay.study import Study

ADDRESS_HELP = "Machines of a Ray cluster: auto or ray://HEAD:10001"
OnFleet = Annotated[str | None, typer.Option("--fleet", metavar="ADDRESS", help=f"{ADDRESS_HELP}; local is this one.")]
fleet_app = typer.Typer(help="Show the machines of a Ray cluster.", no_args_is_help=True)


@fleet_app.command("list", epilog="Example: assay fleet list --fleet ray://head:10001")
def fleet_list(
    address: Annotated[str, typer.Option("--fleet", metavar="ADDRESS", help=ADDRESS_HELP)] = "auto",
    as_json: Json = False,
) -> None:
    """List a cluster's machines by kind, with the names that a study's [fleet] section may use."""
    from rich.table import Table

    from assay.bench.fleet.on_ray import RayFleet
    from assay.bench.fleet.words import listed_machines

    rows = listed_machines(RayFleet(address).machines())
    if as_json:
        print_json({"machines": list(map(dict, rows))})
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in rows[0] if rows else ():
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*map(shown, row.values()))
    Terminal().print(table if rows else f"The fleet {address} has no machine that may run anything.")


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
        fleet = RayFleet(address, study.fleet.wait_minutes * 60)
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
    if not joined.cells:
        complain("assay: nothing is compared, since only the instrument's own runtimes were timed")
        raise typer.Exit(1)
    if all(cell.median_ms is None for cell in joined.cells):
        complain(f"assay: nothing is compared, since no time is valid on any machine: {joined.cells[0].reason}")
        raise typer.Exit(1)
