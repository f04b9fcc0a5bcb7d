"""The command `assay atlas`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.bench.cli.options import ARTIFACTS, Json
from assay.bench.words.terminal import print_json, print_line

PAGE, TABLE, RECORD = "atlas.html", "atlas.parquet", "atlas.json"


def atlas(
    suite: Annotated[
        list[str] | None,
        typer.Option(
            "--suite",
            metavar="NAME",
            help="A test suite that operators come from: opinfo (the default), jax, keras, onnx; repeatable.",
        ),
    ] = None,
    operator: Annotated[
        list[str] | None,
        typer.Option("--operator", metavar="NAME", help="Judge this operator alone; can be repeated."),
    ] = None,
    dtype: Annotated[str, typer.Option("--dtype", help="Data type of the floating-point inputs.")] = "float32",
    samples: Annotated[int, typer.Option("--samples", min=1, help="Samples of each operator.")] = 3,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Judge so many operators, the first by name.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Judge again what an earlier run has judged with the same versions.")
    ] = False,
    with_: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="NAME==VERSION",
            help="Judge them with this package in this version as well, and say what is different; repeatable.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the atlas.")] = ARTIFACTS / "atlas-run",
    as_json: Json = False,
) -> None:
    """Export single operators by every route, and say which files are right, wrong or refused."""
    from assay.bench.atlas.defects.write import FOLDER, write_defects
    from assay.bench.atlas.lookup import PUBLISHED_FILE, published_of
    from assay.bench.atlas.page import render_atlas
    from assay.bench.atlas.run import Asked, in_others, make_atlas, together
    from assay.bench.atlas.suites.entries import SUITES
    from assay.bench.atlas.summary import table_of
    from assay.bench.atlas.words import spoken
    from assay.bench.words.progress import Narrator
    from assay.errors import InputError, unknown_name
    from assay.files.locks import working_in
    from assay.files.tables import write_table
    from assay.store import write_atomically

    suites = tuple(dict.fromkeys(suite or ("opinfo",)))
    for name in suites:
        if name not in SUITES:
            raise unknown_name("suite of operators", name, SUITES)
    if operator and len(suites) > 1:
        raise InputError("--operator names operators of one suite", expected="one --suite", found=", ".join(suites))
    operators = tuple(dict.fromkeys(operator or ()))
    asked = [Asked(name, operators, dtype, samples, limit, anew=again) for name in suites]
    with working_in(out):
        others = in_others(asked, with_ or [], Narrator())
        made = together([make_atlas(one, out, Narrator()) for one in (*asked, *others)])
        write_atomically(out / RECORD, made.model_dump_json(indent=1).encode())
        write_table(out / TABLE, table_of(made))
        write_atomically(out / PUBLISHED_FILE, published_of(made).model_dump_json(indent=1).encode())
        write_atomically(out / PAGE, render_atlas(made).encode())
        unshown = write_defects(made, out)
    if as_json:
        print_json(made)
        return
    for line in spoken(made):
        print_line(line)
    for one in unshown:
        print_line(f"  No program shows {one.operator} by {one.route} to be {one.verdict}: look at its samples again.")
    print_line(f"Atlas: {out / PAGE}; programs that show what is wrong, and drafted reports: {out / FOLDER}")
