"""Three tiers of runtimes: in the framework, in its own deployment runtime, and through ONNX."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assay.registry import RUNTIMES
from assay.runtimes.entry import TIERS


@pytest.mark.parametrize("name", list(RUNTIMES))
def test_every_runtime_of_a_model_has_a_tier_with_words(name: str) -> None:
    entry = RUNTIMES[name]
    assert entry.tier == "" if entry.ruler else entry.tier in TIERS
    assert (entry.tier == "onnx") == entry.runs_files or entry.ruler


def test_what_deploys_is_of_the_tier_between() -> None:
    eager = RUNTIMES["torch.eager"]
    assert eager.tier == "framework"
    assert replace(eager, deploys=True).tier == "deployment"
