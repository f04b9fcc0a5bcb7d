"""The PBC images: splitting, cropping, resizing, archives, and the complete published set if available."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from assay.errors import DataError
from assay.train.datasets.archive import Member, list_members
from assay.train.datasets.data import SPLITS, DataRequest, load_dataset, open_dataset, store_dataset
from assay.train.datasets.pbc import ATTRIBUTION, CLASSES, OFFICIAL_COUNTS, split_by_content, split_counts
from tests.real_images import PBC, REPOSITORY
from tests.train.makers import TOP, cell_image, isolate, write_cells, zip_folder

Archive = tuple[list[Member], list[bytes]]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cells(tmp_path_factory.mktemp("cells"))


@st.composite
def archives(draw: st.DrawFn) -> Archive:
    """Members and contents: for each class its own images, then some that repeat others."""
    members, digests = [], []
    for label, name in enumerate(CLASSES):
        for number in range(draw(st.integers(12, 30))):
            members.append(Member(f"{TOP}/{name}/{number}", f"{name}/{number}", label))
            digests.append(f"{name}/{number}".encode())
    for number in range(draw(st.integers(0, 8))):
        label = draw(st.integers(0, len(CLASSES) - 1))
        members.append(Member(f"{TOP}/{CLASSES[label]}/again{number}", f"{CLASSES[label]}/again{number}", label))
        digests.append(digests[draw(st.integers(0, len(digests) - 1))])
    return members, digests


@settings(max_examples=40)
@given(archives(), st.integers(-5, 2**40))
def test_a_split_is_complete_disjoint_and_stratified(archive: Archive, seed: int) -> None:
    members, digests = archive
    splits = split_by_content(members, digests, seed)
    assert sorted(np.concatenate(list(splits.values())).tolist()) == list(range(len(members)))
    totals = Counter(member.label for member in members)
    for label, name in enumerate(CLASSES):
        found = tuple(sum(members[position].label == label for position in splits[split]) for split in SPLITS)
        assert found == split_counts(name, totals[label])


@settings(max_examples=40)
@given(archives(), st.integers(0, 3))
def test_images_of_one_content_stay_together_and_contradictory_ones_train(archive: Archive, seed: int) -> None:
    members, digests = archive
    splits = split_by_content(members, digests, seed)
    side = {position: split for split, positions in splits.items() for position in positions.tolist()}
    for digest, copies in Counter(digests).items():
        group = [position for position, other in enumerate(digests) if other == digest] if copies > 1 else []
        assert len({side[position] for position in group}) <= 1
        if len({members[position].label for position in group}) > 1:
            assert {side[position] for position in group} == {"train"}


@settings(max_examples=15)
@given(archives(), st.integers(0, 3), st.randoms(use_true_random=False))
def test_a_split_depends_on_names_and_seed_alone(archive: Archive, seed: int, random: object) -> None:
    members, digests = archive
    order = list(range(len(members)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = [members[position] for position in order]
    first = split_by_content(members, digests, seed)
    second = split_by_content(shuffled, [digests[position] for position in order], seed)
    for split in SPLITS:
        assert [members[i].name for i in first[split]] == [shuffled[i].name for i in second[split]]
    other = split_by_content(members, digests, seed + 1)
    assert any(not np.array_equal(first[split], other[split]) for split in SPLITS)


def test_counts_are_bloodmnists_where_the_class_is_complete_and_proportional_elsewhere() -> None:
    assert split_counts("eosinophil", 3117) == (2181, 312, 624)
    assert split_counts("eosinophil", 100) == (70, 10, 20)
    assert split_counts("eosinophil", 3) == (1, 1, 1)


def test_too_few_different_images_are_refused_by_class() -> None:
    members = [Member(f"{name}/{i}", f"{name}/{i}", k) for k, name in enumerate(CLASSES) for i in range(5)]
    digests = [b"same" if member.label == 2 else member.name.encode() for member in members]
    with pytest.raises(DataError, match=r"'erythroblast'.*5 images, 1 different"):
        split_by_content(members, digests, 0)


def test_zip_and_folder_give_the_same_images(cells: Path, tmp_path: Path) -> None:
    bundle = zip_folder(cells, tmp_path / "cells.zip")
    from_zip = load_dataset(DataRequest(f"pbc:{bundle}", 32, cache=tmp_path / "a"))
    from_folder = load_dataset(DataRequest(f"pbc:{cells}", 32, cache=tmp_path / "b"))
    from_classes = load_dataset(DataRequest(f"pbc:{cells / TOP}", 32, cache=tmp_path / "c"))
    assert from_zip.content_hash == from_folder.content_hash == from_classes.content_hash
    assert from_zip.classes == CLASSES
    assert from_zip.attribution == ATTRIBUTION
    assert "Unofficial split" in from_zip.notice
    assert from_zip.train.images.shape == (8 * 4, 32, 32, 3)


def test_junk_of_desktops_and_files_beside_the_classes_are_passed_over(cells: Path, tmp_path: Path) -> None:
    messy = tmp_path / "messy"
    shutil.copytree(cells, messy)
    for name in (".DS_Store", "basophil/._BA_000.jpg", "neutrophil/.DS_169665.jpg", "ig/Thumbs.db", "README.txt"):
        (messy / TOP / name).write_bytes(b"junk")
    (messy / "__MACOSX" / TOP / "ig").mkdir(parents=True)
    (messy / "__MACOSX" / TOP / "ig" / "IG_000.jpg").write_bytes(b"junk")
    assert list_members(messy, CLASSES) == list_members(cells, CLASSES)
    bundle = zip_folder(messy, tmp_path / "messy.zip")
    assert list_members(bundle, CLASSES) == list_members(cells, CLASSES)


def test_the_centre_of_a_full_size_original_is_what_its_centre_crop_shows(tmp_path: Path) -> None:
    """The published images are 360 x 363; the crops keep their centre of 200 x 203."""
    full = cell_image(7, 360, 363)
    pictures = {"full": full, "crop": full[80:283, 80:280]}
    datasets = []
    for name, picture in pictures.items():
        folder = write_cells(tmp_path / name, 3)
        Image.fromarray(picture).save(folder / TOP / "ig" / "IG_900.png")
        datasets.append(load_dataset(DataRequest(f"pbc:{folder}", 200, cache=tmp_path / "cache")))
    assert datasets[0].content_hash == datasets[1].content_hash
    images = np.concatenate([getattr(datasets[0], split).images for split in SPLITS])
    assert any(np.array_equal(image, full[81:281, 80:280]) for image in images)


@pytest.mark.parametrize("size", [28, 97, 224])
def test_any_size_is_a_bicubic_resize_of_the_crop(size: int, cells: Path, tmp_path: Path) -> None:
    dataset = load_dataset(DataRequest(f"pbc:{cells}", size, cache=tmp_path))
    whole = load_dataset(DataRequest(f"pbc:{cells}", 200, cache=tmp_path))
    crop = Image.fromarray(whole.test.images[3])
    expected = np.asarray(crop.resize((size, size), Image.Resampling.BICUBIC))
    assert np.array_equal(dataset.test.images[3], expected)
    assert np.array_equal(dataset.test.labels, whole.test.labels)


def test_images_are_decoded_once(cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store_dataset(DataRequest(f"pbc:{cells}", 28, cache=tmp_path))
    monkeypatch.setattr("assay.train.datasets.pbc._decode", lambda *_: pytest.fail("decoded again"))
    store_dataset(DataRequest(f"pbc:{cells}", 40, seed=3, cache=tmp_path))
    monkeypatch.setattr("assay.train.datasets.pbc._store_crops", lambda *_: pytest.fail("asked for crops"))
    assert store_dataset(DataRequest(f"pbc:{cells}", 28, cache=tmp_path)).key == first.key


def test_an_image_moved_to_another_class_is_another_data_set(cells: Path, tmp_path: Path) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(cells, folder)
    before = store_dataset(DataRequest(f"pbc:{folder}", 28, cache=tmp_path / "cache"))
    (folder / TOP / "platelet" / "PL_005.jpg").rename(folder / TOP / "neutrophil" / "PL_005.jpg")
    after = store_dataset(DataRequest(f"pbc:{folder}", 28, cache=tmp_path / "cache"))
    assert before.key != after.key


@pytest.mark.slow
def test_the_complete_published_set_splits_as_bloodmnist_does() -> None:
    """On the real images. The decoded crops stay in the repository's own cache, as those of a study do."""
    if not Path(PBC).exists():
        pytest.skip(f"needs the real PBC images, at {PBC} or named by ASSAY_PBC")
    members = list_members(Path(PBC), CLASSES)
    if Counter(member.label for member in members) != {
        label: sum(counts) for label, counts in enumerate(OFFICIAL_COUNTS.values())
    }:
        pytest.skip(f"{PBC} is not the complete PBC set")
    artifact = store_dataset(DataRequest(f"pbc:{PBC}", 28, cache=REPOSITORY / "artifacts" / "data"))
    dataset = open_dataset(artifact.folder)
    counts = zip(*OFFICIAL_COUNTS.values(), strict=True)
    for split, expected in zip(SPLITS, counts, strict=True):
        labels = getattr(dataset, split).labels
        assert np.bincount(labels).tolist() == list(expected)
    rows = {split: {image.tobytes() for image in getattr(dataset, split).images} for split in SPLITS}
    assert not rows["train"] & rows["test"]
    assert not rows["train"] & rows["validation"]
    assert not rows["validation"] & rows["test"]
    assert sum(map(len, rows.values())) == 17092 - 17
