"""Trainings that continue from each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.bench.report.write import write_training_report
from assay.bench.run import Run
from assay.bench.stages.results import results_of_training
from assay.bench.stages.train import choose_subjects, train_all
from assay.bench.words.progress import Narrator
from assay.records.results import read_results
from assay.study import load_study
from tests.small_study import small_study

STUDY = small_study("chained", limit=48, sizes=(12, 16), epochs=0.1, train={"frameworks": ["torch"], "batch_size": 8})


def test_a_later_entry_starts_from_where_an_earlier_one_ended(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    trainings, _ = train_all(Run(load_study(path), tmp_path / "run", tmp_path / "data", Narrator()))
    assert [training.size for training in trainings] == [12, 16]
    assert [training.started_from for training in trainings] == [None, trainings[0].weights]


EACH_DEFAULT = small_study(
    "defaults",
    limit=48,
    sizes=(12,),
    epochs=0.5,
    train={"frameworks": ["torch"], "batch_size": 8, "each_default": True, "repeat_seeds": [1]},
)
CHANGED = [
    "norm_momentum=0.99", "norm_epsilon=0.001", "adam_epsilon=1e-07",
    "convention=torch", "convention=keras", "convention=flax",
]  # fmt: skip


@pytest.mark.slow
def test_each_default_alone_is_trained_beside_the_recipe_and_reported(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(EACH_DEFAULT)
    run = Run(load_study(path), tmp_path / "run", tmp_path / "data", Narrator())
    trainings, parity = train_all(run)
    assert [(one.seed, one.changed) for one in trainings] == [
        (seed, changed) for seed in (0, 1) for changed in ("", *CHANGED)
    ]
    assert len({one.weights for one in trainings}) == len(trainings)
    assert [(len(one.sittings), one.sittings[0].steps) for one in trainings] == [(1, 3)] * len(trainings)
    assert all("torch" in one.sittings[0].made_by and "core" in one.sittings[0].machine for one in trainings)
    assert [one.key for one in choose_subjects(run, trainings)] == [trainings[0].weights]

    files = write_training_report(results_of_training(run, trainings, parity), tmp_path / "report")
    assert read_results(tmp_path / "report" / "results.json").trainings == trainings
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    for changed in CHANGED:
        assert changed in text.replace("\\", "")
    assert "Keras, JAX" not in text
    assert any(file.name == "accuracy.svg" for file in files)
