"""The command `assay model`, once called `compare-model`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay.bench.cli.alone import alone_on_this_machine
from assay.bench.cli.options import (
    ARTIFACTS,
    Again,
    Batch,
    CallLimit,
    DrawnRange,
    DrawnValue,
    Framework,
    Inputs,
    IntervalWidth,
    Json,
    Minutes,
    Opset,
    Runtime,
    Shape,
    Threads,
    Trust,
    Without,
    refuse_idle,
    say_trust,
)
from assay.bench.cli.stopping import keeping_what_is_there
from assay.bench.words.terminal import complain, print_json, print_line
from assay.errors import InputError
from assay.registry import METRICS, PLAIN_TASK, TASKS

if TYPE_CHECKING:
    from assay.bench.tasks.task import WholeModel
    from assay.records.results import Results


def compare_model(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A .onnx, TorchScript, .pt2, .keras or .h5 file, a SavedModel or Hugging Face folder, "
            "FILE.py:FUNCTION, PACKAGE.MODULE:FUNCTION, or LIBRARY:NAME such as hf:distilbert, timm:, torchvision:, "
            "keras:.",
        ),
    ],
    shape: Shape = None,
    dimension: Annotated[
        list[str] | None,
        typer.Option(
            "--dimension",
            metavar="NAME=SIZE[,SIZE...]",
            help="The size of a dynamic dimension, tokens=64, or ascending sizes to compare the model at, "
            "tokens=16,64,256: exports keep it open and are checked at all of them.",
        ),
    ] = None,
    mixed_sizes: Annotated[
        bool,
        typer.Option(
            "--mixed-sizes", help="With several sizes of --dimension: also time calls of all of them in random order."
        ),
    ] = False,
    drawn_range: DrawnRange = None,
    value: DrawnValue = None,
    inputs: Inputs = None,
    without: Without = None,
    original: Annotated[
        str | None,
        typer.Option(
            "--original",
            metavar="MODEL",
            help="The model in fp32 that a quantised or narrower one was made of: says what that cost in accuracy.",
        ),
    ] = None,
    tolerance: Annotated[
        list[str] | None,
        typer.Option(
            "--tolerance",
            metavar="OUTPUT=NUMBER",
            help="How far an output may be from float64 for your own use, logits=1e-3, or 1e-3 for all outputs; stands "
            "beside the derived tolerance; can be repeated.",
        ),
    ] = None,
    task: Annotated[
        str,
        typer.Option(
            "--task",
            help=f"How answers are judged beyond their numbers: {', '.join(TASKS)}; {PLAIN_TASK} if not given.",
        ),
    ] = PLAIN_TASK,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="The right answer to each of --inputs, in an .npy, .npz or .csv: a class, a class for each pixel, or "
            "whatever --metric takes.",
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            metavar="METRIC",
            help="How right answers are, a number that is higher for better ones: FILE.py:FUNCTION of outputs and "
            "labels, or " + ", ".join(f"{name}:NAME" for name in METRICS) + " as in sklearn:f1_macro.",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            help="For an output with one number for each record or pixel: numbers above this mean class 1; 0 "
            "for logits, 0.5 "
            "for probabilities.",
        ),
    ] = None,
    framework: Framework = "",
    batch: Batch = None,
    runtime: Runtime = None,
    precision: Annotated[
        list[str] | None,
        typer.Option(
            "--precision",
            metavar="PRECISION",
            help="Also make every correct ONNX file in int8 or fp16; can be repeated; int8 needs --inputs.",
        ),
    ] = None,
    mixed_minutes: Annotated[
        float | None,
        typer.Option(
            "--mixed-minutes",
            min=0,
            help="With --precision int8: minutes of search for the layers that a failing file must keep in fp32; "
            "5 if not given, 0 for no search.",
        ),
    ] = None,
    threads: Threads = 1,
    device: Annotated[
        str,
        typer.Option(
            "--device", metavar="DEVICE", help="cpu or cuda; a runtime without CUDA is timed on the CPU and says so."
        ),
    ] = "cpu",
    minutes: Minutes = 5.0,
    interval_width: IntervalWidth = 0.02,
    opset: Opset = 18,
    out: Annotated[Path, typer.Option("--out", help="Folder for the results; each model gets a folder in it.")] = (
        ARTIFACTS
    ),
    call_limit: CallLimit = None,
    again: Again = False,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Time a model of your own natively and through ONNX, and compare the numbers; exit 1 when they differ."""
    from assay.files.locks import working_in
    from assay.train.brought.model import read_ranges, read_shapes
    from assay.train.brought.own import read_tolerances
    from assay.train.brought.sources import locate

    TASKS[task]  # an unknown one is reported before anything runs
    if inputs is not None:
        refuse_idle("beside --inputs, which has the numbers", {"--range": drawn_range, "--value": value})
    say_trust(trust)
    location = locate(model, framework)  # before imports that take a second
    if metric is not None and labels is None:
        raise InputError("--metric needs the right answers", remedy="Give them with --labels FILE")

    from assay.bench.brought.compare import compared_model, mixed_minutes_of, precisions_of
    from assay.bench.brought.sizes import read_sizes
    from assay.bench.brought.work import Wanted, folder_name
    from assay.bench.report.study_report import report_of
    from assay.bench.tasks.metrics.metric import read_metric
    from assay.bench.tasks.task import task as task_by_name
    from assay.bench.words.progress import Narrator

    dimensions, sizes = read_sizes(dimension or ())
    reduced, width = precisions_of(precision or [])
    given: dict[str, Sequence[object] | None] = {
        "--shape": shape,
        "--dimension": dimension,
        "--range": drawn_range,
        "--value": value,
        "--original": [original] if original else [],
        "--inputs": [inputs.name] if inputs else [],
        "--task": [task] if task != PLAIN_TASK else [],
        "--labels": [labels.name] if labels else [],
        "--metric": [metric] if metric else [],
        "--threshold": [threshold] if threshold is not None else [],
        "--without": without,
        "--tolerance": tolerance,
        "--runtime": runtime,
        "--precision": reduced,
        "--mixed-minutes": [mixed_minutes] if mixed_minutes is not None else [],
        "--batch": batch,
        "--threads": [threads] if threads > 1 else [],
        "--device": [device] if device != "cpu" else [],
    }
    options = [word for name, values in given.items() for one in values or () for word in (name, str(one))]
    options += ["--mixed-sizes"] if mixed_sizes else []
    options += ["--trust"] if trust else []
    wanted = Wanted(
        location=location,
        shapes=read_shapes(shape or []),
        dimensions=dimensions,
        sizes=sizes,
        mixed_sizes=mixed_sizes,
        ranges=read_ranges(drawn_range or (), value or ()),
        inputs=inputs,
        original=locate(original) if original else None,
        task=task,
        labels=labels,
        metric=read_metric(metric) if metric else None,
        threshold=threshold,
        without=tuple(dict.fromkeys(without or ())),
        tolerances=read_tolerances(tolerance or ()),
        batches=tuple(batch or (1,)),
        threads=threads,
        device=device,
        runtimes=tuple(runtime or ()),
        reduced=reduced,
        mixed_minutes=mixed_minutes_of(mixed_minutes, reduced),
        minutes=minutes,
        interval_width=interval_width if width is None else width,
        opset=opset,
        trusted=trust,
        again=again,
        call_limit=call_limit,
        command=shlex.join(["assay", "model", str(location), *options]),
    )
    judged_by = task_by_name(task)
    parts = judged_by.parts_of(location)
    if len(parts) > 1:
        wanted = replace(wanted, sizes=judged_by.sizes_of(dimensions, sizes), minutes=minutes / len(parts))
    folder, refused, compared = out / folder_name(location), False, {}
    with working_in(folder), alone_on_this_machine():
        for part, place in parts.items():
            with keeping_what_is_there():
                compared[part] = compared_model(replace(wanted, location=place), folder / part, Narrator())
            files = report_of(folder / part, compared[part].results, folder / part / "report")
            page = next(file for file in files if file.suffix == ".html")
            refused |= _told(folder / part, compared[part].results, page, as_json=as_json, alone=len(parts) == 1)
        if len(parts) > 1:
            together = judged_by.put_together(compared, folder, str(location))
            _say_together(together, as_json=as_json)
            refused |= bool(together.refusals)
    if refused:
        raise typer.Exit(1)


