"""The times so far: fastest first, without what has none, and no text in it obeyed."""

from __future__ import annotations

import io

from assay.bench.words.progress import Narrator
from assay.bench.words.terminal import Terminal
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
    assert "from two processes on" in said.getvalue()
    assert "none" not in said.getvalue()
    assert "\x1b" not in said.getvalue()
