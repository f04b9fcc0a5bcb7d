"""PyTorch's own table of operators with sample inputs, `torch.testing._internal`, which needs `expecttest`."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils import _pytree as pytree

from assay.bench.atlas.suites import Sample
from assay.errors import InputError

MOST_READ = 200
"""The samples of an operator that are looked at; some have thousands."""
MODEL = '''"""{name}, sample {place} of PyTorch's OpInfo in {dtype}. It needs torch and expecttest, and nothing else."""

import itertools
import random

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils import _pytree as pytree


class Operator(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0), random.seed(0), np.random.seed(0)
        info = next(one for one in op_db if one.full_name == {name!r})
        sample = next(itertools.islice(info.sample_inputs("cpu", torch.{dtype}), {place}, None))
        leaves, self.structure = pytree.tree_flatten((sample.input, sample.args, sample.kwargs))
        self.op, self.rest = info.op, [None if isinstance(one, torch.Tensor) else (one,) for one in leaves]

    def forward(self, {names}):
        given = iter(({names},))
        leaves = [next(given) if one is None else one[0] for one in self.rest]
        first, rest, named = pytree.tree_unflatten(leaves, self.structure)
        return self.op(first, *rest, **named)


def build():
    return Operator()
'''


def operators(dtype: str) -> list[str]:
    """See `assay.bench.atlas.suites.Reader`."""
    asked: torch.dtype = getattr(torch, dtype)
    return sorted({one.full_name for one in op_db if one.supports_dtype(asked, "cpu")})


def samples(operator: str, dtype: str, most: int) -> Iterator[Sample]:
    """See `assay.bench.atlas.suites.Reader`."""
    info = next((one for one in op_db if one.full_name == operator), None)
    if info is None:
        raise InputError("PyTorch's OpInfo has no such operator", found=operator)
    torch.manual_seed(0), random.seed(0), np.random.seed(0)  # as the file of the model does
    found = [
        (place, tensors)
        for place, one in enumerate(itertools.islice(info.sample_inputs("cpu", getattr(torch, dtype)), MOST_READ))
        if (tensors := _tensors(one))
    ]
    chosen = sorted({round(at) for at in np.linspace(0, len(found) - 1, min(most, len(found)))}) if found else []
    for place, tensors in (found[one] for one in chosen):
        names = [f"x{number}" for number in range(len(tensors))]
        text = MODEL.format(name=operator, place=place, dtype=dtype, names=", ".join(names))
        yield Sample(
            place=place,
            files={"model.py": text.encode()},
            inputs={name: one.detach().numpy().copy() for name, one in zip(names, tensors, strict=True)},
        )


def _tensors(sample: Any) -> list[torch.Tensor]:
    """Return the tensors of a sample; none where numpy has not all of them."""
    leaves, _ = pytree.tree_flatten((sample.input, sample.args, sample.kwargs))
    found = [one for one in leaves if isinstance(one, torch.Tensor)]
    plain = all(
        one.layout == torch.strided and one.dtype != torch.bfloat16 and not one.dtype.is_complex for one in found
    )
    return found if plain else []
