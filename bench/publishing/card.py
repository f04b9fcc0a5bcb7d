"""A model card for the Hugging Face Hub: the verdict in words, and as metadata that the Hub reads ("model-index").

The form is the Hub's (https://huggingface.co/docs/hub/model-cards): YAML between two lines of dashes, then Markdown.
Nothing is uploaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from assay.bench.publishing.publication import Publication
from assay.bench.words.names import verified
from assay.bench.words.numbers import interval, significant
from assay.errors import InputError, unknown_name
from assay.records.base import Interval
from assay.records.results import Cell
from assay.registry import TASKS
from assay.texts import markdown, markdown_code, yaml_string


def card_of(found: Publication, named: str = "") -> str:
    """
    Args:
        named: the cell whose numbers are the card's; else what `assay choose` chose, or of one model the fastest ONNX
            file whose numbers agree.

    Raises:
        InputError: nobody says which cell, or there is none that may be recommended.
    """
    cell = _cell(found, named)
    metadata = {
        "library_name": "onnx",
        "tags": ["onnx", "onnx-assay", cell.runtime.partition(".")[0]],
        "model-index": [{"name": found.name, "results": [_result(found, cell)]}],
    }
    return "\n".join(["---", *_yaml(metadata), "---", "", *_body(found, cell), ""])


def _cell(found: Publication, named: str) -> Cell:
    results, choice = found.findings.results, found.findings.choice
    cells = {cell.name: cell for cell in results.cells if cell.framework}
    name = named or (choice.answer if choice else "")
    if name:
        if name not in cells:
            raise unknown_name("cell", name, cells)
        if cells[name].host is None:
            raise InputError(f"The cell {name} has no times", found=cells[name].reason or cells[name].status)
        return cells[name]
    good = [cell for cell in cells.values() if cell.exporter and cell.host and not cell.invalid and _agrees(cell)]
    if results.kind == "study":
        raise InputError(
            "A study has many models, and a card is of one",
            expected="--cell, or an answer of `assay choose`",
            found="neither",
        )
    if not good:
        raise InputError(
            "No ONNX file of this run can be recommended",
            expected="a cell with VALID times whose numbers agree",
            remedy="Name one all the same with --cell",
        )
    return min(good, key=lambda one: (one.batch, _median(one).value))


def _agrees(cell: Cell) -> bool:
    return all(one is None or one.passed for one in (cell.agreement, cell.timed_agreement))


def _median(cell: Cell) -> Interval:
    assert cell.host is not None, "only timed cells have a card"
    return cell.host.median_ms


def _result(found: Publication, cell: Cell) -> dict[str, object]:
    """One result as the Hub has it: task, data set, and each number with its name."""
    results = found.findings.results
    data = results.data.name or "inputs drawn at random"
    metrics = [
        {"type": name, "name": f"{name.capitalize()} (95 %: {value.low:.4f} to {value.high:.4f})", "value": value.value}
        for name, value in _qualities(found, cell)
    ]
    median = _median(cell)
    times = f"Median ms of a call, batch {cell.batch}, {cell.threads} thread(s), by {cell.label}"
    metrics.append(
        {
            "type": "latency",
            "name": f"{times} (95 %: {significant(median.low)} to {significant(median.high)})",
            "value": median.value,
        }
    )
    return {
        "task": {"type": TASKS[results.task].hub, "name": results.task},
        "dataset": {"type": data.partition(":")[0], "name": data},
        "metrics": metrics,
    }


def _qualities(found: Publication, cell: Cell) -> Iterator[tuple[str, Interval]]:
    choice = found.findings.choice
    for one in choice.candidates if choice else ():
        if one.cell == cell.name and one.quality and choice:
            yield choice.measure, one.quality
            return
    for quality in cell.judgement.qualities if cell.judgement else ():
        yield quality.name, quality.value


def _body(found: Publication, cell: Cell) -> Iterator[str]:
    results, audit = found.findings.results, found.findings.audit
    yield f"# {markdown(found.name)}"
    yield ""
    yield from (f"{markdown(line)}\n" for line in found.lines)
    if results.data.notice:
        yield f"> {markdown(results.data.notice)}\n"
    yield (
        f"The numbers of this card are those of {markdown_code(cell.label)}, which computes in "
        f"{markdown(cell.precision)}.\n"
    )
    yield "| runtime | batch | median ms (95 % interval) | numbers agree with float64 |"
    yield "|---|---:|---:|---|"
    for one in sorted(_beside(results.cells, cell), key=lambda one: _median(one).value):
        agrees = "not compared" if one.agreement is None else "yes" if _agrees(one) else "**no**"
        time = f"{interval(_median(one))}{' INVALID' if one.invalid else ''}"
        yield f"| {markdown_code(one.label)} | {one.batch} | {markdown(time)} | {agrees} |"
    yield ""
    if said := verified(results):
        yield f"{markdown(said)}\n"
    if audit:
        yield f"Audit against float64: {markdown(audit.verdict)}\n"
    machine = str(results.environment.get("processor", "an unknown machine"))
    by = f"Measured by Assay {markdown(results.assay_version)} on {markdown(machine)}"
    yield f"{by}, {cell.threads} thread(s), {markdown(results.created[:10])}."


def _beside(cells: Sequence[Cell], cell: Cell) -> list[Cell]:
    """Return the cells that were timed under the same conditions."""

    def conditions(one: Cell) -> tuple[object, ...]:
        return one.architecture, one.size, one.batch, one.threads

    return [one for one in cells if one.framework and one.host and conditions(one) == conditions(cell)]


def _yaml(value: object, depth: int = 0) -> Iterator[str]:
    """Lines of YAML: texts in quotes, so that nothing in one is read as more."""
    room = "  " * depth
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(inner, Mapping | list):
                yield f"{room}{name}:"
                yield from _yaml(inner, depth + 1)
            else:
                yield f"{room}{name}: {_scalar(inner)}"
    elif isinstance(value, list):
        for one in value:
            if isinstance(one, Mapping):
                first, *rest = _yaml(one, depth + 1)
                yield f"{room}- {first.strip()}"
                yield from rest
            else:
                yield f"{room}- {_scalar(one)}"


def _scalar(value: object) -> str:
    """A text, or a number: YAML takes "1e-05" for a text, and has a number only where there is a point in it."""
    if isinstance(value, str):
        return yaml_string(value)
    written = str(value)
    return written.replace("e", ".0e") if "e" in written and "." not in written else written
