"""Section on the deployed model behind a server: `assay load`."""

from __future__ import annotations

from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Block, Column, Item, Listing, Paragraphs, Section, Table, Value, headings
from assay.bench.report.page.values import amount, estimate, whole
from assay.bench.words.numbers import duration, interval, moment, significant
from assay.bench.words.serving import NOT_COMPLIANT, PARTS, cores_sentence, invalid_of, said_by_loadgen, validity
from assay.records.load import ClosedLoop, HighestRate, Load, Overhead, Scenario

LOOP = (
    *headings("# Clients | # Requests | # Answers a second | # Median ms | # p90 ms | # p99 ms"),
    *(Column(f"{part}, mean ms", numeric=True) for part in PARTS),
    Column("Validity"),
)
SCENARIOS = headings(
    "Scenario | # Queries | # Samples a second | # p50 ms | # p90 ms | # p99 ms | By LoadGen's rules | Validity"
)
COSTS = headings("Over | # Served, median ms | # In the client's process, median ms | # Server overhead, ms | Validity")
PARTS_EXPLAINED = (
    "Where a request's time goes. Client: making the request and reading the answer. Network: transport and protocol "
    "on both sides. Queue, compute and server, as the server counts them: waiting for the model; the model, including "
    "copies of its input and output; and the rest."
)


def load(evidence: Evidence) -> Section | None:
    """Show how the deployed model behaves behind a server, the server's cost, and LoadGen's scenarios."""
    found = evidence.load
    if found is None:
        return None
    lead = (
        f"The deployed model {found.deployment}, version {found.version} ({found.precision}), served by {found.server} "
        f"and asked over {found.way}; every answer was compared with the audit. {cores_sentence(found)} "
        f"Measured in {duration(found.seconds)} on {moment(found.created, time=True)}."
    )
    blocks: list[Block] = [_closed_loop(found), Paragraphs((PARTS_EXPLAINED,)), _costs(found)]
    if found.highest_rate is not None:
        blocks.append(Paragraphs((_rate(found.highest_rate),)))
    if found.scenarios:
        blocks += [_scenarios(found), Paragraphs((NOT_COMPLIANT,))]
    invalid = tuple(Item(f"{name}: {why}", "INVALID", "bad") for name, why in invalid_of(found))
    if invalid:
        blocks.append(Listing("INVALID measurements", invalid))
    return Section("load", "Behind a server", lead, tuple(blocks))


def _closed_loop(found: Load) -> Table:
    caption = f"Closed loop: each client sends its next request of one {found.unit} when it has the answer to the last"
    return Table("load-closed-loop", caption, LOOP, tuple(_loop(one) for one in found.closed_loop), sortable=False)


def _loop(one: ClosedLoop) -> tuple[Value, ...]:
    parts = [None if one.split is None else float(getattr(one.split, part)) for part in PARTS]
    return (
        whole(one.clients),
        Value(f"{one.requests:,}", one.requests),
        estimate(one.images_per_second),
        *(estimate(value) for value in (one.median_ms, one.p90_ms, one.p99_ms)),
        *(amount(part, none="not reported") for part in parts),
        _valid(one),
    )


def _costs(found: Load) -> Table:
    rows = tuple(
        (
            Value(one.way),
            estimate(one.served_ms),
            estimate(one.in_process_ms),
            estimate(one.overhead_ms),
            _valid(one),
        )
        for one in found.overheads
    )
    caption = (
        f"Cost of the server: one {found.unit} of one client, interleaved with onnxruntime in the client's process"
    )
    return Table("load-costs", caption, COSTS, rows, sortable=False)


def _scenarios(found: Load) -> Table:
    rows = tuple(
        (
            Value(one.name),
            Value(f"{one.queries:,}", one.queries),
            estimate(one.samples_per_second),
            *(estimate(value) for value in (one.p50_ms, one.p90_ms, one.p99_ms)),
            Value(said_by_loadgen(one)),
            _valid(one),
        )
        for one in found.scenarios
    )
    return Table("load-scenarios", "MLPerf LoadGen's scenarios", SCENARIOS, rows, sortable=False)


def _rate(found: HighestRate) -> str:
    """Say in a sentence up to which rate the bound holds."""
    bound = f"99 % of the answers within {significant(found.bound_ms)} ms"
    if found.rate is None:
        least = min(one.rate for one in found.tried)
        return f"No tested rate, down to {significant(least)} requests a second, has {bound}."
    end = f", and no longer at {significant(found.fails_at)}" if found.fails_at else "; no higher rate was tried"
    over = f" Over {found.searches} searches it is {interval(found.interval)}." if found.interval else ""
    return f"Up to {significant(found.rate)} requests a second, arriving at random, have {bound}{end}.{over}"


def _valid(one: ClosedLoop | Overhead | Scenario) -> Value:
    return Value(validity(one), tone="bad" if one.invalid else "good")
