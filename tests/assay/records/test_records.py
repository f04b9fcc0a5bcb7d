"""What a number in a record may be is checked where the record is made."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from assay.numerics.significance import Accuracy
from assay.records.base import OLDER, Interval, Tail
from assay.records.results import ColdStart, Metrics, Timing, read_results

GOOD = Interval(value=0.5, low=0.4, high=0.6)


@pytest.mark.parametrize(("value", "low", "high"), [(1, 2, 3), (3, 1, 2), (1, 1.1, 0.9), (-1, 0, 1)])
def test_an_estimate_lies_in_its_interval(value: float, low: float, high: float) -> None:
    with pytest.raises(ValidationError, match="is not between"):
        Interval(value=value, low=low, high=high)


def test_equal_ends_rounding_and_what_is_not_known_are_allowed() -> None:
    Interval(value=1, low=1, high=1)
    Interval(value=1, low=1 + 1e-12, high=1)
    Interval(value=math.nan, low=0, high=1)
    Tail(value=1, low=0.9, high=None)


def test_an_open_tail_still_has_a_lower_end() -> None:
    with pytest.raises(ValidationError):
        Tail(value=1, low=1.5, high=None)
    with pytest.raises(ValidationError):
        Interval(value=1, low=0.9, high=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [-0.01, 1.01])
def test_a_share_lies_between_none_and_all(share: float) -> None:
    with pytest.raises(ValidationError, match="share"):
        Accuracy(images=10, reference=share, candidate=0.5, lost=0, gained=0, p_value=1)
    beyond = Interval(value=share, low=min(share, 0.5), high=max(share, 0.5))
    with pytest.raises(ValidationError, match="below none or above all"):
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
