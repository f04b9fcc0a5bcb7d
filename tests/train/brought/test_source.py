"""A user's Python file: its possible forms, and one message with file and line for everything that it raises."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from assay.errors import AssayError, InputError, NotInstalledError
from assay.train.brought.source import built, kind_of, source_hash


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the imports of these files, as the end of the process would."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    built.cache_clear()


def write(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def build():\n    return 5", 5),
        ("def build(size=3):\n    return size", 3),
        ("class build:\n    value = 7", "build"),
        ("build = 9", 9),
    ],
)
def test_a_builder_is_called_and_a_value_is_taken(text: str, expected: object, tmp_path: Path) -> None:
    found = built(write(tmp_path, text), "build")
    assert (type(found).__name__ if expected == "build" else found) == expected


def test_a_function_of_arrays_is_the_model_itself(tmp_path: Path) -> None:
    found = built(write(tmp_path, "def classify(image, scale=2):\n    return image * scale"), "classify")
    assert callable(found)
    assert found(4) == 8


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\n\ndef build():\n    return 1 / 0", r"mine.py fails in build\(\).*ZeroDivisionError.*\(mine.py, line 4\)"),
        ("import os\nraise ValueError('no weights')", r"while it is imported.*no weights.*\(mine.py, line 2\)"),
        ("def build(:", r"SyntaxError.*\(mine.py, line 1\)"),
        ("import sys\nsys.exit('usage: mine.py')", r"SystemExit: usage.*\(mine.py, line 2\)"),
        ("def bild():\n    pass", "has no 'build': found bild. Did you mean 'bild'"),
        ("x = 1", "has no 'build': found no functions"),
    ],
)
def test_what_goes_wrong_is_one_message_with_its_place(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words) as caught:
        built(write(tmp_path, text), "build")
    assert "\n" not in str(caught.value)


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotInstalledError, match="'no_such_package'"):
        built(write(tmp_path, "import no_such_package"), "build")


def test_an_error_in_a_helper_names_the_helper(tmp_path: Path) -> None:
    write(tmp_path, "def weights():\n    raise OSError('weights.bin is not there')", "my_helper.py")
    path = write(tmp_path, "from my_helper import weights\n\ndef build():\n    return weights()")
    with pytest.raises(InputError, match=r"weights.bin is not there \(my_helper.py, line 2\)"):
        built(path, "build")


def test_a_file_named_like_ours_hides_nothing(tmp_path: Path) -> None:
    ours = sys.modules["assay"]
    path = write(tmp_path, "def build():\n    import assay.errors\n    return assay.errors.AssayError", "assay.py")
    assert built(path, "build") is AssayError
    assert sys.modules["assay"] is ours


def test_random_weights_are_the_same_wherever_they_are_drawn(tmp_path: Path) -> None:
    text = "import random\nimport numpy as np\n\ndef build():\n    return [random.random(), float(np.random.normal())]"
    first = built(write(tmp_path, text, "one.py"), "build")
    assert first == built(write(tmp_path, text, "two.py"), "build")


def test_the_hash_follows_the_file_and_its_helpers(tmp_path: Path) -> None:
    helper = write(tmp_path, "VALUE = 1", "my_value.py")
    path = write(tmp_path, "from my_value import VALUE\nunused = 0\n\ndef build():\n    return VALUE")
    built(path, "build")
    before = source_hash(path)
    assert before == source_hash(path)
    helper.write_text("VALUE = 2")
    assert source_hash(path) != before


def test_something_that_is_not_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mine.py does not give a model.*found int"):
        kind_of(5, tmp_path / "mine.py")


def test_a_function_is_of_the_framework_that_its_file_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jax", ModuleType("jax"))
    assert kind_of(lambda image: image, tmp_path / "mine.py") == "jax"
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(nn=SimpleNamespace(Module=int)))
    assert kind_of(lambda image: image, tmp_path / "mine.py") == "jax"
    named = write(tmp_path, "import math\nfrom torch.nn import functional\n", "named.py")
    assert kind_of(lambda image: image, named) == "torch"


def test_a_class_that_needs_arguments_is_no_model_yet(tmp_path: Path) -> None:
    class Net:
        def __init__(self, classes: int, width: int = 4) -> None: ...

    with pytest.raises(InputError, match=r"found Net\(classes, width \(optional\)\).*def build\(\): return Net"):
        kind_of(Net, tmp_path / "mine.py")
