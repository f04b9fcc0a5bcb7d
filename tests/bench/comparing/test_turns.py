"""Two sides measured in turns: cells are paired by what they run, and each side keeps its own name."""

from __future__ import annotations

import numpy as np

from assay.bench.comparing.turns import BASE, NEW, alone, pairs_in_turns
from assay.bench.statistics.stats import Samples
from assay.records.results import Cell
from tests.bench.report.sample_results import sample_results


def cells(*labels: str) -> list[Cell]:
    plain = next(cell for cell in sample_results((28,), (1,), ("bloodnet",)).cells if cell.host)
    return [plain.model_copy(update={"name": f"net/0/b1/t1/{label}", "label": label}) for label in labels]


def samples(milliseconds: float) -> Samples:
    places = np.arange(12)
    wave = 1 + 0.1 * np.sin(places)  # what else the machine did, on both sides alike
    return Samples(places // 4, places % 4, milliseconds * wave, 0)


def test_what_both_have_is_paired_by_block() -> None:
    found = cells("ort.cpu@given[base]", "ort.cpu@given[new]", "openvino@given[new]", "tf.eager[base]")
    timed = {found[0].name: {"host": samples(2)}, found[1].name: {"host": samples(3)}}
    (pair,) = pairs_in_turns(found, timed)
    assert pair.new.name == "net/0/b1/t1/ort.cpu@given"
    assert pair.ratio
    assert abs(np.exp(pair.ratio.log_mean) - 1.5) < 1e-9
    assert pair.ratio.log_standard_error < 1e-9, "what falls on both in the same block is no spread"
    assert alone(found, BASE) == ["net/0/b1/t1/tf.eager"]
    assert alone(found, NEW) == ["net/0/b1/t1/openvino@given"]
