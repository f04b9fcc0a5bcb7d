"""Functions in notebooks and inside others are written as files that compute the same, or are refused by name."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.bench.python.live.source import write_source
from assay.errors import InputError

X = np.linspace(-1, 1, 4, dtype=np.float32)


def ran(path: Path, name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = runpy.run_path(str(path))[name]
    return function


def test_what_a_function_closes_over_is_written_beside_it(tmp_path: Path) -> None:
    weights, scale = {"layers": [np.arange(4.0), 2 * X]}, float("inf")

    def activated(values: Any) -> Any:
        return np.maximum(values, 0)

    def predict(values: Any) -> Any:
        for one in weights["layers"]:
            values = activated(values * one)
        return np.minimum(values, scale)

    path, name = write_source(predict, tmp_path / "predict")
    assert np.array_equal(ran(path, name)(X), predict(X))
    text = path.read_text()
    assert text.index("def activated") < text.index("def predict")
    assert "import numpy as np" in text
    assert sorted(one.name for one in tmp_path.iterdir()) == ["predict.npz", "predict.py"]


CELL = """
import numpy as np

class Scaler:
    def __init__(self, by):
        self.by = by

    def __call__(self, values):
        return values * self.by * offset

offset = 3

def twice(function):
    return lambda values: function(function(values))

def predict(values):
    return Scaler(2)(values) + np.float32(offset)
"""


def cell(text: str, tmp_path: Path, name: str = "predict") -> Any:
    """A function as a notebook's cell defines it: its module is __main__ and has no file; its lines are in
    `linecache`.
    """
    import linecache  # noqa: PLC0415 - as a notebook does

    where = f"<cell of {tmp_path.name}>"
    linecache.cache[where] = (len(text), None, text.splitlines(keepends=True), where)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, where, "exec"), names)
    return names[name]


def test_a_function_of_a_notebook_takes_its_classes_with_it(tmp_path: Path) -> None:
    predict = cell(CELL, tmp_path)
    path, name = write_source(predict, tmp_path / "predict")
    assert np.array_equal(ran(path, name)(X), predict(X))
    text = path.read_text()
    assert "class Scaler" in text
    assert "offset = 3" in text
    assert "twice" not in text, "nothing but what is named"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import io\nstream = io.StringIO()\ndef predict(values):\n    return stream", r"'stream', an object of _io"),
        ("import tests\ndef predict(values):\n    return tests", "module 'tests', which is not an installed one"),
        ("predict = lambda values: values", "no function with a name of its own"),
        ("class Predict:\n    def __call__(self, values):\n        return values\npredict = Predict()", "no function"),
    ],
)
def test_what_cannot_be_written_is_refused_by_its_name(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"exists only in this session.*{message}.*FILE\.py:FUNCTION"):
        write_source(cell(text, tmp_path), tmp_path / "predict")


def test_a_partial_function_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exists only in this session"):
        write_source(partial(np.add, 1), tmp_path / "add")


def test_nothing_of_a_session_is_pickled(tmp_path: Path) -> None:
    boxed = np.array([object()], dtype=object)

    def predict(values: Any) -> Any:
        return values, boxed

    with pytest.raises(InputError, match="'boxed', an object of numpy"):
        write_source(predict, tmp_path / "predict")
