"""A study on images of another kind, with one line of it changed: handwritten digits in MedMNIST's format."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.bench.run import Run
from assay.bench.stages.results import results_of_training
from assay.bench.stages.train import train_all
from assay.bench.words.progress import Narrator
from assay.study import load_study
from assay.train.datasets.npz import read_origin, write_medmnist_npz
from tools.digits import FILE, digits

STUDY = Path(__file__).parents[3] / "studies" / "defaults.toml"
SHORT = ["train.each_default=false", "train.repeat_seeds=[]"]


def test_the_file_says_of_itself_what_it_holds(tmp_path: Path) -> None:
    found = digits()
    assert [len(one.labels) for one in (found.train, found.validation, found.test)] == [1257, 180, 360]
    assert found.train.images.shape == (1257, 28, 28, 3)
    write_medmnist_npz(found, tmp_path / FILE)
    origin = read_origin(tmp_path / FILE)
    assert origin is not None
    assert (origin.name, origin.classes, origin.synthetic) == ("digits", tuple("0123456789"), False)


@pytest.mark.slow
def test_a_study_trains_on_them_with_one_line_changed(tmp_path: Path) -> None:
    write_medmnist_npz(digits(), tmp_path / FILE)
    study = load_study(STUDY, ["data.name=bloodmnist", *SHORT])
    study = study.model_copy(update={"data": study.data.model_copy(update={"root": tmp_path})})
    run = Run(study, tmp_path / "run", tmp_path / "data", Narrator())
    results = results_of_training(run, *train_all(run))
    assert (results.data.name, len(results.data.classes)) == ("digits", 10)
    assert "Handwritten digits" in results.data.notice
    (training,) = results.trainings
    assert training.test.count == 360
    assert training.test.accuracy.low > 0.5, "a tenth would be chance"
