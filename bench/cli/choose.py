"""The command `assay choose`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay.bench.cli.options import Json
from assay.bench.words.terminal import print_json, print_lines
from assay.errors import InputError, unknown_name
from assay.texts import printable

if TYPE_CHECKING:
    from assay.records.choice import Choice, Constraints, EligibleCell, Objective
    from assay.records.results import Results

NEAREST = 3
"""The number of losers shown unless all are asked for."""


def choose(
    study: Annotated[
        Path,
        typer.Argument(
            metavar="STUDY_FOLDER",
            help="The folder of a finished and audited study, of `assay model`, or of `assay join`.",
        ),
    ],
    objective: Annotated[str, typer.Option("--objective", help="latency, throughput or cost.")] = "latency",
    price: Annotated[
        float | None, typer.Option("--price", help="Price of the machine per hour, for the objective cost.")
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option("--prices", metavar="PRICES.toml", help="Prices per hour from a file, by kind of machine."),
    ] = None,
    quality: Annotated[
        float | None,
        typer.Option(
            "--accuracy",
            "--quality",
            help="The lowest accuracy, or other measure of the task, 0.98 for 98 %; compared with the "
            "interval's lower bound.",
        ),
    ] = None,
    least: Annotated[
        list[str] | None,
        typer.Option(
            "--least",
            metavar="MEASURE=VALUE",
            help="The lowest value of a measure by name, such as metric=0.91 for the metric of `assay model --metric` "
            "or accuracy=0.98; compared with the interval's lower bound; can be repeated.",
        ),
    ] = None,
    p99: Annotated[
        float | None,
        typer.Option("--p99", help="The longest call in milliseconds; compared with the interval's upper bound."),
    ] = None,
    memory: Annotated[float | None, typer.Option("--memory", help="The largest memory of the process in MiB.")] = None,
    precision: Annotated[
        list[str] | None, typer.Option("--precision", help="Allowed precision; can be repeated.")
    ] = None,
    runtime: Annotated[list[str] | None, typer.Option("--runtime", help="Allowed runtime; can be repeated.")] = None,
    licence: Annotated[
        list[str] | None,
        typer.Option("--licence", help="Allowed licences of everything that a runtime imports; can be repeated."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Architecture, or architecture/size.")] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="Images in a call.")] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Compute threads.")] = None,
    one_process: Annotated[
        bool,
        typer.Option(
            "--one-process", help="For the objective cost: one process has the whole machine, idle cores included."
        ),
    ] = False,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Say why each other cell was not chosen, and list the rest of the Pareto front."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Choose the best cell under constraints, and say why runners-up were not chosen; exit 1 when none qualifies."""
    from assay.bench.choosing import choose as core
    from assay.bench.report.study_report import samples_of
    from assay.files.locks import working_in
    from assay.fleet.joined import JOINED_FILE
    from assay.records.audit import AUDIT_FILE, read_audit
    from assay.records.choice import Constraints, write_choice
    from assay.records.results import RESULTS_FILE, read_results

    architecture, size = _model(model)
    constraints = Constraints(
        architecture=architecture,
        size=size,
        batch=batch,
        threads=threads,
        least_quality=quality,
        least=_least(least or []),
        most_p99_ms=p99,
        most_memory_mib=memory,
        precisions=precision or [],
        runtimes=runtime or [],
        licences=licence or [],
    )
    if (study / JOINED_FILE).is_file():
        if price is not None:
            raise InputError("Joined runs come from several machines", expected="--prices, with the price of each kind")
        _over_kinds(study, constraints, _objective(objective), prices, one_process=one_process, as_json=as_json)
        return
    results, audit = read_results(study / RESULTS_FILE), read_audit(study / AUDIT_FILE)
    found = core.choose(
        results,
        audit,
        constraints,
        _objective(objective),
        _price(results, price, prices),
        samples=samples_of(study, results),
        one_process=one_process,
    )
    with working_in(study):
        write_choice(found, study)
    if as_json:
        print_json(found)
    else:
        print_lines(render(found, everything=everything))
    if not found.answer:
        raise typer.Exit(1)


