"""The commands on many machines: `assay join`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.bench.cli.options import Json
from assay.bench.words.terminal import complain, print_json, print_line


def join(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of finished runs of one study, from any machines.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the joined results and their report.")],
    prices: Annotated[
        Path | None,
        typer.Option("--prices", metavar="PRICES.toml", help="Price of an hour of each kind of machine."),
    ] = None,
    allow: Annotated[str, typer.Option("--allow", help="Intended differences between the runs: packages.")] = "",
    as_json: Json = False,
) -> None:
    """Join runs of one study from several machines: one report by kind of machine, with intervals over machines."""
    from assay.bench.fleet.join import join as joined_in
    from assay.bench.fleet.page import render_joined
    from assay.bench.fleet.runs import read_run
    from assay.bench.fleet.words import spoken
    from assay.files.locks import working_in
    from assay.fleet.prices import read_prices
    from assay.store import write_atomically

    priced = read_prices(prices) if prices else None
    read = [read_run(run) for run in runs]
    page = out / "report" / "report.html"
    with working_in(out):
        joined = joined_in(read, out, priced, [name.strip() for name in allow.split(",") if name.strip()])
        write_atomically(page, render_joined(joined).encode())
    if as_json:
        print_json(joined)
    else:
        for line in spoken(joined):
            print_line(line)
        print_line(f"Report: {page}")
    if all(cell.median_ms is None for cell in joined.cells):
        complain(f"assay: nothing is compared, since no time counts on any machine: {joined.cells[0].reason}")
        raise typer.Exit(1)
