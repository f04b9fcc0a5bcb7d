"""The command `assay`. Each command imports what it needs when it runs, so that `assay --help` is quick."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay import __version__
from assay.bench.cli.alone import alone_on_this_machine
from assay.bench.cli.atlas import atlas
from assay.bench.cli.audit import audit
from assay.bench.cli.choose import choose
from assay.bench.cli.compare import compare
from assay.bench.cli.data import data_app
from assay.bench.cli.deploy import deploy
from assay.bench.cli.fleet import OnFleet, fleet_app, join, run_there
from assay.bench.cli.listing import list_names
from assay.bench.cli.options import (
    ARTIFACTS,
    Again,
    DataRoot,
    Json,
    Out,
    Set,
    SharedStore,
    Trust,
    refuse_idle,
    say_trust,
    tier_at,
)
from assay.bench.cli.pipelines.history import history
from assay.bench.cli.pipelines.publish import publish
from assay.bench.cli.pipelines.regress import regress
from assay.bench.cli.refused.failures import check_names, flush, told_of
from assay.bench.cli.selfcheck import selfcheck
from assay.bench.cli.serve import load, serve, verify_server
from assay.bench.cli.stopping import Stopped, listen, no_more
from assay.bench.cli.user import compare_model
from assay.bench.words.terminal import complain, print_json, print_line, print_lines, tolerate_any_text
from assay.errors import InputError
from assay.files.scratch import private_temporary_folder
from assay.fleet.section import LOCAL
from assay.jobs.process import end_all

if TYPE_CHECKING:
    from assay.bench.run import Run
    from assay.study import Study

app = typer.Typer(
    name="assay",
    help="Times native and ONNX inference side by side, and checks that the numbers still agree.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY", help="A study file, such as studies/quick.toml.")]


def _print_version(asked: bool) -> None:
    if asked:
        print_line(__version__)
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
]


@app.callback()
def assay(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback with every error.")] = False,
    version: Version = False,
) -> None:
    """Options before the command; `--debug` is read by `main`."""
    del debug, version


def run(
    study: StudyFile,
    out: Out = ARTIFACTS,
    changes: Set = None,
    data_root: DataRoot = None,
    again: Again = False,
    store: SharedStore = None,
    fleet: OnFleet = None,
    as_json: Json = False,
) -> None:
    """Train, export, time and report: the whole study, or what is left of it."""
    from assay.bench.conductor import run_study
    from assay.bench.judging.answers import unanswered
    from assay.bench.report.study_report import as_audited, report_of
    from assay.bench.words.explanation import spoken
    from assay.bench.words.progress import Narrator
    from assay.files.locks import working_in

    loaded = _study(study, changes, data_root)
    if (fleet or loaded.fleet.address) != LOCAL:
        run_there(loaded, out, fleet or loaded.fleet.address, again=again, store=store, as_json=as_json)
        return
    folder, tier = out / loaded.name, tier_at(store)
    with working_in(folder), alone_on_this_machine():
        results = run_study(loaded, folder, out / "data", Narrator(), again=again, tier=tier)
        files = report_of(folder, results, folder / "report")
    if as_json:
        print_json(results)
    else:
        for line in spoken(as_audited(folder, results)):
            print_line(line)
        print_line(f"Report: {next(file for file in files if file.suffix == '.html')}")
    _end(unanswered(as_audited(folder, results)))


def train(
    study: StudyFile,
    out: Out = ARTIFACTS,
    changes: Set = None,
    data_root: DataRoot = None,
    store: SharedStore = None,
    as_json: Json = False,
) -> None:
    """Train a study's models in its frameworks, measure training parity, and report both."""
    from assay.bench.report.write import write_training_report
    from assay.bench.stages.results import results_of_training
    from assay.bench.stages.train import train_all
    from assay.files.locks import working_in

    current = _run(study, changes, out, data_root, store)
    with working_in(current.folder), current.narrator.showing():
        trainings, parity = train_all(current)
        results = results_of_training(current, trainings, parity)
        files = write_training_report(results, current.folder / "training")
    if as_json:
        print_json(
            {
                "trainings": [one.model_dump(mode="json") for one in trainings],
                "parity": [one.model_dump(mode="json") for one in parity],
            }
        )
    else:
        print_line(f"Report: {files[0]}")


