"""Section on validity: which times can be trusted, and the disturbances while the others were taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from assay.bench.judging.summary import is_short_of_samples
from assay.bench.report.contenders import runtime_name
from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Paragraphs, Section, Table, Value, headings
from assay.bench.report.page.values import amount, whole
from assay.bench.words.numbers import counted, significant
from assay.records.results import Cell
from assay.records.timings import Steadiness

COLUMNS = headings(
    "Cell | Verdict | # Drift, % | # Autocorrelation | # Involuntary switches/s | # Stolen, % | "
    "# Throttle events | # Harness floor, % | # Processor use | # Timed outputs, error over tolerance | "
    "Two kinds of processes | Reasons"
)

GPU_COLUMNS = headings(
    "Cell | # Lowest clock, MHz | # Highest clock, MHz | # Bursts before it was steady | # Hottest, °C | # Power, W | "
    "# Memory of a process, MiB | # Most allocated, MiB | # Other processes | # Waiting for an idle GPU, µs | "
    "# Inputs to it, µs | # Outputs from it, µs | # Inputs, pinned, µs | # Outputs, pinned, µs | "
    "What held the clock back"
)


def validity(evidence: Evidence) -> Section | None:
    """Every timed cell, VALID, INVALID with its reasons, or of too few processes to be either."""
    judged = [cell for cell in evidence.timed if cell.steadiness is not None]
    if not judged:
        return None
    ordered = sorted(judged, key=lambda cell: (not cell.invalid, is_short_of_samples(cell)))
    valid, short = sum(not cell.invalid for cell in judged), sum(is_short_of_samples(cell) for cell in judged)
    few = f"Too few processes or calls were timed for {short}, which have no rank. " if short else ""
    lead = (
        f"{valid} of {counted(len(judged), 'cell')} are VALID. {few}An INVALID one is shown everywhere and ranked "
        "nowhere. The outputs that are checked come from the timed calls themselves."
    )
    rows = tuple(_row(cell, evidence.place_of(cell)) for cell in ordered)
    caption = "What happened while each cell was timed; empty where the system does not show it"
    table = Table("validity", caption, COLUMNS, rows, summary="Every cell", filterable=True)
    untold = (*_given_away(judged), *_not_testable(judged))
    on_gpu = _on_the_gpu(ordered, evidence)
    return Section("validity", "Validity", lead, (*([Paragraphs(untold)] if untold else []), table, *on_gpu))


def _on_the_gpu(cells: Sequence[Cell], evidence: Evidence) -> tuple[Table, ...]:
    """The state of the GPU while each cell on it was timed."""
    rows = []
    for cell in cells:
        seen, path = cell.steadiness and cell.steadiness.gpu, f"/cells/{evidence.place_of(cell)}/steadiness/gpu"
        if seen:
            held = "not said by the driver" if seen.held_back is None else ", ".join(seen.held_back) or "nothing"
            rows.append(
                (
                    Value(cell.name),
                    whole(seen.lowest_mhz, f"{path}/lowest_mhz"),
                    whole(seen.highest_mhz, f"{path}/highest_mhz"),
                    whole(seen.unsteady, f"{path}/unsteady"),
                    whole(seen.most_celsius, f"{path}/most_celsius"),
                    amount(seen.most_watts, f"{path}/most_watts", digits=3),
                    amount(seen.own_mib, f"{path}/own_mib", digits=4),
                    amount(seen.allocated_mib, f"{path}/allocated_mib", digits=4),
                    whole(seen.foreign_processes, f"{path}/foreign_processes"),
                    amount(seen.synchronising_us, f"{path}/synchronising_us"),
                    amount(seen.to_gpu_us, f"{path}/to_gpu_us"),
                    amount(seen.from_gpu_us, f"{path}/from_gpu_us"),
                    amount(seen.to_gpu_pinned_us, f"{path}/to_gpu_pinned_us"),
                    amount(seen.from_gpu_pinned_us, f"{path}/from_gpu_pinned_us"),
                    Value(held),
                )
            )
    if not rows:
        return ()
    caption = (
        "The GPU while each cell was timed, by its driver; empty where the driver does not say. Most allocated is what "
        "the framework's own allocator gave out. Pinned are CUDA's own copies of as many bytes from and to page-locked "
        "memory."
    )
    return (Table("validity-gpu", caption, GPU_COLUMNS, tuple(rows), summary="Every cell on a GPU", filterable=True),)


def _row(cell: Cell, place: int) -> tuple[Value, ...]:
    path = f"/cells/{place}"
    seen = cell.steadiness or Steadiness()
    timed = cell.timed_agreement
    share = timed.max_absolute / timed.tolerance if timed and timed.tolerance > 0 else None
    return (
        Value(cell.name),
        _verdict(cell),
        _drift(seen, path),
        amount(seen.autocorrelation, f"{path}/steadiness/autocorrelation", digits=2),
        amount(seen.involuntary_switches_per_second, f"{path}/steadiness/involuntary_switches_per_second", digits=2),
        amount(seen.stolen_share, f"{path}/steadiness/stolen_share", factor=100, digits=2),
        whole(seen.throttle_events, f"{path}/steadiness/throttle_events"),
        amount(seen.floor_share, f"{path}/steadiness/floor_share", factor=100, digits=2),
        amount(cell.processor_use, f"{path}/processor_use", digits=2),
        amount(share),
        Value(seen.kinds),
        Value("; ".join(cell.invalid)),
    )


def _verdict(cell: Cell) -> Value:
    if is_short_of_samples(cell):
        return Value("too few")
    return Value("INVALID", tone="bad") if cell.invalid else Value("VALID", tone="good")


def _drift(seen: Steadiness, path: str) -> Value:
    if any(rule.startswith("drift") for rule in seen.not_testable):
        return Value("not testable")
    return amount(seen.drift, f"{path}/steadiness/drift", factor=100, digits=2)


def _given_away(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Name, once, the runtimes that yield the processor by design: waiting is part of their calls."""
    known = {runtime_name(cell): cell for cell in cells if cell.waits}
    return tuple(
        f"{name} {cell.waits}. That is its design and part of every call, so it does not make the cell "
        "INVALID: its calls are timed as they are, and it uses "
        f"{_use([one for one in cells if one.runtime == cell.runtime])}."
        for name, cell in known.items()
    )


def _use(cells: Sequence[Cell]) -> str:
    """How much of the processor these used: "0.55 to 0.95 of a core"."""
    used = sorted(cell.processor_use / cell.threads for cell in cells if cell.processor_use is not None)
    if not used:
        return "no more than its cores"
    least, most = (significant(one, 2) for one in (used[0], used[-1]))
    return f"{least if least == most else f'{least} to {most}'} of each of its cores"


def _not_testable(cells: Sequence[Cell]) -> tuple[str, ...]:
    """List the rules that could not have found anything, and in how many cells: silence there proves nothing."""
    told = [rule for cell in cells for rule in (cell.steadiness or Steadiness()).not_testable]
    return tuple(
        f"Not testable in {counted(number, 'cell')} of {len(cells)}: {rule}." for rule, number in Counter(told).items()
    )
