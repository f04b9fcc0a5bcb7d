"""How fast a causal language model reads a prompt and writes tokens: at the device boundary, where the cache stays in
the runtime's own form, as it does between the steps of a text. At the host boundary a call would also copy the cache in
and out, which no program that writes text does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from assay.bench.judging.summary import by_cell, group_key, planned_of
from assay.bench.judging.verdicts import judge
from assay.bench.report.contenders import called
from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Section, Table, Value, headings
from assay.bench.report.page.values import estimate, whole
from assay.bench.statistics.stats import Ratio, ratio_estimate
from assay.bench.tasks.causal_lm.record import Part, TokenPace
from assay.bench.words.names import is_mixed
from assay.bench.words.no_verdict import may_be_ranked
from assay.records.results import Cell, Results

LEAD: dict[Part, str] = {
    "prefill": "From a prompt to its first token. Tokens a second are those of the prompt, of all records of a call.",
    "decode": "From one token to the next, with so many tokens in the cache. Tokens a second are those of all records "
    "of a call together.",
}
BOUNDARY = (
    "Times are at the device boundary: the cache stays in the runtime's own form, and the choice of a token is not in "
    "them. Gains are over the fastest native runtime, from blocks that have both."
)


def tokens_a_second(evidence: Evidence) -> Section | None:
    """Tabulate every cell that may be ranked; None where there is none."""
    paces = paces_of(evidence)
    if not paces:
        return None
    return Section("tokens-a-second", "Tokens a second", f"{LEAD[paces[0].part]} {BOUNDARY}", (table_of(paces),))


def table_of(paces: Sequence[TokenPace]) -> Table:
    """Return the table of one part's cells, in their order."""
    part = paces[0].part
    time, where = (
        ("# Time to first token, ms", "# Prompt, tokens") if part == "prefill" else ("# Step, ms", "# Cache, tokens")
    )
    columns = headings(
        f"{where} | # Batch | # Threads | Runtime | {time} | # Tokens a second | # As fast as native | Verdict"
    )
    rows = tuple(tuple(_row(one)) for one in paces)
    return Table(f"paces-{part}", f"The speed of {part}, fastest first", columns, rows)


def _row(one: TokenPace) -> Iterator[Value]:
    yield from (whole(one.tokens), whole(one.batch), whole(one.threads), Value(one.label))
    yield from (estimate(one.milliseconds), estimate(one.tokens_a_second), estimate(one.speedup))
    yield Value(one.verdict or "")


def paces_of(evidence: Evidence) -> list[TokenPace]:
    """Return the speed of every cell that may be ranked, by tokens, batch and threads, the fastest first."""
    results = evidence.results
    part = part_of(results)
    cells = [cell for cell in evidence.timed if may_be_ranked(cell, results) and not is_mixed(cell, results)]
    found = []
    for key in dict.fromkeys(map(group_key, cells)):
        mine = sorted((cell for cell in cells if group_key(cell) == key), key=_milliseconds)
        ratios = _against_native(evidence, mine)
        known = [ratio for ratio in ratios.values() if ratio is not None]
        verdicts = iter(judge(known))
        for cell in mine:
            ratio = ratios.get(cell.name)
            found.append(_pace(part, cell, ratio, next(verdicts) if ratio is not None else None))
    return sorted(found, key=lambda one: (one.tokens, one.batch, one.threads))


def part_of(results: Results) -> Part:
    """Return which part of a model results are of: decode takes a cache too."""
    inputs = results.settings.get("inputs")
    return "decode" if isinstance(inputs, list) and len(inputs) > 1 else "prefill"


def _pace(part: Part, cell: Cell, ratio: Ratio | None, verdict: object) -> TokenPace:
    assert cell.device is not None
    milliseconds = cell.device.median_ms
    label = f"{called(cell)} ({cell.exporter} export)" if cell.exporter else called(cell)
    return TokenPace.model_validate(
        {
            "part": part,
            "label": label,
            "tokens": cell.size,
            "batch": cell.batch,
            "threads": cell.threads,
            "milliseconds": milliseconds,
            "tokens_a_second": milliseconds.per_second(cell.batch * (cell.size if part == "prefill" else 1)),
            "speedup": ratio.inverse.interval if ratio else None,
            "verdict": verdict,
        }
    )


def _against_native(evidence: Evidence, cells: Sequence[Cell]) -> dict[str, Ratio | None]:
    """Return each cell's time over that of the fastest native one, by cell; without that one itself."""
    native = next((cell for cell in cells if cell.is_native), None)
    if native is None or evidence.samples is None:
        return {}
    names = [cell.name for cell in cells]
    samples = evidence.samples.filter(evidence.samples["cell"].is_in(names))
    timed = by_cell(samples, planned_of(evidence.results.settings))
    others = [cell.name for cell in cells if cell is not native]
    base, rivals = timed[native.name]["device"], sum(cell.is_native for cell in cells)
    found = {name: ratio_estimate(timed[name]["device"], base) for name in others}
    return {name: ratio.chosen(1, rivals) if ratio else None for name, ratio in found.items()}


def _milliseconds(cell: Cell) -> float:
    assert cell.device is not None
    return cell.device.median_ms.value
