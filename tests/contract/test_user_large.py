"""Models with more than 2 GiB of weights: each route gives a file that is checked, or names the limit."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from assay.errors import FailedError
from assay.export.graph.saved import MOST_BYTES
from assay.export.job import EXPORT, RouteRequest
from assay.export.probing.probe import PROBE, Probed
from assay.export.routes.size_limit import LIMIT
from assay.files.arrays import most_bytes
from assay.jobs.running import run_job
from assay.records.audit import AUDIT_FILE, read_audit
from assay.records.results import RESULTS_FILE, read_results
from assay.registry import GIVEN
from tests.bench.cli.test_cli import assay
from tests.contract.test_user_models import LIMIT_SECONDS, checked
from tests.good_run import status_of_good
from tests.onnx_files import onnx_model
from tests.user_models import to_probe

ROWS, WIDTH = 140_000, 1000
"""The size of one of four embedding tables, 2.24 GB of fp32 in all. They differ: torch-script writes equal ones once.
"""
SOURCES = {
    "torch": """
import torch

class Wide(torch.nn.Module):
    def __init__(self):
        super().__init__()
        block = torch.randn(1000, 1000) * 0.02
        self.words = torch.nn.ParameterList([block.repeat(140, 1) * (1 + one / 4) for one in range(4)])

    def forward(self, ids):
        return sum(one[ids].mean(1) for one in self.words)[:, :4]
""",
    "tf": """
import numpy as np
import tensorflow as tf

class Wide(tf.Module):
    def __init__(self):
        super().__init__()
        block = np.random.default_rng(0).normal(0, 0.02, (1000, 1000)).astype(np.float32)
        self.words = [tf.Variable(np.tile(block, (140, 1)) * np.float32(1 + one / 4)) for one in range(4)]

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.int64, name="ids")])
    def __call__(self, ids):
        return sum(tf.reduce_mean(tf.gather(one, ids), 1) for one in self.words)[:, :4]
""",
    "jax": """
import jax.numpy as jnp
import numpy as np

def Wide():
    block = np.random.default_rng(0).normal(0, 0.02, (1000, 1000)).astype(np.float32)
    words = [jnp.asarray(np.tile(block, (140, 1)) * np.float32(1 + one / 4)) for one in range(4)]
    return lambda ids: sum(one[ids].mean(1) for one in words)[:, :4]