def export(
    study: Annotated[Path | None, typer.Argument(metavar="[STUDY]", help="A study file.")] = None,
    inspect: Annotated[Path | None, typer.Option("--inspect", help="Describe this ONNX file instead.")] = None,
    out: Out = ARTIFACTS,
    changes: Set = None,
    data_root: DataRoot = None,
    store: SharedStore = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Export a study's trained models to ONNX by every route and check each, or inspect an ONNX file."""
    refuse_idle("without --inspect", {"--trust": trust and inspect is None})
    if inspect is not None:
        refuse_idle("with --inspect", {"STUDY": study, "--set": changes, "--data-root": data_root})
        say_trust(trust)
        _inspect(inspect, as_json=as_json, trusted=trust)
        return
    if study is None:
        raise InputError(
            "assay export needs something to export", expected="a study file, or an ONNX file with --inspect"
        )
    from assay.bench.stages.exports import export_all
    from assay.bench.stages.train import choose_subjects, train_all
    from assay.files.locks import working_in

    current = _run(study, changes, out, data_root, store)
    with working_in(current.folder), current.narrator.showing():
        trainings, _ = train_all(current)
        exports = export_all(current, choose_subjects(current, trainings))
    if as_json:
        print_json({"exports": [one.model_dump(mode="json") for one in exports]})
    if any(one.status == "failed" for one in exports):
        raise typer.Exit(1)


def bench(
    study: StudyFile,
    out: Out = ARTIFACTS,
    changes: Set = None,
    data_root: DataRoot = None,
    again: Again = False,
    group: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="NAME", help="Time only this group, such as bloodnet/28/t1; can be repeated."),
    ] = None,
    store: SharedStore = None,
    as_json: Json = False,
) -> None:
    """Time a study's runtimes and write its results, without a report."""
    from assay.bench.conductor import run_study
    from assay.bench.judging.answers import unanswered
    from assay.bench.words.progress import Narrator
    from assay.files.locks import working_in

    loaded = _study(study, changes, data_root)
    folder, tier, groups = out / loaded.name, tier_at(store), tuple(group or ())
    with working_in(folder), alone_on_this_machine():
        results = run_study(loaded, folder, out / "data", Narrator(), again=again, tier=tier, groups=groups)
    if as_json:
        print_json(results)
    _end(unanswered(results))


def attribute(
    study: StudyFile, out: Out = ARTIFACTS, changes: Set = None, data_root: DataRoot = None, as_json: Json = False
) -> None:
    """Say where each runtime's time goes: kernels, framework, transfer. Runs the rest of the study first."""
    from assay.bench.conductor import run_study
    from assay.bench.judging.answers import unanswered
    from assay.bench.words.attribution import render
    from assay.bench.words.progress import Narrator
    from assay.files.locks import working_in

    loaded = _study(study, changes, data_root)
    loaded = loaded.model_copy(update={"bench": loaded.bench.model_copy(update={"attribute": True})})
    with working_in(out / loaded.name), alone_on_this_machine():
        results = run_study(loaded, out / loaded.name, out / "data", Narrator())
    if as_json:
        print_json(
            {
                "attributions": [one.model_dump(mode="json") for one in results.attributions],
                "fits": [one.model_dump(mode="json") for one in results.fits],
                "crossovers": [one.model_dump(mode="json") for one in results.crossovers],
            }
        )
    else:
        render(results)
    _end(unanswered(results))


def report(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder with results.json.")],
    out: Annotated[Path | None, typer.Option("--out", help="Where to write it; FOLDER/report by default.")] = None,
    as_json: Json = False,
) -> None:
    """Write the report of a finished study: HTML, Markdown, tables and figures."""
    from assay.bench.report.study_report import report_of
    from assay.files.locks import working_in
    from assay.records.results import RESULTS_FILE, read_results

    results = read_results(folder / RESULTS_FILE)
    with working_in(out or folder / "report"):
        files = report_of(folder, results, out or folder / "report")
    if as_json:
        print_json({"files": [str(file) for file in files]})
        return
    for file in files:
        print_line(str(file))


def doctor(as_json: Json = False) -> None:
    """List frameworks, devices, providers and threads, what is missing, and what installs it."""
    from assay.bench.machine.doctor import diagnose, render
    from assay.bench.words.progress import Narrator

    with Narrator().showing():
        found = diagnose()
    if as_json:
        print_json(found)
    else:
        render(found)


