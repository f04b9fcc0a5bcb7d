"""Models whose code or format does what it should not: the box prevents it, and one message says so."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.bench.brought.exports import Brought, bring
from assay.bench.brought.work import Wanted, Work
from assay.bench.words.progress import Narrator
from assay.boxed.processes import below, marked
from assay.errors import AssayError
from assay.jobs import pace
from assay.train.brought.model import read_shapes
from assay.train.brought.sources import locate

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs what Linux has")
SPY = """
import os, socket

def leaks(port, outside):
    found = [name for name in ("GH_TOKEN", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY") if name in os.environ]
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        found.append("the network")
    except OSError:
        pass
    try:
        open(outside, "w").close()
        found.append("files")
    except OSError:
        pass
    if found:
        raise ValueError("LEAKED " + ", ".join(found))
"""
MODELS = {
    "torch": "import torch\n    return torch.nn.Linear(4, 2)",
    "tf": "import keras\n    return keras.Sequential([keras.layers.Input((4,), name='rows'), keras.layers.Dense(2)])",
    "jax": "import jax.numpy as jnp\n    return lambda rows: jnp.tanh(rows)",
}
APPETITES = {
    "memory": "return len(bytearray(100 << 30))",
    "disk": "import tempfile\n    with tempfile.TemporaryFile() as f:\n        f.seek(50 << 30)\n        f.write(b'x')",
    "time": "import time\n    time.sleep(600)",
    "a child": "import os, time\n    os.fork() or os.setsid()\n    time.sleep(600)",
    "its exit": "import os\n    os._exit(0)",
    "a crash": "import os\n    os.kill(os.getpid(), 11)",
    "an answer": "import glob, os\n    for one in glob.glob('/proc/self/fd/*'):\n        answer(int(one[14:]))",
}
ANSWER = """
def answer(stream):
    try:
        __import__("os").write(stream, b'{"result": 5}\\n')
    except OSError:
        pass
"""
SCRIPT = """
import torch

class Writing(torch.nn.Module):
    def forward(self, rows: torch.Tensor):
        torch.save(rows, {path!r})
        return rows * 2

torch.jit.script(Writing()).save({file!r})
"""
SAVED_MODEL = """
import tensorflow as tf

class Writing(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="rows")])
    def __call__(self, rows):
        with tf.control_dependencies([tf.io.write_file({path!r}, "written")]):
            return {{"out": tf.identity(rows) * 2}}

module = Writing()
tf.saved_model.save(module, {file!r}, signatures=module.__call__.get_concrete_function())
"""

GRAPH = """
def graph(file):
    import tensorflow as tf

    return tf.saved_model.load(file)
"""


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    text = uuid.uuid4().hex
    monkeypatch.setenv("ASSAY_TEST_MARK", text)
    before = below(os.getpid())
    yield
    assert marked(text) == set()
    assert below(os.getpid()) <= before


def brought(folder: Path, text: str, *, trusted: bool = False) -> tuple[Brought, dict[str, str]]:
    wanted = Wanted(locate(text), read_shapes(["rows=batch,4"]), trusted=trusted)
    work = Work(wanted, folder / ("trusted" if trusted else "boxed"), Narrator())
    return bring(work), work.held


@linux
@pytest.mark.parametrize(
    "framework", ["torch", pytest.param("tf", marks=pytest.mark.slow), pytest.param("jax", marks=pytest.mark.slow)]
)
def test_code_of_every_framework_is_boxed_and_trust_lets_it_out(
    framework: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GH_TOKEN", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        outside = tmp_path / "outside"
        call = f"leaks({server.getsockname()[1]}, {str(outside)!r})"
        (tmp_path / "spy.py").write_text(f"{SPY}\ndef build():\n    {call}\n    {MODELS[framework]}\n")
        found, held = brought(tmp_path, f"{tmp_path / 'spy.py'}:build")
        assert found.model.kind == framework
        assert set(held) == {"network", "writing", "memory", "files", "processes"}
        assert not outside.exists()
        with pytest.raises(AssayError, match="LEAKED GH_TOKEN, HF_TOKEN, AWS_SECRET_ACCESS_KEY, the network, files"):
            brought(tmp_path, f"{tmp_path / 'spy.py'}:build", trusted=True)


@linux
@pytest.mark.parametrize("appetite", APPETITES)
def test_what_it_takes_too_much_of_is_one_message(
    appetite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "MOST_SECONDS", 4.0 if appetite in {"time", "a child"} else 8.0)
    (tmp_path / "greedy.py").write_text(f"{ANSWER}\ndef build():\n    {APPETITES[appetite]}\n")
    with pytest.raises(AssayError) as caught:
        brought(tmp_path, f"{tmp_path / 'greedy.py'}:build")
    assert caught.value.exit_code in {1, 2}
    assert "\n" not in str(caught.value)
    if appetite in {"memory", "disk"}:
        assert "give --trust" in str(caught.value)


@linux
@pytest.mark.slow
@pytest.mark.parametrize(
    ("maker", "load"),
    [(SCRIPT, "import torch\n    return torch.jit.load"), (SAVED_MODEL, "import keras\n    return graph")],
    ids=["torch", "tf"],
)
def test_a_graph_that_writes_files_writes_none(maker: str, load: str, tmp_path: Path) -> None:
    """Such a file is refused before it is loaded; here a user's own code loads it."""
    outside, file = tmp_path / "outside", tmp_path / "model"
    code = tmp_path / "maker.py"
    code.write_text(maker.format(path=str(outside), file=str(file)))
    subprocess.run([sys.executable, str(code)], check=True, capture_output=True, timeout=300)
    outside.unlink(missing_ok=True)
    (tmp_path / "loads.py").write_text(f"{GRAPH}\ndef build():\n    {load}({str(file)!r})\n")
    with contextlib.suppress(AssayError):  # TorchScript does not look whether it could write
        brought(tmp_path, f"{tmp_path / 'loads.py'}:build")
    assert not outside.exists()
    with contextlib.suppress(AssayError):
        brought(tmp_path, f"{tmp_path / 'loads.py'}:build", trusted=True)
    assert outside.exists()
