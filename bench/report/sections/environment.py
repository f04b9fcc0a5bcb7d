"""Sections on the origin of the numbers: machine, versions, settings, data, and how to get them again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from pydantic import JsonValue, ValidationError

from assay.bench.report.evidence import Evidence, worded
from assay.bench.report.page.blocks import Code, Paragraphs, Section, Table, Value, headings
from assay.bench.words.numbers import count, counted, duration, listed, moment
from assay.study import Study
from assay.texts import printable

TWO_COLUMNS = headings("What | Value")


def environment(evidence: Evidence) -> Section | None:
    """Show the machine, versions, facts that each runtime reported of itself, keys of the artifacts, and time spent."""
    results = evidence.results
    tables = [
        _facts("environment-facts", "Machine and versions", results.environment),
        _runtimes(evidence),
        _keys(evidence),
        _facts("settings", "Settings of the study", results.settings, folded="All settings"),
        _phases(results.seconds),
    ]
    lead = f"Made by Assay {results.assay_version}, {moment(results.created, time=True)}."
    return Section("environment", "Environment and provenance", lead, tuple(t for t in tables if t.rows))


def data(evidence: Evidence) -> Section | None:
    """Say which images were used, who owns them, and their licence."""
    summary = evidence.results.data
    splits = listed([f"{count(number)} {name}" for name, number in summary.counts.items()])
    pairs = {
        "Data set": summary.name,
        worded("Images", evidence.results): splits,
        "Classes": f"{len(summary.classes)}: {listed(summary.classes)}" if summary.classes else "",
        "Content hash (sha256)": summary.content_hash,
        "Licence": summary.licence,
    }
    rows = tuple((Value(name), Value(text)) for name, text in pairs.items() if text)
    texts = tuple(text for text in (summary.attribution, summary.notice) if text)
    table = Table("data-facts", worded("The images", evidence.results), TWO_COLUMNS, rows, sortable=False)
    return Section("data", "Data", "", (Paragraphs(texts), table) if texts else (table,))


def repeat(evidence: Evidence) -> Section | None:
    """Show the study file and the command that produce these results again."""
    results = evidence.results
    lead = (
        "On another machine, the times will differ and the verdicts may; the data, the initial weights and the order "
        "of the batches will not."
    )
    own = results.settings.get("command")
    if isinstance(own, str) and own:
        return Section(
            "repeat", "How to repeat this", lead, (Code(f"With Assay {results.assay_version}", printable(own), "sh"),)
        )
    name = _file_name(results.study)
    command = f"assay run {name}\n# images in a file or folder of yours:\nassay run {name} --data-root IMAGES"
    blocks = (
        Code(f"With Assay {results.assay_version} and the study file as {name}", command, "sh"),
        *_study_file(results.settings, results.study),
    )
    return Section("repeat", "How to repeat this", lead, blocks)


def study_toml(settings: Mapping[str, JsonValue]) -> str | None:
    """Return the settings as a study file, or None where they are not those of a study."""
    try:
        study = Study.model_validate(settings)
    except ValidationError:
        return None
    record: dict[str, JsonValue] = study.model_dump(mode="json", exclude_none=True, exclude={"fleet"})
    return "\n".join(_toml_lines(record)) + "\n"


def flattened(record: Mapping[str, JsonValue], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Iterate over nested settings as lines: ("machine / cores", "2")."""
    for key, value in record.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        if isinstance(value, dict):
            yield from flattened(value, f"{name} / ")
        elif isinstance(value, list) and any(isinstance(part, dict) for part in value):
            numbered = {str(number): part for number, part in enumerate(value, start=1)}
            yield from flattened(numbered, f"{name} / ")
        else:
            yield name, _in_words(value)


def _in_words(value: JsonValue) -> str:
    if isinstance(value, list):
        return ", ".join(_in_words(part) for part in value) or "none"
    words = {None: "none", True: "yes", False: "no"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def _facts(identifier: str, caption: str, record: Mapping[str, JsonValue], folded: str = "") -> Table:
    rows = tuple((Value(name), Value(text)) for name, text in flattened(record))
    return Table(identifier, caption, TWO_COLUMNS, rows, summary=folded, sortable=False)


def _runtimes(evidence: Evidence) -> Table:
    """Tabulate the facts that workers reported, one line for each runtime and fact, with every value that occurred."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for cell in evidence.results.cells:
        for name, text in cell.provenance.items():
            found.setdefault((cell.runtime, name), {})[text] = None
    rows = tuple(
        (Value(runtime), Value(name.replace("_", " ")), Value(" / ".join(texts)))
        for (runtime, name), texts in found.items()
    )
    columns = headings("Runtime | What | Value")
    return Table(
        "runtimes", "What each runtime reported about itself", columns, rows, summary="What each runtime reported"
    )


def _keys(evidence: Evidence) -> Table:
    results = evidence.results
    timed = {cell.weights for cell in results.cells}
    rows = [
        (Value(f"weights: {t.architecture}, {t.size} px, {t.framework}, seed {t.seed}"), Value(t.weights))
        for t in results.trainings
        if t.weights in timed
    ]
    rows += [
        (Value(f"ONNX file: {e.architecture}, {e.size} px, {e.exporter}"), Value(e.key))
        for e in results.exports
        if e.key
    ]
    summary = f"Keys of {counted(len(rows), 'artifact')}"
    return Table(
        "keys",
        "Keys of the weights and files that were timed",
        TWO_COLUMNS,
        tuple(rows),
        summary=summary,
        sortable=False,
    )


def _phases(seconds: Mapping[str, float]) -> Table:
    rows = tuple(
        (Value(name.replace("_", " ")), Value(duration(spent), spent, f"/seconds/{name}"))
        for name, spent in seconds.items()
    )
    columns = headings("Phase | # Time")
    return Table("phases", "Duration of the study", columns, rows, sortable=False)


def _study_file(settings: Mapping[str, JsonValue], name: str) -> tuple[Code, ...]:
    text = study_toml(settings)
    return (Code(f"The study file, {_file_name(name)}", text, "toml"),) if text else ()


def _file_name(study: str) -> str:
    """Return a file name made from the study's name, harmless on any command line."""
    return f"{re.sub(r'[^a-z0-9_-]', '-', study.lower()) or 'study'}.toml"


def _toml_lines(record: Mapping[str, JsonValue]) -> Iterator[str]:
    """Iterate over the lines of a study file: values, then sections, then arrays of sections."""
    yield from (f"{_toml_key(key)} = {_toml_value(value)}" for key, value in record.items() if not _is_section(value))
    for key, value in record.items():
        if isinstance(value, dict):
            yield f"\n[{_toml_key(key)}]"
            yield from _toml_lines(value)
        elif isinstance(value, list) and _is_section(value):
            for part in value:
                assert isinstance(part, dict)
                yield f"\n[[{_toml_key(key)}]]"
                yield from _toml_lines(part)


def _is_section(value: JsonValue) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _toml_key(key: str) -> str:
    """Return a key as it is where TOML takes it bare, otherwise as a string."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml_value(key)


def _toml_value(value: JsonValue) -> str:
    """Return a value in TOML; JSON writes strings, numbers, booleans and arrays of them in the same way."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
