"""The command `assay compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.bench.cli.alone import alone_on_this_machine
from assay.bench.cli.options import ARTIFACTS, Json, Set
from assay.bench.words.terminal import Terminal, print_json


def compare(
    paths: Annotated[
        list[Path], typer.Argument(metavar="BASE NEW", help="Folders of two runs; with --env one study file instead.")
    ],
    env: Annotated[
        list[Path] | None,
        typer.Option(
            "--env",
            help="Twice: a virtual environment, an interpreter or a pinned list of packages; the base comes first.",
        ),
    ] = None,
    threshold: Annotated[
        float, typer.Option("--threshold", min=0, help="The slowdown, in percent, beyond which a cell is a regression.")
    ] = 5.0,
    allow: Annotated[
        str,
        typer.Option(
            "--allow", help="Intended differences between the runs: threads,device,precision,data,weights,machine."
        ),
    ] = "",
    markdown: Annotated[
        Path | None, typer.Option("--markdown", help="Write a pull request comment to this file.")
    ] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML to this file.")] = None,
    out: Annotated[Path, typer.Option("--out", help="With --env: folder for the study's artifacts.")] = ARTIFACTS,
    changes: Set = None,
    data_root: Annotated[
        Path | None, typer.Option("--data-root", help="With --env: a PBC zip or folder, or a folder of .npz files.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare two runs, or two environments measured in turns; exit 1 when something became slower."""
    from assay.bench.comparing.compare import compare_runs
    from assay.bench.comparing.files import read_side, show, write_junit, write_markdown

    allowed = [name.strip() for name in allow.split(",") if name.strip()]
    if env:
        if len(env) != 2 or len(paths) != 1:
            raise typer.BadParameter("with --env name one study file, and --env twice")
        from assay.bench.comparing.environments import compare_environments
        from assay.files.locks import working_in
        from assay.study import load_study

        study = load_study(paths[0], changes or ())
        with working_in(out / study.name), alone_on_this_machine():
            outcome = compare_environments(env[0], env[1], study, out, data_root, threshold=threshold / 100)
    else:
        if len(paths) != 2:
            raise typer.BadParameter("name two runs: BASE NEW")
        base, new = (read_side(path) for path in paths)
        outcome = compare_runs(base, new, allowed=allowed, threshold=threshold / 100)
    if markdown:
        write_markdown(outcome, markdown)
    if junit:
        write_junit(outcome, junit)
    if as_json:
        print_json(outcome)
    else:
        show(outcome, Terminal())
    if not outcome.passed:
        raise typer.Exit(1)
