"""Publishes what versions of a package change: comparisons of two environments in turns, and the page that tells them.

python -m tools.findings.versions FILE...    where each FILE is the output of `assay compare ... --env --env --json`
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from assay.bench.comparing.compare import Change, Outcome
from assay.bench.history.read import read_outcome
from assay.bench.words.numbers import ratio, significant
from tools.findings import ROOT

PUBLISHED = ROOT / "artifacts" / "reference" / "versions"
PAGE = ROOT / "docs" / "findings" / "versions.md"
HEAD = """| runtime | versions | images, batch | older, ms | newer, ms | newer / older | verdict |
|---|---|---|---:|---:|---:|---|"""
INTRODUCTION = """# What a version changes

Each runtime ran in two environments that differ in the version of its packages, on the same weights and files, and the
two were timed in turns in one session ([studies/versions.toml](../../studies/versions.toml), five processes each, two
cores of an AMD EPYC, one thread). Times of two rows are not comparable; the ratio in one row is. Below 1, the newer
version is faster. Intervals are 95 %, and "same" means within 5 %. Written by `python -m tools.findings.versions` from
[the comparisons](../../artifacts/reference/README.md); [how to make your own](../how-to/history.md)."""


def page(outcomes: Sequence[Outcome]) -> str:
    """Write the page: a sentence, and a row for each cell of each pair of versions."""
    rows = [row(change, outcome) for outcome in outcomes for change in outcome.changes]
    return "\n\n".join([INTRODUCTION, said(outcomes), "\n".join([HEAD, *rows])]) + "\n"


def said(outcomes: Sequence[Outcome]) -> str:
    """Count the verdicts, and name the cells that became faster or slower."""
    both = [(outcome, change) for outcome in outcomes for change in outcome.changes]
    moved = [(outcome, change) for outcome, change in both if change.verdict in {"faster", "slower"}]
    same = sum(change.verdict == "same" for _, change in both)
    counts = f"Of {len(both)} cells, {same} are the same in both versions, {len(moved)} are not"
    rest = len(both) - same - len(moved)
    named = [
        f"- {_where(change)}: {newer(outcome)} is {change.verdict} than {older(outcome)}." for outcome, change in moved
    ]
    return "\n".join([f"{counts}, and {rest} are undecided or not judged.", *([""] if named else []), *named])


def _where(change: Change) -> str:
    """Name a cell for a reader: "jax.jit, bloodnet 28x28, batch 1"."""
    runtime, images, batch = _parts(change)
    return f"{runtime}, {images}, batch {batch}"


def _parts(change: Change) -> tuple[str, str, str]:
    """Return the runtime, the model with its images, and the batch of a cell."""
    model, size, batch, _, label = change.name.split("/", 4)
    return label.partition("@")[0], f"{model} {size}x{size}", batch.removeprefix("b")


def row(change: Change, outcome: Outcome) -> str:
    """Tell one cell in two versions."""
    runtime, images, batch = _parts(change)
    base, new = (significant(ms) if ms is not None else "" for ms in (change.base_ms, change.new_ms))
    cells = [
        runtime,
        f"{older(outcome)}, {newer(outcome)}",
        f"{images}, {batch}",
        base,
        new,
        ratio(change.ratio) if change.ratio else change.reason,
        change.verdict,
    ]
    return f"| {' | '.join(cells)} |"


def older(outcome: Outcome) -> str:
    return _versions(outcome, 0)


def newer(outcome: Outcome) -> str:
    return _versions(outcome, 1)


def _versions(outcome: Outcome, place: int) -> str:
    """Name one side's versions of what differs; jaxlib goes with jax."""
    return ", ".join(f"{name} {both[place]}" for name, both in outcome.versions.items() if name != "jaxlib")


def published() -> list[Outcome]:
    """Return the published comparisons, by name."""
    return [read_outcome(path) for path in sorted(PUBLISHED.glob("*.json"))]


def main(files: Sequence[Path]) -> None:
    """Keep the comparisons, without where their environments lay, and write the page from all that are published."""
    PUBLISHED.mkdir(parents=True, exist_ok=True)
    for path in files:
        found = read_outcome(path)
        found = found.model_copy(update={"base": older(found), "new": newer(found)})
        text = found.model_dump_json(indent=1) + "\n"
        (PUBLISHED / path.name.removeprefix("turns-")).write_text(text, encoding="utf-8")
    PAGE.write_text(page(published()), encoding="utf-8")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
