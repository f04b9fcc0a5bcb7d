"""The page and the Markdown: both are drawn from the same sections by a template beside this file.

The page is one file that asks nothing of the network: styles, scripts (Vega and our own), and, compressed, charts, long
tables and the record are inside it. Its content security policy allows exactly these scripts, by hash, and no request.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from importlib import resources

import jinja2
import vl_convert
from pydantic import JsonValue

from assay.bench.report.drawing.figures import FOCUS_PARAMETER, SCHEMA, VEGA_CONFIG, seen
from assay.bench.report.drawing.palette import Series, colours
from assay.bench.report.evidence import SYNTHETIC_LABEL
from assay.bench.report.page.blocks import Figure, Panel, Section, Table, Value
from assay.bench.report.page.table_styles import table_styles
from assay.bench.words.numbers import counted, moment
from assay.fingerprint import fingerprint_in
from assay.records.results import Results
from assay.texts import markdown, markdown_fence, printable

TEMPLATES = ("base.html", "page.html", "audit.html", "atlas.html", "blocks.html", "page.md")
OPEN_TO_THE_PAGE = "window.vegaEmbed = vegaEmbed;"
POLICY = (
    "default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class Masthead:
    """The words around a page's sections.

    Attributes:
        kicker: the study's name, or the kind of page.
        created: UTC, ISO 8601.
        extent: the number of things in it.
        subject: first words of the Markdown, such as "Study quick".
        record: name of the record's file, which the page holds.
        beside: names of the other files beside the page.
        machine, banner, notice: machine, label of all charts and remark on the images; "" for none.
    """

    kicker: str
    title: str
    created: str
    assay_version: str
    extent: str
    subject: str
    record: str
    beside: str
    machine: str = ""
    banner: str = ""
    notice: str = ""

    @property
    def date(self) -> str:
        return moment(self.created)


def render_page(results: Results, sections: list[Section]) -> str:
    """Return the whole report as one HTML file."""
    return render_sections(_masthead_of(results), sections, json.loads(results.model_dump_json()))


def render_markdown(results: Results, sections: list[Section]) -> str:
    """Return the report as Markdown, with its figures as files beside it; long tables are only in the page and in
    cells.csv.
    """
    return render_sections_as_markdown(_masthead_of(results), sections)


def render_sections(head: Masthead, sections: list[Section], record: JsonValue) -> str:
    """Return sections as one HTML file that holds their record."""
    scripts = [_chart_library(), script("page.js")]
    return (
        templates()
        .get_template("page.html")
        .render(
            **_words(head),
            sections=sections,
            policy=policy_for(scripts),
            styles=styles(sections),
            scripts=scripts,
            packed=_packed({"charts": _charts(sections), "tables": _long_tables(sections)}),
            held=_packed(record),
        )
    )


def render_sections_as_markdown(head: Masthead, sections: list[Section]) -> str:
    """Return sections as Markdown, without long tables."""
    text = templates().get_template("page.md").render(**_words(head), sections=sections)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _words(head: Masthead) -> dict[str, object]:
    return {**vars(head), "date": head.date}


def policy_for(scripts: list[str]) -> str:
    """Return a content security policy that allows exactly these scripts and no request."""
    return POLICY.format(hashes=" ".join(map(_hash_source, scripts)))


def script(name: str) -> str:
    """Return one of our own scripts."""
    return _file(name)


def styles(sections: list[Section]) -> str:
    """The style sheet with the palette and what the columns of these sections look like in it."""
    return _file("page.css").replace("/* colours */", _colour_styles()) + table_styles(sections)


@functools.cache
def _chart_library() -> str:
    """Return Vega as one script without any dependency."""
    bundle: str = vl_convert.javascript_bundle(OPEN_TO_THE_PAGE)
    return bundle.replace("</script", "<\\/script").replace("\r", "")


def legend_groups(legend: tuple[Series, ...]) -> list[tuple[str, list[Series]]]:
    """Return a legend's entries, family by family."""
    names = dict.fromkeys(series.family for series in legend)
    return [(name, [series for series in legend if series.family == name]) for name in names]


