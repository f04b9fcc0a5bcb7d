"""A route that cannot write more than protobuf's 2 GiB says so in one sentence, and allocates no memory for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from assay.export.routes.size_limit import beyond_the_limit
from assay.export.routes.tf_graphs import MOST_BYTES, _check_size
from assay.jobs.logs import last_words

SAID = [
    "ValueError: Cannot create a tensor proto whose content is larger than 2GB.",
    "RuntimeError: The serialized model is larger than the 2GiB limit imposed by the protobuf library",
    "ValueError: Message onnx.ModelProto exceeds maximum protobuf size of 2GB: 2240000123",
    "EncodeError: Failed to serialize proto",
    "jax2tf ended with status 1: found ValueError: The graph is larger than 2GB: its weights alone are 2.1 GiB",
]


@pytest.mark.parametrize("text", SAID)
def test_the_words_of_every_route_become_the_limit_with_what_to_do(text: str) -> None:
    found = beyond_the_limit("tf2onnx", text)
    assert found is not None
    said = str(found)
    assert said.startswith("The exporter tf2onnx cannot write a model this large: expected at most 2 GiB")
    assert "protobuf" in said
    assert text in said, "what was found"
    assert "external data" in said, "what to do"


@pytest.mark.parametrize("text", ["ValueError: no rule for Erfc", "the largest is 2", ""])
def test_other_failures_stay_what_they_are(text: str) -> None:
    assert beyond_the_limit("tf2onnx", text) is None


def weight(*shape: int, size: int = 4) -> Any:
    return SimpleNamespace(shape=shape, dtype=SimpleNamespace(size=size))


def test_a_graph_is_refused_for_its_weights_before_it_is_converted() -> None:
    _check_size([weight(1000, 1000), weight()])
    _check_size([weight(MOST_BYTES // 4)])
    with pytest.raises(ValueError, match=r"larger than 2GB: its weights alone are 2\.1 GiB") as caught:
        _check_size([weight(140_000, 1000) for _ in range(4)])
    assert beyond_the_limit("tf2onnx", str(caught.value)) is not None
    with pytest.raises(ValueError, match="larger than 2GB"):
        _check_size([weight(560_000, 1000, size=4)])


def test_only_the_error_of_a_traceback_is_reported() -> None:
    text = (
        "Converting\nTraceback (most recent call last):\n"
        '  File "/usr/lib/python3/site-packages/tensorflow/python/framework/tensor_util.py", line 712, in make\n'
        "    raise ValueError(\n"
        "ValueError: Cannot create a tensor proto whose content is larger than 2GB.\n"
    )
    assert last_words(text) == "Converting | ValueError: Cannot create a tensor proto whose content is larger than 2GB."
