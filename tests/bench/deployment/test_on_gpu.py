"""Deploying a cell that was timed on a GPU. No GPU is here: what stands for one says that it is fake."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from assay.bench.deployment import deploy, subject
from assay.bench.deployment.checking.verify import check_deployment
from assay.bench.deployment.deploy import roll_back, write_deployment
from assay.bench.deployment.subject import read_study, servable_cell
from assay.bench.serving.snapshot import take_snapshot
from assay.bench.words.progress import Narrator
from assay.errors import ExportFailedError, InputError, NotInstalledError
from assay.export.served import contract_job
from assay.export.served.contract_job import ContractOutcome, ContractPlace, ContractRequest, open_served
from assay.infer.server.opened import on_ort
from assay.records.deployment import STOCK_TRITON, read_deployment, served_by
from assay.registry import RUNTIMES
from tests.bench.compared_model import cell_name, make_comparison

ON_GPU = [entry.name for entry in RUNTIMES.values() if entry.served_by and entry.served_by.device == "cuda"]


def compared_on_gpu(folder: Path, runtime: str) -> Path:
    """The folder of a comparison whose cells say that they ran on a GPU."""
    made = make_comparison(folder, runtime=runtime)
    results = read_study(made).results
    cells = [one.model_copy(update={"device_kind": "cuda", "asked_device": "cuda"}) for one in results.cells]
    environment = results.environment | {"gpus": ["NVIDIA H200, 580.95.05"]}
    changed = results.model_copy(update={"cells": cells, "environment": environment})
    (made / "results.json").write_text(changed.model_dump_json())
    return made


def deployed_by_a_fake_gpu(work: Path, runtime: str, folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Deploy a cell where the machine says that it has a GPU, and the file runs on the CPU in its place."""

    def on_cpu(request: ContractRequest, place: Path, **_: object) -> ContractOutcome:
        with pytest.MonkeyPatch.context() as within:
            within.setattr(contract_job, "open_served", lambda *all_of_it: open_served(*all_of_it, "cpu"))
            within.setenv("CUDA_DEVICE_ORDER", "")  # which the job sets
            return contract_job.work(ContractPlace(request=request, folder=place))

    patch.setattr(deploy, "check_gpu", lambda *_: None)
    patch.setattr(subject, "run_contract", on_cpu)
    study = read_study(compared_on_gpu(work, runtime))
    write_deployment(study, cell_name("rows", runtime), folder, Narrator())
    return folder


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment of ONNX Runtime on CUDA that no test changes."""
    work = tmp_path_factory.mktemp("gpu")
    with pytest.MonkeyPatch.context() as patch:
        return deployed_by_a_fake_gpu(work / "compared", "ort.cuda", work / "out", patch)


def config_in(folder: Path) -> ModelConfig:
    return text_format.Parse((folder / "models/pair/config.pbtxt").read_text(), ModelConfig())


@pytest.mark.parametrize("runtime", ON_GPU)
def test_tritons_configuration_has_one_gpu_and_the_accelerators_that_were_timed(
    runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_in(deployed_by_a_fake_gpu(tmp_path / "compared", runtime, tmp_path / "out", monkeypatch))
    (group,) = config.instance_group
    assert (group.kind, group.count, list(group.gpus)) == (ModelInstanceGroup.KIND_GPU, 1, [0])
    found = config.optimization.execution_accelerators
    assert not found.cpu_execution_accelerator
    there = {one.name: dict(one.parameters) for one in found.gpu_execution_accelerator}
    assert there == served_by(runtime).accelerators
    assert there["cuda"]["use_tf32"] == ("1" if runtime.endswith("tf32") else "0")
    assert there["cuda"]["cudnn_conv_algo_search"] == "EXHAUSTIVE"
    assert (config.backend, set(config.parameters)) == ("onnxruntime", set(served_by("ort.cpu").options))


def test_the_containers_get_one_gpu_and_the_card_says_what_was_not_tried(first: Path) -> None:
    compose = yaml.safe_load((first / "docker/compose.yaml").read_text())["services"]["triton"]
    assert compose["deploy"]["resources"]["reservations"]["devices"] == [
        {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    ]
    assert (compose["read_only"], compose["restart"]) == (True, "unless-stopped")
    service = yaml.safe_load((first / "kubernetes/inference-service.yaml").read_text())
    resources = service["spec"]["predictor"]["model"]["resources"]
    assert (resources["limits"]["nvidia.com/gpu"], resources["requests"]["cpu"]) == ("1", "1")
    image = (first / "docker/Dockerfile").read_text()
    assert f"tritonserver:{STOCK_TRITON}-py3" in image
    assert "It has CUDA 13.4, which needs NVIDIA's driver 580 or newer" in image
    card = (first / "README.md").read_text()
    assert "timed on NVIDIA H200, 580.95.05 and is served on one GPU" in card
    assert "`cuda` with `use_tf32 = 0`, `cudnn_conv_algo_search = EXHAUSTIVE`." in card
    assert "these files fit Triton's schema, and were not tried" in card


def test_a_deployment_for_the_cpu_says_nothing_of_a_gpu(tmp_path: Path) -> None:
    write_deployment(
        read_study(make_comparison(tmp_path / "compared")), cell_name("rows"), tmp_path / "out", Narrator()
    )
    (group,) = config_in(tmp_path / "out").instance_group
    assert group.kind == ModelInstanceGroup.KIND_CPU
    for name in ("docker/compose.yaml", "docker/Dockerfile", "kubernetes/inference-service.yaml", "README.md"):
        assert not {"nvidia.com/gpu", "driver: nvidia", "CUDA"} & set((tmp_path / "out" / name).read_text().split())
        assert "GPU" not in (tmp_path / "out" / name).read_text()


def test_its_record_says_the_device_and_it_passes_the_check_without_a_gpu(first: Path) -> None:
    found = check_deployment(first)
    assert (found.device, found.version(1).runtime, found.version(1).cell) == (
        "cuda",
        "ort.cuda",
        cell_name("rows", "ort.cuda"),
    )


def test_it_is_gone_over_to_from_the_cpu_and_back(first: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(first, tmp_path / "pair"))
    write_deployment(read_study(make_comparison(tmp_path / "compared")), cell_name("rows"), folder, Narrator())
    assert read_deployment(folder).device == "cpu"
    assert not config_in(folder).optimization.execution_accelerators.gpu_execution_accelerator
    assert roll_back(folder).device == "cuda"
    assert check_deployment(folder).serving == 1


def test_the_server_of_this_machine_refuses_it(first: Path, tmp_path: Path) -> None:
    with pytest.raises(NotInstalledError, match=r"served on a GPU, and the Triton server of .*docker compose"):
        take_snapshot(first, tmp_path / "models")


def test_it_is_not_deployed_where_no_gpu_is(tmp_path: Path) -> None:
    study = read_study(compared_on_gpu(tmp_path / "compared", "ort.cuda"))
    assert servable_cell(study.results, cell_name("rows", "ort.cuda")).device_kind == "cuda"
    with pytest.raises(InputError, match=r"asks for a GPU: .*found none.*Deploy on the machine that timed it"):
        write_deployment(study, cell_name("rows", "ort.cuda"), tmp_path / "out", Narrator())
    assert not (tmp_path / "out").exists()


def test_its_file_is_not_opened_by_an_onnxruntime_without_cuda(first: Path) -> None:
    found = read_deployment(first)
    file, options = first / "models/pair/1/model.onnx", served_by("ort.cuda").options_of(1)
    with pytest.raises(ExportFailedError, match=r"no CUDAExecutionProvider, only .*CPUExecutionProvider"):
        open_served("ort.cuda", file, options, found.inputs, found.outputs)
    assert open_served("ort.cuda", file, options, found.inputs, found.outputs, "cpu").inputs


@pytest.mark.parametrize("starts", [True, False])
def test_a_fake_onnxruntime_gets_the_accelerators_with_their_options_and_must_start_them(
    starts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    one = SimpleNamespace(name="x", type="tensor(float)")

    class FakeSession:
        def __init__(self, path: Path, options: object, providers: list[Any]) -> None:
            asked.extend(providers)

        def get_providers(self) -> list[str]:
            return [name for name, _ in asked] if starts else ["CPUExecutionProvider"]

        def get_inputs(self) -> list[Any]:
            return [one]

        get_outputs = get_inputs

        def run(self, names: list[str], feeds: dict[str, Any]) -> list[Any]:
            return [feeds["x"]]

    there = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(on_ort.onnxruntime, "get_available_providers", lambda: there)
    monkeypatch.setattr(on_ort.onnxruntime, "InferenceSession", FakeSession)
    options = {"accelerators": '{"tensorrt": {"precision_mode": "FP16"}, "cuda": {"use_tf32": "0"}}'}
    if not starts:
        with pytest.raises(RuntimeError, match="TensorrtExecutionProvider did not start: there is CPUExecution"):
            on_ort.open_model(tmp_path / "model.onnx", options, {}, {})
        return
    opened = on_ort.open_model(tmp_path / "model.onnx", options, {}, {})
    assert asked == [
        ("TensorrtExecutionProvider", {"trt_fp16_enable": "1"}),
        ("CUDAExecutionProvider", {"use_tf32": "0"}),
    ]
    np.testing.assert_array_equal(opened({"x": np.ones(2)}, ["x"])[0], np.ones(2))
