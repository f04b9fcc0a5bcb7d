"""Whether the numbers of the zoo's models agree: `python -m tests.zoo.run [NAME ...]` probes, exports and checks each
one as `assay model` does, times none, and writes what it found into results.json and the documentation.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import pytest
from typer.main import get_command

from assay.bench.brought.exports import bring, exported
from assay.bench.brought.work import Wanted, Work
from assay.bench.cli.main import app
from assay.bench.words.progress import Narrator
from assay.errors import AssayError
from assay.train.brought.model import read_ranges, read_shapes
from assay.train.brought.sources import locate
from tests.zoo.member import Member
from tests.zoo.members import MEMBERS
from tests.zoo.table import RESULTS, Found, read_results, write_page
from tests.zoo.visit import check_needs, words_of

AGREES, DIFFERS, REFUSED = "agrees", "differs", "refused"


def wanted_of(words: list[str]) -> Wanted:
    """Return the request that a command makes."""
    command = get_command(app).commands["model"]  # type: ignore[attr-defined]
    given = command.make_context("model", words).params
    return Wanted(
        location=locate(given["model"]),
        shapes=read_shapes(list(given["shape"] or ())),
        dimensions={name: int(size) for name, size in (one.rsplit("=", 1) for one in given["dimension"] or ())},
        ranges=read_ranges(given["drawn_range"] or (), given["value"] or ()),
        inputs=given["inputs"],
        without=tuple(given["without"] or ()),
    )


def checked(member: Member, folder: Path) -> Found:
    """Probe, export and check a member."""
    begun = time.monotonic()
    told: tuple[str, ...] = ()
    try:
        work = Work(wanted_of(words_of(member, folder)), folder, Narrator())
        brought = bring(work)
        told = brought.told
        _, exports = exported(work, brought)
    except AssayError as error:
        answer, said = REFUSED, str(error)
    else:
        right = [one for one in exports if one.agreement and all(part.passed for part in one.agreement)]
        wrong = [one for one in exports if one.agreement and one not in right and not one.file_is_right]
        answer = DIFFERS if wrong else AGREES if right else REFUSED
        said = "; ".join(f"{one.exporter}: {one.reason}" for one in exports if one.reason)
    return Found(
        name=member.name, answer=answer, right=member.right, said=said.replace(str(folder), ""), told=list(told),
        seconds=round(time.monotonic() - begun, 1),
    )  # fmt: skip


def main(names: list[str]) -> None:
    """Check the members of these names, or all; results of others stay."""
    for member in MEMBERS:
        if names and member.name not in names:
            continue
        with tempfile.TemporaryDirectory(prefix="assay-zoo-") as folder:
            try:
                check_needs(member)
                found = checked(member, Path(folder))
            except pytest.skip.Exception as reason:
                print(f"{member.name}: skipped, {reason}")  # noqa: T201
                continue
        print(found.model_dump_json(), flush=True)  # noqa: T201
        results = {one.name: one for one in read_results()} | {found.name: found}
        kept = [results[one.name].model_dump() for one in MEMBERS if one.name in results]
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    write_page()


if __name__ == "__main__":
    main(sys.argv[1:])
