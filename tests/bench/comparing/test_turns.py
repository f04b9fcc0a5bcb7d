"""Two sides measured in turns: cells are paired by what they run, and each side keeps its own name."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars
import pytest

from assay.bench.comparing.compare import changes_of
from assay.bench.comparing.turns import BASE, NEW, alone, disturbed, pairs_in_turns
from assay.bench.judging.validity import reasons
from assay.bench.statistics.stats import Samples
from assay.bench.timing.measurements import Measurements
from assay.files.columns import BURST_COLUMNS, SAMPLE_COLUMNS
from assay.records.results import Cell
from assay.records.timings import Steadiness
from tests.bench.report.sample_results import sample_results


def cells(*labels: str) -> list[Cell]:
    plain = next(cell for cell in sample_results((28,), (1,), ("bloodnet",)).cells if cell.host)
    return [plain.model_copy(update={"name": f"net/0/b1/t1/{label}", "label": label}) for label in labels]


def samples(milliseconds: float) -> Samples:
    places = np.arange(12)
    wave = 1 + 0.1 * np.sin(places)  # what else the machine did, on both sides alike
    return Samples(places // 4, places % 4, milliseconds * wave, 0)


def measured(timed: dict[str, Samples], bursts: list[tuple[str, int, int, int, int]] | None = None) -> Measurements:
    """Measurements with these calls; bursts are given as cell, process, block, wall and processor nanoseconds."""
    rows = [
        (name, process, block, 0, "host", round(ms * 1e6), 0)
        for name, one in timed.items()
        for process, block, ms in zip(one.process, one.block, one.values, strict=True)
    ]
    told = [(name, process, block, 0, wall, used, 0, 0.0, 0) for name, process, block, wall, used in bursts or []]
    return Measurements(
        polars.DataFrame(rows, schema=SAMPLE_COLUMNS, orient="row"),
        polars.DataFrame(told, schema=BURST_COLUMNS, orient="row"),
        [], {}, {}, 0.0,
    )  # fmt: skip


def test_what_both_have_is_paired_by_block() -> None:
    found = cells("ort.cpu@given[base]", "ort.cpu@given[new]", "openvino@given[new]", "tf.eager[base]")
    (pair,) = pairs_in_turns(found, measured({found[0].name: samples(2), found[1].name: samples(3)}))
    assert pair.new.name == "net/0/b1/t1/ort.cpu@given"
    assert pair.ratio
    assert abs(np.exp(pair.ratio.log_mean) - 1.5) < 1e-5
    assert pair.ratio.log_standard_error < 1e-5, "what falls on both in the same block is no spread"
    assert alone(found, BASE) == ["net/0/b1/t1/tf.eager"]
    assert alone(found, NEW) == ["net/0/b1/t1/openvino@given"]


BUSY: dict[str, Any] = {
    "steadiness": Steadiness(involuntary_switches_per_second=500.0, drift=0.2, drift_p_value=1e-4, stolen_share=0.1),
    "processor_use": 0.6,
}


@pytest.mark.parametrize(
    ("changes", "used", "verdict", "reason"),
    [
        (BUSY, (0.6, 0.6), "slower", ""),
        (BUSY, (0.6, 0.5), "not judged", "new was kept from its processor more than base: 20%, 2% is tolerated"),
        (BUSY, (0.5, 0.6), "not judged", "base was kept from its processor more than new: 20%, 2% is tolerated"),
        ({"steadiness": Steadiness(), "processor_use": 0.8}, (0.98, 0.8), "slower", ""),  # it waits for its own work
        (
            BUSY | {"processor_use": 1.9},
            (0.6, 0.6),
            "not judged",
            "in base: its times are invalid: processor time over",
        ),
        (
            BUSY | {"steadiness": Steadiness(floor_share=0.2)},
            (0.6, 0.6),
            "not judged",
            "in base: its times are invalid",
        ),
    ],
)
def test_a_busy_machine_invalidates_a_ratio_only_if_it_affected_one_side(
    changes: dict[str, Any], used: tuple[float, float], verdict: str, reason: str
) -> None:
    found = [one.model_copy(update=changes) for one in cells("ort.cpu@given[base]", "ort.cpu@given[new]")]
    found = [one.model_copy(update={"invalid": reasons(one)}) for one in found]
    bursts = [
        (one.name, place // 4, place % 4, 1000, round(1000 * share))
        for one, share in zip(found, used, strict=True)
        for place in range(12)
    ]
    timed = {found[0].name: samples(2), found[1].name: samples(3)}
    pairs = pairs_in_turns(found, measured(timed, bursts))
    (change,) = changes_of(pairs, 0.05)
    assert (change.verdict, change.regression) == (verdict, verdict == "slower")
    assert change.reason.startswith(reason)
    assert bool(disturbed(pairs)) == (verdict == "slower" and changes is BUSY)
