"""Publishes a finished and audited run of one of `STUDIES`, such as studies/speed.toml: its records, and the page that
tells them.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from assay.bench.judging.judged import judged
from assay.bench.report.evidence import group_of
from assay.bench.tasks.measure import known_quality
from assay.bench.words.numbers import inverse, ratio, significant
from assay.bench.words.races import said
from assay.errors import FailedError
from assay.records.audit import AUDIT_FILE, Audit, read_audit
from assay.records.base import Interval
from assay.records.results import RESULTS_FILE, Cell, Results, read_results
from assay.records.stale import is_of
from assay.records.verification import Verification
from tools.findings import ROOT

NAVIGATION, BEFORE = ROOT / "mkdocs.yml", "      - Gallery: findings/gallery.md\n"


@dataclass(frozen=True)
class StudyPage:
    """Where a study is published.

    Attributes:
        study: its name.
        title: title of its page.
        entry: title of its page in the site's navigation.
    """

    study: str
    title: str
    entry: str

    @property
    def folder(self) -> Path:
        return ROOT / "artifacts" / "reference" / self.study

    @property
    def page(self) -> Path:
        return ROOT / "docs" / "findings" / f"{self.study}-study.md"

    @property
    def line(self) -> str:
        """Its line in the site's navigation."""
        return f"      - {self.entry}: findings/{self.page.name}\n"


STUDIES = (
    StudyPage(
        "speed",
        "Native at its best and ONNX at 224 pixels",
        "Native at its best and ONNX, in fp32, bf16 and int8",
    ),
    StudyPage(
        "precisions",
        "Native at its best and ONNX at four sizes, in each precision",
        "The same at four sizes, for one image and for 32",
    ),
    StudyPage(
        "reduced", "Native at its best and ONNX at 28 pixels", "The same at 28 pixels, with two processes at once"
    ),
)
KEPT = (RESULTS_FILE, AUDIT_FILE, "samples.parquet", "choice-*.json", "verification-*.json")
LISTED = 2.0
"""A page has the cells that take at most so many times as long as the fastest native one in fp32."""
NOT_AUDITED = (
    "Not audited yet, so accuracies are not known: each file in a smaller precision kept its policy when it was made, "
    "and outputs of timed calls were compared with float64."
)
HEAD = """| runtime | computes in | ms | times as fast as the fastest fp32 native | accuracy | images |
|---|---|---:|---:|---:|---:|"""


def page(results: Results, audit: Audit | None, verified: dict[str, Verification]) -> str:
    """Write the page from the records.

    Args:
        verified: what a server of each model's winner answered, by architecture.
    """
    found = judged(results, audit)
    machine, study = found.environment["processor"], found.study
    titles = {one.study: one.title for one in STUDIES}
    batches = sorted({one.batch for one in found.comparisons})
    parts = [
        f"# {titles.get(study, found.title)}",
        f"[studies/{study}.toml](../../studies/{study}.toml), timed on {found.created[:10]} on {machine}: "
        f"{' or '.join(map(images_a_call, batches))}, one core, one thread. Written by `make findings` from the "
        f"[results](../../artifacts/reference/{study}/results.json); intervals are 95 %. Cells that take more than "
        f"{LISTED:g} times as long as the fastest native one in fp32 are in the results alone.",
    ]
    if audit is None:
        parts.append(NOT_AUDITED)
    for comparison in found.comparisons:
        ratios, group = comparison.ratios, group_of(comparison)
        cells = [one for one in found.cells if one.host and one.framework and group_of(one) == group]
        cells.sort(key=_median)
        limit = LISTED * min((_median(one) for one in cells if one.label == comparison.native), default=math.inf)
        rows = [
            row(one, ratio(inverse(ratios[one.label])) if one.label in ratios else "", audit)
            for one in cells
            if _median(one) <= limit or _failed(one)
        ]
        races = [said(one, found).text for one in found.races if group_of(one) == group]
        at = f"{comparison.architecture} at {comparison.size} pixels"
        at += f", {images_a_call(comparison.batch)}" if len(batches) > 1 else ""
        parts += [f"## {at}", "\n".join([HEAD, *rows])]
        parts += ["\n".join(f"- {text}" for text in races), *served(verified.get(comparison.architecture))]
    parts += together(found)
    return "\n\n".join(parts) + "\n"


def images_a_call(batch: int) -> str:
    return "one image a call" if batch == 1 else f"{batch} images a call"


