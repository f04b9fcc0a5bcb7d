"""Precisions and devices by their names: pure functions."""

from __future__ import annotations

import pytest

from assay.infer.observing.observed import device_named, not_as_asked, observed_of, of_each, with_tf32
from assay.numerics.precisions import counted_in_words, is_less_exact, least_exact, precision_named


@pytest.mark.parametrize(
    ("dtype", "precision"),
    [
        ("torch.bfloat16", "bf16"), ("float32", "fp32"), ("FLOAT16", "fp16"), ("f16", "fp16"), ("u8", "int8"),
        ("torch.quint8", "int8"), ("tensor(float)", "fp32"), ("FLOAT8E4M3FN", "fp8"), ("torch.float8_e5m2", "fp8"),
        ("int64", ""), ("bool", ""), ("dynamic", ""),
    ],
)  # fmt: skip
def test_every_framework_s_name_of_a_type(dtype: str, precision: str) -> None:
    assert precision_named(dtype) == precision


def test_the_least_exact_part_is_what_a_model_is() -> None:
    assert least_exact(["fp32", "bf16", "", "fp64"]) == "bf16"
    assert least_exact([]) == ""
    assert is_less_exact("tf32", "fp32")
    assert not is_less_exact("fp32", "fp32")
    assert not is_less_exact("", "fp32")
    assert counted_in_words({"bf16": 1, "fp32": 20}) == "fp32 (20 operations), bf16 (1)"
    assert counted_in_words({"fp32": 1}) == "fp32 (1 operation)"


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("/job:localhost/replica:0/task:0/device:CPU:0", "cpu"), ("/job:localhost/device:GPU:1", "cuda"),
        ("cuda:0", "cuda"), ("cpu", "cpu"), ("gpu", "cuda"), ("xpu:0", "xpu"),
    ],
)  # fmt: skip
def test_every_framework_s_name_of_a_device(text: str, device: str) -> None:
    assert device_named(text) == device


def test_arithmetic_decides_and_the_rest_only_where_there_is_none() -> None:
    found = observed_of({"fp32": 3}, {"fp16": 1}, ["cpu"], {"TF32": "off"})
    assert (found.device, found.precision) == ("cpu", "fp32")
    assert found.facts == {
        "TF32": "off", "arithmetic in": "fp32 (3 operations)", "other operations in": "fp16 (1 operation)"
    }  # fmt: skip
    assert observed_of({}, {"fp16": 1}, ["cuda:0", "cpu"], {}).precision == "fp16"
    assert observed_of({}, {}, ["cuda:0", "cpu"], {}).device == "cpu and cuda"


def test_tf32_is_what_a_gpu_makes_of_fp32_where_it_may() -> None:
    counts = {"fp32": 3, "fp16": 1}
    assert with_tf32(counts, allowed=True, device="cuda") == {"tf32": 3, "fp16": 1}
    assert with_tf32(counts, allowed=False, device="cuda") == counts
    assert with_tf32(counts, allowed=True, device="cpu") == counts


def test_each_tensor_is_listed_where_they_differ() -> None:
    assert of_each([("torch.float32", "cpu"), ("float32", "/device:CPU:0")]) == {}
    assert of_each([("torch.float16", "cuda:0"), ("torch.float32", "cuda:0"), ("torch.int64", "cpu")]) == {
        "outputs": "output 0: fp16 on cuda, output 1: fp32 on cuda, output 2: torch.int64 on cpu"
    }


def test_a_difference_from_the_request_is_reported_and_an_unrequested_or_unseen_one_is_not() -> None:
    assert not_as_asked("cuda", "fp32", "cpu", "tf32") == [
        "ran on cpu: cuda was requested", "computed in tf32: fp32 was requested"
    ]  # fmt: skip
    assert not_as_asked("cuda", "fp32", "cuda", "fp32") == []
    assert not_as_asked("", "", "cuda", "bf16") == []
    assert not_as_asked("cuda", "fp32", "", "") == []
