"""Findings brought together: one verdict for each operator and route, and how many there are of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars

from assay.bench.atlas.record import Atlas, Finding, Verdict
from assay.bench.atlas.suites.entries import SUITES

WORST_FIRST: tuple[Verdict, ...] = (
    "crashed",
    "given up",
    "wrong",
    "wrong in the runtime",
    "only unoptimised",
    "undecided",
    "not judged",
    "not run",
    "not exported",
    "fixed batch",
    "right",
    "native is off",
    "not comparable",
)
"""Which verdict stands for several: an uninformative one only if there is no other."""


@dataclass(frozen=True)
class Square:
    """One operator by one route.

    Attributes:
        verdict: the worst of its findings.
        right, of: number of findings that are right, and of all that say something of the route.
        findings: all of them, the worst first.
    """

    suite: str
    operator: str
    route: str
    verdict: Verdict
    right: int
    of: int
    findings: tuple[Finding, ...]


def squares(atlas: Atlas) -> list[Square]:
    """Return a square for each operator and route of its suite: the suites in their order, operators by name."""
    ordered, order = by_operator(atlas), list(SUITES)
    return [
        _square(suite, operator, route, [one for one in ordered[suite, operator] if one.route in ("", route)])
        for suite, operator in sorted(ordered, key=lambda one: (order.index(one[0]), one[1]))
        for route in SUITES[suite].routes
    ]


def by_operator(atlas: Atlas) -> dict[tuple[str, str], list[Finding]]:
    """Return the findings of each operator with the atlas' own versions, by suite and operator, in their order."""
    found: dict[tuple[str, str], list[Finding]] = {}
    for one in atlas.findings:
        if not one.other_versions:
            found.setdefault((one.suite, one.operator), []).append(one)
    return found


def _square(suite: str, operator: str, route: str, findings: list[Finding]) -> Square:
    ordered = sorted(findings, key=lambda one: (WORST_FIRST.index(one.verdict), -one.apart, one.sample))
    said = [one for one in ordered if one.route]
    told = said or ordered
    return Square(
        suite=suite,
        operator=operator,
        route=route,
        verdict=told[0].verdict if told else "not judged",
        right=sum(one.verdict == "right" for one in said),
        of=len(said),
        findings=tuple(ordered),
    )


def counted_by_route(found: Iterable[Square]) -> Mapping[str, Counter[Verdict]]:
    """Return how many operators have each verdict, by route."""
    counts: dict[str, Counter[Verdict]] = {}
    for one in found:
        counts.setdefault(one.route, Counter())[one.verdict] += 1
    return counts


def table_of(atlas: Atlas) -> polars.DataFrame:
    """Return all findings as a table, with the first node of each that goes wrong."""
    rows = [
        {
            **one.model_dump(exclude={"nodes", "kernels"}),
            "kernels": " ".join(one.kernels),
            "node": one.nodes[0].node if one.nodes else "",
            "node_operator": one.nodes[0].operator if one.nodes else "",
        }
        for one in atlas.findings
    ]
    return polars.DataFrame(rows, infer_schema_length=None) if rows else polars.DataFrame()
