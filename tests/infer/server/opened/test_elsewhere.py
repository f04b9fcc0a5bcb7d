"""A model opened in a process of another Python: what passes through the pipe, and which side ends when."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from assay.infer.server.opened import elsewhere
from assay.infer.server.opened.elsewhere import COMMAND, OpenedElsewhere, receive, send
from assay.infer.server.opened.in_child import THERE
from assay.infer.server.triton import CHILD, OPENED
from assay.numerics.served import DATATYPES
from tests.serving_folder import images, probabilities, write_model

ARRAYS = st.dictionaries(
    st.text(),
    st.sampled_from(sorted(DATATYPES)).flatmap(
        lambda kind: st_numpy.arrays(kind, st_numpy.array_shapes(min_dims=0, min_side=0, max_dims=3))
    ),
    max_size=3,
)


@given(arrays=ARRAYS)
def test_arrays_come_out_as_they_went_in(arrays: dict[str, np.ndarray]) -> None:
    stream = io.BytesIO()
    send(stream, {"outputs": ["a"]}, arrays)
    stream.seek(0)
    told, found = receive(stream)
    assert told == {"outputs": ["a"]}
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


INPUTS, OUTPUTS = {"images": "uint8"}, {"probabilities": "float32", "label": "int64"}


def test_half_a_message_is_not_a_message() -> None:
    stream = io.BytesIO()
    send(stream, {}, {"a": np.arange(9)})
    with pytest.raises(EOFError):
        receive(io.BytesIO(stream.getvalue()[:-1]))


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version's folder as the server has it here: the model, and the code that opens it."""
    folder = tmp_path_factory.mktemp("repository") / "1"
    write_model(folder / "model.onnx", 1)
    shutil.copy(OPENED / "on_ort.py", folder / THERE)
    return folder


def test_a_model_answers_from_there_and_continues_after_a_refused_request(
    version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(COMMAND, json.dumps(CHILD))
    with closing(
        elsewhere.open_model(version / "model.onnx", {"intra_op_thread_count": "1"}, INPUTS, OUTPUTS)
    ) as opened:
        assert (opened.inputs, opened.outputs) == (INPUTS, OUTPUTS)
        with pytest.raises(RuntimeError, match="InvalidArgument"):
            opened({"images": images()[0]}, ["label"])
        label, found = opened({"images": images()[:3]}, ["label", "probabilities"])
    np.testing.assert_allclose(found, probabilities(1)[:3], atol=1e-6)
    np.testing.assert_array_equal(label, found.argmax(axis=1))


def test_a_file_that_is_refused_says_why(version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COMMAND, json.dumps(CHILD))
    with pytest.raises(RuntimeError, match=r"nothing\.onnx"):
        OpenedElsewhere(version / "nothing.onnx", {}, INPUTS, OUTPUTS)


def test_a_child_that_ends_ends_the_worker_that_asked_it(version: Path) -> None:
    """The server then has one worker fewer, which `assay serve` notices and replaces."""
    program = (
        "import json, os, sys; import numpy as np\n"
        f"os.environ[{COMMAND!r}] = json.dumps({CHILD!r})\n"
        "from assay.infer.server.opened.elsewhere import open_model\n"
        f"opened = open_model({str(version / 'model.onnx')!r}, {{}}, {{}}, {{}})\n"
        "children = open(f'/proc/self/task/{os.getpid()}/children').read().split()\n"
        "os.kill(int(children[0]), 9)\n"
        "opened({'images': np.zeros((1, 12, 12, 3), np.uint8)}, ['label'])\n"
        "print('went on')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
