"""The figures on the page of claims are those of the published results."""

from __future__ import annotations

import pytest

from assay.bench.tasks.classification.defaults import changed_constants
from tools.findings import ROOT
from tools.findings.claims import IMAGES, jax_against_torch, reference, trainings_of
from tools.findings.reference import FRAMEWORKS

PAGE = (ROOT / "docs" / "findings" / "claims.md").read_text(encoding="utf-8")


def test_accuracies_in_the_text_are_the_published_ones() -> None:
    trainings = [one for one in reference().results.trainings if (one.architecture, one.size) == ("bloodnet", 28)]
    by_framework = {one.framework: one for one in trainings}
    values = [f"{100 * by_framework[name].test.accuracy.value:.2f}" for name in FRAMEWORKS]
    assert f"{values[0]}, {values[1]} and {values[2]} % at 28 pixels" in " ".join(PAGE.split())
    widths = [100 * (one.test.accuracy.high - one.test.accuracy.low) for one in by_framework.values()]
    assert min(widths) > 0.7


@pytest.mark.parametrize("images", IMAGES)
def test_the_lag_is_one_of_running_statistics_alone(images: str) -> None:
    """BatchNorm's momentum changes no step of a training: only the statistics that inference uses are others."""
    for one in changed_constants(trainings_of(images)):
        losses = [[[epoch.training_loss for epoch in side.history] for side in pair] for pair in one.pairs]
        assert all(base == changed for base, changed in losses) == one.changed.startswith("norm_momentum")


def test_the_ratio_of_the_claim_is_reached_by_eager_pytorch_alone() -> None:
    rows = [line.strip("| ").split(" | ") for line in jax_against_torch()]
    reached = {(row[0], place) for row in rows for place in (2, 3, 4) if float(row[place].split()[0]) >= 1.75}
    assert reached == {("bloodnet 224x224, 32", 2)}
