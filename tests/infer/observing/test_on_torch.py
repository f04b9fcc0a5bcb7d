"""Watching a call of PyTorch."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys, torch
from assay.infer.observing.on_torch import observe
layer, rows = torch.nn.Linear(4, 4), torch.ones(2, 4)
print(observe(lambda: torch.relu(layer(rows))).facts["arithmetic in"])
assert "torch._dynamo" not in sys.modules, "it takes a second to import"
compiled = torch.compile(torch.relu, backend="eager")
print(observe(lambda: compiled(layer(rows.bfloat16().float()))).facts["other operations in"])
"""


@pytest.mark.slow
def test_a_call_is_watched_without_the_compiler_and_beside_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["fp32 (1 operation)", "fp32 (2 operations), bf16 (1)"]
