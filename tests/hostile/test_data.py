"""Broken images, archives, files and folders: each is refused by name, in one message, and left unchanged."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from assay.errors import ArtifactError, AssayError, DataError, InputError
from assay.train.datasets.data import DataRequest, load_dataset, open_dataset, store_dataset
from tests.train.makers import TOP, cell_image, isolate, npz_arrays, write_cells, write_npz, zip_folder

Arrays = dict[str, NDArray[np.generic]]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path / "home")


@pytest.fixture(scope="module")
def intact_cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cells(tmp_path_factory.mktemp("cells"), 3)


@pytest.fixture
def cells(intact_cells: Path, tmp_path: Path) -> Path:
    """A separate folder to break."""
    return Path(shutil.copytree(intact_cells, tmp_path / "cells"))


def _refusal(request: DataRequest, error: type[AssayError] = DataError) -> str:
    """The message with which a request is refused; it is complete, and nothing half-finished is left behind."""
    with pytest.raises(error) as raised:
        store_dataset(request)
    message = str(raised.value)
    assert message.count("\n") == 0
    assert raised.value.exit_code == 2
    if request.cache.is_dir():
        assert not [file for file in request.cache.iterdir() if file.is_dir() and file.name.startswith(".")]
    return message


def _pbc(archive: Path, cache: Path) -> DataRequest:
    return DataRequest(f"pbc:{archive}", 28, cache=cache)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-400])


BROKEN_IMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": _truncate,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("not an image"),
    "grey": lambda path: Image.fromarray(cell_image(1)).convert("L").save(path),
    "small": lambda path: Image.fromarray(cell_image(1, 199, 300)).save(path),
    "enormous": lambda path: Image.new("RGB", (5000, 200)).save(path),
    "gif": lambda path: Image.fromarray(cell_image(1)).save(path, format="GIF"),
}


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize("damage", BROKEN_IMAGES)
def test_an_image_that_cannot_be_used_is_named(damage: str, kind: str, cells: Path, tmp_path: Path) -> None:
    broken = cells / TOP / "monocyte" / "MO_001.jpg"
    BROKEN_IMAGES[damage](broken)
    archive = cells if kind == "folder" else zip_folder(cells, tmp_path / "cells.zip")
    message = _refusal(_pbc(archive, tmp_path / "cache"))
    assert "monocyte/MO_001.jpg" in message
    assert str(archive) in message
    assert broken.exists()


def test_a_png_with_a_broken_header_is_named(cells: Path, tmp_path: Path) -> None:
    path = cells / TOP / "ig" / "IG_009.png"
    Image.fromarray(cell_image(1)).save(path)
    content = bytearray(path.read_bytes())
    content[40:60] = bytes(20)
    path.write_bytes(bytes(content))
    assert "IG_009.png" in _refusal(_pbc(cells, tmp_path / "cache"))


@pytest.mark.parametrize(
    ("path", "word"),
    [
        (f"{TOP}/martian/MA_1.jpg", "martian"),
        (f"{TOP}/ig/deeper/IG_9.jpg", "deeper"),
        ("../../outside/IG_9.jpg", "cells.zip"),
    ],
)
def test_a_file_in_an_unknown_place_is_named(path: str, word: str, cells: Path, tmp_path: Path) -> None:
    archive = zip_folder(cells, tmp_path / "cells.zip")
    with zipfile.ZipFile(archive, "a") as bundle:
        bundle.writestr(path, b"x")
    assert word in _refusal(_pbc(archive, tmp_path / "cache"))
    assert not (tmp_path.parent / "outside").exists()


def test_folders_without_images_are_refused(cells: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no folder" in _refusal(_pbc(empty, tmp_path / "cache"))
    (empty / "holiday").mkdir()
    (empty / "holiday" / "beach.jpg").write_bytes(b"x")
    assert "found holiday" in _refusal(_pbc(empty, tmp_path / "cache"))
    shutil.rmtree(cells / TOP / "platelet")
    assert "none of platelet" in _refusal(_pbc(cells, tmp_path / "cache"))


def test_too_few_images_of_a_class_are_refused(cells: Path, tmp_path: Path) -> None:
    (cells / TOP / "ig" / "IG_002.jpg").unlink()
    assert "'ig'" in _refusal(_pbc(cells, tmp_path / "cache"))


@pytest.mark.parametrize("name", ["pbc:", "pbc:/nowhere/at/all.zip"])
def test_a_path_that_leads_nowhere_is_refused(name: str, tmp_path: Path) -> None:
    message = _refusal(DataRequest(name, 28, cache=tmp_path / "cache"))
    assert "pbc:<folder or zip>" in message


def test_damaged_zips_are_named(cells: Path, tmp_path: Path) -> None:
    archive = zip_folder(cells, tmp_path / "cells.zip")
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    assert "cells.zip" in _refusal(_pbc(archive, tmp_path / "cache"))
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    archive.write_bytes(bytes(flipped))
    message = _refusal(_pbc(archive, tmp_path / "cache"))
    assert "cells.zip" in message
    assert ".jpg" in message
    assert archive.read_bytes() == bytes(flipped)


def test_a_zip_with_one_name_twice_or_an_enormous_entry_is_refused(cells: Path, tmp_path: Path) -> None:
    archive = zip_folder(cells, tmp_path / "cells.zip")
    with zipfile.ZipFile(archive, "a") as bundle, pytest.warns(UserWarning, match="Duplicate"):
        bundle.writestr(f"{TOP}/ig/IG_001.jpg", b"x")
    assert "IG_001.jpg" in _refusal(_pbc(archive, tmp_path / "cache"))
    bomb = zip_folder(cells, tmp_path / "bomb.zip")
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr(f"{TOP}/ig/IG_009.jpg", bytes(65 << 20))
    assert "IG_009.jpg" in _refusal(_pbc(bomb, tmp_path / "cache"))


def _labels(value: int) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {**arrays, "test_labels": np.full_like(arrays["test_labels"], value)}


BROKEN_ARRAYS: dict[str, tuple[Callable[[Arrays], Arrays], str]] = {
    "label out of range": (_labels(8), "0 to 7"),
    "negative label": (
        lambda arrays: {**arrays, "val_labels": arrays["val_labels"].astype(np.int8) - 1},
        "-1 to 6",
    ),
    "float labels": (
        lambda arrays: {**arrays, "val_labels": arrays["val_labels"].astype(np.float32)}, "float32",
    ),
    "multi-label": (
        lambda arrays: {**arrays, "val_labels": np.zeros((8, 14), np.uint8)}, "8 x 14",
    ),
    "missing labels": (
        lambda arrays: {name: array for name, array in arrays.items() if name != "val_labels"}, "val_labels",
    ),
    "fewer labels": (lambda arrays: {**arrays, "val_labels": arrays["val_labels"][:-1]}, "7 x 1"),
    "NaN images": (
        lambda arrays: {**arrays, "train_images": np.full((32, 28, 28, 3), np.nan, np.float32)}, "float32",
    ),
    "another size": (lambda arrays: npz_arrays(64), "64 x 64"),
    "grey instead of colour": (lambda arrays: npz_arrays(channels=1), "28 x 28 x 3"),
    "no images": (
        lambda arrays: {**arrays, "val_images": np.empty((0, 28, 28, 3), np.uint8),
                        "val_labels": np.empty((0, 1), np.uint8)},
        "empty",
    ),
    "a class nobody trains on": (
        lambda arrays: {**arrays, "train_labels": np.zeros_like(arrays["train_labels"])}, "lacks a class",
    ),
    "Fortran order": (
        lambda arrays: {**arrays, "test_images": np.asfortranarray(arrays["test_images"])}, "ascontiguousarray",
    ),
    "pickled objects": (
        lambda arrays: {**arrays, "train_labels": np.array([object()] * 32, object)}, "bloodmnist.npz",
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", BROKEN_ARRAYS)
def test_arrays_that_are_not_what_they_should_be_are_refused(damage: str, tmp_path: Path) -> None:
    change, word = BROKEN_ARRAYS[damage]
    path = write_npz(tmp_path / "data" / "bloodmnist.npz", change(npz_arrays()))
    before = path.read_bytes()
    message = _refusal(DataRequest("bloodmnist", 28, root=path.parent, cache=tmp_path / "cache"))
    assert "bloodmnist.npz" in message
    assert word in message
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"no zip at all" * 100,
        lambda content: content[:60000] + bytes(64) + content[60064:],
        lambda content: content[:30] + b"\xff" * 60 + content[90:],
    ],
    ids=["half", "empty", "not a zip", "changed pixels", "changed header"],
)
def test_damaged_npz_files_are_named_and_kept(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = write_npz(tmp_path / "data" / "bloodmnist.npz", npz_arrays())
    broken = damage(path.read_bytes())
    path.write_bytes(broken)
    request = DataRequest("bloodmnist", 28, root=path.parent, cache=tmp_path / "cache")
    assert "bloodmnist.npz" in _refusal(request)
    assert path.read_bytes() == broken


def test_a_changed_pixel_is_found_even_behind_the_images_asked_for(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "data" / "bloodmnist.npz", npz_arrays())
    content = path.read_bytes()
    place = content.index(npz_arrays()["train_images"].tobytes()) + 31 * 28 * 28 * 3
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    request = DataRequest("bloodmnist", 28, root=path.parent, limit=8, cache=tmp_path / "cache")
    assert "an incomplete archive" in _refusal(request)


def test_an_official_name_with_another_checksum_is_refused_outside_a_named_folder(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "home" / ".medmnist" / "bloodmnist.npz", npz_arrays())
    message = _refusal(DataRequest("bloodmnist", 28, cache=tmp_path / "cache"))
    assert str(path) in message
    assert "7053d0359d879ad8a5505303e11de1dc" in message
    assert path.exists()


def test_a_file_with_a_damaged_description_is_refused(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "data" / "bloodmnist.npz", npz_arrays())
    with zipfile.ZipFile(path, "a") as bundle:
        bundle.writestr("assay.json", json.dumps({"name": "pbc"}))
    message = _refusal(DataRequest("bloodmnist", 28, root=path.parent, cache=tmp_path / "cache"))
    assert "assay.json" in message


def test_a_missing_file_in_a_named_folder_says_where_it_is_published(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    message = _refusal(DataRequest("bloodmnist", 64, root=tmp_path / "data", cache=tmp_path / "cache"))
    assert "bloodmnist_64.npz" in message
    assert "https://" in message


def test_a_cache_that_cannot_be_written_is_one_message(cells: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    assert "cache" in _refusal(_pbc(cells, tmp_path / "cache"), InputError)
    assert "cache" in _refusal(DataRequest("synthetic", 12, limit=8, cache=tmp_path / "cache"), InputError)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_message_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_to_full_disk(path: Path, *_: object) -> None:
        path.symlink_to("/dev/full")
        with path.open("wb", buffering=0) as stream:
            stream.write(b"x")

    monkeypatch.setattr("assay.train.datasets.data.write_array", write_to_full_disk)
    request = DataRequest("synthetic", 12, limit=8, cache=tmp_path / "cache")
    assert "No space left" in _refusal(request, InputError)
    assert list((tmp_path / "cache").iterdir()) == []


BROKEN_STORES: dict[str, Callable[[Path], object]] = {
    "images cut short": lambda folder: _truncate(folder / "train_images.npy"),
    "labels gone": lambda folder: (folder / "test_labels.npy").unlink(),
    "other labels": lambda folder: np.save(folder / "test_labels.npy", np.zeros(8, np.int64)),
    "labels of another shape": lambda folder: np.save(folder / "test_labels.npy", np.arange(8)[:, None]),
    "manifest cut short": lambda folder: _truncate(folder / "manifest.json"),
    "images of another kind": lambda folder: np.save(folder / "train_images.npy", np.zeros((8, 12, 12, 3), np.float32)),
}


@pytest.mark.parametrize("damage", BROKEN_STORES)
def test_every_reader_refuses_a_damaged_stored_data_set(damage: str, tmp_path: Path) -> None:
    request = DataRequest("synthetic", 12, limit=8, cache=tmp_path)
    folder = store_dataset(request).folder
    BROKEN_STORES[damage](folder)
    with pytest.raises(ArtifactError, match="Delete the folder"):
        open_dataset(folder)
    with pytest.raises(ArtifactError, match="Delete the folder"):
        store_dataset(request)


def test_facts_that_say_nothing_are_refused(tmp_path: Path) -> None:
    folder = store_dataset(DataRequest("synthetic", 12, limit=8, cache=tmp_path)).folder
    manifest = json.loads((folder / "manifest.json").read_text())
    for change in ({"facts": {}}, {"kind": "weights"}):
        (folder / "manifest.json").write_text(json.dumps({**manifest, **change}))
        with pytest.raises(ArtifactError, match=folder.name):
            open_dataset(folder)


def test_stopping_half_way_leaves_nothing_half_made(cells: Path, tmp_path: Path) -> None:
    def stop(label: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store_dataset(_pbc(cells, tmp_path / "cache"), stop)
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["digests.json"]
    assert load_dataset(_pbc(cells, tmp_path / "cache")).train.labels.size
