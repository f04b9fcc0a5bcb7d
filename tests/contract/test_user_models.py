"""Every runtime and every route for users' models, on the examples of the docs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.bench.machine.host import LOCAL
from assay.bench.machine.machine import usable_cores
from assay.bench.timing.programs import with_programs
from assay.bench.timing.workers import Candidate, Worker
from assay.boxed.boxing import Box
from assay.errors import AssayError
from assay.export.job import CHECK, EXPORT, RouteRequest
from assay.export.probing.probe import PROBE, Probed
from assay.export.programs.programs import Workshop
from assay.export.record import MODEL_FILE
from assay.infer.runtime import ModelFiles
from assay.jobs.running import run_job
from assay.registry import EXPORTERS, RUNTIMES
from assay.runtimes.entry import AS_IT_COMES
from assay.spec import Settings
from assay.store import Store
from assay.train.brought.agreement import Judge
from assay.train.brought.model import UserModel
from tests.contract.test_runtimes import is_refused_rightly
from tests.user_models import to_check, to_probe

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
MODELS = {"torch": "torch_mlp.py:build", "tf": "keras_mlp.py:build", "jax": "jax_mlp.py:build"}
SHAPES = ["features=batch,256"]
ON_ONNX = ["ort.cpu", "ort.cpu.no-opt", "openvino", "openvino.bf16", "openvino.nncf"]
LIMIT_SECONDS = 600

TWO = """
import torch
from torch import nn

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.last = nn.Embedding(2, 8), nn.Linear(8, 5)

    def forward(self, ids, scale):
        pooled = self.table(ids).mean(1) * scale
        return {"scores": self.last(pooled), "pooled": pooled.reshape(-1, 2, 4)}

class Mixing(nn.Module):
    def forward(self, rows):
        return rows @ rows.T
