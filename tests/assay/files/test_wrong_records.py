"""Any error in a record's file is reported in our own words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, ValidationError
from pydantic_core._pydantic_core import list_all_errors

from assay.files.mistakes import mistake, mistake_in
from assay.records.base import Interval, Record
from tests.hostile.forked import FOREIGN


class Inner(Record):
    n: int = Field(ge=1, le=9)
    way: Literal["http", "grpc"] = "http"


class Outer(Record):
    inner: Inner
    share: Interval | None = None
    names: list[str] = Field(default_factory=list, min_length=1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "inner: it is missing"),
        ({"inner": {"n": "x"}}, "inner.n: expected a whole number, found 'x'"),
        ({"inner": {"n": 2.5}}, "inner.n: expected a whole number, found 2.5"),
        ({"inner": {"n": 0}}, "inner.n: expected 1 or more, found 0"),
        ({"inner": {"n": 10}}, "inner.n: expected 9 or less, found 10"),
        ({"inner": {"n": None}}, "inner.n: expected a whole number, found null"),
        ({"inner": {"n": 1, "way": "post"}}, "inner.way: expected 'http' or 'grpc', found 'post'"),
        ({"inner": []}, "inner: expected an object with keys, found a list of 0"),
        ({"inner": {"n": 1}, "extra": 1}, "extra: the key is unknown"),
        ({"inner": {"n": 1}, "names": {}}, "names: expected a list, found an object without keys"),
        ({"inner": {"n": 1}, "names": []}, "names: expected at least 1 entries, found a list of 0"),
        (
            {"inner": {"n": 1}, "share": {"value": 2, "low": 3, "high": 4}},
            "share: the estimate 2.0 is not between 3.0 and 4.0",
        ),
        ({"inner": {"n": "y" * 500}}, f"inner.n: expected a whole number, found '{'y' * 59}..."),
    ],
)
def test_a_mistake_is_where_and_what_was_expected(content: object, words: str) -> None:
    with pytest.raises(ValidationError) as told:
        Outer.model_validate(content)
    assert mistake_in(told.value) == words


def test_every_mistake_that_pydantic_knows_has_words() -> None:
    """Its own sentences never get through, whatever facts it reports with them."""
    for kind in list_all_errors():
        context = {"error": ValueError("no"), **(kind.get("example_context") or {})}
        detail = {"type": kind["type"], "loc": ("a", 0), "msg": "pydantic says", "input": "x", "ctx": context}
        said = mistake(detail)  # type: ignore[arg-type]
        assert said.startswith("a.0: ")
        assert not FOREIGN.search(said)
        assert "pydantic" not in said


def test_a_file_that_is_missing_or_not_json_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        (tmp_path / "none").read_bytes()
    with pytest.raises(json.JSONDecodeError) as empty:
        json.loads(" ")
    with pytest.raises(UnicodeDecodeError) as bytes_:
        b"\xff".decode()
    with pytest.raises(ValidationError) as nothing:
        Outer.model_validate_json(b"")
    found = [mistake_in(one.value) for one in (missing, empty, bytes_, nothing)]
    assert found == ["No such file or directory", "an empty file", "bytes that are not text in UTF-8", "an empty file"]
