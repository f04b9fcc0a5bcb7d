"""Colours, shapes and dashes of the report.

A framework has one family of colours and one shape, a runtime or export one shade and one dash within it, in
every chart of every report. Colours are written in charts as tokens such as "@torch-0" and take their value
when a chart is drawn, so that one chart serves light, dark and print. Tests hold the contrast with the
background at 3:1 or more, and the families apart under simulated colour blindness.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import JsonValue

from assay.registry import EXPORTERS, RUNTIMES
from assay.runtimes import rulers
from assay.runtimes.entry import SHADES, Family


@dataclass(frozen=True)
class Series:
    """One entry of a legend: `label` as in the data, the family it belongs to, and its look."""

    label: str
    family: str
    token: str
    shape: str
    dash: tuple[int, ...]


DASHES = ((1, 0), (6, 3), (2, 2), (9, 3, 2, 3), (4, 4))

# All other colours: page, text, rules, and the two-sided scale of ratios (blue: ONNX side).
LIGHT = {
    "paper": "#fdfcfa", "raised": "#f5f3ee", "ink": "#1d1c1a", "muted": "#5f5b55", "rule": "#e1ddd5", "rest": "#c9c4ba",
    "accent": "#0b5cad", "good": "#0b6b4f", "bad": "#a3261b", "notice": "#7a4b00", "notice-paper": "#fdf0d5",
    "heat-low": "#1666b0", "heat-middle": "#f3f1ec", "heat-high": "#b5501c", "heat-ink": "#ffffff",
    "stage-import": "#8a8f98", "stage-load": "#2f86d6", "stage-first": "#b93a08",
}  # fmt: skip
DARK = {
    "paper": "#15171b", "raised": "#1e2126", "ink": "#eceae6", "muted": "#a6a39d", "rule": "#33373e", "rest": "#4b5058",
    "accent": "#7cbcff", "good": "#5fd0a5", "bad": "#ff8f80", "notice": "#ffd591", "notice-paper": "#3a2c10",
    "heat-low": "#4a9bee", "heat-middle": "#2a2d33", "heat-high": "#e8834a", "heat-ink": "#101214",
    "stage-import": "#8d939b", "stage-load": "#5aacff", "stage-first": "#ff8a50",
}  # fmt: skip


def colours(dark: bool = False) -> dict[str, str]:
    """Return every token and its colour on a light or on a dark page."""
    tokens = dict(DARK if dark else LIGHT)
    for family in RUNTIMES.families:
        shades = family.looks.dark if dark else family.looks.light
        tokens |= {f"{family.name}-{index}": shade for index, shade in enumerate(shades)}
    return tokens


def family_of(framework: str, runtime: str = "") -> Family:
    """Return the family of a runtime; for one that is not known here, the first that runs its framework's models.

    Args:
        framework: as the results name it, "torch", "tf", "jax", "onnx" or "".
    """
    entry = RUNTIMES.find(runtime)
    if entry is not None:
        return entry.family
    return next((family for family in RUNTIMES.families if family.framework == framework), rulers.FAMILY)


def series_of(label: str, framework: str) -> Series:
    """Return the look of a runtime's label ("tf.function", "ort.cpu@tf2onnx"), the same in every report."""
    runtime, _, exporter = label.partition("@")
    family = family_of(framework, runtime)
    siblings = [entry.name for entry in RUNTIMES.siblings(family)]
    index = _place(exporter, list(EXPORTERS)) if exporter else _place(runtime, siblings)
    entry = RUNTIMES.find(runtime)
    shape = entry.shape if entry and entry.shape else family.looks.shape
    dash = DASHES[(index + index // SHADES) % len(DASHES)]  # another dash when the shades repeat
    return Series(label, family.words, f"@{family.name}-{index % SHADES}", shape, dash)


def framework_series(frameworks: Iterable[str]) -> tuple[Series, ...]:
    """Return one entry for each framework, for charts that compare frameworks and not their runtimes."""
    present = [family_of(name) for name in dict.fromkeys(frameworks)]
    ordered = [family for family in RUNTIMES.families if family in present]
    return tuple(
        Series(family.words, family.words, f"@{family.name}-0", family.looks.shape, DASHES[index % len(DASHES)])
        for index, family in enumerate(ordered)
    )


def families_of(series: Iterable[Series]) -> tuple[Series, ...]:
    """Return one entry for each family among the series, for charts that name single series themselves."""
    present = {entry.family for entry in series}
    return tuple(
        Series(family.words, family.words, f"@{family.name}-0", family.looks.shape, (1, 0))
        for family in RUNTIMES.families
        if family.words in present
    )


def ordered(series: Iterable[Series]) -> tuple[Series, ...]:
    """Return the series without repeats, family by family, each in the order of the registries."""
    names = [family.words for family in RUNTIMES.families]
    unique = {entry.label: entry for entry in series}
    return tuple(sorted(unique.values(), key=lambda s: (names.index(s.family), _rank(s.label), s.label)))


def resolved(spec: JsonValue, tokens: dict[str, str]) -> JsonValue:
    """Return a chart with its colour tokens replaced; the data inside it stays untouched."""
    if isinstance(spec, dict):
        return {key: part if key == "data" else resolved(part, tokens) for key, part in spec.items()}
    if isinstance(spec, list):
        return [resolved(part, tokens) for part in spec]
    if isinstance(spec, str) and spec.startswith("@"):
        return tokens.get(spec[1:], spec)
    return spec


def _place(name: str, known: list[str]) -> int:
    """Return the position among the known names; an unknown one gets a fixed place derived from its letters."""
    return known.index(name) if name in known else sum(map(ord, name)) + len(known)


def _rank(label: str) -> tuple[int, int]:
    runtime, _, exporter = label.partition("@")
    return _place(runtime, list(RUNTIMES)), _place(exporter, list(EXPORTERS)) if exporter else -1
