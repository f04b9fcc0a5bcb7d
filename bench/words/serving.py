"""Findings about a server, on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from assay.bench.words.terminal import shown
from assay.records.base import Interval
from assay.records.deployment import Unit
from assay.records.load import ClosedLoop, HighestRate, LatencySplit, Load, Overhead, Scenario
from assay.records.verification import Verification

ON_GPU = (
    "Its configuration puts it on a GPU, and the audited answers are those of a GPU. The protocol does not report where"
    " a server computes; Triton's log and metrics do (nv_gpu_utilization)."
)


def render_verification(found: Verification, console: Console) -> None:
    """Print each way with its worst difference and its quality, and the verdict with its reasons."""
    console.print(shown(f"{found.deployment}, version {found.version}, on {found.server or 'a server'}"))
    if found.device == "cuda":
        console.print(ON_GPU, soft_wrap=True)
    for name, tolerance in found.tolerances.items():
        console.print(shown(f"{name}: {tolerance.value:.3g} tolerated: {tolerance.derivation}"), soft_wrap=True)
    table = Table("way", title=f"Every audited {found.unit} over the wire", title_justify="left")
    known = found.audited_quality is not None
    for name in (
        "requests",
        f"{found.unit}s",
        "failed",
        "wrong",
        "worst difference",
        *([f"{found.measure} %"] if known else []),
    ):
        table.add_column(shown(name), justify="right")
    for way in found.ways:
        table.add_row(
            shown(way.way),
            f"{way.requests:,}",
            f"{way.images:,}",
            str(way.failed),
            str(way.wrong),
            f"{way.max_absolute:.3g}",
            *([_percent(way.quality)] if way.quality else []),
        )
    console.print(table)
    for name, why in found.skipped.items():
        console.print(shown(f"{name} was not tried: {why}"))
    reasons = [*found.metadata, *(reason for way in found.ways for reason in way.reasons)]
    audited = f" (audited: {_percent(found.audited_quality)} %)" if found.audited_quality else ""
    console.print(f"{'The server gives the audited answers' if found.passed else 'DIFFERENT'}{audited}", style="bold")
    for reason in reasons:
        console.print(shown(f"  {reason}"), soft_wrap=True)


def _percent(share: Interval) -> str:
    return f"{100 * share.value:.2f} ({100 * share.low:.2f} to {100 * share.high:.2f})"


NOT_COMPLIANT = "LoadGen's runs are short on purpose: they are not MLPerf-compliant."
PARTS = ("client", "network", "queue", "compute", "server")


def render_load(found: Load, console: Console) -> None:
    """Print the closed loop and its times, the server's cost, the rate, LoadGen's scenarios, and INVALID
    measurements.
    """
    console.print(shown(f"{found.deployment}, version {found.version}, on {found.server} over {found.way}"))
    console.print(shown(cores_sentence(found)), soft_wrap=True)
    console.print(_closed_loop(found))
    console.print(_split(found))
    for one in found.overheads:
        console.print(_cost_sentence(one, found.unit), soft_wrap=True)
    if found.highest_rate is not None:
        console.print(_rate_sentence(found.highest_rate), soft_wrap=True)
    console.print(_scenarios(found))
    console.print(NOT_COMPLIANT)
    for name, why in invalid_of(found):
        console.print(shown(f"INVALID {name}: {why}", "bold"), soft_wrap=True)


def _closed_loop(found: Load) -> Table:
    table = Table("clients", title=f"Closed loop, one {found.unit} a request", title_justify="left")
    for name in ("requests", f"{found.unit}s/s", "median ms", "p90 ms", "p99 ms", ""):
        table.add_column(name, justify="right")
    for one in found.closed_loop:
        table.add_row(
            str(one.clients),
            f"{one.requests:,}",
            quantity(one.images_per_second),
            *(quantity(value) for value in (one.median_ms, one.p90_ms, one.p99_ms)),
            validity(one),
        )
    return table


def _split(found: Load) -> Table:
    table = Table("clients", title="Where a request's time goes, mean ms", title_justify="left")
    for name in PARTS:
        table.add_column(name, justify="right")
    for one in found.closed_loop:
        table.add_row(str(one.clients), *_split_texts(one.split))
    return table


def _scenarios(found: Load) -> Table:
    table = Table("scenario", title="MLPerf LoadGen", title_justify="left")
    for name in ("queries", "samples/s", "p50 ms", "p90 ms", "p99 ms", "LoadGen says", ""):
        table.add_column(name, justify="right")
    for one in found.scenarios:
        table.add_row(
            one.name,
            f"{one.queries:,}",
            quantity(one.samples_per_second),
            *(quantity(value) for value in (one.p50_ms, one.p90_ms, one.p99_ms)),
            said_by_loadgen(one),
            validity(one),
        )
    return table


def quantity(value: Interval) -> str:
    """Return "4.21 (4.1 to 4.3)"."""
    return f"{value.value:.3g} ({value.low:.3g} to {value.high:.3g})"


def _split_texts(split: LatencySplit | None) -> list[str]:
    """Return the milliseconds of each part."""
    if split is None:
        return ["not reported"] * len(PARTS)
    return [f"{getattr(split, part):.3g}" for part in PARTS]


def validity(one: ClosedLoop | Scenario | Overhead) -> str:
    """Return "VALID" or "INVALID"."""
    return "INVALID" if one.invalid else "VALID"


def said_by_loadgen(one: Scenario) -> str:
    """Return "VALID", or "INVALID in 2 of 3"."""
    refused = one.verdicts.count("INVALID")
    return f"INVALID in {refused} of {len(one.verdicts)}" if refused else "VALID"


def _cost_sentence(one: Overhead, unit: Unit) -> str:
    """Say how much time the server adds to one record."""
    return (
        f"Over {one.way} the server adds {quantity(one.overhead_ms)} ms to one {unit} of one client: "
        f"{quantity(one.served_ms)} ms against {quantity(one.in_process_ms)} ms in the client's process."
    )


def cores_sentence(found: Load) -> str:
    """Say which cores the server and its clients ran on."""
    if found.server_cores is None:
        return "The server's cores are unknown."
    every, clients = (found.environment.get(key) for key in ("cores", "usable_cores"))
    numbers = ", ".join(map(str, found.server_cores))
    return (
        f"Among this machine's {every} cores the server could use {len(found.server_cores)} (number {numbers}), "
        f"the clients {clients}."
    )


def _rate_sentence(found: HighestRate) -> str:
    """Say up to which rate the bound holds."""
    bound = f"99 % of the answers within {found.bound_ms:.3g} ms"
    if found.rate is None:
        return f"No tested rate, down to {min(one.rate for one in found.tried):.0f} a second, has {bound}."
    ends = f"; at {found.fails_at:.0f} no longer" if found.fails_at else "; no higher rate was tried"
    known = found.interval
    over = f" ({known.value:.0f}, {known.low:.0f} to {known.high:.0f}, over {found.searches} searches)" if known else ""
    return f"Up to {found.rate:.0f} requests a second, arriving at random, have {bound}{ends}{over}."


def invalid_of(found: Load) -> list[tuple[str, str]]:
    """Return the measurements that cannot be trusted, and why."""
    named: list[tuple[str, list[str]]] = [
        *((f"closed loop, clients {one.clients}", one.invalid) for one in found.closed_loop),
        *((f"cost over {one.way}", one.invalid) for one in found.overheads),
        *((f"LoadGen {one.name}", one.invalid) for one in found.scenarios),
    ]
    return [(name, why) for name, reasons in named for why in reasons]
