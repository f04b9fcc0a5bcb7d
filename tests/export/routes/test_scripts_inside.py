"""A script inside a PyTorch module keeps its loops and branches in the export by tracing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch")

from assay.export.routes.from_torchscript import _with_scripts  # noqa: E402  it imports torch

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated as a whole


class Branches(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
    """The sign of the sum chooses, which a trace alone would fix."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        if float(x.sum()) > 0:
            x = x * 2
        return {"y": x}


class Outer(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.jit.script(Branches())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.inner(x + 1)["y"]
        return found


def test_both_sides_of_a_branch_in_a_script_are_in_the_file(tmp_path: Path) -> None:
    example = (torch.ones(2, 3),)
    module = _with_scripts(Outer().eval(), example)
    torch.onnx.export(module, example, tmp_path / "a.onnx", dynamo=False, input_names=["x"], opset_version=18)
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    for value, right in ((1, 4), (-3, -2)):
        (found,) = session.run(None, {"x": np.full((2, 3), value, np.float32)})
        np.testing.assert_array_equal(found, right)


def test_a_script_and_a_module_without_one_stay_what_they_are() -> None:
    for module in (torch.jit.script(Branches()), torch.nn.Linear(2, 2)):
        assert _with_scripts(module, (torch.ones(1, 2),)) is module
