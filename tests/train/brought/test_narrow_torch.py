"""Which parts of a PyTorch model are computed in fp16 or bf16, and which are only stored in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from assay.train.brought.loaders.loaded import Unordered  # noqa: E402
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


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: torch.nn.functional.softplus(X, 2.0), "aten::softplus"),
        (lambda: torch.nn.functional.avg_pool2d(X[None], 2), "aten::avg_pool2d"),
        (lambda: torch.nn.functional.avg_pool2d(X[None], 2, divisor_override=3), "aten::avg_pool2d(divisor_override)"),
        (
            lambda: torch.nn.functional.avg_pool2d(X[None], 2, None, 0, True, False),
            "aten::avg_pool2d(ceil_mode, count_include_pad=False)",
        ),
        (lambda: torch.nn.functional.batch_norm(X, X[0], X[0]), "aten::batch_norm"),
        (lambda: torch.nn.functional.batch_norm(X, None, None, training=True), "aten::batch_norm(training)"),
        (lambda: torch.nn.functional.gelu(X, approximate="tanh"), "aten::gelu(approximate=tanh)"),
        (lambda: X.argmax(1), "aten::argmax(dim)"),
    ],
)
def test_a_kernel_is_named_with_the_arguments_that_choose_its_form(call: Callable[[], object], named: str) -> None:
    with narrow_arithmetic() as seen:
        call()
    assert seen.kernels == {named}


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (lambda: X.topk(2), set()),
        (lambda: X.topk(2, 0, sorted=False), {Unordered("aten::topk", 0, lines=True, others=(False,))}),
        (X.unique, set()),
        (lambda: X.unique(sorted=False), {Unordered("aten::_unique2", 0)}),
        (
            lambda: X.unique(sorted=False, return_inverse=True, return_counts=True, dim=1),
            {Unordered("aten::unique_dim", 1, others=(True, False))},
        ),
        (
            lambda: X.unique(sorted=False, return_counts=True, dim=-1),
            {Unordered("aten::unique_dim", -1, others=(False,))},
        ),
        (X.sort, set()),
    ],
)
def test_results_without_a_defined_order_are_recognised(call: Callable[[], object], found: set[Unordered]) -> None:
    with narrow_arithmetic() as seen:
        call()
    assert {one for one, _ in seen.unordered} == found
