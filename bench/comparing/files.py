"""Comparisons as files and on the terminal: reading of runs, Markdown for a pull request, JUnit XML for CI, a table."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.table import Table

from assay.bench.comparing.compare import Change, Outcome, Side
from assay.bench.judging.summary import by_cell, planned_of
from assay.bench.timing.unit_files import SAMPLES_FILE
from assay.bench.words.numbers import counted, ratio, significant
from assay.bench.words.terminal import Terminal, print_json, shown
from assay.errors import ArtifactError
from assay.files.columns import SAMPLE_COLUMNS
from assay.files.tables import read_table_of
from assay.records.results import RESULTS_FILE, read_results
from assay.store import write_atomically
from assay.texts import markdown, markdown_code, printable

SIGNS = {"faster": "+", "slower": "-", "same": "=", "undecided": "?", "broken": "!", "not judged": " "}


def read_side(path: Path) -> Side:
    """Read one run from its folder or its results.json.

    Raises:
        ArtifactError: there is no run, its version is unknown, or its samples are missing or damaged.
    """
    folder = path.parent if path.is_file() else path
    results = read_results(path if path.is_file() else folder / RESULTS_FILE)
    samples = folder / SAMPLES_FILE
    if not samples.is_file():
        raise ArtifactError(
            f"{folder} has no {SAMPLES_FILE}",
            expected=f"the raw samples beside {RESULTS_FILE}",
            found="nothing",
            remedy="Medians alone do not show their uncertainty; keep both files of a run together",
        )
    frame = read_table_of(results, samples)
    missing = sorted(set(SAMPLE_COLUMNS) - set(frame.columns))
    if missing:
        raise ArtifactError(f"{samples} is not a table of samples", found=f"no column {', '.join(missing)}")
    timed = by_cell(frame, planned_of(results.settings))
    return Side(f"{results.study} of {results.created[:10]} ({folder.name})", results, timed)


def sentence(outcome: Outcome) -> str:
    """Return the outcome in one sentence."""
    lost = [change for change in outcome.regressions if change.verdict == "broken"]
    slower = len(outcome.regressions) - len(lost)
    limit = f"{significant(outcome.threshold * 100, 2)} %"
    unjudged = sum(change.verdict == "not judged" for change in outcome.changes)
    rest = f" {counted(unjudged, 'cell')} could not be judged." if unjudged else ""
    if unjudged == len(outcome.changes):
        return (
            f"Nothing was compared: none of {counted(unjudged, 'cell')} could be judged, which does not "
            "count as a pass."
        )
    if not outcome.regressions:
        judged = counted(len(outcome.changes) - unjudged, "cell")
        return f"No regression: none of {judged} is shown to be more than {limit} slower.{rest}"
    parts = [f"{counted(slower, 'cell')} slower by more than {limit}"] if slower else []
    parts += [f"{counted(len(lost), 'cell')} broken"] if lost else []
    return f"Regression: {' and '.join(parts)}, of {counted(len(outcome.changes), 'cell')}.{rest}"


def tell(outcome: Outcome, markdown_path: Path | None, junit_path: Path | None, as_json: bool) -> None:
    """Write the comparison to the files asked for, and print it as a table or as JSON."""
    if markdown_path:
        write_markdown(outcome, markdown_path)
    if junit_path:
        write_junit(outcome, junit_path)
    if as_json:
        print_json(outcome)
    else:
        show(outcome, Terminal())


def show(outcome: Outcome, console: Console) -> None:
    """Print the comparison as a table, and below it why something was not judged."""
    table = Table(box=None, pad_edge=False, title=shown(f"{outcome.new} against {outcome.base}"), title_justify="left")
    for heading in ("cell", "base, ms", "new, ms", "new / base", "verdict"):
        words = heading in {"cell", "verdict"}
        table.add_column(heading, justify="left" if words else "right", overflow="fold", no_wrap=heading != "cell")
    reasons: dict[str, list[str]] = {}
    for change in outcome.changes:
        style = "red" if change.regression else {"faster": "green", "slower": "yellow"}.get(change.verdict, "")
        told = _texts(change.model_copy(update={"reason": ""}))
        table.add_row(*map(shown, (change.name, *told)), style=style)
        if change.reason:
            reasons.setdefault(f"{change.verdict}, {change.reason}", []).append(change.name)
    console.print(table)
    for reason, names in reasons.items():
        console.print(shown(f"{', '.join(names)}: {reason}"))
    for line in _remarks(outcome):
        console.print(shown(line))
    console.print(shown(sentence(outcome)))


def write_markdown(outcome: Outcome, path: Path) -> None:
    """Write the comparison as Markdown for a pull request: changes first, and the rest folded away."""
    told = [change for change in outcome.changes if change.regression or change.verdict in {"faster", "slower"}]
    rest = [change for change in outcome.changes if change not in told]
    lines = [f"### {sentence(outcome)}", "", f"{markdown_code(outcome.new)} against {markdown_code(outcome.base)}.", ""]
    lines += [*_markdown_table(told), ""] if told else []
    if rest:
        same = sum(change.verdict == "same" for change in rest)
        lines += [f"<details><summary>{counted(len(rest), 'other cell')}, {same} of them the same</summary>", ""]
        lines += [*_markdown_table(rest), "", "</details>", ""]
    lines += [f"- {markdown(line)}" for line in _remarks(outcome)]
    write_atomically(path, ("\n".join(lines).rstrip() + "\n").encode())


def write_junit(outcome: Outcome, path: Path) -> None:
    """Write JUnit XML with a test case for each cell, which fails if it regressed and is skipped if it was not
    judged.
    """
    failures = len(outcome.regressions)
    skipped = sum(change.verdict == "not judged" for change in outcome.changes)
    counts = {"tests": str(len(outcome.changes)), "failures": str(failures), "errors": "0", "skipped": str(skipped)}
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", {"name": "assay compare", **counts})
    for change in outcome.changes:
        model, _, label = change.name.rpartition("/")
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": printable(model.replace("/", ".")), "name": printable(label)}
        )
        text = printable(f"{change.verdict}: {change.reason or _texts(change)[2]}")
        if change.regression:
            ElementTree.SubElement(case, "failure", {"message": text, "type": change.verdict}).text = text
        elif change.verdict == "not judged":
            ElementTree.SubElement(case, "skipped", {"message": text})
        else:
            ElementTree.SubElement(case, "system-out").text = text
    ElementTree.indent(root)
    write_atomically(path, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _texts(change: Change) -> tuple[str, str, str, str]:
    """Return base, new, ratio and verdict in the form for readers."""
    base, new = (significant(ms) if ms is not None else "" for ms in (change.base_ms, change.new_ms))
    verdict = f"{change.verdict}: {change.reason}" if change.reason else change.verdict
    mark = " (regression)" if change.regression and change.verdict != "broken" else ""
    return base, new, ratio(change.ratio) if change.ratio else "", f"{verdict}{mark}"


def _markdown_table(changes: list[Change]) -> list[str]:
    rows = [
        f"| {' | '.join([SIGNS[change.verdict], markdown_code(change.name), *map(markdown, _texts(change))])} |"
        for change in changes
    ]
    return ["| | cell | base, ms | new, ms | new / base | verdict |", "|---|---|---:|---:|---:|---|", *rows]


def _remarks(outcome: Outcome) -> list[str]:
    """Return the remarks that a reader needs besides the table."""
    how = "measured in turns in one session" if outcome.interleaved else "measured one after the other, not in turns"
    lines = [
        f"The two were {how};  intervals are 95 %, verdicts corrected for {counted(len(outcome.changes), 'cell')}; "
        f"same means within {significant(outcome.threshold * 100, 2)} %."
    ]
    lines += outcome.remarks
    lines += [f"Intended difference: {line}." for line in outcome.allowed]
    lines += [f"{outcome.machine_unsure}."] if outcome.machine_unsure else []
    lines += [f"{name}: {base} in base, {new} in new." for name, (base, new) in outcome.versions.items()]
    for names, side in ((outcome.only_in_base, "base"), (outcome.only_in_new, "new")):
        if names:
            lines.append(
                f"Only in {side}: {', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}."
            )
    return lines
