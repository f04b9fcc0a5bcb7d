"""Loading, limiting, storing and finding data sets, and what "auto" selects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import ArtifactError, DataError, InputError
from assay.train.datasets.data import SPLITS, DataRequest, load_dataset, open_dataset, resolve_auto, store_dataset
from assay.train.datasets.sources import UnavailableError, remembered_digest, stratified
from tests.train.makers import isolate, npz_arrays, write_cells, write_npz


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path / "home")


@given(st.lists(st.integers(0, 7), min_size=1, max_size=300), st.integers(0, 320))
def test_a_limit_keeps_the_share_of_every_class(listed: list[int], limit: int) -> None:
    labels = np.array(listed, np.int64)
    chosen = stratified(labels, limit)
    wanted = min(limit, len(labels)) if limit else len(labels)
    assert len(chosen) == wanted
    assert (np.diff(chosen) > 0).all()
    before, after = np.bincount(labels, minlength=8), np.bincount(labels[chosen], minlength=8)
    classes = np.count_nonzero(before)
    assert (after <= before).all()
    assert np.count_nonzero(after) == min(classes, wanted)
    assert (np.abs(after - before * wanted / len(labels)) <= max(1, classes - 1)).all()


@given(st.lists(st.integers(0, 7), min_size=2, max_size=300), st.data())
def test_a_larger_limit_only_adds_images(listed: list[int], data: st.DataObject) -> None:
    labels = np.array(listed, np.int64)
    small = data.draw(st.integers(1, len(labels)))
    large = data.draw(st.integers(small, len(labels)))
    assert set(stratified(labels, small)) <= set(stratified(labels, large))


@pytest.mark.parametrize("limit", [0, 20])
def test_a_stored_data_set_opens_as_what_was_loaded(limit: int, tmp_path: Path) -> None:
    request = DataRequest("synthetic", 12, limit=limit, cache=tmp_path)
    loaded = load_dataset(request)
    artifact = store_dataset(request)
    opened = open_dataset(artifact.folder)
    assert artifact.manifest.kind == "dataset"
    assert artifact.folder.name == f"synthetic-12-{artifact.key[:12]}"
    for split in SPLITS:
        first, second = getattr(loaded, split), getattr(opened, split)
        assert isinstance(second.images, np.memmap)
        assert np.array_equal(first.images, second.images)
        assert np.array_equal(first.labels, second.labels)
    assert (loaded.content_hash, loaded.classes, loaded.notice, loaded.synthetic) == (
        opened.content_hash, opened.classes, opened.notice, opened.synthetic,
    )  # fmt: skip


def test_facts_of_a_stored_data_set_say_what_a_report_needs(tmp_path: Path) -> None:
    facts = store_dataset(DataRequest("synthetic", 12, limit=16, cache=tmp_path)).manifest.facts
    assert facts["synthetic"] is True
    assert "SYNTHETIC" in str(facts["notice"])
    assert facts["counts"] == {split: [2] * 8 for split in SPLITS}
    assert {"name", "size", "classes", "attribution", "licence", "content_hash"} <= set(facts)


def test_a_stored_data_set_is_found_again_without_being_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = DataRequest("synthetic", 12, limit=16, cache=tmp_path)
    first = store_dataset(request)
    monkeypatch.setattr("assay.train.datasets.synthetic.draw", lambda *_: pytest.fail("drawn again"))
    assert store_dataset(request) == first


def test_what_determines_the_images_determines_the_key(tmp_path: Path) -> None:
    requests = [
        DataRequest("synthetic", 12, limit=16, cache=tmp_path),
        DataRequest("synthetic", 13, limit=16, cache=tmp_path),
        DataRequest("synthetic", 12, limit=17, cache=tmp_path),
        DataRequest("synthetic", 12, limit=16, seed=1, cache=tmp_path),
    ]
    assert len({store_dataset(request).key for request in requests}) == 4


def test_progress_is_reported_and_reaches_its_total(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    load_dataset(DataRequest("synthetic", 12, limit=16, cache=tmp_path), lambda *progress: told.append(progress))
    assert told
    assert all(label and 0 < done <= total for label, done, total in told)
    assert told[-1][1] == told[-1][2]


def test_a_digest_is_remembered_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    first = remembered_digest(tmp_path / "cache", [file])
    monkeypatch.setattr("assay.train.datasets.sources._file_digest", lambda *_: "hashed again")
    assert remembered_digest(tmp_path / "cache", [file]) == first
    file.write_bytes(b"other")
    assert remembered_digest(tmp_path / "cache", [file]) == "hashed again"
    (tmp_path / "cache" / "digests.json").write_text("{not json")
    assert remembered_digest(tmp_path / "cache", [file]) == "hashed again"


@pytest.mark.parametrize("variable", ["ASSAY_PBC", "ASSAY_DATA_ROOT", "root"])
def test_auto_takes_named_files_first(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pbc = variable != "ASSAY_DATA_ROOT"
    if pbc:
        place = write_cells(tmp_path / "cells", 3)
    else:
        place = write_npz(tmp_path / "npz" / "bloodmnist.npz", npz_arrays()).parent
    if variable != "root":
        monkeypatch.setenv(variable, str(place))
    request = DataRequest("auto", 28, root=place if variable == "root" else None, cache=tmp_path / "cache")
    dataset = load_dataset(request)
    assert dataset.name == ("pbc" if pbc else "bloodmnist")
    assert not dataset.synthetic
    assert dataset.notice
    assert "SYNTHETIC" not in capsys.readouterr().err


def test_auto_without_data_draws_with_a_banner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_download(*_: object) -> None:
        raise UnavailableError("bloodmnist.npz could not be downloaded", found="no network")

    monkeypatch.setattr("assay.train.datasets.medmnist_sets.download", no_download)
    dataset = load_dataset(DataRequest("auto", 28, limit=16, cache=tmp_path))
    shown = capsys.readouterr().err
    assert "SYNTHETIC IMAGES" in shown
    assert "no network" in shown
    assert dataset.synthetic
    assert dataset.name == "synthetic"
    assert dataset.notice.startswith("SYNTHETIC")
    with pytest.raises(UnavailableError):
        load_dataset(DataRequest("bloodmnist", 28, cache=tmp_path))


def test_auto_resolves_once_for_all_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = DataRequest("auto", 28, cache=tmp_path)
    resolved = resolve_auto(request, (96, 28))
    assert resolved.name == "synthetic"
    assert "96 x 96" in capsys.readouterr().err
    assert resolve_auto(resolved, (28,)) == resolved


def test_auto_never_passes_over_a_damaged_file(tmp_path: Path) -> None:
    for root in (tmp_path / "npz", tmp_path / "home" / ".medmnist"):
        root.mkdir(parents=True)
        (root / "bloodmnist.npz").write_bytes(b"half a file")
        named = None if root.name == ".medmnist" else root
        with pytest.raises(DataError, match=r"bloodmnist\.npz"):
            load_dataset(DataRequest("auto", 28, root=named, cache=tmp_path / "cache"))
        assert (root / "bloodmnist.npz").read_bytes() == b"half a file"


def test_auto_with_a_name_that_leads_nowhere_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_PBC", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="nowhere"):
        load_dataset(DataRequest("auto", 28, cache=tmp_path))


def test_an_unknown_name_is_reported_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'synthetic'"):
        load_dataset(DataRequest("sinthetic", 28, cache=tmp_path))


def test_open_dataset_refuses_a_folder_that_is_not_a_stored_data_set(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="nothing"):
        open_dataset(tmp_path / "nothing")
