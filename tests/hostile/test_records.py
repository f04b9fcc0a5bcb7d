"""Every reader of a record gets something that is not such a record: one message of ours, with the file and the
mistake.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.bench.deployment import measured
from assay.errors import AssayError, InputError, WorkerError
from assay.jobs.job import read_as
from assay.records.audit import AUDIT_FILE, read_audit
from assay.records.base import Interval
from assay.records.choice import CHOICE_FILE, read_choice
from assay.records.deployment import DEPLOYMENT_FILE, read_deployment
from assay.records.load import LOAD_FILE, read_load
from assay.records.results import Export, read_results
from assay.store import MANIFEST, read_artifact, write_artifact
from assay.study import load_study
from assay.train.brought.model import UserModel
from tests.hostile import forked
from tests.hostile.forked import FOREIGN

Reader = Callable[[Path], object]
READERS: dict[str, tuple[str, Reader]] = {
    "results": ("results.json", read_results),
    "deployment": (DEPLOYMENT_FILE, lambda path: read_deployment(path.parent)),
    "load": (LOAD_FILE, read_load),
    "audit": (AUDIT_FILE, read_audit),
    "artifact": (MANIFEST, lambda path: read_artifact(path.parent, "unit")),
    "study": ("study.toml", load_study),
    "choice": (CHOICE_FILE, lambda path: read_choice(path.parent)),
    "measured": ("measured.json", measured.read),
}
CONTENTS: dict[str, bytes | None] = {
    "missing": None,
    "empty": b"",
    "no text": b"\xff\xfe\x00",
    "cut": b'{"schema_version": 1, "created": "20',
    "a list": b"[1, 2]",
    "null": b"null",
    "nothing in it": b"{}",
    "newer": b'{"schema_version": 99}',
    "a version that is none": b'{"schema_version": "one"}',
    "deep": b"[" * 100_000,
    "another record": b'{"schema_version": 1, "model": {"a": 1}}',
    "toml": b"[models]\nname = 3\n",
}
PUBLISHED = Path(__file__).parents[2] / "artifacts" / "reference"


def _refusal(read: Callable[[], object]) -> str:
    with pytest.raises(AssayError) as told:
        read()
    said = str(told.value)
    assert not FOREIGN.search(said), said
    assert "\n" not in said
    assert len(said) < 800
    return said


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("reader", READERS)
def test_a_reader_reports_the_error_in_our_words(reader: str, content: str, tmp_path: Path) -> None:
    name, read = READERS[reader]
    folder = tmp_path / "given"
    folder.mkdir()
    said = CONTENTS[content]
    if said is not None:
        (folder / name).write_bytes(said)
    assert str(folder) in _refusal(lambda: read(folder / name))


@pytest.mark.parametrize("reader", READERS)
def test_a_folder_in_the_place_of_a_file_is_refused(reader: str, tmp_path: Path) -> None:
    name, read = READERS[reader]
    (tmp_path / name).mkdir()
    assert str(tmp_path) in _refusal(lambda: read(tmp_path / name))


@pytest.mark.parametrize("reader", ["load", "choice"])
def test_a_value_of_another_type_is_named_by_its_key(reader: str, tmp_path: Path) -> None:
    """The published records, with one key after another made wrong."""
    name, read = READERS[reader]
    whole = json.loads((PUBLISHED / name).read_bytes())
    for key in whole:
        (tmp_path / name).write_text(json.dumps(whole | {key: {"another": ["kind"]}}))
        if key != "environment":  # which takes anything
            assert f"{key}" in _refusal(lambda: read(tmp_path / name))
    (tmp_path / name).write_text(json.dumps(whole | {"surprise": 1}))
    assert "surprise: the key is unknown" in _refusal(lambda: read(tmp_path / name))


def test_an_invalid_answer_of_a_job_is_reported_in_our_words() -> None:
    with pytest.raises(WorkerError, match="value: expected a number, found 'x'"):
        read_as(Interval, {"value": "x", "low": 0, "high": 1}, "a.job gave an answer that cannot be read")


def test_an_artifacts_fact_that_is_not_a_record_names_the_folder_to_delete(tmp_path: Path) -> None:
    made = write_artifact(tmp_path / "made", "unit", {}, made_by={}, fill=lambda work: {"record": {"status": 3}})
    for name in ("record", "another"):
        assert "Delete the folder" in _refusal(lambda name=name: made.record(Export, name))


def test_a_damaged_description_of_a_model_is_reported(tmp_path: Path) -> None:
    made = write_artifact(tmp_path / "made", "unit", {}, made_by={}, fill=lambda work: {"model": {"inputs": 3}})
    assert "location" in _refusal(lambda: made.record(UserModel, "model"))


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda place: None, "found nothing by that name"),
        (lambda place: place.mkdir(), f"found a folder without {DEPLOYMENT_FILE}"),
        (lambda place: place.write_text("text"), "found a file"),
    ],
)
def test_a_folder_that_is_not_a_deployment_is_called_that(
    make: Callable[[Path], object], found: str, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    make(place)
    said = _refusal(lambda: read_deployment(place))
    assert f"{place} is not a deployment" in said
    assert found in said


def test_verify_server_says_that_a_folder_is_not_a_deployment(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    command = forked.command("verify-server", "http://127.0.0.1:9", "--deployment", "here")
    ended = forked.run(command, tmp_path, tmp_path / "printed", {"COLUMNS": "200"})
    assert not ended.problem()
    assert ended.status == InputError.exit_code
    said = " ".join(ended.printed.split())
    assert "here is not a deployment: expected a folder written by `assay deploy`, found a folder without" in said
