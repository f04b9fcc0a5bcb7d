"""The folder `defects/` of an atlas: for each wrong operator and route, what shows the error without Assay."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field, ValidationError

from assay.bench.atlas.defects.draft import draft
from assay.bench.atlas.defects.on_onnx_whole import write_whole
from assay.bench.atlas.record import DEFECTS, Atlas, Finding, OperatorFindings
from assay.bench.atlas.run import FOUND, OPERATORS
from assay.bench.atlas.suites.entries import SUITES
from assay.bench.atlas.summary import Square, by_operator, squares
from assay.errors import ArtifactError
from assay.export.localise.on_onnx_repro import SCRIPT, printed_by
from assay.files.texts import read_bytes
from assay.records.base import Record
from assay.store import write_atomically

FOLDER, REPORT, OPERATOR, TRIED = "defects", "report.md", "model.py", "tried-programs.json"
NOT_RUN = "model.onnx does not run"
"""The line that a program prints where ONNX Runtime refuses its file."""


class TriedPrograms(Record):
    """The results of the last run of the programs of wrong operators.

    Attributes:
        shown: whether a program shows the error, by the name of its folder.
        of: hash of what the programs were made from, by the same.
    """

    shown: dict[str, bool] = Field(default_factory=dict)
    of: dict[str, str] = Field(default_factory=dict)


def write_defects(atlas: Atlas, folder: Path) -> list[Square]:
    """Write a folder for each wrong operator and route: a program that shows the error, and a report. Those whose
    findings and versions are those of the last time are left as they are.

    Args:
        folder: folder of the atlas, with the files of each operator.

    Returns:
        The squares that are wrong, and that no program shows to be so.
    """
    places, to = _places(atlas, folder), folder / FOLDER
    before, now = _read_tried(folder / TRIED), TriedPrograms()
    wrong = [one for one in squares(atlas) if one.verdict in DEFECTS and not SUITES[one.suite].has_files]
    for square in wrong:
        name, place = _name(square), places.get((square.suite, square.operator))
        now.of[name] = _made_from(square, place, atlas)
        known = before.of.get(name) == now.of[name] and (to / name).is_dir() == before.shown.get(name)
        now.shown[name] = before.shown[name] if known else _written(square, atlas, place, to)
    for left in to.glob("*/"):
        if not now.shown.get(left.name):
            shutil.rmtree(left)
    write_atomically(folder / TRIED, now.model_dump_json(indent=1).encode())
    return [one for one in wrong if not now.shown[_name(one)]]


def _read_tried(path: Path) -> TriedPrograms:
    """Return what an earlier run left; nothing where this version does not read it."""
    try:
        return TriedPrograms.model_validate_json(read_bytes(path))
    except (OSError, ArtifactError, ValidationError):
        return TriedPrograms()


def _name(square: Square) -> str:
    return f"{square.operator}-{square.route}"


def _made_from(square: Square, place: Path | None, atlas: Atlas) -> str:
    """Return the hash of what a square's program and report are made from."""
    said = [one.model_dump_json() for one in square.findings]
    kept = place.name if place else ""
    return hashlib.sha256(json.dumps([said, kept, atlas.versions], sort_keys=True).encode()).hexdigest()


def _places(atlas: Atlas, folder: Path) -> dict[tuple[str, str], Path]:
    """Return by suite and operator the folder that keeps its files."""
    judged, found = by_operator(atlas), {}
    for path in sorted((folder / OPERATORS).glob(f"*/{FOUND}")):
        mine = OperatorFindings.model_validate_json(path.read_bytes()).findings
        if mine and judged.get(key := (mine[0].suite, mine[0].operator)) == mine:
            found[key] = path.parent
    return found


def _written(square: Square, atlas: Atlas, place: Path | None, folder: Path) -> bool:
    """Write the folder of one square, unless no program shows the error."""
    to = folder / _name(square)
    wrong = [one for one in square.findings if one.route == square.route and one.verdict in DEFECTS]
    for one in wrong if place else ():
        assert place is not None
        sample = place / one.place
        for _ in _tried(one, sample, to):
            printed = printed_by(to).replace(f"{to}/", "")
            if not printed or (NOT_RUN in printed and one.verdict == "wrong"):  # a wrong file does run
                continue
            if (sample / OPERATOR).is_file():
                shutil.copyfile(sample / OPERATOR, to / OPERATOR)
            write_atomically(to / REPORT, draft(one, square, printed, atlas.versions).encode())
            return True
    shutil.rmtree(to, ignore_errors=True)
    return False


def _tried(one: Finding, sample: Path, to: Path) -> Iterator[None]:
    """Write the programs that may show a finding, the smallest first, one after the other into the same folder."""
    for node in one.nodes:
        small = sample / one.route / node.repro.removeprefix(f"{one.route}/")
        if node.repro and (small / SCRIPT).is_file():
            shutil.rmtree(to, ignore_errors=True)
            shutil.copytree(small, to)
            yield
    shutil.rmtree(to, ignore_errors=True)
    if write_whole(sample, one.route, one.operator, to):
        yield
