"""The command `assay regress`."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from assay.bench.cli.alone import alone_on_this_machine
from assay.bench.cli.audit import sizes_of
from assay.bench.cli.options import (
    ARTIFACTS,
    Again,
    Batch,
    CallLimit,
    Dimension,
    Framework,
    Inputs,
    IntervalWidth,
    Json,
    JUnit,
    Markdown,
    Minutes,
    Opset,
    Runtime,
    Shape,
    SlowdownThreshold,
    Threads,
    Trust,
    Without,
    say_trust,
)
from assay.bench.cli.stopping import keeping_what_is_there


def regress(
    base: Annotated[str, typer.Argument(metavar="BASE", help="The version before, as `assay model` takes it.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The version after, of the same kind.")],
    shape: Shape = None,
    dimension: Dimension = None,
    inputs: Inputs = None,
    without: Without = None,
    framework: Framework = "",
    batch: Batch = None,
    runtime: Runtime = None,
    threads: Threads = 1,
    minutes: Minutes = 5.0,
    interval_width: IntervalWidth = 0.02,
    opset: Opset = 18,
    threshold: SlowdownThreshold = 5.0,
    markdown: Markdown = None,
    junit: JUnit = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the results; each model gets a folder in it.")] = (
        ARTIFACTS
    ),
    call_limit: CallLimit = None,
    again: Again = False,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Time two versions of a model of your own in turns; exit 1 when the second is slower, broken or wrong."""
    from assay.train.brought.model import read_shapes
    from assay.train.brought.sources import locate

    say_trust(trust)
    before, after = (locate(one, framework) for one in (base, new))  # before what takes a second to import

    from assay.bench.brought.work import Wanted, folder_name
    from assay.bench.comparing.files import tell
    from assay.bench.comparing.versions import compare_versions
    from assay.bench.words.progress import Narrator
    from assay.files.locks import working_in

    wanted = Wanted(
        location=after,
        shapes=read_shapes(shape or []),
        dimensions=sizes_of(dimension or []),
        inputs=inputs,
        without=tuple(dict.fromkeys(without or ())),
        batches=tuple(batch or (1,)),
        threads=threads,
        runtimes=tuple(runtime or ()),
        minutes=minutes,
        interval_width=interval_width,
        opset=opset,
        trusted=trust,
        again=again,
        call_limit=call_limit,
        command=shlex.join(["assay", "regress", base, new]),
    )
    folder = out / folder_name(after).replace("model-", "regress-", 1)
    with working_in(folder), alone_on_this_machine(), keeping_what_is_there():
        outcome = compare_versions(
            replace(wanted, location=before), wanted, folder, Narrator(), threshold=threshold / 100
        )
    outcome = outcome.model_copy(update={"base": base, "new": new})
    tell(outcome, markdown, junit, as_json)
    if not outcome.passed:
        raise typer.Exit(1)
