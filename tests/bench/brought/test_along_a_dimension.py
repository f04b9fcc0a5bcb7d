"""`assay model --dimension tokens=8,32`, to its end: exports stay open, are checked and timed at every size."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.records.audit import AUDIT_FILE, read_audit
from assay.records.results import RESULTS_FILE, Results, read_results
from tests.bench.cli.test_cli import assay

pytestmark = pytest.mark.slow

TORCH = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, fixed):
        super().__init__()
        self.fixed, self.embed = fixed, nn.Embedding(100, 16)
        self.out = nn.Linear(16, 4)

    def forward(self, ids):
        x = self.embed(ids)
        tokens = int(ids.shape[1]) if self.fixed else ids.shape[1]  # a trace keeps the number alone
        x = x.reshape(-1, tokens, 4, 4).flatten(2)
        return self.out(torch.softmax(x @ x.transpose(1, 2) / 4, 2) @ x)

def open_sizes():
    return Net(False).eval()

def fixed_size():
    return Net(True).eval()
"""
JAX = """
import jax.numpy as jnp
import numpy as np

WEIGHTS = np.random.default_rng(0).normal(0, 0.3, (3, 16, 16)).astype(np.float32)

def net(x):
    q, k, v = (x @ w for w in WEIGHTS)
    scores = jnp.exp(-jnp.square(q @ jnp.swapaxes(k, 1, 2) / 16))
    return scores @ v / scores.sum(axis=2, keepdims=True)
"""
KERAS = """
import keras

def build():
    x = keras.Input((None, 16), name="x")
    y = keras.layers.MultiHeadAttention(2, 8)(x, x)
    return keras.Model(x, keras.layers.Dense(4)(keras.layers.LayerNormalization()(y)))

def lstm():
    x = keras.Input((None, 6), name="x")
    return keras.Model(x, keras.layers.Dense(3)(keras.layers.LSTM(8, return_sequences=True)(x)))

def classifier():
    ids = keras.Input((None,), dtype="int32", name="ids")
    y = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(50, 8)(ids))
    return keras.Model(ids, keras.layers.Dense(2, activation="softmax")(keras.layers.Dense(16, "relu")(y)))
"""
IMAGES = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv2d(8, 2, 1))
"""
FEW = ("--minutes", "8", "--interval-width", "0", "--runtime", "ort.cpu")  # three processes, fewer on a busy machine


def compared(folder: Path, file: str, text: str, *options: str) -> tuple[int, Results, Path, str]:
    (folder / file.partition(":")[0]).write_text(text)
    done = assay("model", file, *FEW, *options, folder=folder)
    assert done.returncode in {0, 1}, done.stderr
    (place,) = (folder / "artifacts").glob("model-*")
    return done.returncode, read_results(place / RESULTS_FILE), place, done.stdout + done.stderr


def check_all_sizes(results: Results, place: Path, sizes: list[int]) -> None:
    timed = [cell for cell in results.cells if cell.framework and cell.status == "ok"]
    assert {cell.size for cell in timed} == set(sizes)
    assert all(cell.agreement and cell.agreement.passed for cell in timed)
    assert all(cell.timed_agreement and cell.timed_agreement.passed for cell in timed)
    assert {(one.size, one.batch) for one in results.comparisons} <= {(size, 1) for size in sizes}  # if times are VALID
    audit = read_audit(place / AUDIT_FILE)
    assert [one.name.rpartition("/")[2] for one in audit.models] == [str(size) for size in sizes]
    assert audit.passed


@pytest.mark.parametrize(
    ("file", "text", "options", "routes"),
    [
        (
            "net.py:open_sizes",
            TORCH,
            ("--shape", "ids=int64:batch,tokens", "--runtime", "torch.eager"),
            {"torch-dynamo", "torch-script"},
        ),
        ("net.py:net", JAX, ("--shape", "x=batch,tokens,16", "--runtime", "jax.jit"), {"jax2onnx", "jax2tf"}),
    ],
)
def test_open_sizes_are_checked_and_timed_at_each(
    file: str, text: str, options: tuple[str, ...], routes: set[str], tmp_path: Path
) -> None:
    _, results, place, said = compared(tmp_path, file, text, *options, "--dimension", "tokens=8,32")
    good = [one for one in results.exports if one.status == "ok"]
    assert routes <= {one.exporter for one in good}, [one.reason for one in results.exports]
    for one in good:
        assert any(part.subject.endswith(", 32 tokens") for part in one.agreement)
    check_all_sizes(results, place, [8, 32])
    assert "Verified at 8 and 32 tokens; other sizes were not verified." in said
    page = (place / "report" / "report.html").read_text(encoding="utf-8")
    assert "Verified at 8 and 32 tokens" in page
    assert "By tokens" in page
    done = assay("publish", str(place), "--to", "huggingface-card", folder=tmp_path)
    assert "Verified at 8 and 32 tokens" in done.stdout + "".join(one.read_text() for one in place.rglob("*.md")), (
        done.stderr
    )


@pytest.mark.parametrize(("function", "dimension"), [("build", "x.1"), ("lstm", "x.1"), ("classifier", "ids.1")])
def test_keras_has_no_name_for_its_open_dimension_and_takes_ours(function: str, dimension: str, tmp_path: Path) -> None:
    _, results, place, _ = compared(
        tmp_path, f"net.py:{function}", KERAS, "--dimension", f"{dimension}=8,32", "--runtime", "tf.function"
    )
    assert [one.status for one in results.exports] == ["ok"], [one.reason for one in results.exports]
    check_all_sizes(results, place, [8, 32])


def test_height_and_width_go_together(tmp_path: Path) -> None:
    _, results, place, said = compared(
        tmp_path,
        "net.py:build",
        IMAGES,
        *("--shape", "x=batch,3,height,width", "--dimension", "height=16,24", "--dimension", "width=16,40"),
        *("--runtime", "torch.eager"),
    )
    assert {one.exporter for one in results.exports if one.status == "ok"} == {"torch-dynamo", "torch-script"}
    check_all_sizes(results, place, [16, 24])
    assert "Verified at height 16, width 16; height 24, width 40; other sizes were not verified." in said


@pytest.mark.parametrize(
    ("file", "text", "options", "native"),
    [
        ("net.py:open_sizes", TORCH, ("--shape", "ids=int64:batch,tokens"), ("torch.eager",)),
        ("net.py:net", JAX, ("--shape", "x=batch,tokens,16"), ("jax.jit",)),
        ("net.py:lstm", KERAS, (), ("tf.function",)),
    ],
)
def test_calls_of_mixed_sizes_are_a_workload_of_their_own(
    file: str, text: str, options: tuple[str, ...], native: tuple[str, ...], tmp_path: Path
) -> None:
    name = "x.1" if text is KERAS else "tokens"
    runtimes = [word for one in native for word in ("--runtime", one)]
    _, results, place, said = compared(
        tmp_path, file, text, *options, "--dimension", f"{name}=8,16,32", "--mixed-sizes", *runtimes
    )
    mixed = [cell for cell in results.cells if not cell.size and cell.framework and cell.status == "ok"]
    assert {cell.runtime for cell in mixed} == {*native, "ort.cpu"}, [cell.reason for cell in results.cells]
    for cell in mixed:
        assert cell.agreement
        assert cell.agreement.passed
        assert cell.cold
        assert len(cell.cold.first_calls) == 3
        assert cell.cold.first_calls[0] == cell.cold.first_call_seconds
    for cell in [one for one in mixed if one.runtime == "jax.jit"]:  # it compiles for each shape
        assert cell.cold
        assert cell.host
        assert cell.cold.first_calls[1] * 1e3 > 10 * cell.host.median_ms.value
    page = (place / "report" / "report.html").read_text(encoding="utf-8")
    assert "Calls of mixed sizes" in page
    assert f"First call at 16 {name}" in page
    assert "mixed sizes" in said


def test_a_size_that_is_fixed_is_found_and_its_node_named(tmp_path: Path) -> None:
    code, results, _, said = compared(
        tmp_path, "net.py:fixed_size", TORCH, "--shape", "ids=int64:batch,tokens", "--dimension", "tokens=8,32"
    )
    traced = next(one for one in results.exports if one.exporter == "torch-script")
    assert code == 1
    assert traced.status == "failed"
    assert traced.reason.startswith("at 32 tokens: ")
    assert "made at 8 tokens, it has that size fixed in Reshape" in traced.reason
    assert "tokens" in said
