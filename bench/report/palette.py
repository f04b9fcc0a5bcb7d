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

SHADES = 5


@dataclass(frozen=True)
class Family:
    """A framework's looks: its name for readers, its shape, and five shades for light and dark pages."""

    name: str
    token: str
    shape: str
    light: tuple[str, ...]
    dark: tuple[str, ...]


@dataclass(frozen=True)
class Series:
    """One entry of a legend: `label` as the data has it, the family it belongs to, and its looks."""

    label: str
    family: str
    token: str
    shape: str
    dash: tuple[int, ...]


TORCH = Family(
    "PyTorch", "torch", "circle",
    ("#a83200", "#d9540f", "#7a2400", "#c8693f", "#e05a2a"),
    ("#ff7a45", "#ffb08a", "#f2662b", "#ffc9ae", "#e08a66"),
)  # fmt: skip
TENSORFLOW = Family(
    "TensorFlow", "tf", "square",
    ("#b08600", "#7d5a00", "#8a8400", "#5c4300", "#998142"),
    ("#ffd54a", "#e0ac1f", "#ffe89a", "#c79a2c", "#d9c27a"),
)  # fmt: skip
JAX = Family(
    "JAX", "jax", "diamond",
    ("#8e2f7f", "#c05aa0", "#66205a", "#a8668f", "#b5509b"),
    ("#e58ad0", "#f3b6e3", "#c765b4", "#f7cdec", "#d39ac6"),
)  # fmt: skip
ONNX_RUNTIME = Family(
    "ONNX Runtime", "onnx", "triangle-up",
    ("#0b5cad", "#2f86d6", "#073a73", "#1b93b8", "#5b84c4"),
    ("#5aacff", "#9bd0ff", "#2f8bf0", "#5cc8ea", "#8fb0ea"),
)  # fmt: skip
OPENVINO = Family(
    "OpenVINO", "openvino", "triangle-right",
    ("#00857a", "#2a9d8f", "#00524a", "#4f9a7d", "#3f8f9a"),
    ("#3fc7b0", "#8ce0d0", "#1fa38f", "#7cd0a0", "#62bcc9"),
)  # fmt: skip
NO_FRAMEWORK = Family(
    "No framework", "none", "cross",
    ("#6b6f76", "#868a91", "#4e5258", "#7a7e85", "#5d6168"),
    ("#9aa0a8", "#b8bdc4", "#80868e", "#a9aeb5", "#8d939b"),
)  # fmt: skip
FAMILIES = (TORCH, TENSORFLOW, JAX, ONNX_RUNTIME, OPENVINO, NO_FRAMEWORK)
# Runtimes that run the same files as another one and would look like it.
SHAPES = {
    "ort.cuda": "triangle-down",
    "ort.cpu.no-opt": "triangle-left",
    "ort.cpu.basic": "wedge",
    "ort.cpu.extended": "arrow",
    "openvino.bf16": "wedge",
    "openvino.default": "arrow",
}
DASHES = ((1, 0), (6, 3), (2, 2), (9, 3, 2, 3), (4, 4))

# Everything else that has a colour: page, text, rules, and the two-sided scale of ratios (blue: ONNX side).
LIGHT = {
    "paper": "#fdfcfa", "raised": "#f5f3ee", "ink": "#1d1c1a", "muted": "#5f5b55", "rule": "#e1ddd5",
    "accent": "#0b5cad", "good": "#0b6b4f", "bad": "#a3261b", "notice": "#7a4b00", "notice-paper": "#fdf0d5",
    "heat-low": "#1666b0", "heat-middle": "#f3f1ec", "heat-high": "#b5501c", "heat-ink": "#ffffff",
    "stage-import": "#8a8f98", "stage-load": "#2f86d6", "stage-first": "#b93a08",
}  # fmt: skip
DARK = {
    "paper": "#15171b", "raised": "#1e2126", "ink": "#eceae6", "muted": "#a6a39d", "rule": "#33373e",
    "accent": "#7cbcff", "good": "#5fd0a5", "bad": "#ff8f80", "notice": "#ffd591", "notice-paper": "#3a2c10",
    "heat-low": "#4a9bee", "heat-middle": "#2a2d33", "heat-high": "#e8834a", "heat-ink": "#101214",
    "stage-import": "#8d939b", "stage-load": "#5aacff", "stage-first": "#ff8a50",
}  # fmt: skip


