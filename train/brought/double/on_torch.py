"""PyTorch in float64 throughout, operator by operator, even where a model says `.float()` in the middle.
`module.double()` widens parameters alone. Here every operator on its way to its kernel gets float64 in place of fp32 or
less, and narrower inputs are widened, so that a constant or a cast inside the model leaves no arithmetic in fp32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from assay.errors import InputError

NARROW = {torch.float32, torch.float16, torch.bfloat16}
REINTERPRETS = "aten::view.dtype"
"""The operator that reads the bits of a number as another type, which means something else in float64."""


@contextmanager
def float64_throughout() -> Iterator[None]:
    """Compute everything inside the block in float64.

    Raises:
        InputError: an operator reads the bits of a number.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _Widening():
            yield
    finally:
        torch.set_default_dtype(before)


class _Widening(TorchDispatchMode):  # type: ignore[misc, unused-ignore]
    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        del types
        if func.name() == REINTERPRETS:
            raise InputError("It reads the bits of numbers, which are different in float64", found=func.name())
        widen = _widened_type if func._schema.is_mutable else _widened
        wide_args, wide_kwargs = pytree.tree_map(widen, (args, dict(kwargs or {})))
        return func(*wide_args, **wide_kwargs)


def _widened_type(value: object) -> object:
    return torch.float64 if isinstance(value, torch.dtype) and value in NARROW else value


def _widened(value: object) -> object:
    if isinstance(value, Tensor) and value.dtype in NARROW:
        return value.to(torch.float64)
    return _widened_type(value)