""",
}
ROUTES = {
    "torch-dynamo": "torch", "torch-script": "torch", "tf2onnx": "tf", "jax2onnx": "jax", "jax2tf": "jax",
    GIVEN: "onnx",
}  # fmt: skip
REFUSED = {"torch-script", "tf2onnx", "jax2tf"}


def written(folder: Path) -> Path:
    """The same as a file with its weights in another file."""
    block = np.random.default_rng(0).normal(0, 0.02, (WIDTH, WIDTH)).astype(np.float32)
    whole = np.tile(block, (ROWS // WIDTH, 1))
    tables = [numpy_helper.from_array(whole * np.float32(1 + one / 4), f"words{one}") for one in range(4)]
    axes = numpy_helper.from_array(np.array([1]), "axes")
    nodes = [helper.make_node("Gather", [f"words{one}", "ids"], [f"rows{one}"]) for one in range(4)]
    nodes += [helper.make_node("Sum", [f"rows{one}" for one in range(4)], ["sum"])]
    nodes += [helper.make_node("ReduceMean", ["sum", "axes"], ["y"], keepdims=0)]
    model = onnx_model(
        nodes, {"ids": (TensorProto.INT64, ["batch", 3])}, {"y": ["batch", WIDTH]}, [*tables, axes], ir_version=9
    )
    onnx.save(model, folder / "wide.onnx", save_as_external_data=True, location="wide.onnx.data")
    return folder / "wide.onnx"


def looked_at(folder: Path, kind: str) -> Probed:
    model: str | Path = f"{folder / 'models.py'}:Wide"
    if kind == "onnx":
        model = written(folder)
    else:
        (folder / "models.py").write_text(SOURCES[kind])
    request = to_probe(folder, model, "ids=int64:batch,3", framework="" if kind == "onnx" else kind)
    return run_job(PROBE, request, folder / "log", limit_seconds=LIMIT_SECONDS)


@pytest.mark.slow
@pytest.mark.skipif(most_bytes(1.0) < 16 << 30, reason="the frameworks take this model several times over")
@pytest.mark.parametrize("route", ROUTES)
def test_a_route_gives_a_file_that_is_checked_or_says_whose_limit_it_is(route: str, tmp_path: Path) -> None:
    found = looked_at(tmp_path, ROUTES[route])
    assert found.reference or found.reason, "there is a float64, or it is said why not"
    place = tmp_path / route
    place.mkdir()
    request = RouteRequest(model=found.model, exporter=route, opset=18, key="key", folder=place)
    if route in REFUSED:
        with pytest.raises(FailedError) as caught:
            run_job(EXPORT, request, tmp_path / "log", limit_seconds=LIMIT_SECONDS)
        assert LIMIT in str(caught.value)
        assert "external data" in str(caught.value)
        return
    record = run_job(EXPORT, request, tmp_path / "log", limit_seconds=LIMIT_SECONDS)
    assert record.file_bytes > MOST_BYTES
    if not found.reference:
        np.save(tmp_path / "reference.npy", np.load(tmp_path / "native.npy").astype(np.float64))
    assert checked(tmp_path, found.model, place / "model.onnx") == ""


@pytest.mark.slow
def test_equal_tables_are_written_once_and_computed_right(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(SOURCES["torch"].replace(" * (1 + one / 4)", "").replace("140", "2"))
    found = run_job(
        PROBE,
        to_probe(tmp_path, f"{tmp_path / 'models.py'}:Wide", "ids=int64:batch,3", framework="torch"),
        tmp_path / "log",
        limit_seconds=LIMIT_SECONDS,
    )
    request = RouteRequest(model=found.model, exporter="torch-script", opset=18, key="key", folder=tmp_path)
    record = run_job(EXPORT, request, tmp_path / "log", limit_seconds=LIMIT_SECONDS)
    table = 2 * WIDTH * WIDTH * 4
    assert table < record.file_bytes < 1.1 * table
    assert checked(tmp_path, found.model, tmp_path / "model.onnx") == ""


SPARSE = 8
"""The rows of each table that are not zero; the file has holes for the others."""


def written_sparsely(folder: Path, name: str, tables: Sequence[int]) -> Path:
    """Sum of lookups in four tables of one file, in this order; equal names have equal weights."""
    table = ROWS * WIDTH * 4
    data = folder / "sparse.data"
    if not data.exists():
        with data.open("wb") as file:
            for one in range(4):
                file.seek(one * table)
                file.write(np.random.default_rng(one).normal(size=(SPARSE, WIDTH)).astype("<f4").tobytes())
            file.truncate(4 * table)
    words = []
    for one in range(4):
        tensor = TensorProto(name=f"words{one}", data_type=TensorProto.FLOAT, dims=(ROWS, WIDTH))
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": data.name, "offset": one * table, "length": table}.items():
            tensor.external_data.add(key=key, value=str(value))
        words.append(tensor)
    nodes = [helper.make_node("Gather", [f"words{one}", "ids"], [f"rows{at}"]) for at, one in enumerate(tables)]
    nodes += [helper.make_node("Sum", [f"rows{at}" for at in range(len(tables))], ["sum"])]
    nodes += [helper.make_node("ReduceMean", ["sum", "axes"], ["y"], keepdims=0)]
    constants = [*words, numpy_helper.from_array(np.array([1]), "axes")]
    ends = {"ids": (TensorProto.INT64, ["batch", 3])}, {"y": ["batch", WIDTH]}
    model = onnx_model(nodes, *ends, constants, ir_version=9)
    (folder / name).write_bytes(model.SerializeToString())
    return folder / name


@pytest.mark.slow
@pytest.mark.skipif(most_bytes(1.0) < 16 << 30, reason="float64 takes this file several times over")
def test_a_file_with_external_data_is_compared_and_audited_by_the_commands(tmp_path: Path) -> None:
    written_sparsely(tmp_path, "wide.onnx", (0, 1, 2, 3))
    runtimes = ("--runtime", "ort.cpu", "--runtime", "ort.cpu.no-opt")
    done = assay("model", "wide.onnx", "--range", f"ids=0:{SPARSE - 1}", *runtimes, "--minutes", "0.1", folder=tmp_path)
    assert "Traceback" not in done.stderr
    folder = tmp_path / "artifacts" / "model-wide"
    results = read_results(folder / RESULTS_FILE)
    assert done.returncode == status_of_good(results), done.stdout + done.stderr
    assert "agree" in done.stdout
    (export,) = results.exports
    assert (export.status, export.file_bytes > MOST_BYTES) == ("ok", True)
    timed = [cell for cell in results.cells if cell.framework]
    assert timed
    assert all(cell.status == "ok" and cell.agreement and cell.agreement.passed for cell in timed)
    (audited,) = read_audit(folder / AUDIT_FILE).models
    assert audited.comparisons
    assert all(one.passed for one in audited.comparisons)
    shutil.rmtree(tmp_path / "artifacts")  # gigabytes
    np.savez(tmp_path / "ids.npz", ids=np.random.default_rng(0).integers(0, SPARSE, (16, 3)))
    for order, code in (((3, 1, 2, 0), 0), ((0, 1, 2, 2), 1)):
        written_sparsely(tmp_path, "other.onnx", order)
        files = ("--reference", "wide.onnx", "--candidate", "other.onnx", "--inputs", "ids.npz")
        pair = assay("audit", *files, folder=tmp_path)
        assert "Traceback" not in pair.stderr
        if "Its weights in float64 need more memory than is available" in pair.stderr:
            assert pair.returncode == 2
            continue  # four copies of them, 17 GB, of which the free memory may hold 70 %
        assert pair.returncode == code, pair.stdout + pair.stderr