"""


def probed(
    folder: Path, text: str, shapes: list[str], dimensions: dict[str, int] | None = None, inputs: Path | None = None
) -> Probed:
    request = to_probe(folder, text, *shapes, dimensions=dimensions or {}, inputs=inputs, batches=(1, 8))
    return run_job(PROBE, request, folder / "log", limit_seconds=LIMIT_SECONDS, box=Box((folder,)))


def exported(folder: Path, model: UserModel, exporter: str) -> Path:
    place = folder / exporter
    place.mkdir(exist_ok=True)
    request = RouteRequest(model=model, exporter=exporter, opset=18, key="key", folder=place)
    record = run_job(EXPORT, request, folder / "log", limit_seconds=LIMIT_SECONDS, box=Box((folder,)))
    assert record.status == "ok"
    return place / MODEL_FILE


def checked(folder: Path, model: UserModel, file: Path) -> str:
    """The reason why the check refuses a file, or ""."""
    answer = run_job(
        CHECK, to_check(folder, model, file), folder / "log", limit_seconds=LIMIT_SECONDS, box=Box((folder,))
    )
    assert answer.agreement
    return answer.reason


def agrees(
    folder: Path, model: UserModel, runtime: str, onnx: Path | None = None, batches: tuple[int, ...] = (1, 8)
) -> None:
    """Load it in a worker, compare its outputs at every batch size, and time a burst; or expect a refusal with
    words.
    """
    reference, native = (np.load(folder / f"{name}.npy") for name in ("reference", "native"))
    judge = Judge(model, reference, {model.kind: native})
    asked = RUNTIMES[runtime].precision
    given = Candidate(runtime, "", ModelFiles(model=model, onnx=onnx))
    made, refused = with_programs([given], Workshop(Store(folder / "programs"), lambda: folder / "records.npy"))
    assert not refused
    (one,) = made
    worker = Worker(
        one,
        limit_seconds=LIMIT_SECONDS,
        log=folder / "log",
        answers=folder,
        compile_cache=folder / "cache",
        host=LOCAL,
    )
    try:
        try:
            loaded = worker.load(Settings(threads=1, cores=usable_cores()[-1:]))
        except AssayError as refusal:
            if is_refused_rightly(runtime, refusal):
                return
            raise
        assert asked == AS_IT_COMES or loaded.precision == (asked or "fp32")
        for batch in batches:
            worker.write_logits(folder / "records.npy", 32, batch, folder / "logits.npy")
            rows = np.load(folder / "logits.npy")
            found = judge.compare(runtime, rows, np.arange(len(rows)), loaded.precision)
            assert found.passed, found.reason
        known = folder / "known.npy"  # what is timed is compared, so it has to have a reference
        np.save(known, np.load(folder / "records.npy")[: len(reference)])
        worker.warm(known, batches[-1], limit_seconds=1)
        burst = worker.burst(calls=3, drop=1)
        assert min(burst.host_ns + burst.device_ns) > 0
        worker.write_timed(folder / "timed.npz")
        with np.load(folder / "timed.npz") as kept:
            assert judge.compare(runtime, kept["logits"], kept["places"], loaded.precision).passed
        seen = worker.observe()
        assert (seen.device, seen.precision) == ("cpu", loaded.precision)
    finally:
        worker.kill()


@pytest.fixture(scope="module", params=[pytest.param(kind, marks=pytest.mark.slow) for kind in MODELS])
def brought(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Probed]:
    folder = tmp_path_factory.mktemp(request.param)
    return folder, probed(folder, f"{EXAMPLES}/{MODELS[request.param]}", SHAPES if request.param != "tf" else [])


def test_every_runtime_and_route_computes_the_model(brought: tuple[Path, Probed]) -> None:
    folder, found = brought
    model = found.model
    routes = [name for name, entry in EXPORTERS.items() if entry.framework == model.kind]
    files = {name: exported(folder, model, name) for name in routes}
    assert found.reference, found.reason
    for file in files.values():
        assert checked(folder, model, file) == ""
        for runtime in ON_ONNX:
            agrees(folder, model, runtime, file)
    for entry in RUNTIMES.loading(model.kind):
        agrees(folder, model, entry.name)


@pytest.mark.slow
def test_several_inputs_and_outputs_go_through_everything(tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(TWO)
    model = probed(tmp_path, f"{tmp_path}/two.py:Two", ["ids=int64:batch,6", "scale=batch,1"]).model
    assert [one.name for one in model.outputs] == ["scores", "pooled"]
    for route in ("torch-dynamo", "torch-script"):
        file = exported(tmp_path, model, route)
        assert checked(tmp_path, model, file) == ""
        agrees(tmp_path, model, "ort.cpu", file)
        agrees(tmp_path, model, "openvino", file)
    agrees(tmp_path, model, "torch.eager")


@pytest.mark.slow
def test_rows_that_depend_on_each_other_are_one_call_of_a_fixed_size_and_refused_without(tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(TWO)
    model = probed(tmp_path, f"{tmp_path}/two.py:Mixing", ["rows=4,3"]).model
    assert (model.whole, model.outputs[0].shape) == (True, (4, 4))
    file = exported(tmp_path, model, "torch-dynamo")
    assert checked(tmp_path, model, file) == ""
    agrees(tmp_path, model, "ort.cpu", file, batches=(1,))
    with pytest.raises(Exception, match=r"depend on each other.*--dimension batch=4"):
        probed(tmp_path, f"{tmp_path}/two.py:Mixing", ["rows=batch,3"])


@pytest.mark.slow
def test_a_wrong_export_is_refused_with_its_numbers(tmp_path: Path) -> None:
    import onnx  # noqa: PLC0415
    from onnx import numpy_helper  # noqa: PLC0415

    model = probed(tmp_path, f"{EXAMPLES}/{MODELS['torch']}", SHAPES).model
    file = exported(tmp_path, model, "torch-script")
    proto = onnx.load(file)
    bias = next(one for one in proto.graph.initializer if one.dims == [10])
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(0.001), bias.name))
    onnx.save(proto, file)
    assert "differs by 0.001" in checked(tmp_path, model, file)
