"""The command `assay selfcheck`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.bench.cli.alone import alone_on_this_machine
from assay.bench.cli.options import ARTIFACTS, Json
from assay.bench.words.terminal import Terminal, print_json


def selfcheck(
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=0.1, help="The time that it may take; 4.8 by default, 30 on a GPU."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for its record; reports of studies in this folder show it.")
    ] = ARTIFACTS,
    processes: Annotated[
        int, typer.Option("--processes", min=2, help="Fresh processes for each comparison, as many as your study has.")
    ] = 3,
    blocks: Annotated[int, typer.Option("--blocks", min=1, help="Most interleaved blocks in one process.")] = 4,
    device: Annotated[
        str, typer.Option("--device", metavar="DEVICE", help="cpu or cuda: where runtimes of known times are compared.")
    ] = "cpu",
    as_json: Json = False,
) -> None:
    """Measure the instrument itself on this machine: timer, floor, false alarms, detectable slowdowns, attribution."""
    from assay.bench.selfcheck.selfcheck import check_device, file_of, run_selfcheck, store_selfcheck
    from assay.bench.words.progress import Narrator
    from assay.bench.words.selfcheck import render
    from assay.files.locks import replacing
    from assay.records.selfcheck import Design

    usual = check_device(device)
    narrator, seconds = Narrator(), 60 * (minutes or usual)
    design = Design(processes=processes, blocks=blocks)
    with replacing(out / file_of(device)):  # fails now, not after five minutes, if the record cannot be written
        with alone_on_this_machine(), narrator.showing():
            found = run_selfcheck(seconds, narrator.tell, design, device=device)
        path = store_selfcheck(found, out)
    console = Terminal()
    if as_json:
        print_json(found)
    else:
        render(found, console)
        console.print(f"Record: {path}", soft_wrap=True)
    if not found.passed:
        raise typer.Exit(1)
