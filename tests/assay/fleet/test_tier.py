"""Machines share artifacts: each content is stored once and verified, and a damaged one is never used."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import JsonValue

from assay.errors import ArtifactError, DiskError, InputError, NotInstalledError
from assay.fleet.shelf import CloudShelf, FolderShelf, Shelf, shelf_at
from assay.fleet.tier import SharedTier
from assay.store import MANIFEST, TRY_AGAIN, Artifact, Store

INPUTS: dict[str, JsonValue] = {"seed": 1}


@pytest.fixture(params=["folder", "memory"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    """A folder, and in place of a bucket fsspec's own file system with the operations that clouds have."""
    return shelf_at(str(tmp_path / "shared") if request.param == "folder" else f"memory://{tmp_path.name}")


class Node:
    """A machine with its own disk."""

    def __init__(self, folder: Path, shelf: Shelf) -> None:
        self.store = Store(folder, tier=SharedTier(shelf))
        self.made = 0

    def kept(self, text: str = "content", inputs: dict[str, JsonValue] = INPUTS, **facts: JsonValue) -> Artifact:
        def fill(work: Path) -> dict[str, JsonValue]:
            self.made += 1
            (work / "inside").mkdir()
            (work / "inside" / "weights.bin").write_text(text)
            (work / "log.txt").write_text("the same of all")
            return facts

        return self.store.kept("weights of ours", inputs, fill, name="one")

    def text(self, **more: object) -> str:
        return (self.kept(**more).file("inside/weights.bin")).read_text()  # type: ignore[arg-type]


def test_what_one_machine_made_the_others_take(shelf: Shelf, tmp_path: Path) -> None:
    first, second = Node(tmp_path / "a", shelf), Node(tmp_path / "b", shelf)
    made = first.kept("ours", pace=3)
    found = second.kept("theirs")
    assert (first.made, second.made) == (1, 0)
    assert found.manifest == made.manifest
    assert found.file("inside/weights.bin").read_text() == "ours"
    assert second.kept().folder == found.folder, "and has it on its own disk from then on"


def test_one_content_is_shared_by_all(shelf: Shelf, tmp_path: Path) -> None:
    """Two machines train at once: the one that finishes last continues with what was shared first."""
    first, second = Node(tmp_path / "a", shelf), Node(tmp_path / "b", shelf)

    def fill(work: Path) -> dict[str, JsonValue]:
        first.kept("first")  # while the second one works
        (work / "inside").mkdir()
        (work / "inside" / "weights.bin").write_text("second")
        (work / "log.txt").write_text("")
        return {}

    found = second.store.kept("weights of ours", INPUTS, fill, name="one")
    assert found.file("inside/weights.bin").read_text() == "first"
    assert second.text() == "first"


def test_another_content_that_was_here_before_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    alone = Node(tmp_path / "a", shelf)
    Store(alone.store.folder).kept("weights of ours", INPUTS, _fill_alone, name="one")
    Node(tmp_path / "b", shelf).kept("theirs")
    with pytest.raises(ArtifactError, match="differs from what the shared store has"):
        alone.kept()


def test_what_was_here_before_is_shared(shelf: Shelf, tmp_path: Path) -> None:
    Store(tmp_path / "a").kept("weights of ours", INPUTS, _fill_alone, name="one")
    Node(tmp_path / "a", shelf).kept()
    later = Node(tmp_path / "b", shelf)
    assert later.text() == "alone"
    assert later.made == 0


def test_what_may_end_otherwise_is_not_shared(shelf: Shelf, tmp_path: Path) -> None:
    Node(tmp_path / "a", shelf).kept("crashed", **{TRY_AGAIN: True})
    second = Node(tmp_path / "b", shelf)
    assert second.text(text="whole") == "whole"


def test_one_file_of_two_artifacts_is_there_once(tmp_path: Path) -> None:
    node = Node(tmp_path / "a", FolderShelf(tmp_path / "shared"))
    node.kept("one", {"seed": 1})
    node.kept("two", {"seed": 2})
    objects = [one for one in (tmp_path / "shared/objects").rglob("*") if one.is_file()]
    assert len(objects) == 3, "two weights and the log that both have"


@pytest.mark.parametrize("damage", ["changed", "cut", "gone", "manifest cut", "manifest of another"])
def test_a_damaged_artifact_is_made_again_and_shared_again(damage: str, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    Node(tmp_path / "a", FolderShelf(shared)).kept("content")
    manifest = next(shared.rglob(MANIFEST))
    largest = max((shared / "objects").rglob("*"), key=lambda one: one.is_file() and one.read_text() == "content")
    if damage == "changed":
        largest.write_text("Content")
    elif damage == "cut":
        largest.write_text("")
    elif damage == "gone":
        largest.unlink()
    elif damage == "manifest cut":
        manifest.write_text(manifest.read_text()[:50])
    else:
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"inputs": {"seed": 9}}))
    second, third = Node(tmp_path / "b", FolderShelf(shared)), Node(tmp_path / "c", FolderShelf(shared))
    assert second.text(text="content") == "content"
    assert third.text(text="nobody makes this") == "content"
    assert (second.made, third.made) == (1, 0)


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", "inside/../../escaped", "a\\..\\b", MANIFEST, ""])
def test_a_manifest_that_leads_outside_is_refused(name: str, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    Node(tmp_path / "a", FolderShelf(shared)).kept()
    path = next(shared.rglob(MANIFEST))
    manifest = json.loads(path.read_text())
    sha256 = manifest["files"].pop("log.txt")
    path.write_text(json.dumps(manifest | {"files": manifest["files"] | {name: sha256}}))
    with pytest.raises(ArtifactError, match="is not a manifest written by Assay"):
        Node(tmp_path / "b", FolderShelf(shared)).kept()
    assert not (tmp_path / "escaped").exists()
    assert not Path("/tmp/escaped").exists()


def test_a_store_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match="not a store that machines can share"):
        shelf_at("http://example.org/store")


