"""The folder `defects/` of an atlas: for each wrong operator and route, what shows the error without Assay."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from assay.bench.atlas.defects.draft import draft
from assay.bench.atlas.defects.on_onnx_whole import write_whole
from assay.bench.atlas.record import DEFECTS, Atlas, Finding, OperatorFindings
from assay.bench.atlas.run import FOUND, OPERATORS
from assay.bench.atlas.suites.entries import SUITES
from assay.bench.atlas.summary import Square, by_operator, squares
from assay.export.localise.on_onnx_repro import SCRIPT, printed_by
from assay.store import write_atomically

FOLDER, REPORT, OPERATOR = "defects", "report.md", "model.py"
NOT_RUN = "model.onnx does not run"
"""The line that a program prints where ONNX Runtime refuses its file."""


def write_defects(atlas: Atlas, folder: Path) -> list[Square]:
    """Write a folder for each wrong operator and route: a program that shows the error, and a report.

    Args:
        folder: folder of the atlas, with the files of each operator.

    Returns:
        The squares that are wrong, and that no program shows to be so.
    """
    places = _places(atlas, folder)
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    return [
        square
        for square in squares(atlas)
        if square.verdict in DEFECTS
        and not SUITES[square.suite].has_files
        and not _written(square, atlas, places.get((square.suite, square.operator)), folder / FOLDER)
    ]


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
    to = folder / f"{square.operator}-{square.route}"
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
