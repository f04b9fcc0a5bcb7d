"""--set changes any key of a study, given as a TOML value or as a word whose quotes the shell removed."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import StudyError
from assay.files.overridden import overridden
from assay.study import load_study

TEXT = 'name = "tiny"\n[[models]]\narchitecture = "bloodnet"\nsizes = [28]\nepochs = [1]\n[bench]\nbatches = [1]\n'


def study_with(tmp_path: Path, *changes: str) -> Any:
    path = tmp_path / "study.toml"
    path.write_text(TEXT)
    return load_study(path, changes)


def test_any_key_is_changed_and_the_rest_stays(tmp_path: Path) -> None:
    study = study_with(
        tmp_path,
        "bench.batches=[1,8]",
        "train.frameworks=[torch, tf]",
        "data.name=synthetic",
        "bench.attribute = false",
        "models.0.sizes.0=32",
        "title=A short one",
    )
    assert (study.bench.batches, study.train.frameworks) == ((1, 8), ("torch", "tf"))
    assert (study.data.name, study.bench.attribute, study.models[0].sizes) == ("synthetic", False, (32,))
    assert (study.title, study.name, study.models[0].epochs) == ("A short one", "tiny", (1,))
    assert study_with(tmp_path).bench.batches == (1,), "the file is as it was"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("bench.batches=[0]", "--set bench.batches=[0] has 1 problem(s): bench.batches.0: expected 1 or more, found 0"),
        ("bench.batchs=[1]", "bench.batchs: unknown key (did you mean 'batches'?)"),
        ("bench.budget_minutes=soon", "bench.budget_minutes: expected a number, found 'soon'"),
        ("bench.runtimes=[ort.cpo]", "bench.runtimes: Unknown runtime 'ort.cpo'"),
        ("models.1.sizes=[28]", "expected a number from 0 to 0 after models, found '1'"),
        ("models.first.sizes=[28]", "expected a number from 0 to 0 after models, found 'first'"),
        ("name.first=a", "expected a section or a list named name, found 'tiny'"),
        ("bench.batches", "expected such as bench.batches=[1,8]"),
        ("bench.batches=", "expected such as bench.batches=[1,8]"),
        ("=1", "expected such as bench.batches=[1,8]"),
        ("bench.threads=1\nname=2", "--set needs KEY=VALUE"),
        ("bench.batches=[1,", "expected a value of TOML after the first ="),
        ("bench.batches=" + "[" * 50_000, "expected a value of TOML after the first ="),
    ],
)
def test_a_wrong_change_is_named_with_its_key(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(StudyError) as caught:
        study_with(tmp_path, change)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 1200


@given(st.one_of(st.integers(-(2**40), 2**40), st.booleans(), st.text(st.characters(codec="ascii", categories=["L"]))))
def test_toml_values_are_set_as_written(value: object) -> None:
    written = f'"{value}"' if isinstance(value, str) else str(value).lower()
    document = {"section": {"kept": 1}}
    changed = overridden(document, [f"section.key={written}"])
    assert changed == {"section": {"kept": 1} | tomllib.loads(f"key = {written}")}
    assert document == {"section": {"kept": 1}}
