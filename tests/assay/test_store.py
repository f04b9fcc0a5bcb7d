"""Artifacts are whole or absent, and verified when they are read."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from assay.errors import ArtifactError, InputError
from assay.records.base import Interval
from assay.store import (
    MANIFEST,
    TRY_AGAIN,
    Fill,
    Store,
    artifact_key,
    find_artifact,
    read_artifact,
    write_artifact,
    write_atomically,
    write_together,
)

INPUTS: dict[str, JsonValue] = {"seed": 1, "spec": {"size": 28}}


def make(folder: Path, text: str = "content", inputs: dict[str, JsonValue] | None = None) -> None:
    def fill(work: Path) -> dict[str, JsonValue]:
        (work / "file.txt").write_text(text)
        return {"length": len(text)}

    write_artifact(folder, "thing", inputs or INPUTS, made_by={"us": "1"}, fill=fill)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    make(tmp_path / "a")
    artifact = read_artifact(tmp_path / "a", "thing")
    assert artifact.file("file.txt").read_text() == "content"
    assert artifact.manifest.facts == {"length": 7}
    assert artifact.key == artifact_key("thing", INPUTS)


def test_a_changed_file_is_refused_with_its_name(tmp_path: Path) -> None:
    make(tmp_path / "a")
    (tmp_path / "a" / "file.txt").write_text("Content")
    with pytest.raises(ArtifactError, match=r"file\.txt is not the file that was written"):
        read_artifact(tmp_path / "a", "thing")


def test_a_missing_file_is_refused_with_its_name(tmp_path: Path) -> None:
    make(tmp_path / "a")
    (tmp_path / "a" / "file.txt").unlink()
    with pytest.raises(ArtifactError, match="no such file"):
        read_artifact(tmp_path / "a", "thing")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 99}'])
def test_a_damaged_manifest_is_refused(tmp_path: Path, text: str) -> None:
    make(tmp_path / "a")
    (tmp_path / "a" / MANIFEST).write_text(text)
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_artifact(tmp_path / "a", "thing")


def test_another_kind_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "a")
    with pytest.raises(ArtifactError, match="expected other, found thing"):
        read_artifact(tmp_path / "a", "other")


def test_only_the_same_inputs_find_it(tmp_path: Path) -> None:
    make(tmp_path / "a")
    assert find_artifact(tmp_path / "a", "thing", INPUTS) is not None
    assert find_artifact(tmp_path / "a", "thing", INPUTS | {"seed": 2}) is None
    assert find_artifact(tmp_path / "b", "thing", INPUTS) is None


def test_a_failed_writer_leaves_the_finished_one(tmp_path: Path) -> None:
    make(tmp_path / "a")

    def fail(work: Path) -> dict[str, JsonValue]:
        (work / "half.txt").write_text("half")
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        write_artifact(tmp_path / "a", "thing", INPUTS, made_by={}, fill=fail)
    assert read_artifact(tmp_path / "a", "thing").file("file.txt").read_text() == "content"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def counted(made: list[str], facts: dict[str, JsonValue] | None = None) -> Fill:
    """Write one file that says how many times the artifact was made."""

    def fill(work: Path) -> dict[str, JsonValue]:
        made.append("made")
        (work / "file.txt").write_text(str(len(made)))
        return facts or {}

    return fill


@pytest.mark.parametrize("shared", [False, True])
def test_an_artifact_is_made_once_and_again_for_other_inputs(tmp_path: Path, shared: bool) -> None:
    made: list[str] = []
    store = Store(tmp_path, shared=shared)
    assert store.found("thing", INPUTS, "name") is None
    first = store.kept("thing", INPUTS, counted(made), name="name")
    assert store.kept("thing", INPUTS, counted(made), name="name") == first == store.found("thing", INPUTS, "name")
    other = store.kept("thing", INPUTS | {"seed": 2}, counted(made), name="name")
    assert made == ["made", "made"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"name-{one.key[:12]}" for one in (first, other))


def test_a_single_one_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    made: list[str] = []
    for seed in (1, 2):
        Store(tmp_path).kept("thing", INPUTS | {"seed": seed}, counted(made), name="name", single=True)
    assert [path.name for path in tmp_path.iterdir()] == ["name"]
    assert (tmp_path / "name" / "file.txt").read_text() == "2"


def test_what_may_end_otherwise_is_kept_and_made_again(tmp_path: Path) -> None:
    made: list[str] = []
    store = Store(tmp_path)
    store.kept("thing", INPUTS, counted(made, {TRY_AGAIN: True}))
    assert store.found("thing", INPUTS) is not None
    store.kept("thing", INPUTS, counted(made, {TRY_AGAIN: False}))
    assert store.kept("thing", INPUTS, counted(made)).file("file.txt").read_text() == "2"


@pytest.mark.parametrize(("anew", "times"), [(True, 2), (False, 1), (lambda artifact: artifact.key == "", 1)])
def test_an_artifact_can_be_made_again_on_request(tmp_path: Path, anew: bool, times: int) -> None:
    made: list[str] = []
    store = Store(tmp_path)
    store.kept("thing", INPUTS, counted(made))
    (found,) = tmp_path.iterdir()
    (found / "file.txt").write_text("damaged" if anew is True else "1")
    store.kept("thing", INPUTS, counted(made), anew=anew)
    assert len(made) == times


def test_what_fails_while_it_is_made_is_not_kept(tmp_path: Path) -> None:
    def fail(work: Path) -> dict[str, JsonValue]:
        (work / "half.txt").write_text("half")
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        Store(tmp_path, shared=True).kept("thing", INPUTS, fail)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Cannot write"):
        make(tmp_path / "file" / "a")
    with pytest.raises(InputError, match="Cannot write"):
        write_atomically(tmp_path / "file" / "b", b"")


@given(st.dictionaries(st.text(max_size=5), st.integers(), max_size=5))
def test_the_key_does_not_depend_on_order(inputs: dict[str, int]) -> None:
    turned = dict(reversed(inputs.items()))
    assert artifact_key("thing", inputs) == artifact_key("thing", turned)
    assert artifact_key("thing", inputs) != artifact_key("other", inputs)


def test_the_key_of_the_same_inputs_stays_what_it_was() -> None:
    """If this key changed, every finished artifact would be made again."""
    text = '{"inputs":{"seed":1,"spec":{"size":28}},"kind":"thing"}'
    assert artifact_key("thing", INPUTS) == hashlib.sha256(text.encode()).hexdigest()


def test_a_file_in_a_folder_of_an_artifact_is_verified_too(tmp_path: Path) -> None:
    def fill(work: Path) -> dict[str, JsonValue]:
        (work / "deep" / "down").mkdir(parents=True)
        (work / "deep" / "down" / "file.txt").write_text("content")
        return {}

    made = write_artifact(tmp_path / "a", "thing", INPUTS, made_by={}, fill=fill)
    assert list(made.manifest.files) == ["deep/down/file.txt"]
    made.file("deep/down/file.txt").write_text("Content")
    with pytest.raises(ArtifactError, match=r"file\.txt is not the file"):
        read_artifact(tmp_path / "a", "thing")


def test_a_changed_file_is_reported_with_shortened_hashes(tmp_path: Path) -> None:
    make(tmp_path / "a")
    (tmp_path / "a" / "file.txt").write_text("Content")
    was, is_now = (hashlib.sha256(text.encode()).hexdigest()[:12] for text in ("content", "Content"))
    with pytest.raises(ArtifactError, match=rf"expected sha256 {was}\.\.\., found sha256 {is_now}\.\.\."):
        read_artifact(tmp_path / "a", "thing")


def test_a_written_file_may_be_read_by_others_and_is_not_executable(tmp_path: Path) -> None:
    write_atomically(tmp_path / "new" / "deep" / "file", b"content")
    write_atomically(tmp_path / "new" / "deep" / "file", b"other")
    assert (tmp_path / "new" / "deep" / "file").read_bytes() == b"other"
    assert (tmp_path / "new" / "deep" / "file").stat().st_mode & 0o777 == 0o644
    assert [one.name for one in (tmp_path / "new" / "deep").iterdir()] == ["file"]


def test_a_file_that_an_artifact_has_not_is_named(tmp_path: Path) -> None:
    make(tmp_path / "a")
    with pytest.raises(ArtifactError, match=r"has no file 'other': expected one of file\.txt"):
        read_artifact(tmp_path / "a", "thing").file("other")


def test_an_artifact_keeps_a_record_in_a_file_or_among_its_facts(tmp_path: Path) -> None:
    kept = Interval(value=2.0, low=1.0, high=3.0)

    def fill(work: Path) -> dict[str, JsonValue]:
        (work / "kept.json").write_text(kept.model_dump_json())
        return {"fact": kept.model_dump()}

    made = write_artifact(tmp_path / "a", "thing", INPUTS, made_by={}, fill=fill)
    assert made.record(Interval, "kept.json") == made.record(Interval, "fact") == kept
    with pytest.raises(ArtifactError, match="has no readable other"):
        made.record(Interval, "other")


def test_files_that_belong_together_are_all_written(tmp_path: Path) -> None:
    write_together(tmp_path, {"a": b"one", "b": b"two"})
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {"a": b"one", "b": b"two"}


def test_the_error_of_a_writer_is_reported_even_if_its_folder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(handle: int) -> None:
        shutil.rmtree(tmp_path / "folder")
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", gone)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "folder" / "file", b"content")


def test_a_file_that_cannot_take_its_name_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="Cannot write"):
        write_atomically(tmp_path / "folder", b"content")
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]
