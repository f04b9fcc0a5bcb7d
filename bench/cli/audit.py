"""The command `assay audit`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay.bench.cli.options import ARTIFACTS, CallLimit, DataRoot, Json, Set, Trust, as_words, refuse_idle, say_trust
from assay.bench.words.terminal import Terminal, print_json
from assay.errors import InputError, unknown_name

if TYPE_CHECKING:
    from assay.records.audit import Audit


def audit(
    study: Annotated[
        Path | None, typer.Argument(metavar="[STUDY]", help="A study file, such as studies/quick.toml.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option("--reference", help="Instead of a study: an ONNX file, evaluated in float64.")
    ] = None,
    candidate: Annotated[
        Path | None,
        typer.Option("--candidate", help="With --reference: the ONNX file that should give the same outputs."),
    ] = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option("--runtime", help="With --reference: a runtime for both files; can be repeated."),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option("--inputs", help="With --reference: an .npz or a folder of .npy; random inputs when not given."),
    ] = None,
    dimension: Annotated[
        list[str] | None, typer.Option("--dimension", help="With --reference: a dynamic dimension's size, NAME=64.")
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="OUTPUT", help="With --reference: leave this output out; can be repeated."),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            "--images", min=0, help="With a study: the number of test images, instead of the study's own; 0 for all."
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="With a study: only this model, such as bloodnet/28; can be repeated."),
    ] = None,
    strict_nan: Annotated[
        bool, typer.Option("--strict-nan", help="Also fail where a runtime's own ReLU or max-pooling loses NaN.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", help="Folder for the results; each audit gets a folder in it.")] = (
        ARTIFACTS
    ),
    changes: Set = None,
    data_root: DataRoot = None,
    call_limit: CallLimit = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Compare every runtime and export with float64; exit 1 when one is further away than rounding explains."""
    from assay.bench.words.audit import render
    from assay.records.audit import AUDIT_FILE, PAGE_FILE

    of_files = {"--runtime": runtime, "--inputs": inputs, "--dimension": dimension, "--without": without}
    if reference is None:
        refuse_idle("with a study", {**of_files, "--call-limit": call_limit, "--trust": trust})
    else:
        of_studies = {"--images": images, "--model": model, "--strict-nan": strict_nan}
        refuse_idle("with --reference", {**of_studies, "--set": changes, "--data-root": data_root})
    say_trust(trust)
    if reference is not None and (candidate is not None or runtime) and study is None:
        pair = (reference, candidate or reference)
        found, folder = _of_pair(
            pair,
            inputs,
            dimension or [],
            runtime or [],
            out,
            without=without or [],
            call_limit=call_limit,
            trusted=trust,
        )
    elif study is not None and reference is None and candidate is None:
        found, folder = _of_study(study, changes or [], images, model or [], out, data_root, strict_nan=strict_nan)
    else:
        raise InputError(
            "assay audit needs something to audit",
            expected="a study file, two ONNX files with --reference and --candidate, or one with --runtime",
        )
    if as_json:
        print_json(found)
    else:
        console = Terminal()
        render(found, console)
        console.print(f"Record: {folder / AUDIT_FILE} and {PAGE_FILE}", soft_wrap=True)
    if not found.passed:
        raise typer.Exit(1)


def _of_study(
    path: Path,
    changes: list[str],
    images: int | None,
    models: list[str],
    out: Path,
    data_root: Path | None,
    *,
    strict_nan: bool,
) -> tuple[Audit, Path]:
    from assay.bench.auditing.selection import with_models
    from assay.bench.run import Run
    from assay.bench.stages.audit import audit_study
    from assay.bench.words.progress import Narrator
    from assay.files.locks import working_in
    from assay.study import load_study

    study = with_models(load_study(path, changes), models)
    if data_root is not None:
        study = study.model_copy(update={"data": study.data.model_copy(update={"root": data_root})})
    folder = out / study.name
    run = Run(study, folder.resolve(), (out / "data").resolve(), Narrator())
    words = ["assay", "audit", path.name, *as_words(changes), *(() if images is None else ("--images", str(images)))]
    words += [word for name in models for word in ("--model", name)] + (["--strict-nan"] if strict_nan else [])
    with working_in(folder):
        return audit_study(run, shlex.join(words), images, models, strict_nan=strict_nan), folder


def _of_pair(
    pair: tuple[Path, Path],
    inputs: Path | None,
    dimensions: list[str],
    runtimes: list[str],
    out: Path,
    *,
    without: list[str],
    call_limit: float | None,
    trusted: bool,
) -> tuple[Audit, Path]:
    from assay.bench.auditing.localise import RUNNERS
    from assay.bench.auditing.pairs.pair import ORT_LEVELS, PairRequest, audit_pair
    from assay.bench.auditing.record import write_audit
    from assay.bench.words.progress import Narrator
    from assay.files.disk import short_name
    from assay.files.locks import working_in

    for name in runtimes:
        if name not in RUNNERS:
            raise unknown_name("runtime of two ONNX files", name, RUNNERS)
    folder = out / f"audit-{short_name(pair[1].stem)}"
    chosen = tuple(RUNNERS[name] for name in dict.fromkeys(runtimes)) or ORT_LEVELS
    repro = (folder / "repro").resolve()
    left_out = tuple(dict.fromkeys(without))
    request = PairRequest(*pair, inputs, sizes_of(dimensions), chosen, repro, trusted, call_limit, left_out)
    with working_in(folder), Narrator().showing():
        found = audit_pair(request)
        write_audit(found, folder)
    return found, folder


def sizes_of(dimensions: list[str]) -> dict[str, int]:
    """Turn "NAME=64" into sizes by name."""
    found = {}
    for text in dimensions:
        name, _, size = text.rpartition("=")
        if not name or not size.isdecimal() or int(size) < 1:
            raise InputError("--dimension does not give a size", expected="NAME=64, 1 or more", found=f"'{text}'")
        found[name] = int(size)
    return found
