"""The atlas as one page: a matrix of operators and routes that is searched and filtered in place."""

from __future__ import annotations

from collections.abc import Sequence

from assay.bench.atlas.record import DEFECTS, IN_WORDS, MEANINGS, Atlas, Finding, Verdict
from assay.bench.atlas.suites.entries import SUITES
from assay.bench.atlas.summary import Square, counted_by_route, squares
from assay.bench.atlas.versions.changes import OperatorChange, changes_of
from assay.bench.atlas.versions.section import versions_section
from assay.bench.report.page.blocks import Column, Section, Table, Tone, Value
from assay.bench.report.page.page import policy_for, script, styles, templates
from assay.bench.words.numbers import counted, moment, significant

TONES: dict[Verdict, Tone] = {
    "right": "good",
    **dict.fromkeys(DEFECTS, "bad"),
    "undecided": "notice",
    "fixed batch": "notice",
    "not judged": "notice",
}
SHOWN_FINDINGS = 2
"""The findings of an operator that are told, for each route."""


def render_atlas(atlas: Atlas) -> str:
    """Return the whole page."""
    found = squares(atlas)
    sections = [_summary(atlas, found), *filter(None, (versions_section(atlas),))]
    code = script("atlas.js")
    return (
        templates()
        .get_template("atlas.html")
        .render(
            assay_version=atlas.assay_version,
            kicker="atlas",
            created=atlas.created,
            title="Which operator survives which export",
            date=moment(atlas.created, time=True),
            extent=", ".join(f"{name} {version}" for name, version in atlas.versions.items()),
            sections=sections,
            groups=_groups(found, changes_of(atlas)),
            operators=len(found) - sum(one.route != SUITES[one.suite].routes[0] for one in found),
            verdicts=[(verdict, TONES.get(verdict, "muted"), meaning) for verdict, meaning in MEANINGS.items()],
            policy=policy_for([code]),
            styles=styles(sections),
            script=code,
        )
    )


def _summary(atlas: Atlas, found: list[Square]) -> Section:
    counts = counted_by_route(found)
    shown = [verdict for verdict in MEANINGS if any(one[verdict] for one in counts.values())]
    table = Table(
        identifier="counts",
        caption="Operators by the worst of their samples",
        columns=(Column("Route"), Column("operators", numeric=True), *(Column(one, numeric=True) for one in shown)),
        rows=tuple(
            (
                Value(route),
                Value(str(sum(some.values())), sum(some.values())),
                *(Value(str(some[one]), some[one], tone=TONES.get(one, "") if some[one] else "muted") for one in shown),
            )
            for route, some in counts.items()
        ),
        sortable=False,
    )
    asked = " and ".join(
        f"{counted(many, 'operator')} of {SUITES[name].title}" for name, many in atlas.operators.items()
    )
    findings = sum(not one.other_versions for one in atlas.findings)
    lead = (
        f"{asked}, {counted(findings, 'finding')}. Each operator is exported on its own, and its file is "
        "compared with the operator in float64, at every optimisation level of ONNX Runtime, within the rounding that "
        "its data type explains."
    )
    return Section("verdict", "What survives", lead, blocks=(table,))


def _groups(found: list[Square], changes: Sequence[OperatorChange]) -> list[dict[str, object]]:
    """Return the rows of each suite, whose routes are its own."""
    return [
        {
            "suite": name,
            "title": SUITES[name].title,
            "routes": SUITES[name].routes,
            "rows": _rows([one for one in found if one.suite == name], [one for one in changes if one.suite == name]),
        }
        for name in dict.fromkeys(one.suite for one in found)
    ]


def _rows(found: list[Square], changes: Sequence[OperatorChange]) -> list[dict[str, object]]:
    """Return a row for each operator of a suite: its squares, and its findings in words, also with other versions."""
    rows: dict[str, list[Square]] = {}
    for one in found:
        rows.setdefault(one.operator, []).append(one)
    return [
        {
            "operator": operator,
            "squares": [
                {
                    "route": one.route,
                    "verdict": one.verdict,
                    "tone": TONES.get(one.verdict, "muted"),
                    "of": _extent(one),
                }
                for one in row
            ],
            "told": [_told(one) for square in row for one in _wanting(square)[:SHOWN_FINDINGS]],
            "versions": [
                f"{one.route} with {one.other_versions}: {one.there} in {counted(one.samples, 'sample')}."
                for one in changes
                if one.operator == operator and {one.older, one.newer} != {"right"}
            ],
            "more": _more(sum(len(_wanting(square)[SHOWN_FINDINGS:]) for square in row)),
        }
        for operator, row in rows.items()
    ]


def _extent(square: Square) -> str:
    if not square.of:
        return ""
    return f"{square.right} of {square.of}" + ("" if square.verdict == "right" else " right")


def _wanting(square: Square) -> list[Finding]:
    """Return the findings that are not right, the worst first; what is true of the operator itself only at the first
    route.
    """
    first = square.route == SUITES[square.suite].routes[0]
    return [one for one in square.findings if one.verdict != "right" and (one.route or first)]


def _more(count: int) -> str:
    return f"{counted(count, 'more finding')} in atlas.parquet." if count else ""


def _told(one: Finding) -> dict[str, str]:
    apart = f" ({significant(one.apart)} times the tolerance)" if one.apart > 0 else ""
    node = f"; at node '{one.nodes[0].node}', {one.nodes[0].operator}" if one.nodes else ""
    return {
        "tone": TONES.get(one.verdict, "muted"),
        "verdict": f"{one.route or 'itself'}: {one.verdict}{apart}",
        "sample": f"sample {one.sample}{IN_WORDS[one.numbers]}: {one.inputs}",
        "reason": f"{one.reason}{node}",
    }
