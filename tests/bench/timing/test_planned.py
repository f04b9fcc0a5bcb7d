"""The number of planned processes reaches every interval, from a study's settings to every estimate."""

from __future__ import annotations

import math

import numpy as np
import polars
import pytest

from assay.bench.choosing.best import _of_processes
from assay.bench.comparing.compare import unpaired_ratio
from assay.bench.explaining.factors import interval_over_blocks
from assay.bench.judging.summary import by_cell, planned_of
from assay.bench.statistics.stats import Samples, ratio_estimate
from assay.bench.statistics.tails import tail
from assay.bench.timing.schedule import Budget
from assay.files.columns import SAMPLE_COLUMNS

LOGS = (0.0, 0.02, 0.04, 0.02, 0.02, 0.02)
"""Three planned processes that differ, and three more that are equal."""


def samples(planned: int) -> Samples:
    process = np.arange(len(LOGS))
    return Samples(process, np.zeros(len(LOGS), int), np.exp(LOGS), planned)


def test_settings_say_how_many_were_planned() -> None:
    assert planned_of({"bench": {"processes": 3, "interval_width": 0.02}}) == 3
    assert planned_of({"processes": 5, "interval_width": 0.01}) == 5, "those of compare-model"
    assert planned_of({"bench": {"processes": 3, "interval_width": 0.0}}) == 0, "none is added"
    assert planned_of({"bench": {"processes": 3, "precision": 0.02}}) == 3, "of an older record"
    assert planned_of({}) == 0


def test_a_budget_that_adds_no_processes_plans_them_all() -> None:
    assert Budget(1, 3, 1, 1, interval_width=0.02).planned == 3
    assert Budget(1, 3, 1, 1).planned == 0


def test_samples_of_a_table_know_it() -> None:
    rows = [("cell", process, 0, 0, "host", 1000 + process, 0) for process in range(4)]
    table = polars.DataFrame(rows, schema=SAMPLE_COLUMNS, orient="row")
    assert by_cell(table, 3)["cell"]["host"].planned == 3
    assert by_cell(table)["cell"]["host"].planned == 0


@pytest.mark.parametrize("planned", [0, 3])
def test_every_estimate_takes_the_spread_of_those(planned: int) -> None:
    """The planned three have a spread of 0.02; all six have one of 0.0126 and more degrees of freedom."""
    degrees = 2 if planned else 5
    error = (0.02 if planned else float(np.std(LOGS, ddof=1))) / math.sqrt(6)
    one, unit = samples(planned), Samples(np.arange(6), np.zeros(6, int), np.ones(6), planned)
    paired = ratio_estimate(one, unit)
    assert paired is not None
    for found in (paired, unpaired_ratio(one, unit), _of_processes(LOGS, (0.0,) * 6, planned)):
        assert found.log_standard_error == pytest.approx(error)
        assert found.degrees == pytest.approx(degrees)
    effect = interval_over_blocks([(process, 0) for process in range(6)], LOGS, planned)
    assert effect == paired.interval


def test_a_tail_takes_the_spread_of_those() -> None:
    assert tail(samples(3)).low < tail(samples(0)).low < tail(samples(0)).value
