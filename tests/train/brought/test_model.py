"""How a user names a model and its inputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.errors import InputError
from assay.train.brought.model import Declared, Location, UserModel, read_ranges, read_shapes
from assay.train.brought.sources import locate
from tests.user_models import tensor, user_model

HERE = Path(__file__)


def test_every_kind_of_file_is_recognised_by_its_ending(tmp_path: Path) -> None:
    of_torch, of_keras = (".pt", ".pth", ".ts", ".jit", ".pt2", ".PT"), (".keras", ".h5", ".hdf5")
    kinds = {".onnx": "onnx", **dict.fromkeys(of_torch, "torch"), **dict.fromkeys(of_keras, "tf")}
    for ending, kind in kinds.items():
        path = tmp_path / f"model{ending}"
        path.touch()
        found = locate(str(path))
        assert (found.kind, found.name, str(found)) == (kind, "model", f"model{ending}")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    assert locate(str(tmp_path / "saved")).form == "saved-model"


def test_a_function_has_its_framework_when_it_is_run_or_named() -> None:
    assert locate(f"{HERE}:build") == Location(path=HERE, form="function", function="build")
    assert locate(f"{HERE}:build", "jax").kind == "jax"
    assert locate(f"{HERE}:build").name == "test_model.build"


def test_a_function_of_a_dotted_module_is_found_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "project" / "nets" / "small.py"
    file.parent.mkdir(parents=True)
    file.write_text("raise SystemExit('it was run')")
    monkeypatch.chdir(tmp_path)
    found = locate("project.nets.small:build", "torch")
    assert (found.path, found.module, found.kind) == (file, "project.nets.small", "torch")
    assert (found.name, str(found)) == ("small.build", "project.nets.small:build")


def test_a_library_makes_its_models_by_name(tmp_path: Path) -> None:
    found = [locate(text) for text in ("hf:org/small", "timm:vit.in1k", "torchvision:resnet18", "keras:VGG16")]
    assert [one.kind for one in found] == ["torch", "torch", "torch", "tf"]
    assert [one.name for one in found] == ["hf-org-small", "timm-vit.in1k", "torchvision-resnet18", "keras-VGG16"]
    assert [str(one) for one in found] == ["hf:org/small", "timm:vit.in1k", "torchvision:resnet18", "keras:VGG16"]
    assert all(one.is_of_library for one in found)


@pytest.mark.parametrize("scheme", ["", "hf:"])
def test_a_hugging_face_folder_is_recognised_by_its_configuration(scheme: str, tmp_path: Path) -> None:
    (tmp_path / "model-3.2").mkdir()
    (tmp_path / "model-3.2" / "config.json").touch()
    found = locate(f"{scheme}{tmp_path / 'model-3.2'}")
    assert (found.path, found.library, found.function) == (tmp_path / "model-3.2", "hf", "")
    assert (found.name, str(found), found.is_of_library) == ("hf-model-3.2", "hf:model-3.2", False)


@pytest.mark.parametrize(
    ("text", "framework", "words"),
    [
        ("timm:", "", "'timm:' needs the name of a model"),
        ("no.such.module:build", "", "There is no module no.such.module written in Python"),
        ("math:sin", "", "There is no module math written in Python"),
        ("nothing.onnx", "", "There is no model nothing.onnx"),
        ("nothing.py:build", "", "There is no file nothing.py"),
        (str(HERE), "", "needs the name of a function"),
        (f"{HERE}:", "", "needs the name of a function"),
        (f"{HERE}:a b", "", "needs the name of a function"),
        (str(HERE.parent), "", "is not a SavedModel"),
        (f"{HERE}:build", "mxnet", "Unknown framework"),
    ],
)
def test_something_that_is_not_a_model_is_refused_with_words(text: str, framework: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        locate(text, framework)


@pytest.mark.parametrize(("name", "found"), [("model", "no ending"), ("model.pkl", "the ending '.pkl'")])
def test_an_unknown_ending_lists_the_known_ones(name: str, found: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"\.onnx file.*FILE\.py:FUNCTION") as caught:
        locate(str(tmp_path / name))
    assert caught.value.found == found


def test_shapes_are_read_with_their_types_and_open_dimensions() -> None:
    assert read_shapes(["image=batch,3,224,224", "ids=int64:1,seq", "scalar="]) == (
        Declared(name="image", dtype="float32", shape=("batch", 3, 224, 224)),
        Declared(name="ids", dtype="int64", shape=(1, "seq")),
        Declared(name="scalar", dtype="float32", shape=()),
    )


@pytest.mark.parametrize("text", ["image", "=1,2", "image=1,-2", "image=0", "image=word:1,2", "image=1,,2"])
def test_an_invalid_shape_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--shape cannot be read"):
        read_shapes([text])


def test_ranges_and_values_are_read_with_their_inputs() -> None:
    assert read_ranges(["ids=0:30521", "x=-0.5:1e2"], ["sr=16000"]) == {
        "ids": (0, 30521),
        "x": (-0.5, 100.0),
        "sr": (16000, 16000),
    }


@pytest.mark.parametrize(
    ("ranges", "values"),
    [
        *(([text], []) for text in ("ids=3:2", "ids=3", "ids", "=1:2", "ids=1:2:3", "x=0:nan")),
        *(([], [text]) for text in ("sr=inf", "sr=1:2", "sr=")),
        (["sr=1:2"], ["sr=1"]),
    ],
)
def test_an_invalid_range_is_refused(ranges: list[str], values: list[str]) -> None:
    with pytest.raises(InputError, match=r"--(range|value) cannot be read"):
        read_ranges(ranges, values)


def model(*shapes: tuple[int, ...], whole: bool = False, batch: int | None = None) -> UserModel:
    inputs = tuple(tensor(f"in{place}", *shape) for place, shape in enumerate(shapes))
    outputs = (tensor("out", 3, 4), tensor("sum", dtype="int64"))
    return user_model(inputs, outputs, "torch", HERE, whole=whole, batch=batch)


def test_shapes_of_calls() -> None:
    rows, fixed, whole = model((2, 5)), model((2, 5), batch=8), model((4, 2, 5), whole=True)
    assert [one.shape_of(one.inputs[0], 8) for one in (rows, fixed, whole)] == [(8, 2, 5), (8, 2, 5), (4, 2, 5)]
    assert [one.open_shape_of(one.inputs[0]) for one in (rows, fixed, whole)] == [(None, 2, 5), (8, 2, 5), (4, 2, 5)]
    assert [one.example_batch for one in (rows, fixed, whole)] == [2, 8, 1]
    assert rows.width == 13


@pytest.mark.parametrize(
    ("one", "size"),
    [
        (model((3, 64, 64)), 64),
        (model((64, 64, 1)), 64),
        (model((1, 3, 64, 64), whole=True), 64),
        (model((3, 64, 32)), 0),
        (model((64,)), 0),
        (model((3, 64, 64), (3, 64, 64)), 0),
        (model((16, 64, 64)), 0),
    ],
)
def test_only_one_square_image_has_a_size(one: UserModel, size: int) -> None:
    assert one.image_size == size
