"""The knee of a study's models, and the table of sittings, in the report."""

from __future__ import annotations

from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Table
from assay.bench.report.sections.reasons.knee import knees
from assay.bench.tasks.classification.trained import accuracy
from assay.bench.words.numbers import pixels
from assay.records.base import Interval
from assay.records.results import Results
from assay.records.trainings import Sitting
from tests.bench.report.sample_results import sample_results


def with_accuracies(by_size: dict[int, float]) -> Results:
    blank = sample_results(sizes=tuple(by_size), batches=(1,), architectures=("bloodnet",))
    trainings = []
    for one in blank.trainings:
        share = by_size[one.size]
        test = one.test.model_copy(update={"accuracy": Interval(value=share, low=share - 0.004, high=share + 0.004)})
        trainings.append(one.model_copy(update={"test": test}))
    return blank.model_copy(update={"trainings": trainings})


def texts(table: Table) -> list[list[str]]:
    return [[value.text for value in row] for row in table.rows]


def test_a_model_with_several_sizes_has_a_knee_with_its_share_of_draws() -> None:
    results = with_accuracies({28: 0.90, 64: 0.97, 128: 0.985})
    (table,) = knees(Evidence(results))
    (row,) = [row for row in texts(table) if row[2] == "1"]
    assert row[0] == "bloodnet"
    assert pixels(64) in row[3]
    assert "97.0" in row[3]
    assert (row[4], row[6]) == (pixels(64), pixels(64))
    assert float(row[5]) > 95


def test_where_larger_sizes_are_no_better_there_is_none_or_the_smallest() -> None:
    (table,) = knees(Evidence(with_accuracies({28: 0.98, 64: 0.35})))
    assert {row[4] for row in texts(table)} == {pixels(28)}
    (table,) = knees(Evidence(with_accuracies({28: 0.90, 64: 0.97})))
    assert {row[4] for row in texts(table)} == {"none"}
    assert knees(Evidence(with_accuracies({28: 0.9}))) == []


def test_sittings_are_shown_with_their_machines_and_headings_fit_their_numbers() -> None:
    blank = sample_results(sizes=(28,), batches=(1,), architectures=("bloodnet",))
    parts = [
        Sitting(
            begun=f"2026-11-{day}T09:00:00+00:00", machine=machine, made_by={"torch": "2.13.0"}, steps=5, seconds=9.5
        )
        for day, machine in ((27, "An EPYC, 2 cores"), (28, "Another, 4 cores"))
    ]
    first = blank.trainings[0].model_copy(update={"sittings": parts})
    section = accuracy(Evidence(blank.model_copy(update={"trainings": [first, *blank.trainings[1:]]})))
    assert section is not None
    tables = {block.identifier: block for block in section.blocks if isinstance(block, Table)}
    assert [row[5] for row in texts(tables["sittings"])] == ["An EPYC, 2 cores", "Another, 4 cores"]
    assert [row[7] for row in texts(tables["sittings"])] == ["5", "5"]
    names = [column.heading for column in tables["trainings"].columns]
    shown = dict(zip(names, tables["trainings"].rows[0], strict=True))
    assert shown["Macro AUC"].path.endswith("macro_auc/value")
    assert shown["Best validation accuracy, %"].path.endswith("validation_accuracy")
    assert shown["Best epoch"].path.endswith("best_epoch")
    plain = accuracy(Evidence(blank))
    assert plain is not None
    assert "sittings" not in [block.identifier for block in plain.blocks if isinstance(block, Table)]
