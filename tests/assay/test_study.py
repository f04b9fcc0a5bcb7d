"""Study files: the shipped ones are valid, and every mistake is reported with the correct form."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.errors import StudyError
from assay.study import load_study

STUDIES = Path(__file__).parents[2] / "studies"
GOOD = """
name = "tiny"
[[models]]
architecture = "bloodnet"
sizes = [28]
epochs = [1]
"""


def load(tmp_path: Path, text: str) -> str:
    """The error a study file gives."""
    path = tmp_path / "study.toml"
    path.write_text(text)
    with pytest.raises(StudyError) as caught:
        load_study(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.toml")), ids=lambda path: path.name)
def test_the_shipped_studies_are_valid(path: Path) -> None:
    assert load_study(path).name == path.stem


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('[bench]\nruntimes = ["torch.eagre"]', "Did you mean 'torch.eager'"),
        ('[bench]\nruntimes = ["openvino@tf2onx"]', "Did you mean 'tf2onnx'"),
        ('[bench]\nruntimes = ["jax.jit@tf2onnx"]', "only runtimes of ONNX files run an export"),
        ('[export]\nexporters = ["tf2onx"]', "Did you mean 'tf2onnx'"),
        ('[data]\nname = "bloodmist"', "Did you mean 'bloodmnist'"),
        ("[bench]\nbatchs = [1]", "did you mean 'batches'"),
        ("[bench]\ninterval_width = 0.1\nprecision = 0.1", "precision is its older name"),
        ("[benhc]\nbatches = [1]", "did you mean 'bench'"),
        ("[bench]\nbatches = [0]", "bench.batches.0"),
        ('[bench]\ndevice = "tpu"', "bench.device"),
        ('[train]\nframeworks = ["torch"]\n[bench]\nweights = "jax"', "trained in torch only"),
        ("[train]\npeak_learning_rate = -1", "train.peak_learning_rate"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, change: str, message: str) -> None:
    assert message in load(tmp_path, GOOD + change)


@pytest.mark.parametrize("key", ["interval_width", "precision"])
def test_a_study_from_before_the_interval_width_had_its_name_is_read(tmp_path: Path, key: str) -> None:
    path = tmp_path / "study.toml"
    path.write_text(f"{GOOD}[bench]\n{key} = 0.07\n")
    bench = load_study(path).bench
    assert bench.interval_width == 0.07
    assert "precision" not in bench.model_dump(), "which is a number format"


def test_an_unknown_architecture_names_the_nearest(tmp_path: Path) -> None:
    assert "Did you mean 'resnet18'" in load(tmp_path, GOOD.replace("bloodnet", "resnet-18"))


def test_epochs_have_to_match_sizes(tmp_path: Path) -> None:
    assert "one number for each of the 2 sizes" in load(tmp_path, GOOD.replace("[28]", "[28, 64]"))


def test_sizes_have_to_ascend(tmp_path: Path) -> None:
    text = GOOD.replace("[28]", "[64, 28]").replace("[1]", "[1, 1]")
    assert "sizes must be ascending" in load(tmp_path, text)


@pytest.mark.parametrize("text", ["name = ", "\x00", ""])
def test_a_file_that_is_not_a_study_is_one_message(tmp_path: Path, text: str) -> None:
    load(tmp_path, text)


def test_a_missing_file_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="Cannot read study file"):
        load_study(tmp_path / "none.toml")


def test_an_architecture_that_is_listed_again_continues_with_larger_sizes(tmp_path: Path) -> None:
    again = GOOD.partition("[[models]]")[2]
    assert "must be ascending over all its entries, found [28, 28]" in load(tmp_path, f"{GOOD}[[models]]{again}")
    path = tmp_path / "study.toml"
    path.write_text(f"{GOOD}[[models]]{again.replace('28', '64')}")
    assert [model.sizes for model in load_study(path).models] == [(28,), (64,)]


def test_further_runtimes_are_timed_once_at_the_smallest_size_only(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    sizes = GOOD.replace("[28]", "[28, 64]").replace("[1]", "[1, 1]")
    path.write_text(sizes + 'further_runtimes = ["ort.cpu.basic", "null"]\n[bench]\nruntimes = ["ort.cpu", "null"]\n')
    study = load_study(path)
    assert study.runtimes_at("bloodnet", 28) == ("ort.cpu", "null", "ort.cpu.basic")
    assert study.runtimes_at("bloodnet", 64) == ("ort.cpu", "null")


def test_an_audit_takes_as_many_images_of_each_size_as_the_study_says(tmp_path: Path) -> None:
    sizes = GOOD.replace("[28]", "[28, 64]").replace("[1]", "[1, 1]")
    assert "audit_images needs one number for each of the 2 sizes, found 1" in load(
        tmp_path, f"{sizes}audit_images=[9]"
    )
    path = tmp_path / "study.toml"
    path.write_text(f"{sizes}audit_images = [0, 9]\n")
    study = load_study(path)
    assert [study.audit_images_at("bloodnet", size) for size in (28, 64)] == [0, 9]
    assert study.audit_images_at("resnet18", 28) == 0


def test_a_model_may_have_a_percentile_of_its_own_for_int8(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(
        """
        name = "own"
        [[models]]
        architecture = "bloodnet"
        sizes = [28]
        epochs = [1]
        [[models]]
        architecture = "bloodnet"
        sizes = [224]
        epochs = [1]
        calibration_percentile = 100
        [export]
        calibration_percentile = 99.9
        """
    )
    study = load_study(path)
    assert [study.calibration_percentile_at("bloodnet", size) for size in (28, 224)] == [99.9, 100]
    path.write_text(path.read_text().replace("99.9", "101"))
    with pytest.raises(StudyError, match=r"export\.calibration_percentile"):
        load_study(path)


def test_a_study_names_its_task_and_is_a_classification_where_it_does_not(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(GOOD)
    assert load_study(path).task == "classification"
    path.write_text('task = "numerical"\n' + GOOD)
    assert load_study(path).task == "numerical"
    assert "Did you mean 'numerical'" in load(tmp_path, 'task = "numeric"\n' + GOOD)


def test_a_study_on_a_gpu_times_the_runtimes_for_it_alone_too(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(GOOD)
    on_cpu, on_gpu = (load_study(path, [f"bench.device={device}"]).bench.runtimes for device in ("cpu", "cuda"))
    assert load_study(path).bench.runtimes == on_cpu
    assert set(on_gpu) - set(on_cpu) == {"ort.cuda"}
    assert load_study(path, ["bench.device=cuda", "bench.runtimes=[torch.eager]"]).bench.runtimes == ("torch.eager",)
