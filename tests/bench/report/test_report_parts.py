"""Numbers, colours, fronts and means: the report's small pure parts."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from assay.bench.report.drawing.charts import log_ticks
from assay.bench.report.drawing.palette import DARK, LIGHT, colours, resolved, series_of
from assay.bench.report.sections.environment import flattened
from assay.bench.report.sections.times.steadiness import process_deviations
from assay.bench.statistics.knee import pareto_front
from assay.bench.tasks.classification.trained import mean_over_seeds
from assay.bench.words import numbers
from assay.records.base import Interval
from assay.registry import EXPORTERS, RUNTIMES
from assay.texts import markdown
from tests.bench.report.sample_results import plain, sample_results, sample_samples

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency",
# IEEE Transactions on Visualization and Computer Graphics 15, 2009: full deficiency, on linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
JUST_APART = 10.0


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.14159, "3.14"), (33.62, "33.6"), (1234.5, "1,234"), (0.031234, "0.0312"), (0, "0"), (2.1e-7, "2.1e-7"),
     (math.inf, "infinite"), (math.nan, "not a number"), (-0.5, "-0.500")],
)  # fmt: skip
def test_significant_digits(value: float, text: str) -> None:
    assert numbers.significant(value) == text


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (3.1416, 3.02, 3.21, "3.14 (3.02-3.21)"),
        (3.1, 1.2, 9.0, "3.1 (1.2-9.0)"),
        (33.62, 33.1, 34.2, "33.6 (33.1-34.2)"),
        (474.31, 473.9, 474.7, "474.3 (473.9-474.7)"),
        (1.0, 1.0, 1.0, "1.00 (1.00-1.00)"),
        (0.0021, 0.00207, 0.00212, "0.00210 (0.00207-0.00212)"),
        (math.nan, 0, 1, "not a number (no finite interval)"),
        (2.1739, 2.1e-304, 2.2e304, "2.17 (no finite interval)"),
    ],
)
def test_an_interval_shows_the_digits_its_width_supports(value: float, low: float, high: float, text: str) -> None:
    assert plain(numbers.interval(Interval(value=value, low=low, high=high))) == text


@given(st.floats(1e-6, 1e8), st.floats(0, 1))
def test_an_interval_is_rounded_not_changed(value: float, relative: float) -> None:
    shown = numbers.interval(Interval(value=value, low=value * (1 - relative), high=value * (1 + relative)))
    assert float(shown.split(" (")[0].replace(",", "")) == pytest.approx(value, rel=0.06)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0354, "35 ms"), (4.21, "4.2 s"), (41, "41.0 s"), (200, "3 min 20 s"), (3912, "1 h 5 min"), (0, "0 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert plain(numbers.duration(seconds)) == text


def test_dates_are_written_out_and_other_texts_left_alone() -> None:
    assert numbers.moment("2026-03-04T09:26:53+00:00") == "4 March 2026"
    assert numbers.moment("2026-03-04T09:26:53+00:00", time=True) == "4 March 2026, 09:26 UTC"
    assert numbers.moment("yesterday") == "yesterday"


@given(st.lists(st.floats(1e-9, 1e9), min_size=1))
def test_ticks_are_few_round_and_within_the_data(values: list[float]) -> None:
    ticks = log_ticks(values)
    assert len(ticks) <= 14
    assert list(ticks) == sorted(ticks)
    assert all(min(values) / 1.06 <= tick <= max(values) * 1.06 for tick in ticks)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 100)), max_size=30))
def test_the_front_has_exactly_what_nothing_beats(points: list[tuple[float, float]]) -> None:
    front = pareto_front(points)
    for index, (accuracy, latency) in enumerate(points):
        beaten = any(a >= accuracy and t <= latency and (a, t) != (accuracy, latency) for a, t in points)
        assert ((accuracy, latency) in [points[i] for i in front]) == (not beaten), index


def test_the_mean_over_seeds_is_students() -> None:
    estimate = mean_over_seeds([98.0, 98.2, 98.4])
    assert estimate is not None
    assert estimate.value == pytest.approx(98.2)
    assert estimate.high - estimate.value == pytest.approx(4.302653 * 0.2 / math.sqrt(3), rel=1e-6)
    assert mean_over_seeds([98.0]) is None


def test_deviations_are_of_process_medians_at_the_host_boundary() -> None:
    results = sample_results((28,), (1,), ("bloodnet",))
    deviations = process_deviations(sample_samples(results))
    assert set(deviations) == {cell.name for cell in results.cells if cell.host}
    assert all(len(found) == 3 and sorted(found)[1] == 0 for found in deviations.values())


def test_nested_records_become_lines() -> None:
    record = {"a_b": {"c": [1, 2], "d": None}, "e": [{"f": True}], "g": []}
    assert list(flattened(record)) == [("a b / c", "1, 2"), ("a b / d", "none"), ("e / 1 / f", "yes"), ("g", "none")]


def test_markdown_is_escaped_but_names_stay_readable() -> None:
    assert markdown("torch.channels_last") == "torch.channels_last"
    assert markdown("a|b <i> _x_ `y`\nz & w") == r"a\|b \<i\> \_x\_ \`y\` z &amp; w"


@pytest.mark.parametrize("dark", [False, True])
def test_colours_stand_out_from_the_page(dark: bool) -> None:
    page = DARK if dark else LIGHT
    for name, colour in colours(dark).items():
        least = {"ink": 7, "muted": 4.5, "accent": 4.5, "good": 4.5, "bad": 4.5}.get(name, 3)
        if name not in {"paper", "raised", "rule", "rest", "notice", "notice-paper", "heat-middle", "heat-ink"}:
            assert contrast(colour, page["paper"]) >= least, name
    assert contrast(page["notice"], page["notice-paper"]) >= 4.5
    assert contrast(page["muted"], page["raised"]) >= 4.5
    assert min(contrast(page["heat-ink"], page[end]) for end in ("heat-low", "heat-high")) >= 4.5
    assert contrast(page["ink"], page["heat-middle"]) >= 7


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_every_eye_distinguishes_the_frameworks(dark: bool, deficiency: str) -> None:
    families = RUNTIMES.families
    first = {one.words: (one.looks.dark if dark else one.looks.light)[0] for one in families if one.framework}
    for left, right in itertools.combinations(first, 2):
        difference = np.linalg.norm(seen(first[left], deficiency) - seen(first[right], deficiency))
        assert difference > JUST_APART, (left, right)
    assert len({family.looks.shape for family in families}) == len(families)


def test_a_label_looks_the_same_in_every_report_and_unlike_its_siblings() -> None:
    labels = [name for name in RUNTIMES if not name.startswith(("ort", "openvino", "calibrated"))]
    of_files = [name for name, entry in RUNTIMES.items() if entry.framework == "onnx"]
    labels += [f"{runtime}@{exporter}" for runtime in of_files for exporter in EXPORTERS]
    framework = {name: entry.framework for name, entry in RUNTIMES.items()}
    looks = [series_of(label, framework[label.partition("@")[0]]) for label in labels]
    assert len({(look.token, look.shape, look.dash) for look in looks}) == len(labels)
    assert series_of("torch.new", "torch") == series_of("torch.new", "torch")


def test_tokens_in_data_are_left_alone() -> None:
    spec = {"mark": {"color": "@ink"}, "data": {"values": [{"label": "@ink"}]}, "range": ["@torch-0", "@unknown"]}
    assert resolved(spec, {"ink": "#000", "torch-0": "#a00"}) == {
        "mark": {"color": "#000"},
        "data": {"values": [{"label": "@ink"}]},
        "range": ["#a00", "@unknown"],
    }


def linear(colour: str) -> NDArray[np.float64]:
    shares = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def contrast(left: str, right: str) -> float:
    """WCAG 2 contrast ratio."""
    darker, lighter = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (left, right))
    return (lighter + 0.05) / (darker + 0.05)


def seen(colour: str, deficiency: str) -> NDArray[np.float64]:
    """CIELAB coordinates of a colour as an eye with the deficiency sees it."""
    xyz = TO_XYZ @ np.clip(DEFICIENCIES[deficiency] @ linear(colour), 0, 1) / np.array([0.9505, 1.0, 1.089])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])
