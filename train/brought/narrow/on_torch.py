"""The part of a PyTorch model that is computed in fp16, bf16 or integers, by every operator of one call as the
dispatcher passes it on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from assay.numerics.precisions import narrowest, precision_named
from assay.train.brought.loaders.loaded import Unordered

MOVES = {
    "view", "_unsafe_view", "reshape", "permute", "transpose", "t", "squeeze", "unsqueeze", "expand", "slice", "select",
    "index", "index_select", "gather", "embedding", "cat", "stack", "split", "split_with_sizes", "chunk", "unbind",
    "clone", "detach", "alias", "copy_", "repeat", "flip", "roll", "where", "masked_fill", "masked_fill_", "full",
    "full_like", "zeros", "zeros_like", "ones", "ones_like", "empty", "empty_like", "empty_strided", "lift_fresh_copy",
    "resolve_conj", "resolve_neg",
    "lift_fresh", "as_strided", "constant_pad_nd", "tril", "triu", "fill_", "new_zeros", "new_full", "scalar_tensor",
}  # fmt: skip
"""Operators that round nothing."""
UNIQUES_OTHERS = {"return_inverse": True, "return_counts": False}
"""The switches of unique's further outputs, and whether they have places."""
INT8 = "int8"
INTEGER = {"quantized", "onednn"}
"""The namespaces of operators on quantised weights."""
INTEGER_PRODUCTS = {"_int_mm", "quantized_lstm", "quantized_gru", "int_scaled_matmul", "_weight_int8pack_mm",
    "_weight_int4pack_mm_for_cpu", "quantize_per_tensor", "quantize_per_channel"}  # fmt: skip
CASTS = {"_to_copy", "to", "convert_element_type"}
SETTINGS = {"cudnn_enabled", "benchmark", "deterministic", "allow_tf32", "pin_memory", "non_blocking"}
"""Switches that change how an operator is computed, and not what."""


class NarrowSeen(TorchDispatchMode):  # type: ignore[misc, unused-ignore]
    """Remembers the precisions below fp32 to which an operator rounds, whether one computes in integers, and
    all operators that compute.

    Attributes:
        kernels: the operators that reached a kernel and do more than move numbers, as they were called, such as
            "aten::softplus" or "aten::batch_norm(training)"; see `switches_of`.
        drawing: names of those among them that draw random numbers.
        unordered: those among them whose results come in no order that is defined, with these results.
    """

    def __init__(self) -> None:
        super().__init__()
        self._found: set[str] = set()
        self.kernels: set[str] = set()
        self.drawing: set[str] = set()
        self.unordered: list[tuple[Unordered, list[Tensor]]] = []

    @property
    def narrowest(self) -> str:
        """The least exact of these precisions, "" for none."""
        return INT8 if INT8 in self._found else narrowest(self._found)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        del types
        result = func(*args, **(kwargs or {}))
        given = {name for one in _tensors(result) if (name := precision_named(str(one.dtype)))}
        namespace, _, operator = func.name().partition(".")[0].partition("::")
        if namespace in INTEGER or operator in INTEGER_PRODUCTS:
            self._found.add(INT8)
        if operator in CASTS:  # a value that was as narrow before is not rounded again
            given -= {precision_named(str(one.dtype)) for one in _tensors((args, kwargs))}
        if operator not in MOVES:
            self._found |= given
        if operator not in MOVES | CASTS:
            switches = switches_of(func, args, kwargs or {})
            self.kernels.add(f"{namespace}::{operator}" + (f"({', '.join(switches)})" if switches else ""))
        if torch.Tag.nondeterministic_seeded in func.tags:
            self.drawing.add(func.name().partition(".")[0])
        if unordered := _unordered(func, args, kwargs or {}):
            self.unordered.append((unordered, _tensors(result)))
        return result


def switches_of(func: Any, args: Sequence[object], kwargs: Mapping[str, object]) -> list[str]:
    """Return the arguments that choose another form of an operator, by name: bools that are on, or off where they are
    on by default, texts, and numbers that may be left out, such as `divisor_override`.
    """
    given = _given(func, args, kwargs)
    return sorted(text for one in func._schema.arguments if (text := _switch(one, given.get(one.name))))


def _given(func: Any, args: Sequence[object], kwargs: Mapping[str, object]) -> dict[str, object]:
    return dict(zip((one.name for one in func._schema.arguments), args, strict=False)) | dict(kwargs)


def _unordered(func: Any, args: Sequence[object], kwargs: Mapping[str, object]) -> Unordered | None:
    """Return how an operator was called that has an argument `sorted`, where that is off: unique and topk."""
    defaults = {one.name: one.default_value for one in func._schema.arguments}
    if "sorted" not in defaults:
        return None
    asked: dict[str, Any] = defaults | _given(func, args, kwargs)
    if asked["sorted"]:
        return None
    name = func.name().partition(".")[0]
    if "k" in asked:
        return Unordered(name, asked["dim"], lines=True, others=(False,))
    others = [is_place for switch, is_place in UNIQUES_OTHERS.items() if asked.get(switch)]
    return Unordered(name, asked.get("dim") or 0, others=tuple(others))


def _switch(declared: Any, value: object) -> str:
    name = str(declared.name)
    if name in SETTINGS or not isinstance(value, bool | str | int | float) or value == declared.default_value:
        return ""
    if isinstance(value, bool):
        return name if value else f"{name}=False" if declared.default_value else ""
    if isinstance(value, str):
        return f"{name}={value}"
    return name if isinstance(declared.type, torch.OptionalType) else ""


def _tensors(tree: object) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


@contextmanager
def narrow_arithmetic() -> Iterator[NarrowSeen]:
    """Watch the computations inside the block."""
    with torch.inference_mode(), NarrowSeen() as seen:
        yield seen