def _end(refusals: list[str]) -> None:
    """Exit with 1 if something was tried and the answer is no, and say why on standard error."""
    for reason in refusals:
        complain(f"assay: {reason}")
    if refusals:
        raise typer.Exit(1)


def _study(path: Path, changes: list[str] | None, data_root: Path | None) -> Study:
    from assay.study import load_study

    study = load_study(path, changes or ())
    if data_root is None:
        return study
    return study.model_copy(update={"data": study.data.model_copy(update={"root": data_root})})


def _run(path: Path, changes: list[str] | None, out: Path, data_root: Path | None, store: str | None) -> Run:
    from assay.bench.run import Run
    from assay.bench.words.progress import Narrator

    study = _study(path, changes, data_root)
    tier = tier_at(store)
    return Run(study, (out / study.name).resolve(), (out / "data").resolve(), Narrator(), tier=tier)


def _inspect(path: Path, *, as_json: bool, trusted: bool) -> None:
    from assay.bench.words.progress import Narrator
    from assay.export.graph.inspect import inspect_file, render

    with Narrator().showing():
        found = inspect_file(path, trusted=trusted)
    if as_json:
        print_json(found)
    else:
        print_lines(render(found))


# In the order in which a user meets them, each with an example of what to type.
PANELS: dict[str, tuple[tuple[Callable[..., None], str], ...]] = {
    "Your model": (
        (compare_model, "assay model model.onnx --shape image=batch,3,224,224 --minutes 2"),
        (audit, "assay audit --reference model.onnx --candidate model-int8.onnx"),
        (choose, "assay choose artifacts/model-NAME --p99 2"),
        (regress, "assay regress base/model.onnx model.onnx --threshold 5 --markdown comment.md"),
    ),
    "Study": (
        (run, "assay run studies/quick.toml --set bench.batches=[1,8]"),
        (train, "assay train studies/quick.toml --set train.frameworks=[torch]"),
        (export, "assay export --inspect model.onnx"),
        (bench, "assay bench studies/quick.toml --set bench.budget_minutes=2"),
        (attribute, "assay attribute studies/quick.toml"),
        (report, "assay report artifacts/quick"),
        (compare, "assay compare artifacts/before artifacts/after --markdown comment.md"),
        (join, "assay join machine-a/quick machine-b/quick --out artifacts/joined --prices prices.toml"),
        (history, "assay history runs/2026-10 runs/2026-11 --out artifacts/history"),
        (publish, "assay publish artifacts/quick --to mlflow --project speed"),
    ),
    "Deploy": (
        (deploy, "assay deploy artifacts/quick --out deployment"),
        (serve, "assay serve deployment"),
        (verify_server, "assay verify-server http://127.0.0.1:8000 --deployment deployment"),
        (load, "assay load http://127.0.0.1:8000 --deployment deployment"),
    ),
    "Instrument": (
        (doctor, "assay doctor"),
        (list_names, "assay list runtimes"),
        (selfcheck, "assay selfcheck --minutes 5"),
        (atlas, "assay atlas --operator nn.functional.avg_pool2d"),
    ),
}
NAMES = {compare_model: "model", list_names: "list"}
"""Commands whose names differ from their functions'."""

for panel, commands in PANELS.items():
    for command, example in commands:
        app.command(NAMES.get(command), rich_help_panel=panel, epilog=f"Example: {example}")(command)
app.command("compare-model", hidden=True, epilog=f"Example: {PANELS['Your model'][0][1]}")(compare_model)
app.add_typer(fleet_app, name="fleet", rich_help_panel="Study")
app.add_typer(data_app, name="data", rich_help_panel="Instrument")


def main() -> None:
    """Run a command: errors in one message on standard error, with their exit code. Nothing is left running."""
    tolerate_any_text()
    try:
        listen()
        check_names(sys.argv[1:])
        with private_temporary_folder():
            try:
                ended = app(standalone_mode=False)
            finally:
                no_more()
                end_all()
                flush()
        if isinstance(ended, int) and ended:
            sys.exit(ended)
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # its making has printed the help
            sys.exit(InputError.exit_code)
        told = told_of(error)
        if told is None or "--debug" in sys.argv:
            raise
        complain(f"assay: {told}")
        sys.exit(told.exit_code)
    except Stopped as stopped:
        complain(f"assay: {stopped}")
        sys.exit(stopped.exit_code)
