"""The times so far: fastest first, without cells that have none, and no text in them is executed."""

from __future__ import annotations

import io

import pytest

from assay.bench.words.numbers import ELLIPSIS
from assay.bench.words.progress import Narrator
from assay.bench.words.terminal import Terminal
from assay.bench.words.times import times_table
from assay.records.base import Interval
from tests.bench.report.sample_results import sample_results


def test_the_first_table_is_shown_once_where_there_is_no_terminal() -> None:
    cells = sample_results().cells
    said = io.StringIO()
    narrator = Narrator(Terminal(file=said, width=140))
    narrator.times(cells)
    text = said.getvalue()
    narrator.times(cells)
    assert said.getvalue() == text
    assert "not judged yet" in text
    timed = [one for one in cells if one.host and one.framework]
    ordered = sorted(timed, key=lambda one: (one.batch, one.threads, one.host.median_ms.value if one.host else 0))
    lines = text.splitlines()[2:]
    assert [line.split()[0] for line in lines] == [one.label for one in ordered]


def test_a_cell_of_one_process_has_no_interval_and_one_without_a_time_no_row() -> None:
    first = next(one for one in sample_results().cells if one.host and one.framework)
    assert first.host is not None
    alone = first.model_copy(update={"label": "x\x1b[31m", "host": first.host.model_copy(update={"processes": 1})})
    none = first.model_copy(update={"label": "none", "host": None})
    said = io.StringIO()
    Narrator(Terminal(file=said, width=140)).times([alone, none])
    assert "intervals come with a second process" in " ".join(said.getvalue().split())
    assert "none" not in said.getvalue()
    assert "\x1b" not in said.getvalue()


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_row_wraps_and_nothing_is_cut_on_a_narrow_terminal(width: int) -> None:
    first = next(one for one in sample_results().cells if one.host and one.framework)
    assert first.host is not None
    several = [
        first.model_copy(
            update={"label": label, "host": first.host.model_copy(update={"processes": processes})},
        )
        for label, processes in (("ort.cpu.extended@torch-dynamo+int8[base]", 1), ("openvino@jax2tf", 12))
    ]
    said = io.StringIO()
    Terminal(file=said, width=width).print(times_table(several))
    lines = said.getvalue().rstrip().splitlines()
    assert len(lines) == 2 + len(several)
    assert ELLIPSIS not in said.getvalue()
    assert "batch" not in lines[1], "there is one, and the title of a column for it says nothing"


def test_times_of_one_table_have_their_decimal_points_below_each_other() -> None:
    first = next(one for one in sample_results().cells if one.host and one.framework)
    assert first.host is not None
    times = [Interval(value=ms, low=ms * 0.9, high=ms * 1.1) for ms in (0.5123, 12.345)]
    cells = [
        first.model_copy(update={"host": first.host.model_copy(update={"median_ms": time, "processes": 3})})
        for time in times
    ]
    said = io.StringIO()
    Terminal(file=said, width=100).print(times_table(cells))
    rows = said.getvalue().splitlines()[2:]
    assert ["0.512" in rows[0], "12.345" in rows[1]] == [True, True]
    assert rows[0].index(".512") == rows[1].index(".345")