def _masthead_of(results: Results) -> Masthead:
    """Return the words of a report."""
    return Masthead(
        kicker=results.study,
        title=results.title or results.study,
        created=results.created,
        assay_version=results.assay_version,
        extent=", ".join(_extent(results)),
        subject=f"Study {results.study}",
        record="results.json",
        beside="figures, cells.csv, results.json",
        machine=_machine(results),
        banner=SYNTHETIC_LABEL if results.data.synthetic else "",
        notice=results.data.notice,
    )


def _extent(results: Results) -> list[str]:
    numbers = {"training": len(results.trainings), "export": len(results.exports), "cell": len(results.cells)}
    return [counted(number, noun) for noun, number in numbers.items() if number]


def _machine(results: Results) -> str:
    """Return the processor and its number of cores, if the record has them."""
    named, cores = results.environment.get("processor"), results.environment.get("cores")
    if not isinstance(named, str):
        return ""
    processor = fingerprint_in(results.environment).words
    return f"{processor}, {counted(cores, 'core')}" if isinstance(cores, int) else processor


def _charts(sections: list[Section]) -> JsonValue:
    """Return every panel's chart in Vega, by its identifier."""
    figures = [block for section in sections for block in section.blocks if isinstance(block, Figure)]
    return {panel.identifier: _compiled(panel) for figure in figures for panel in figure.panels}


def _compiled(panel: Panel) -> JsonValue:
    """Compile the panel as wide as its place on the page; it is compiled here so that the page needs no compiler."""
    spec = panel.spec | {
        "$schema": SCHEMA,
        "width": "container",
        "autosize": {"type": "fit-x", "contains": "padding"},
        "params": [FOCUS_PARAMETER],
        "config": VEGA_CONFIG | {"legend": {"disable": True}},
    }
    shown = seen(spec)
    assert isinstance(shown, dict)
    compiled: JsonValue = vl_convert.vegalite_to_vega(shown)
    return compiled


def _long_tables(sections: list[Section]) -> JsonValue:
    """Return the long tables' rows, by identifier: a value is its text, or text, number, path, factor and tone."""
    tables = [block for section in sections for block in section.blocks if isinstance(block, Table) and block.is_long]
    return {table.identifier: [[_told(value) for value in row] for row in table.rows] for table in tables}


def _told(value: Value) -> JsonValue:
    text = printable(value.text, lines=True)
    if value.number is None and not value.tone:
        return text
    return [text, value.number, value.path, value.factor, value.tone]


def _packed(value: JsonValue) -> str:
    """Return JSON compressed (gzip) and written in letters (base64): the same bytes for the same value."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=9, mtime=0)).decode()


def _hash_source(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _colour_styles() -> str:
    """Return the palette as CSS variables; dark if the reader's system is, but never on paper."""
    light, dark = (
        "".join(f"--{name}:{colour};" for name, colour in colours(is_dark).items()) for is_dark in (False, True)
    )
    return (
        f":root{{color-scheme:light;{light}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-scheme=light]){{color-scheme:dark;{dark}}}}}"
    )


@functools.cache
def templates() -> jinja2.Environment:
    """Return the templates; HTML ones escape everything that is not marked as markup, Markdown ones use a filter."""
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({name: _file(name) for name in TEMPLATES}),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        finalize=_seen,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"md": markdown, "fence": markdown_fence, "legend_groups": legend_groups}
    return environment


def _seen(value: object) -> object:
    """Return a template's text without invisible characters that act; markup and the template's own words are left
    alone.
    """
    return printable(value, lines=True) if type(value) is str else value


@functools.cache
def _file(name: str) -> str:
    return resources.files("assay.bench.report.page").joinpath(name).read_text(encoding="utf-8")
