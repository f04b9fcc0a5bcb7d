"""A small U-Net in int8, from its file to the audit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.numerics.segmentation import MOST_LOST
from assay.records.audit import Comparison, read_audit
from assay.records.results import Cell, Results, read_results
from tests.bench.cli.test_cli import assay
from tests.bench.tasks.test_end_to_end import CLASSES, SIDE, VOID, drawn
from tests.good_run import status_of_good

IMAGES = 96
MODEL = f"""
import torch
from torch import nn


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.down = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.inner = nn.Conv2d(16, 16, 3, padding=1)
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.last = nn.Conv2d(16, {CLASSES}, 1)

    def forward(self, image):
        fine = torch.relu(self.first(image))
        coarse = torch.relu(self.inner(torch.relu(self.down(fine))))
        return self.last(torch.cat([fine, self.up(coarse)], 1))


def build():
    net = UNet()
    net.load_state_dict(torch.load("WEIGHTS", weights_only=True))
    return net.eval()
"""


def trained(folder: Path, seed: int) -> None:
    """Write the model's file and its weights."""
    import torch  # noqa: PLC0415  collecting tests pays for nothing
    from torch import nn  # noqa: PLC0415

    (folder / "unet.py").write_text(MODEL.replace("WEIGHTS", f"{folder}/weights.pt"))
    scope: dict[str, type[nn.Module]] = {}
    exec(compile(MODEL, "unet.py", "exec"), scope)
    torch.manual_seed(seed)
    net = scope["UNet"]()
    images, labels = map(torch.from_numpy, drawn(64, 100 + seed))
    steps = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(150):
        steps.zero_grad()
        nn.functional.cross_entropy(net(images), labels, ignore_index=VOID).backward()
        steps.step()
    torch.save(net.state_dict(), folder / "weights.pt")


def compared(folder: Path) -> tuple[int, Results, list[Comparison]]:
    """The exit code, the results, and the audit's comparisons of int8."""
    images, labels = drawn(IMAGES, 2)
    np.savez(folder / "images.npz", image=images)
    np.save(folder / "labels.npy", labels)
    told = ["--inputs", "images.npz", "--task", "segmentation", "--labels", "labels.npy", "--precision", "int8"]
    shape = ["--shape", f"image=batch,1,{SIDE},{SIDE}", "--runtime", "ort.cpu@torch-dynamo", "--minutes", "1"]
    done = assay("model", "unet.py:build", *shape, *told, "--runtime", "ort.cpu", folder=folder)
    made = folder / "artifacts" / "model-unet-build"
    assert done.returncode in {0, 1}, done.stderr
    (model,) = read_audit(made / "audit.json").models
    return done.returncode, read_results(made / "results.json"), model.comparisons


def of_int8(results: Results) -> list[Cell]:
    return [cell for cell in results.cells if cell.framework and cell.exporter.endswith("+int8")]


@pytest.mark.slow
def test_a_good_int8_keeps_its_pixels_and_passes(tmp_path: Path) -> None:
    trained(tmp_path, seed=0)
    status, results, comparisons = compared(tmp_path)
    assert status == status_of_good(results)
    cells = of_int8(results)
    assert cells
    for cell in cells:
        assert cell.agreement is not None
        assert cell.agreement.passed, cell.agreement.reason
        assert cell.judgement is not None
        assert cell.judgement.flips.flipped > 0, "so few pixels that int8 shows nothing"
        assert not cell.judgement.reason
        for one in cell.judgement.qualities:
            assert one.value.value >= one.base.value * (1 - MOST_LOST)
    audited = [one for one in comparisons if one.subject.endswith("+int8")]
    assert audited
    assert all(one.passed and one.precision == "int8" and one.judgement for one in audited)
