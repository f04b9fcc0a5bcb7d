"""Tables of the reference study and of the quick study: speed in each precision, accuracy, load."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from assay.bench.judging.judged import judged
from assay.bench.report.evidence import group_of
from assay.bench.words.numbers import inverse
from assay.records.audit import AUDIT_FILE, read_audit
from assay.records.base import Interval
from assay.records.load import read_load
from assay.records.races import OF_ALL, Race, SpeedComparison
from assay.records.results import RESULTS_FILE, Cell, Results, read_results
from tools.findings import ROOT

REFERENCE = ROOT / "artifacts" / "reference"
QUICK = REFERENCE / "quick"
FRAMEWORKS = {"torch": "PyTorch", "tf": "Keras", "jax": "Flax"}
IN_README = (
    "bloodnet 28x28, 1",
    "bloodnet 224x224, 1",
    "resnet18 28x28, 1",
    "resnet18 224x224, 1",
    "resnet18 224x224, 32",
)
COMPARED = """| images, batch | fastest native | ms | fastest ONNX in fp32 | ms | native / ONNX, in fp32 |
|---|---|---:|---|---:|---:|"""
WITH_INT8 = "\n".join(
    f"{line} {cell} |"
    for line, cell in zip(COMPARED.splitlines(), ("fp32 / int8, in ONNX Runtime", "---:"), strict=True)
)
REDUCED = ("bf16", "int8")
RACED = """| images, batch | bf16: native / ONNX | int8: native / ONNX | fastest of all | ms | native fp32 / it |
|---|---:|---:|---|---:|---:|"""
TRAINED = f"""| | {" | ".join(FRAMEWORKS.values())} |
|---|---|---|---|"""
LOADED = """| clients | images a second | median ms | p99 ms |
|---:|---:|---:|---:|"""


@cache
def results_of(folder: Path) -> Results:
    """Read published results, in the light of their audit if there is one."""
    audit = folder / AUDIT_FILE
    return judged(read_results(folder / RESULTS_FILE), read_audit(audit) if audit.is_file() else None)


def told(found: Interval, digits: int = 2) -> str:
    return f"{found.value:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def compared() -> Iterator[str]:
    """Compare native and ONNX in fp32, with the gain of int8; the rows in which int8 failed its audit come first."""
    results = results_of(REFERENCE)
    rows = [f"{_compared(one, results)[:-1]}| {_gain_of_int8(one, results)} |" for one in results.comparisons]
    yield from sorted(rows, key=lambda row: "FAILED" not in row)


def compared_quickly() -> Iterator[str]:
    results = results_of(QUICK)
    return (_compared(one, results) for one in results.comparisons)


def compared_in_readme() -> Iterator[str]:
    """A part of the table for README, in the order of `IN_README`."""
    results = results_of(REFERENCE)
    rows = {row.split("|")[1].strip(): row for row in (_compared(one, results) for one in results.comparisons)}
    return (rows[name] for name in IN_README)


def _compared(comparison: SpeedComparison, results: Results) -> str:
    """A comparison with its verdict, unless that is "faster"."""
    cells = _cells(comparison, results)
    pair = (f"{label} | {_ms(cells[label])}" for label in (comparison.native, comparison.onnx))
    return f"| {_images(comparison)} | {' | '.join(pair)} | {_race(comparison)} |"


def _gain_of_int8(comparison: SpeedComparison, results: Results) -> str:
    for label, cell in _cells(comparison, results).items():
        if (cell.runtime, cell.precision) == ("ort.cpu", "int8"):
            return told(comparison.gains[label]) if label in comparison.ratios else "**int8 FAILED its audit**"
    return ""


def raced(folder: Path = REFERENCE) -> Iterator[str]:
    """Compare native and ONNX like with like in reduced precision, and name the fastest of all that keep their
    accuracy; where a side has no time that counts, its ratio is left empty.
    """
    results = results_of(folder)
    for comparison in results.comparisons:
        cells = _cells(comparison, results)
        races = {one.precision: one for one in results.races if group_of(one) == group_of(comparison)}
        ratios = [_race(races.get(precision)) for precision in REDUCED]
        of_all = races[OF_ALL] if OF_ALL in races else races[comparison.precision]
        fastest = min((cells[label] for label in (of_all.native, of_all.onnx) if label), key=_median)
        gain = told(inverse(comparison.ratios[fastest.label]))
        yield f"| {_images(comparison)} | {' | '.join(ratios)} | {fastest.label} | {_ms(fastest)} | {gain} |"


def _race(race: Race | SpeedComparison | None) -> str:
    """The ratio of a race with its verdict, unless that is "faster"."""
    if race is None or race.speedup is None:
        return ""
    return told(race.speedup) + ("" if race.verdict == "faster" else f", {race.verdict}")


def trained() -> Iterator[str]:
    """Accuracy on the test images of each model, size and framework, with how long it was trained at that size."""
    results = results_of(REFERENCE)
    models = dict.fromkeys((one.architecture, one.size) for one in results.trainings)
    for architecture, size in models:
        found = {
            one.framework: one for one in results.trainings if (one.architecture, one.size) == (architecture, size)
        }
        epochs = next(iter(found.values())).history[-1].epoch
        accuracies = [_percent(found[name].test.accuracy) if name in found else "" for name in FRAMEWORKS]
        yield f"| {architecture} {size}x{size}, {epochs:.2g} epochs | {' | '.join(accuracies)} |"


def loaded() -> Iterator[str]:
    """The load test's closed loops."""
    for loop in read_load(REFERENCE / "load.json").closed_loop:
        rate = loop.images_per_second
        low, middle, high = (f"{float(f'{one:.3g}'):,.0f}" for one in (rate.low, rate.value, rate.high))
        yield f"| {loop.clients} | {middle} ({low} to {high}) | {told(loop.median_ms)} | {told(loop.p99_ms)} |"


def _cells(comparison: SpeedComparison | Race, results: Results) -> dict[str, Cell]:
    return {cell.label: cell for cell in results.cells if group_of(cell) == group_of(comparison)}


def _images(one: SpeedComparison | Race) -> str:
    return f"{one.architecture} {one.size}x{one.size}, {one.batch}"


def _median(cell: Cell) -> float:
    assert cell.host is not None
    return cell.host.median_ms.value


def _ms(cell: Cell) -> str:
    return f"{_median(cell):.2f}"


def _percent(share: Interval) -> str:
    return f"{100 * share.value:.2f} % ({100 * share.low:.2f} to {100 * share.high:.2f})"
