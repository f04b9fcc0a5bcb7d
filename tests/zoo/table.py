"""The zoo's results, and the table of them in the documentation."""

from __future__ import annotations

import json
import re
from pathlib import Path

from assay.records.base import Record

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "model-checks.md"
BEGIN, END = "<!-- zoo: written by python -m tests.zoo.run -->\n", "<!-- end of zoo -->\n"
IN_WORDS = {"agrees": "agrees", "differs": "differs", "refused": "refused"}
LONGEST = 110


class Found(Record):
    """The result of one member.

    Attributes:
        answer: "agrees", "differs" or "refused".
        right: the answer that is right.
        said: the reasons of a refusal, or of a route that gave no right file; else "".
        told: sentences on outputs that cannot be compared, or only in another form.
        seconds: time for probing, exporting and checking, with everything that had to be fetched or made.
    """

    name: str
    answer: str
    right: str
    said: str
    told: list[str]
    seconds: float


def read_results() -> list[Found]:
    if not RESULTS.is_file():
        return []
    return [Found(**one) for one in json.loads(RESULTS.read_text("utf-8"))]


def table() -> str:
    """Return the table in Markdown, with a sentence before it."""
    found = read_results()
    right = [one for one in found if one.answer == one.right]
    compared = [one for one in right if one.answer != "refused"]
    lines = [
        f"Of {len(found)} models, {len(compared)} were compared with the right answer, and "
        f"{len(right) - len(compared)} rightly refused.",
        "",
        "| model | answer | seconds |",
        "|---|---|---|",
        *(f"| {one.name} | {_answer(one)} | {one.seconds:.0f} |" for one in found),
    ]
    return "\n".join(lines) + "\n"


def _answer(one: Found) -> str:
    more = "; ".join(one.told) if one.answer == "agrees" else one.said
    short = re.sub(r"\s+", " ", more).replace("|", "/")
    short = short if len(short) <= LONGEST else short[:LONGEST].rsplit(" ", 1)[0] + " ..."
    return IN_WORDS[one.answer] + (f": {short}" if short else "")


def write_page() -> None:
    """Write the table into its page."""
    text = PAGE.read_text("utf-8")
    before, rest = text.split(BEGIN)
    PAGE.write_text(before + BEGIN + "\n" + table() + "\n" + END + rest.split(END)[1], encoding="utf-8")