def _told(folder: Path, results: Results, page: Path, *, as_json: bool, alone: bool) -> bool:
    """Print what is found of one model, and return whether it is refused.

    Args:
        alone: whether it is the whole model, so that its record is what is asked for.
    """
    from assay.bench.auditing.localise import located
    from assay.bench.brought.compare import refusals_of_numbers
    from assay.bench.judging.answers import unanswered
    from assay.bench.report.study_report import as_audited
    from assay.bench.tasks.task import task_of
    from assay.bench.words.agreement import numbers_in_words
    from assay.bench.words.explanation import spoken

    wrong = refusals_of_numbers(results)
    reasons = wrong or unanswered(results)
    if as_json:
        if alone:
            print_json(results)
        _complain(reasons)
        return bool(reasons)
    refused = [f"Refused: {reason}" for reason in reasons]
    numbers = [*numbers_in_words(results), *task_of(results).told(results), *(refused if wrong else ())]
    where = [f"Where: {one}" for one in map(str, located(folder)) if one.partition(": ")[2] not in "".join(refused)]
    _say([*numbers, *where, *spoken(as_audited(folder, results)), *(() if wrong else refused)], page)
    return bool(reasons)


def _say_together(together: WholeModel, *, as_json: bool) -> None:
    """Print what is found of all parts of a model."""
    if as_json:
        print_json(together.record)
        _complain(together.refusals)
        return
    _say([*together.sentences, *(f"Refused: {one}" for one in together.refusals)], together.page)


def _complain(refusals: Sequence[str]) -> None:
    for reason in refusals:
        complain(f"assay: refused: {reason}")


def _say(lines: Sequence[str], page: Path) -> None:
    for line in lines:
        print_line(line)
    print_line(f"Report: {page}")
