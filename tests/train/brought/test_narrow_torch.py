"""Which parts of a PyTorch model are computed in fp16 or bf16, and which are only stored in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from assay.train.brought.narrow.on_torch import narrow_arithmetic  # noqa: E402

X = torch.ones(2, 4)
HALF = torch.ones(4, 4, dtype=torch.float16)


def automatic() -> object:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return X @ HALF.float()


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: X @ HALF.float(), ""),  # only stored
        (lambda: torch.relu(X.half() @ HALF).float(), "fp16"),
        (lambda: X.bfloat16().float(), "bf16"),  # rounded on the way
        (automatic, "bf16"),
        (lambda: HALF[torch.tensor([0, 1])].reshape(-1).float(), ""),
        (lambda: X.double().exp(), ""),
        (lambda: torch.jit.script(torch.nn.Linear(4, 4).half())(X.half()), "fp16"),
    ],
)
def test_rounding_below_fp32_is_recognised(call: Callable[[], object], named: str) -> None:
    with narrow_arithmetic() as seen:
        call()
    assert seen.narrowest == named