def test_a_cloud_whose_package_lacks_is_named_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(NotInstalledError, match="pip install s3fs"):
        shelf_at("s3://bucket/place")


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError):
        Node(tmp_path / "a", FolderShelf(tmp_path / "file" / "shared")).kept()


def test_only_one_creates(shelf: Shelf) -> None:
    assert shelf.create("a/b", b"first")
    assert not shelf.create("a/b", b"second")
    assert shelf.read("a/b") == b"first"
    shelf.remove("a/b")
    shelf.remove("a/b")
    assert shelf.read("a/b") is None
    assert not shelf.has("a/b")


def test_an_object_that_another_machine_created_is_not_a_failure_of_the_cloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 answers 412 where there is an object, and its package turns this into an OSError."""
    shelf = shelf_at(f"memory://{tmp_path.name}")
    assert isinstance(shelf, CloudShelf)

    def refuses(path: str, content: bytes, mode: str) -> None:
        assert mode == "create"
        raise OSError(errno.EINVAL, "At least one of the pre-conditions you specified did not hold")

    assert shelf.create("a/b", b"first")
    monkeypatch.setattr(shelf.system, "pipe_file", refuses)
    assert not shelf.create("a/b", b"second")
    assert shelf.read("a/b") == b"first"
    with pytest.raises(DiskError, match="pre-conditions"):
        shelf.create("a/c", b"third")


class Cut(FolderShelf):
    """A place that is cut off after so many files have been put there."""

    def __init__(self, folder: Path, left: int) -> None:
        super().__init__(folder)
        self.left = left

    def put(self, name: str, file: Path) -> None:
        if not self.left:
            raise DiskError("The store cannot be used")
        self.left -= 1
        super().put(name, file)

    def create(self, name: str, content: bytes) -> bool:
        assert all(self.has(f"objects/{one[:2]}/{one}") for one in json.loads(content)["files"].values())
        return super().create(name, content)


def test_an_artifact_is_there_with_all_its_files_or_not_at_all(tmp_path: Path) -> None:
    """The manifest is written last, when every file that it names is there."""
    for left in (0, 1):
        with pytest.raises(DiskError):
            Node(tmp_path / f"cut{left}", Cut(tmp_path / "shared", left)).kept("ours")
        assert list((tmp_path / "shared").rglob(MANIFEST)) == []
    later = Node(tmp_path / "whole", Cut(tmp_path / "shared", 2))
    assert later.text(text="ours") == "ours"
    assert Node(tmp_path / "other", FolderShelf(tmp_path / "shared")).text(text="nobody makes this") == "ours"


WRITER = """
import json, os, random, sys, time
from pathlib import Path
from assay.fleet.shelf import shelf_at
from assay.fleet.tier import SharedTier
from assay.store import Store

own, shared, number = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
store, read = Store(own, tier=SharedTier(shelf_at(shared))), {}
order = list(range(12))
random.Random(number).shuffle(order)
for seed in order:
    def fill(work):
        time.sleep(0.03)
        (work / "weights.bin").write_bytes(os.urandom(30_000))
        (work / "same.txt").write_text("same")
        return {}
    made = store.kept("weights", {"seed": seed}, fill, name="w")
    read[seed] = made.manifest.files["weights.bin"]
print(json.dumps(read))
"""


def race(tmp_path: Path, writers: int, *, kills: int = 0) -> list[dict[str, str]]:
    """The content with which each of several processes continues after all made the same artifacts at once."""
    shared = str(tmp_path / "shared")
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / f"own-{n}"), shared, str(n)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        for n in range(writers)
    ]
    chosen = random.Random(3).sample(started, kills)
    if chosen:
        time.sleep(0.9)
    for one in chosen:
        one.kill()
    told = [one.communicate()[0] for one in started]
    assert all(one.returncode == 0 for one in started if one not in chosen)
    return [json.loads(text) for one, text in zip(started, told, strict=True) if one not in chosen]


def test_several_writers_at_once_go_on_with_one_content(tmp_path: Path) -> None:
    first, *others = race(tmp_path, 3)
    assert len(first) == 12
    assert all(one == first for one in others)
    manifests = list((tmp_path / "shared/artifacts").rglob(MANIFEST))
    assert {json.loads(one.read_text())["files"]["weights.bin"] for one in manifests} == set(first.values())


@pytest.mark.slow
def test_writers_that_are_killed_leave_nothing_that_others_trip_over(tmp_path: Path) -> None:
    for attempt in range(5):
        first, *others = race(tmp_path / str(attempt), 6, kills=3)
        assert all(one == first for one in others)
        later = Node(tmp_path / str(attempt) / "later", FolderShelf(tmp_path / str(attempt) / "shared"))
        assert later.store.kept("weights", {"seed": 0}, _never, name="w").manifest.files["weights.bin"] == first["0"]


def _fill_alone(work: Path) -> dict[str, JsonValue]:
    (work / "inside").mkdir()
    (work / "inside" / "weights.bin").write_text("alone")
    (work / "log.txt").write_text("the same of all")
    return {}


def _never(work: Path) -> dict[str, JsonValue]:
    raise AssertionError(f"made again in {work}")
