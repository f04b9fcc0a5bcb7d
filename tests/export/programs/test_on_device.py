"""A program is traced on the device that it is compiled for; PyTorch's device without memory takes a GPU's place."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.export.programs.on_torch import Exported
from assay.export.programs.request import ProgramRequest
from assay.spec import ModelSpec
from assay.train.architectures import initial_weights
from assay.train.built import BuiltModel
from assay.train.weights import save_weights

SPEC = ModelSpec("bloodnet", 28, 8)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_module_and_its_examples_are_on_the_device(device: str, tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    save_weights(weights, initial_weights(SPEC, 0))
    model = BuiltModel(spec=SPEC, weights=weights)
    exported = Exported(ProgramRequest(runtime="torch.aot", model=model, folder=tmp_path, device=device))
    assert {one.device.type for one in (*exported.module.parameters(), *exported.module.buffers())} == {device}
    assert {one.device.type for one in (*exported.example, *exported.example_of_one)} == {device}
