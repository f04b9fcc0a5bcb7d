"""The command `assay history`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.bench.cli.options import Json
from assay.bench.words.terminal import print_json, print_line


def history(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER...",
            help="Folders of finished runs of any dates and versions, and files of what `assay compare --json` prints.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the history and its report.")],
    over: Annotated[
        str,
        typer.Option(
            "--over",
            metavar="RUNTIME",
            help="The runtime by whose time others are divided; by default a native one, for each case the one in most "
            "runs.",
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Join results of several versions and dates: ratios of times, accuracy, and where they changed."""
    from datetime import UTC, datetime

    from assay import __version__
    from assay.bench.history.page import spoken, write_history
    from assay.bench.history.read import read_all
    from assay.bench.history.record import History
    from assay.bench.history.series import series_of
    from assay.files.locks import working_in

    releases, outcomes = read_all(runs)
    found = History(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        assay_version=__version__,
        runs=[one.told for one in releases],
        series=series_of(releases, over),
        turns=outcomes,
    )
    with working_in(out):
        files = write_history(found, out)
    if as_json:
        print_json(found)
        return
    for line in spoken(found):
        print_line(line)
    print_line(f"Report: {next(file for file in files if file.suffix == '.html')}")
