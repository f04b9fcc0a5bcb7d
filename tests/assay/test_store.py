"""Artifacts: whole or absent, verified when read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from assay.errors import ArtifactError, InputError
from assay.store import MANIFEST, artifact_key, find_artifact, read_artifact, write_artifact, write_atomically

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
