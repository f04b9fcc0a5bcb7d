"""A small segmentation model of a user, from its file to the report: trained here, exported, timed and judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.records.audit import read_audit
from assay.records.results import read_results
from tests.bench.cli.test_cli import assay
from tests.detectors import AT_THE_LIMIT, limit_between, records, save_detector, weights
from tests.good_run import status_of_good

SIDE, CLASSES, IMAGES, VOID = 24, 3, 40, 255
MODEL = f"""
import torch
from torch import nn


def build():
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, {CLASSES}, 1)
    )
    net.load_state_dict(torch.load("weights.pt", weights_only=True))
    return net.eval()
"""


def drawn(images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A bright square or a dark disc on noise, and its class; the first row of pixels has no label."""
    chance = np.random.default_rng(seed)
    down, across = np.mgrid[:SIDE, :SIDE]
    pixels = chance.normal(0, 0.3, (images, 1, SIDE, SIDE)).astype(np.float32)
    labels = np.zeros((images, SIDE, SIDE), np.int64)
    for image in range(images):
        row, column, radius = *chance.integers(6, SIDE - 6, 2), chance.integers(3, 6)
        square = image % 2 == 1
        if square:
            inside = (abs(down - row) < radius) & (abs(across - column) < radius)
        else:
            inside = (down - row) ** 2 + (across - column) ** 2 < radius**2
        pixels[image, 0][inside] += 1.5 if square else -1.5
        labels[image][inside] = 1 + square
    labels[:, 0] = VOID
    return pixels, labels


def trained(folder: Path) -> np.ndarray:
    """Write the model's file and weights, and return its answers to the images to be judged."""
    import torch  # noqa: PLC0415  collecting tests pays for nothing
    from torch import nn  # noqa: PLC0415

    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, CLASSES, 1)
    )
    images, labels = map(torch.from_numpy, drawn(64, 1))
    steps = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(100):
        steps.zero_grad()
        nn.functional.cross_entropy(net(images), labels, ignore_index=VOID).backward()
        steps.step()
    torch.save(net.state_dict(), folder / "weights.pt")
    (folder / "shapes.py").write_text(MODEL.replace('"weights.pt"', f'"{folder}/weights.pt"'))
    with torch.no_grad():
        return net(torch.from_numpy(drawn(IMAGES, 2)[0])).argmax(1).numpy()


@pytest.mark.slow
def test_a_segmentation_model_is_judged_per_pixel(tmp_path: Path) -> None:
    answered = trained(tmp_path)
    images, labels = drawn(IMAGES, 2)
    np.savez(tmp_path / "images.npz", image=images)
    np.save(tmp_path / "labels.npy", labels)
    words = ["--inputs", "images.npz", "--task", "segmentation", "--labels", "labels.npy", "--minutes", "2"]
    shape = ["--shape", f"image=batch,1,{SIDE},{SIDE}", "--runtime", "torch.eager", "--runtime", "ort.cpu"]
    done = assay("compare-model", "shapes.py:build", *shape, *words, "--interval-width", "0", folder=tmp_path)
    folder = tmp_path / "artifacts" / "model-shapes-build"
    results, audit = read_results(folder / "results.json"), read_audit(folder / "audit.json")
    assert done.returncode == status_of_good(results), done.stderr + done.stdout
    assert (results.task, results.kind) == ("segmentation", "model")
    judged = {cell.label: cell.judgement for cell in results.cells if cell.framework}
    assert {"torch.eager", "ort.cpu@torch-dynamo"} <= set(judged)
    for judgement in judged.values():
        assert judgement is not None
        assert judgement.flips.flipped == 0
        assert judgement.left_out == IMAGES * SIDE
        accuracy, iou = judgement.qualities
        known = labels != VOID
        assert accuracy.value.value == pytest.approx((answered == labels)[known].mean(), abs=1e-3)
        assert iou.value.value == pytest.approx(by_hand(answered[known], labels[known]), abs=1e-3)
        assert accuracy.value.low < accuracy.value.value < accuracy.value.high
    assert all(one.judgement for one in audit.models[0].comparisons)
    assert f"every pixel of {IMAGES} records has the class that it has in the PyTorch model in float64" in done.stdout
    assert "Mean IoU, %" in (folder / "report" / "report.md").read_text(encoding="utf-8")
    assert "Pixels changed" in (folder / "audit.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_detector_with_a_box_at_a_limit_agrees_and_says_how_near_it_is(tmp_path: Path) -> None:
    """In ONNX Runtime it finds one box more, or fewer, than in float64 in three of eight records."""
    save_detector(tmp_path)
    words = ["--inputs", "inputs.npz", "--task", "detection", "--runtime", "ort.cpu", "--minutes", "1"]
    done = assay("model", "detector.onnx", *words, "--interval-width", "0", folder=tmp_path)
    folder = tmp_path / "artifacts" / "model-detector"
    results, audit = read_results(folder / "results.json"), read_audit(folder / "audit.json")
    assert done.returncode == status_of_good(results), done.stderr + done.stdout
    (export,) = results.exports
    assert (export.status, export.reason) == ("ok", "")
    said = f"output 'boxes': {AT_THE_LIMIT} of "
    assert all(one.passed and one.margin.startswith(said) for one in export.agreement)
    judged = [cell.judgement for cell in results.cells if cell.framework]
    assert judged
    for judgement in judged:
        assert judgement is not None
        assert (judgement.flips.flipped, judgement.flips.excused) == (0, AT_THE_LIMIT)
    comparisons = audit.models[0].comparisons
    assert all(one.passed for one in comparisons)
    assert any(one.margin.startswith(f"{AT_THE_LIMIT} of ") for one in comparisons)
    assert said in done.stdout
    assert "from the least that is kept" in done.stdout
    assert "from the least that is kept" in (folder / "audit.html").read_text(encoding="utf-8")


SELECTS = """
import numpy as np
import torch
from torch import nn


class Selects(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.from_numpy(np.load("weights.npy")))
        self.least = {least!r}

    def forward(self, x):
        scores = torch.sigmoid(x @ self.weights)[0]
        places = torch.nonzero(scores > self.least).squeeze(1)
        return {{"scores": scores[places], "places": places}}


def build():
    return Selects().eval()
"""


@pytest.mark.slow
def test_entries_at_a_limit_are_explained_in_the_exports_of_every_route(tmp_path: Path) -> None:
    save_detector(tmp_path)
    np.save(tmp_path / "weights.npy", weights())
    (tmp_path / "selects.py").write_text(SELECTS.format(least=limit_between(records()[0])))
    words = ["--shape", "x=1,256", "--inputs", "inputs.npz", "--runtime", "ort.cpu", "--runtime", "torch.eager"]
    done = assay("model", "selects.py:build", *words, "--minutes", "1", "--interval-width", "0", folder=tmp_path)
    results = read_results(tmp_path / "artifacts" / "model-selects-build" / "results.json")
    assert done.returncode == status_of_good(results), done.stderr + done.stdout
    made = [one for one in results.exports if one.agreement]
    assert made
    assert all((one.status, one.reason) == ("ok", "") for one in made)
    assert all(f": {AT_THE_LIMIT} of " in one.margin for export in made for one in export.agreement if one.margin)
    assert any(one.margin for export in made for one in export.agreement)


def by_hand(answered: np.ndarray, labels: np.ndarray) -> float:
    """Mean IoU from its definition."""
    pairs = [(answered == one, labels == one) for one in range(CLASSES)]
    return float(np.mean([(mine & right).sum() / (mine | right).sum() for mine, right in pairs]))
