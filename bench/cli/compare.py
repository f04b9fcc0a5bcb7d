"""The command `assay compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.bench.cli.alone import alone_on_this_machine
from assay.bench.cli.options import ARTIFACTS, Json, JUnit, Markdown, Set, SlowdownThreshold, refuse_idle
from assay.bench.words.numbers import counted
from assay.errors import InputError


def compare(
    paths: Annotated[
        list[Path], typer.Argument(metavar="BASE NEW", help="Folders of two runs; with --env one study file instead.")
    ],
    env: Annotated[
        list[Path] | None,
        typer.Option(
            "--env",
            help="Given twice, base first: a virtual environment, an interpreter or a pinned list of packages.",
        ),
    ] = None,
    threshold: SlowdownThreshold = 5.0,
    allow: Annotated[
        str,
        typer.Option(
            "--allow", help="Intended differences between the runs: threads,device,precision,data,weights,machine."
        ),
    ] = "",
    markdown: Markdown = None,
    junit: JUnit = None,
    out: Annotated[Path, typer.Option("--out", help="With --env: folder for the study's artifacts.")] = ARTIFACTS,
    changes: Set = None,
    data_root: Annotated[
        Path | None, typer.Option("--data-root", help="With --env: a PBC zip or folder, or a folder of .npz files.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare two runs, or two environments measured in turns; exit 1 when something became slower."""
    from assay.bench.comparing.compare import compare_runs
    from assay.bench.comparing.files import read_side, tell

    allowed = [name.strip() for name in allow.split(",") if name.strip()]
    if env:
        if len(env) != 2 or len(paths) != 1:
            raise InputError(
                "assay compare needs a study and two environments",
                expected="one study file and --env twice",
                found=f"{counted(len(paths), 'file')} and --env {counted(len(env), 'time')}",
            )
        refuse_idle("with --env", {"--allow": allow})
        from assay.bench.comparing.environments import compare_environments
        from assay.files.locks import working_in
        from assay.study import load_study

        study = load_study(paths[0], changes or ())
        with working_in(out / study.name), alone_on_this_machine():
            outcome = compare_environments(env[0], env[1], study, out, data_root, threshold=threshold / 100)
    else:
        if len(paths) != 2:
            raise InputError(
                "assay compare needs two runs",
                expected="two folders, BASE NEW",
                found=counted(len(paths), "folder"),
            )
        refuse_idle("without --env", {"--set": changes, "--data-root": data_root})
        base, new = (read_side(path) for path in paths)
        outcome = compare_runs(base, new, allowed=allowed, threshold=threshold / 100)
    tell(outcome, markdown, junit, as_json)
    if not outcome.passed:
        raise typer.Exit(1)