def _over_kinds(
    folder: Path,
    constraints: Constraints,
    objective: Objective,
    prices: Path | None,
    *,
    one_process: bool,
    as_json: bool,
) -> None:
    """Do the same for joined runs."""
    from assay.bench.fleet.choosing import choose_over_kinds
    from assay.bench.fleet.runs import read_run
    from assay.bench.fleet.words import choice_in_words
    from assay.files.locks import working_in
    from assay.fleet.choice import KIND_CHOICE_FILE
    from assay.fleet.joined import RUNS, read_joined
    from assay.fleet.prices import read_prices
    from assay.store import write_atomically

    joined = read_joined(folder)
    runs = {run.name: read_run(folder / RUNS / run.name) for run in joined.runs}
    given = read_prices(prices) if prices else None
    found = choose_over_kinds(joined, runs, constraints, objective, given, one_process=one_process)
    with working_in(folder):
        write_atomically(folder / KIND_CHOICE_FILE, found.model_dump_json(indent=1).encode())
    if as_json:
        print_json(found)
    else:
        print_lines("\n".join(map(printable, choice_in_words(found))))
    if not found.cell:
        raise typer.Exit(1)


def _price(results: Results, price: float | None, prices: Path | None) -> float | None:
    """Return the price of an hour of the results' machine, as given or as in a file."""
    if price is not None or prices is None:
        return price
    from assay.errors import InputError
    from assay.fleet.kind import kind_in
    from assay.fleet.prices import read_prices

    kind = kind_in(results.environment)
    found = read_prices(prices).of(kind)
    if found is None:
        raise InputError(
            f"{prices} has no price for this machine",
            expected=f"one of {' or '.join(filter(None, (kind.instance_type, kind.short_key)))}",
        )
    return found


def render(choice: Choice, *, everything: bool = False) -> str:
    """Render a choice in lines of text: the answer and the nearest losers, or with `everything` all of them."""
    from assay.records.choice import nearest_in_words

    lines = _answer(choice) if choice.answer else [nearest_in_words(choice)]
    lines += [*_front(choice), *_all_losers(choice)] if everything else _nearest_losers(choice)
    return "\n".join(map(printable, lines))


def _answer(choice: Choice) -> list[str]:
    answer = next(one for one in choice.candidates if one.cell == choice.answer)
    measure = choice.measure[:1].upper() + choice.measure[1:] if choice.share else choice.measure
    sure = f" {measure} is at least {_of(choice, answer.quality.low)} with 95 % confidence." if answer.quality else ""
    return [
        f"{choice.answer}: {_numbers(choice, choice.answer)}",
        f"Because: {choice.because}.{sure}{_inferred(answer)}",
        *_behind(choice),
        *_beside(choice, answer.precision),
        *([f"Serve with {choice.serve_with}."] if choice.serve_with else []),
        *([f"Assumed: {choice.assumed}."] if choice.assumed else []),
    ]


def _front(choice: Choice) -> list[str]:
    """Show the other candidates that nothing dominates."""
    front = [one for one in choice.candidates if one.front and one.cell != choice.answer]
    if not front:
        return []
    both = f" and {choice.measure}" if front[0].quality else ""
    return [
        f"Also on the Pareto front of objective{both}:",
        *(f"  {one.cell}: {_numbers(choice, one.cell)}" for one in front),
    ]


def _all_losers(choice: Choice) -> list[str]:
    """Show every requested cell that is not the answer, starting with those that are wrong."""
    # Cells that were not asked for are in the record with the rest; here they would bury the others.
    asked = {cell: reason for cell, reason in choice.losers.items() if cell not in choice.not_asked_for}
    lines = ["Not chosen:"] if asked else []
    lines += [_against(choice, cell) for cell in sorted(asked, key=lambda cell: cell not in choice.wrong)]
    if others := len(choice.losers) - len(asked):
        lines.append(f"{others} cells of other models, batch sizes or threads were not requested.")
    return lines


def _nearest_losers(choice: Choice) -> list[str]:
    """Show the few that come nearest to the answer, and how many there are beyond them."""
    qualified = [one.cell for one in choice.candidates if one.cell != choice.answer]
    missed = [choice.nearest.cell] if choice.nearest else []
    believed = [cell for cell in choice.losers if cell not in (*choice.wrong, *choice.not_asked_for)]
    near = list(dict.fromkeys((*qualified, *missed, *believed)))[:NEAREST]
    lines = ["Not chosen, the nearest first:", *(_against(choice, cell) for cell in near)] if near else []
    others = len(choice.losers) - len(near)
    wrong = f", {len(choice.wrong)} of them WRONG" if choice.wrong else ""
    return [*lines, *([f"And {others} more{wrong}: --all says why."] if others else [])]