def colours(dark: bool = False) -> dict[str, str]:
    """Every token and its colour on a light or on a dark page."""
    tokens = dict(DARK if dark else LIGHT)
    for family in FAMILIES:
        shades = family.dark if dark else family.light
        tokens |= {f"{family.token}-{index}": shade for index, shade in enumerate(shades)}
    return tokens


def family_of(framework: str, runtime: str = "") -> Family:
    """The family of a framework as the results name it ("torch", "tf", "jax", "onnx" or "")."""
    if runtime.startswith("openvino"):
        return OPENVINO
    known = {"torch": TORCH, "tf": TENSORFLOW, "jax": JAX, "onnx": ONNX_RUNTIME}
    return known.get(framework, NO_FRAMEWORK)


def series_of(label: str, framework: str) -> Series:
    """The looks of a runtime's label ("tf.function", "ort.cpu@tf2onnx"), the same in every report."""
    runtime, _, exporter = label.partition("@")
    family = family_of(framework, runtime)
    index = _place(exporter, list(EXPORTERS)) if exporter else _place(runtime, _siblings(runtime))
    shape = SHAPES.get(runtime, family.shape)
    return Series(label, family.name, f"@{family.token}-{index % SHADES}", shape, DASHES[index % len(DASHES)])


def framework_series(frameworks: Iterable[str]) -> tuple[Series, ...]:
    """One entry for each framework, where a chart compares frameworks and not their runtimes."""
    present = [family_of(name) for name in dict.fromkeys(frameworks)]
    ordered = [family for family in FAMILIES if family in present]
    return tuple(
        Series(family.name, family.name, f"@{family.token}-0", family.shape, DASHES[index % len(DASHES)])
        for index, family in enumerate(ordered)
    )


def families_of(series: Iterable[Series]) -> tuple[Series, ...]:
    """One entry for each family among the series, for charts that name the single ones themselves."""
    present = {entry.family for entry in series}
    return tuple(
        Series(family.name, family.name, f"@{family.token}-0", family.shape, (1, 0))
        for family in FAMILIES
        if family.name in present
    )


def ordered(series: Iterable[Series]) -> tuple[Series, ...]:
    """Without repeats, family by family, each in the order of the registries."""
    names = [family.name for family in FAMILIES]
    unique = {entry.label: entry for entry in series}
    return tuple(sorted(unique.values(), key=lambda s: (names.index(s.family), _rank(s.label), s.label)))


def resolved(spec: JsonValue, tokens: dict[str, str]) -> JsonValue:
    """A chart with its colour tokens replaced; the data inside it stays untouched."""
    if isinstance(spec, dict):
        return {key: part if key == "data" else resolved(part, tokens) for key, part in spec.items()}
    if isinstance(spec, list):
        return [resolved(part, tokens) for part in spec]
    if isinstance(spec, str) and spec.startswith("@"):
        return tokens.get(spec[1:], spec)
    return spec


def _siblings(runtime: str) -> list[str]:
    """The registered runtimes of the same framework."""
    prefix = runtime.partition(".")[0]
    return [name for name in RUNTIMES if name.partition(".")[0] == prefix]


def _place(name: str, known: list[str]) -> int:
    """Position among the known names; an unknown one gets a fixed place derived from its letters."""
    return known.index(name) if name in known else sum(map(ord, name)) + len(known)


def _rank(label: str) -> tuple[int, int]:
    runtime, _, exporter = label.partition("@")
    return _place(runtime, list(RUNTIMES)), _place(exporter, list(EXPORTERS)) if exporter else -1
