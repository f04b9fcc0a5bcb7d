"""Trainings that continue from each other."""

from __future__ import annotations

from pathlib import Path

from assay.bench.run import Run
from assay.bench.stages.train import train_all
from assay.bench.words.progress import Narrator
from assay.study import load_study

STUDY = """
name = "chained"
[data]
name = "synthetic"
limit = 48
[[models]]
architecture = "bloodnet"
sizes = [12]
epochs = [0.1]
[[models]]
architecture = "bloodnet"
sizes = [16]
epochs = [0.1]
[train]
frameworks = ["torch"]
batch_size = 8
"""


def test_a_later_entry_starts_from_where_an_earlier_one_ended(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    trainings, _ = train_all(Run(load_study(path), tmp_path / "run", tmp_path / "data", Narrator()))
    assert [training.size for training in trainings] == [12, 16]
    assert [training.started_from for training in trainings] == [None, trainings[0].weights]
