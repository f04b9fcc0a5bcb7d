"""Inputs in the form that people have them: an array, a table, images or text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

from assay.errors import InputError
from assay.export.probing.given import given_inputs
from assay.train.brought.libraries.made import MadeModel, lines, pictures
from assay.train.brought.loaders.loaded import LoadedModel
from assay.train.brought.model import Declared

X = Declared(name="x", dtype="float32", shape=("batch", 3))
AGE = Declared(name="age", dtype="int64", shape=("batch", 1))


def loaded(*declared: Declared, made: MadeModel | None = None) -> LoadedModel:
    return LoadedModel(declared, lambda names, without: pytest.fail("nobody calls it"), made=made)


def table(folder: Path, **columns: object) -> Path:
    polars.DataFrame(columns).write_parquet(folder / "rows.parquet")
    return folder / "rows.parquet"


def test_an_array_is_the_only_input(tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", np.ones((4, 3), np.float32))
    assert given_inputs(tmp_path / "mine.npy", loaded(X), ()).keys() == {"x"}
    assert given_inputs(tmp_path / "mine.npy", loaded(), (AGE,)).keys() == {"age"}
    assert given_inputs(tmp_path / "mine.npy", loaded(), ()).keys() == {"mine"}
    with pytest.raises(InputError, match=r"holds one array.*expected x, age.*npz"):
        given_inputs(tmp_path / "mine.npy", loaded(X, AGE), ())


def test_columns_are_inputs_by_their_names_in_the_type_that_the_model_takes(tmp_path: Path) -> None:
    path = table(tmp_path, x=[[1.5, 2.0, 3.0]] * 4, age=[7, 8, 9, 10], label=["a", "b", "a", "b"])
    found = given_inputs(path, loaded(X, AGE), ())
    assert {name: (array.dtype.name, array.shape) for name, array in found.items()} == {
        "x": ("float32", (4, 3)),
        "age": ("int64", (4, 1)),
    }
    assert found["age"][:, 0].tolist() == [7, 8, 9, 10]


def test_columns_lie_side_by_side_where_there_is_one_input(tmp_path: Path) -> None:
    found = given_inputs(table(tmp_path, a=[1, 2], b=[0.5, 0.25], c=[True, False]), loaded(X), ())
    assert found["x"].dtype == np.float32
    assert found["x"].tolist() == [[1, 0.5, 1], [2, 0.25, 0]]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"x": [[1.0], [2.0, 3.0]], "age": [1, 2]}, "'x' .* lists of several lengths.*found 1, 2"),
        ({"x": [[1.0], None], "age": [1, 2]}, "'x' .* 1 missing values"),
        ({"x": [[1.0], [2.0]]}, "lacks columns.*expected x, age, found x"),
    ],
)
def test_a_table_that_fills_no_call_is_refused_by_column(
    columns: dict[str, object], words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        given_inputs(table(tmp_path, **columns), loaded(X, AGE), ())


def test_a_damaged_table_is_refused_with_the_forms_that_there_are(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"no table")
    with pytest.raises(InputError, match=r"Cannot read inputs from .*rows.parquet.*\.npz"):
        given_inputs(tmp_path / "rows.parquet", loaded(X), ())


def test_images_and_text_go_through_the_processor_of_the_models_library(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, red in (("b.png", 200), ("a.png", 100)):
        image.new("RGB", (5, 4), (red, 0, 0)).save(folder / name)
    (folder / "notes.md").write_text("no image")
    (tmp_path / "texts.txt").write_text("one\n\ntwo words\n")

    def read(path: Path) -> Mapping[str, Any]:
        if path.is_dir():
            return {"image": np.stack([np.asarray(one) for one in pictures(path)])}
        return {"ids": np.array([[len(one)] for one in lines(path)])}

    made = MadeModel(object(), read=read)
    found = given_inputs(folder, loaded(made=made), ())["image"]
    assert found.shape == (2, 4, 5, 3)
    assert found[:, 0, 0, 0].tolist() == [100, 200]
    assert given_inputs(tmp_path / "texts.txt", loaded(made=made), ())["ids"].tolist() == [[3], [9]]
    for path in (folder, tmp_path / "texts.txt"):
        with pytest.raises(InputError, match=r"nothing is known of how this model wants them.*npz"):
            given_inputs(path, loaded(X), ())
    (folder / "c.png").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"Cannot open the image .*c\.png"):
        given_inputs(folder, loaded(made=made), ())
