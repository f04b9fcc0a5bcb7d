"""The values of a record are checked where the record is made."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from assay.bench.words.serving import render_verification
from assay.bench.words.terminal import Terminal
from assay.numerics.classification.significance import Accuracy
from assay.records.base import OLDER, ROUNDING, Interval, Tail
from assay.records.results import Agreement, read_results
from assay.records.timings import ColdStart, Timing
from assay.records.trainings import Metrics
from assay.records.verification import Verification

GOOD = Interval(value=0.5, low=0.4, high=0.6)


@pytest.mark.parametrize(("value", "low", "high"), [(1, 2, 3), (3, 1, 2), (1, 1.1, 0.9), (-1, 0, 1)])
def test_an_estimate_is_within_its_interval(value: float, low: float, high: float) -> None:
    with pytest.raises(ValidationError, match="is not between"):
        Interval(value=value, low=low, high=high)


def test_equal_ends_rounding_and_unknown_bounds_are_allowed() -> None:
    Interval(value=1, low=1, high=1)
    Interval(value=1, low=1 + 1e-12, high=1)
    Interval(value=math.nan, low=0, high=1)
    Tail(value=1, low=0.9, high=None)


def test_an_open_tail_still_has_a_lower_end() -> None:
    with pytest.raises(ValidationError):
        Tail(value=1, low=1.5, high=None)
    with pytest.raises(ValidationError):
        Interval(value=1, low=0.9, high=None)  # type: ignore[arg-type]


def test_what_was_called_accuracy_is_read_as_the_measure_of_a_task() -> None:
    of_a_way = {"way": "http", "clients": 8, "requests": 1, "images": 1, "failed": 0, "wrong": 0, "max_absolute": 0.0}
    older = {
        "created": "",
        "deployment": "bloodnet-28",
        "version": 1,
        "unit": "image",
        "server": "",
        "tolerances": {},
        "audited_accuracy": GOOD.model_dump(),
        "metadata": [],
        "ways": [{**of_a_way, "accuracy": GOOD.model_dump(), "versions": [], "reasons": []}],
        "skipped": {},
    }
    found = Verification.model_validate(older)
    assert (found.measure, found.audited_quality, found.ways[0].quality) == ("accuracy", GOOD, GOOD)
    assert "accuracy" not in found.model_dump_json().replace('"measure":"accuracy"', "")
    stream = io.StringIO()
    of_pixels = found.model_copy(update={"measure": "mean IoU"})
    render_verification(of_pixels, Terminal(file=stream, width=200))
    assert "mean IoU %" in stream.getvalue()
    assert "accuracy" not in stream.getvalue()
    assert "GPU" not in stream.getvalue()
    render_verification(found.model_copy(update={"device": "cuda"}), Terminal(file=stream, width=200))
    assert "the audited answers are those of a GPU" in stream.getvalue()


@pytest.mark.parametrize("share", [-0.01, 1.01])
def test_a_share_is_between_zero_and_one(share: float) -> None:
    with pytest.raises(ValidationError, match="share"):
        Accuracy(images=10, reference=share, candidate=0.5, lost=0, gained=0, p_value=1)
    beyond = Interval(value=share, low=min(share, 0.5), high=max(share, 0.5))
    with pytest.raises(ValidationError, match="below 0 or above 1"):
        Metrics(count=1, accuracy=beyond, macro_auc=GOOD, recall={}, confusion=[[1]])


def test_a_time_is_not_below_zero() -> None:
    with pytest.raises(ValidationError, match="below zero"):
        ColdStart(import_seconds=-0.1, load_seconds=0, first_call_seconds=0)
    negative = Interval(value=0.1, low=-0.1, high=0.2)
    with pytest.raises(ValidationError, match="cannot be"):
        Timing(median_ms=negative, p90_ms=GOOD, p99_ms=GOOD, samples=1, processes=1)
    ColdStart(import_seconds=math.nan, load_seconds=0, first_call_seconds=0)


def test_an_older_file_whose_interval_misses_its_estimate_is_widened_and_read(tmp_path: Path) -> None:
    record = json.loads((Path(__file__).parents[2] / "golden" / "results-v2.json").read_text(encoding="utf-8"))
    timed = next(cell for cell in record["cells"] if cell["host"])
    timed["host"]["p99_ms"] = {"value": 5.0, "low": 1.0, "high": 4.0}
    path = tmp_path / "results.json"
    path.write_text(json.dumps(record))
    found = next(one for one in read_results(path).cells if one.name == timed["name"])
    assert found.host is not None
    assert (found.host.p99_ms.low, found.host.p99_ms.high) == (1.0, 5.0)
    assert Interval.model_validate({"value": 1, "low": 2, "high": 3}, context=OLDER).low == 1


def test_none_and_all_are_shares_and_no_time_is_a_time() -> None:
    ends = Interval(value=0.5, low=-ROUNDING, high=1 + ROUNDING)
    Metrics(count=1, accuracy=ends, macro_auc=GOOD, recall={}, confusion=[[1]])
    Accuracy(images=10, reference=0.0, candidate=1.0, lost=0, gained=0, p_value=1)
    ColdStart(import_seconds=0, load_seconds=0, first_call_seconds=0)
    none = Interval(value=0, low=0, high=0)
    Timing(median_ms=none, p90_ms=none, p99_ms=none, samples=1, processes=1)
    with pytest.raises(ValidationError, match="cannot be"):
        Timing(
            median_ms=Interval(value=math.inf, low=0, high=math.inf), p90_ms=none, p99_ms=none, samples=1, processes=1
        )


@pytest.mark.parametrize("value", [1000.0, -1000.0])
def test_an_end_may_be_off_by_a_billionth_of_the_estimate_and_no_more(value: float) -> None:
    Interval(value=value, low=value + 0.9e-6, high=value - 0.9e-6)
    for low, high in ((value + 1.1e-6, value + 1), (value - 1, value - 1.1e-6)):
        with pytest.raises(ValidationError, match="is not between"):
            Interval(value=value, low=low, high=high)


def test_only_what_misses_its_estimate_is_widened_and_only_of_an_older_file() -> None:
    for told, read in (
        ({"value": 1.0, "low": 2.0, "high": 3.0}, (1.0, 1.0, 3.0)),
        ({"value": 5.0, "low": 2.0, "high": 3.0}, (5.0, 2.0, 5.0)),
        ({"value": 2.5, "low": 2.0, "high": 3.0}, (2.5, 2.0, 3.0)),
        ({"value": 1.0, "low": 2.0, "high": None}, (1.0, 1.0, None)),
    ):
        found = Tail.model_validate(told, context=OLDER)
        assert (found.value, found.low, found.high) == read
    with pytest.raises(ValidationError):
        Tail.model_validate({"value": 1, "low": 2, "high": 3})
    with pytest.raises(ValidationError):
        Tail.model_validate([1, 2, 3], context=OLDER)


def test_the_interval_of_a_tail_equals_the_one_that_is_read_again() -> None:
    made = Timing(median_ms=GOOD, p90_ms=GOOD, p99_ms=GOOD, samples=1, processes=1)
    assert Timing.model_validate_json(made.model_dump_json()) == made
    assert type(made.p99_ms) is Tail


def test_an_agreement_is_read_by_the_name_that_its_count_had() -> None:
    """Older exports, results and deployments have it; it is written under today's name."""
    told = {
        "subject": "a", "images": 2, "max_absolute": 0.0, "max_relative": 0.0, "tolerance": 1.0, "derivation": "",
        "passed": True,
    }  # fmt: skip
    found = Agreement.model_validate(told | {"top1_flips": 3})
    assert found == Agreement.model_validate(told | {"largest_moved": 3})
    assert found.model_dump()["largest_moved"] == 3
    with pytest.raises(ValidationError):
        Agreement.model_validate(told)
