"""OpenVINO's performance counters, read from a real model in a separate process."""

from __future__ import annotations

import pytest

from assay.bench.explaining.layers import aligned
from assay.infer.profile.attribute_job import ATTRIBUTE, AttributedModel, AttributionRequest, Figures
from assay.infer.runtime import ModelFiles
from assay.jobs.running import run_job
from assay.spec import ModelSpec, Settings
from assay.train.built import BuiltModel
from tests.export.models import workspace

CONVOLUTIONS = [f"stage{stage}.unit{unit}.conv" for stage in (1, 2, 3) for unit in (1, 2)]


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> Figures:
    place = workspace("bloodnet", tmp_path_factory)
    model = ModelFiles(model=BuiltModel(spec=place.spec), onnx=place.model("torch-script"), onnx_layout="NCHW")
    subject = AttributedModel(name="bloodnet", model=model, batches=(8,), images=place.folder / "images.npy")
    request = AttributionRequest(runtime="openvino", settings=Settings(), subjects=(subject,), seconds=0.2)
    answers: list[Figures] = []
    log = tmp_path_factory.mktemp("openvino") / "log"
    run_job(ATTRIBUTE, request, log, limit_seconds=600, heard=ATTRIBUTE.heard_by(answers.append))
    return answers[0]


def test_the_nodes_together_take_no_longer_than_their_call(answer: Figures) -> None:
    """A wrong unit would be off by a factor of a thousand. Both are medians of few calls, which vary on a busy
    machine.
    """
    for one in answer.rounds:
        assert 0 < one.kernel_ns <= 2 * one.profiled_ns


def test_every_convolution_is_found_with_its_layer(answer: Figures) -> None:
    found = aligned(answer.operators, ModelSpec("bloodnet", 28, 8), "onnx")
    layers = [one.layer for one in found if one.kind == "Convolution"]
    assert sorted(layers) == sorted(CONVOLUTIONS)