def _median(cell: Cell) -> float:
    return cell.host.median_ms.value if cell.host else math.inf


def _failed(cell: Cell) -> bool:
    return cell.agreement is not None and not cell.agreement.passed


def together(found: Results) -> Iterator[str]:
    """Tell how many images a second several processes of one runtime answer at the same time."""
    known = [
        (one, one.throughput) for one in found.instances if one.throughput and not one.invalid and one.instances > 1
    ]
    if not known:
        return
    rows = [
        f"| {one.cell.rpartition('/')[2]} | {one.instances} | {from_to(rate)} | "
        f"{ratio(one.slowed) if one.slowed else ''} |"
        for one, rate in sorted(known, key=lambda pair: -pair[1].value)
    ]
    yield "## Several processes at the same time, each on a core of its own"
    head = "| runtime | processes | images a second, together | times as long as a call of one process alone |"
    yield "\n".join([head, "|---|---:|---:|---:|", *rows])


def row(cell: Cell, gained: str, audit: Audit | None) -> str:
    """Tell one cell, with why it does not count where it does not."""
    assert cell.host is not None
    why = "**FAILED its audit**" if _failed(cell) else "INVALID" if cell.invalid else gained
    ms = from_to(cell.host.median_ms)
    return f"| {cell.label} | {cell.precision} | {ms} | {why} | {' | '.join(accuracy(cell, audit))} |"


def from_to(estimate: Interval) -> str:
    """Return "9.71 (9.31 to 10.1)"."""
    return f"{significant(estimate.value)} ({significant(estimate.low)} to {significant(estimate.high)})"


def accuracy(cell: Cell, audit: Audit | None) -> tuple[str, str]:
    """Return the accuracy of a cell and of how many images it is known, as its audit has it."""
    model = next((one for one in audit.models if is_of(cell, one)), None) if audit else None
    if model is None:
        return "not audited", ""
    try:
        known = known_quality(model, [one for one in model.comparisons if one.subject == cell.label])
    except FailedError as error:
        return str(error), ""
    return f"{known.interval.value:.2%} ({known.interval.low:.2%} to {known.interval.high:.2%})", f"{known.images:,}"


def served(found: Verification | None) -> Iterator[str]:
    """Tell how a server of the winner answered."""
    if found:
        outcome = "every answer is the audited one" if found.passed else "**answers differ**"
        ways = ", ".join(f"{one.images:,} images over {one.way}" for one in found.ways)
        right = f", accuracy {found.ways[0].quality.value:.2%}" if found.ways and found.ways[0].quality else ""
        yield f"Deployed as {found.deployment} and asked by `assay verify-server` for {ways}: {outcome}{right}."


def read(folder: Path) -> str:
    """Return the page of the records in a folder."""
    return page(read_results(folder / RESULTS_FILE), *beside(folder))


def beside(folder: Path) -> tuple[Audit | None, dict[str, Verification]]:
    """Read what stands beside the results: their audit, and what servers answered, by architecture."""
    audit = folder / AUDIT_FILE
    verified = {
        path.stem.partition("-")[2]: Verification.model_validate_json(path.read_bytes())
        for path in folder.glob("verification-*.json")
    }
    return read_audit(audit) if audit.is_file() else None, verified


def publish(folder: Path) -> None:
    """Copy what is published, and give its page a place in the site.

    Raises:
        FailedError: results of this study are not published.
    """
    results = read_results(folder / RESULTS_FILE)
    into = next((one for one in STUDIES if one.study == results.study), None)
    if into is None:
        raise FailedError(
            f"{folder} cannot be published",
            expected=f"the study {' or '.join(one.study for one in STUDIES)}",
            found=results.study,
        )
    page(results, *beside(folder))  # so that what cannot be told is not copied
    into.folder.mkdir(parents=True, exist_ok=True)
    for path in (path for pattern in KEPT for path in folder.glob(pattern)):
        shutil.copyfile(path, into.folder / path.name)
    site = NAVIGATION.read_text(encoding="utf-8")
    if into.line not in site:
        NAVIGATION.write_text(site.replace(BEFORE, into.line + BEFORE), encoding="utf-8")


def rewrite() -> None:
    """Write the page of every published study from its records."""
    for one in STUDIES:
        if one.folder.exists():
            one.page.write_text(read(one.folder), encoding="utf-8")
