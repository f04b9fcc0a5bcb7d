"""Rules that every registered data set follows; a new one fails here until it has a case."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from assay.registry import DATASETS
from assay.train.datasets.data import SPLITS, DataRequest, load_dataset, open_dataset, store_dataset
from tests.train.makers import isolate, npz_arrays, write_cells, write_npz


def _blood(folder: Path) -> DataRequest:
    return DataRequest("bloodmnist", 28, root=write_npz(folder / "bloodmnist.npz", npz_arrays()).parent)


def _grey(folder: Path) -> DataRequest:
    path = write_npz(folder / "octmnist.npz", npz_arrays(channels=1, classes=4))
    return DataRequest("medmnist:octmnist", 28, root=path.parent)


CASES: dict[str, Callable[[Path], DataRequest]] = {
    "bloodmnist": _blood,
    "medmnist": _grey,
    "pbc": lambda folder: DataRequest(f"pbc:{write_cells(folder)}", 33),
    "synthetic": lambda folder: DataRequest("synthetic", 20, limit=40),
    "auto": lambda folder: DataRequest("auto", 28, root=write_cells(folder)),
}


@pytest.fixture(params=list(DATASETS))
def request_for_each(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataRequest:
    isolate(monkeypatch, tmp_path)
    assert request.param in CASES, f"data set '{request.param}' needs a case in {__file__}"
    wanted = CASES[request.param](tmp_path / "data")
    return DataRequest(wanted.name, wanted.size, wanted.root, wanted.limit, cache=tmp_path / "cache")


def test_images_and_labels_are_what_training_expects(request_for_each: DataRequest) -> None:
    dataset = load_dataset(request_for_each)
    assert dataset.size == request_for_each.size
    for split in (getattr(dataset, name) for name in SPLITS):
        assert split.images.dtype == np.uint8
        assert split.images.shape[:3] == (len(split.labels), dataset.size, dataset.size)
        assert split.images.shape[3] in {1, 3}
        assert split.labels.dtype == np.int64
        assert split.labels.ndim == 1
        assert split.labels.min() >= 0
        assert split.labels.max() < len(dataset.classes)
    assert set(dataset.train.labels.tolist()) == set(range(len(dataset.classes)))


def test_a_report_can_say_where_the_images_come_from(request_for_each: DataRequest) -> None:
    dataset = load_dataset(request_for_each)
    assert dataset.name != "auto"
    assert ":" not in dataset.name
    assert dataset.attribution
    assert dataset.licence
    assert dataset.notice, "a synthetic or unofficial set has to say so"
    assert len(set(dataset.classes)) == len(dataset.classes) >= 2
    assert len(dataset.content_hash) == 64
    assert dataset.synthetic == (dataset.name == "synthetic")


def test_loading_storing_and_opening_agree_and_repeat(request_for_each: DataRequest) -> None:
    first, again = load_dataset(request_for_each), load_dataset(request_for_each)
    artifact = store_dataset(request_for_each)
    opened = open_dataset(artifact.folder)
    assert first.content_hash == again.content_hash == opened.content_hash
    assert store_dataset(request_for_each) == artifact
    for split in SPLITS:
        assert np.array_equal(getattr(first, split).images, getattr(opened, split).images)
        assert np.array_equal(getattr(first, split).labels, getattr(opened, split).labels)


def test_a_limit_is_kept_with_every_class_present(request_for_each: DataRequest) -> None:
    limit = 16
    limited = DataRequest(**{**vars(request_for_each), "limit": limit})
    dataset = load_dataset(limited)
    for split in (getattr(dataset, name) for name in SPLITS):
        assert len(split.labels) <= limit
        assert len(set(split.labels.tolist())) == len(dataset.classes)


def test_no_path_of_this_machine_enters_a_stored_data_set(request_for_each: DataRequest) -> None:
    manifest = store_dataset(request_for_each).manifest.model_dump_json()
    assert str(request_for_each.cache.parent) not in manifest