def _against(choice: Choice, cell: str) -> str:
    return f"  {'WRONG ' if cell in choice.wrong else ''}{cell}: {choice.losers[cell]}"


def _behind(choice: Choice) -> list[str]:
    """Say how far the answer may be behind the best of the others."""
    others = len(choice.candidates) - 1
    if not others or not choice.paired:
        return []
    best = f"the best of the {others} others that qualify" if others > 1 else "the other that qualifies"
    if choice.behind_at_most is None:
        return [f"The timed cells do not show how far it may be behind {best}."]
    if choice.behind_at_most == 0:
        return [f"It is better than {best}, with 95 % confidence."]
    return [f"It may be behind {best} by {choice.behind_at_most:.1%} at most, with 95 % confidence."]


def _beside(choice: Choice, precision: str) -> list[str]:
    """Show the best of each tier, like with like: in the answer's precision, and in all."""
    from assay.runtimes.entry import TIERS

    worse = {"latency": "slow", "throughput": "slow", "cost": "dear"}[choice.objective]
    lines = []
    for one in choice.beside:
        times = (
            f"{one.times.value:.2f} ({one.times.low:.2f} to {one.times.high:.2f}) times as {worse}" if one.times else ""
        )
        told = ", not distinguishable" if one.tied else ""
        like = f"also in {precision}" if one.precision == precision else f"in {one.precision}"
        lines.append(f"Best {TIERS[one.tier]}: {one.cell}, {like}{f', {times}' if times else ''}{told}.")
    return lines


def _inferred(one: EligibleCell) -> str:
    """Say where its quality is known from, if not from its own outputs alone."""
    if not one.quality_inferred:
        return ""
    return (
        " On images that it was not run on, its class is taken to be the reference's: its outputs agree "
        f"in fp32{_open(one)}."
    )


def _open(one: EligibleCell) -> str:
    if not one.quality_open:
        return ""
    return f"; {one.quality_open} images that may be too close to call are counted both ways"


def _numbers(choice: Choice, cell: str) -> str:
    one = next(candidate for candidate in choice.candidates if candidate.cell == cell)
    rows = "images" if one.quality else "rows"
    value = {
        "latency": f"{one.value.value:.4g} ms ({one.value.low:.4g} to {one.value.high:.4g})",
        "throughput": f"{one.value.value:,.0f} {rows} a second ({one.value.low:,.0f} to {one.value.high:,.0f})",
        "cost": f"{one.value.value:.4g} for a million {rows} ({one.value.low:.4g} to {one.value.high:.4g})",
    }[choice.objective]
    memory = f", {one.memory_mib:.0f} MiB" if one.memory_mib is not None else ""
    right = f", {choice.measure} {_of(choice, one.quality.value)}" if one.quality else ""
    right += f" of {one.quality_images:,} images" if one.quality and one.quality_images else ""
    return f"{value}, {_p99(one)}{memory}, {one.precision}{right}"


def _of(choice: Choice, value: float) -> str:
    """Show a value of the choice's measure."""
    return f"{value:.2%}" if choice.share else f"{value:.4g}"


def _p99(one: EligibleCell) -> str:
    """Show the 99th percentile with its bound, or say that the calls are too few for one."""
    if one.p99_at_most_ms is not None:
        return f"p99 {one.p99_ms:.4g} ms (at most {one.p99_at_most_ms:.4g})"
    return f"p99 {one.p99_ms:.4g} ms or more ({one.calls} calls)"


def _least(texts: list[str]) -> dict[str, float]:
    """Read the lowest values of measures from "MEASURE=VALUE"."""
    found: dict[str, float] = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not name or not math.isfinite(number) or name in found:
            raise InputError(f"--least cannot be read: '{text}'", expected="MEASURE=VALUE, each measure once")
        found[name] = number
    return found


def _model(text: str | None) -> tuple[str | None, int | None]:
    """Split "bloodnet/28" or "bloodnet"."""
    if text is None:
        return None, None
    architecture, _, size = text.partition("/")
    if size and not size.isdecimal():
        raise InputError("--model names no model", expected="bloodnet or bloodnet/28", found=f"'{text}'")
    return architecture, int(size) if size else None


def _objective(text: str) -> Objective:
    from assay.records.choice import OBJECTIVES

    for known in OBJECTIVES:
        if text == known:
            return known
    raise unknown_name("objective", text, OBJECTIVES)
