"""Every architecture in every framework: the same weights give the same function and the same training step."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from assay.registry import ARCHITECTURES, FRAMEWORKS
from assay.spec import ModelSpec
from assay.train.models import on_torch
from tests.contract.training_steps import moved_weights

STEPS = 3
IMAGES = {"bloodnet": ("28x3", "30x1"), "resnet18": ("28x3",), "vit-tiny": ("28x3",)}
"""Cases by architecture, with size and channels of the images; the small one covers odd sizes and grey images."""
QUICK = ("bloodnet",)
PROGRAM = Path(__file__).with_name("training_steps.py")


Answers = dict[str, dict[str, np.ndarray]]


@functools.cache
def computed(architecture: str, steps: int, folder: Path) -> Answers:
    """The results of `training_steps.py` for one architecture, by framework."""
    found = {}
    for framework in FRAMEWORKS:
        out = folder / f"{framework}.npz"
        command = [sys.executable, str(PROGRAM), framework, architecture, str(out), str(steps), *IMAGES[architecture]]
        environment = os.environ | {"PYTHONPATH": str(PROGRAM.parents[2]), "TF_CPP_MIN_LOG_LEVEL": "2"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        with np.load(out) as arrays:
            found[framework] = dict(arrays) | json.loads(done.stdout.splitlines()[-1])
    return found


def folder_of(architecture: str, steps: int, temporary: pytest.TempPathFactory) -> Path:
    """One folder for each case, so that it is computed once."""
    base = temporary.getbasetemp() / f"{architecture}-{steps}"
    base.mkdir(exist_ok=True)
    return base


@pytest.mark.parametrize(
    "architecture", [pytest.param(a, marks=[pytest.mark.slow] if a != "bloodnet" else []) for a in ARCHITECTURES]
)
def test_forward_agrees_with_float64(architecture: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    steps = STEPS if architecture in QUICK else 0
    for framework, found in computed(architecture, steps, folder_of(architecture, steps, tmp_path_factory)).items():
        for images in IMAGES[architecture]:
            size, channels = map(int, images.split("x"))
            exact = reference(architecture, size, channels, found[f"images-{images}"])
            error = np.abs(found[f"logits-{images}"] - exact).max() / np.abs(exact).max()
            assert error < 5e-6, f"{framework}, {images}"


@pytest.fixture(params=[pytest.param(a, marks=[] if a in QUICK else [pytest.mark.slow]) for a in ARCHITECTURES])
def answers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """The results of training in the frameworks; compiling the step of the larger ones takes long."""
    return computed(request.param, STEPS, folder_of(request.param, STEPS, tmp_path_factory))


def reference(architecture: str, size: int, channels: int, images: np.ndarray) -> np.ndarray:
    spec = ModelSpec(architecture, size, 5, channels)
    model = on_torch.load(spec, moved_weights(spec), "float64")
    return model(torch.from_numpy(images).permute(0, 3, 1, 2).double()).numpy()


def test_the_first_losses_are_the_same(answers: Answers) -> None:
    losses = np.array([found["losses"] for found in answers.values()])
    assert losses.shape == (3, STEPS)
    np.testing.assert_allclose(losses, losses[:1].repeat(3, axis=0), rtol=1e-3)


def test_state_is_neutral_and_resuming_is_exact(answers: Answers) -> None:
    names = {frozenset(map(str, found["state_names"])) for found in answers.values()}  # type: ignore[call-overload]
    assert len(names) == 1, "every framework keeps the same arrays under the same names"
    for framework, found in answers.items():
        assert found["next_loss"] == pytest.approx(found["next_loss_after_restore"], rel=1e-5), framework


def test_a_training_started_in_one_framework_continues_in_another(answers: Answers) -> None:
    losses = [found["next_loss_from_neutral_state"] for found in answers.values()]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-4)
