"""A model that never returns is given up soon and by name, in every command and framework."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from assay.bench.auditing.pairs.pair import PairRequest, audit_pair
from assay.bench.brought.exports import bring
from assay.bench.brought.work import Wanted, Work
from assay.bench.words.progress import Narrator
from assay.errors import WorkerError
from assay.train.brought.sources import locate
from tests.bench.cli.test_cli import assay
from tests.onnx_files import save_onnx

FUNCTIONS = """
def forward_hangs():
    import torch

    class Spinning(torch.nn.Module):
        def forward(self, x):
            while True:
                x = x * 1.0

    return Spinning()


def while_of_tensorflow():
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
    def call(x):
        return tf.while_loop(lambda value: tf.constant(True), lambda value: (value * 1.0,), [x])[0]

    return call


def while_of_jax():
    import jax

    return lambda x: jax.lax.while_loop(lambda value: True, lambda value: value + 1.0, x)


def building_hangs():
    while True:
        pass


def third_call_hangs():
    import torch

    class Tired(torch.nn.Module):
        calls = 0

        def forward(self, x):
            self.calls += 1
            while self.calls > 2:
                pass
            return x * 2.0

    return Tired()
"""


def write_endless(path: Path) -> Path:
    """A Loop of 2^62 rounds, and a condition that stays true."""
    number, flag, value = TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT
    nodes = [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["v"], ["w"])]
    takes = [("round", number, []), ("go", flag, []), ("v", value, None)]
    gives = [("on", flag, []), ("w", value, None)]
    inside, outside = ([helper.make_tensor_value_info(*one) for one in some] for some in (takes, gives))
    body = helper.make_graph(nodes, "body", inside, outside)
    loop = helper.make_node("Loop", ["rounds", "true", "x"], ["y"], body=body)
    return save_onnx(
        path,
        [loop],
        {"x": (value, ["batch", 4])},
        {"y": (value, ["batch", 4])},
        {"rounds": np.array(2**62), "true": np.array(True)},
        ir_version=9,
    )


def test_an_onnx_file_that_never_returns_is_given_up(tmp_path: Path) -> None:
    location = locate(str(write_endless(tmp_path / "endless.onnx")))
    with pytest.raises(
        WorkerError, match=r"The first call of endless.onnx did not end within 1 s of processor time and was abandoned"
    ):
        bring(Work(Wanted(location, call_limit=1.0), tmp_path / "work", Narrator()))


@pytest.mark.slow
def test_an_audit_of_a_file_that_never_returns_is_given_up(tmp_path: Path) -> None:
    endless = write_endless(tmp_path / "endless.onnx")
    with pytest.raises(WorkerError, match=r"The first call of endless.onnx did not end within 1 s"):
        audit_pair(PairRequest(endless, endless, None, {}, call_limit=1.0))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("forward_hangs", "The first call of"),
        ("while_of_tensorflow", "The first call of"),
        ("while_of_jax", "The first call of"),
        ("third_call_hangs", "Call 3 of"),
    ],
)
def test_a_function_that_never_returns_is_given_up(function: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(FUNCTIONS)
    options = ("--shape", "x=batch,4", "--call-limit", "3", "--out", "out")
    if function == "while_of_jax":
        options = (*options, "--framework", "jax")
    done = assay("compare-model", f"model.py:{function}", *options, folder=tmp_path)
    assert done.returncode == 1, done.stderr
    said = rf"{words} model\.py:{function} did not end within [\d.]+ s of processor time and was abandoned"
    assert re.search(said, done.stderr), done.stderr
    assert "--call-limit" in done.stderr


@pytest.mark.slow
def test_a_function_that_is_never_built_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the default limit; a load is not a call."""
    (tmp_path / "model.py").write_text("import torch\n\n\ndef building_hangs():\n    while True:\n        pass\n")
    done = assay("compare-model", "model.py:building_hangs", "--shape", "x=batch,4", "--out", "out", folder=tmp_path)
    one = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    found = re.search(r"model.py:building_hangs did not end within (\d+) s of processor time and was abandoned", one)
    assert found, one
    assert 60 <= int(found[1]) <= 120, "in proportion to what the import of torch took here"


@pytest.mark.slow
def test_without_an_option_an_endless_file_is_given_up_and_the_time_left_is_said(tmp_path: Path) -> None:
    write_endless(tmp_path / "endless.onnx")
    done = assay("audit", "--reference", "endless.onnx", "--candidate", "endless.onnx", folder=tmp_path)
    assert done.returncode == 1
    assert "The first call of endless.onnx did not end within 60 s" in done.stderr
    assert re.search(r"is still running; it is given up in 4[45] s", done.stderr)
    assert assay("audit", "--reference", "endless.onnx", "--call-limit", "0", folder=tmp_path).returncode == 2
