"""PyTorch's own table of operators with sample inputs, `torch.testing._internal`, which needs `expecttest`."""

from __future__ import annotations

import contextlib
import functools
import itertools
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils import _pytree as pytree

from assay.bench.atlas.ready import FOR_CHECKS, frozen, imported
from assay.bench.atlas.suites.suite import Sample, spread
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


@functools.cache
def prepare() -> None:
    """See `assay.bench.atlas.suites.suite.Reader`."""
    imported("onnxscript", *FOR_CHECKS)
    torch.set_num_threads(1)  # threads do not survive a fork, and another operator goes on beside this one
    with tempfile.TemporaryDirectory(prefix="assay-atlas-") as folder:
        for dynamo in (True, False):
            with contextlib.redirect_stdout(sys.stderr):
                torch.onnx.export(
                    torch.nn.Tanh().eval(), (torch.zeros(2, 3),), f"{folder}/tanh.onnx", dynamo=dynamo, verbose=False
                )
    frozen()


def operators(dtype: str) -> list[str]:
    """See `assay.bench.atlas.suites.suite.Reader`."""
    asked: torch.dtype = getattr(torch, dtype)
    return sorted({one.full_name for one in op_db if one.supports_dtype(asked, "cpu")})


def samples(operator: str, dtype: str, most: int) -> Iterator[Sample]:
    """See `assay.bench.atlas.suites.suite.SampleReader`."""
    info = next((one for one in op_db if one.full_name == operator), None)
    if info is None:
        raise InputError("PyTorch's OpInfo has no such operator", found=operator)
    torch.manual_seed(0), random.seed(0), np.random.seed(0)  # as the file of the model does
    read = itertools.islice(info.sample_inputs("cpu", getattr(torch, dtype)), MOST_READ)
    found = [(place, tensors) for place, one in enumerate(read) if (tensors := _tensors(one))]
    yield from spread([_sample(operator, dtype, place, tensors) for place, tensors in found], most)


def _sample(operator: str, dtype: str, place: int, tensors: Sequence[torch.Tensor]) -> Sample:
    names = [f"x{number}" for number in range(len(tensors))]
    text = MODEL.format(name=operator, place=place, dtype=dtype, names=", ".join(names))
    inputs = {name: one.detach().numpy().copy() for name, one in zip(names, tensors, strict=True)}
    return Sample(place, {"model.py": text.encode()}, inputs)


def _tensors(sample: Any) -> list[torch.Tensor]:
    """Return the tensors of a sample; none where numpy has not all of them."""
    leaves, _ = pytree.tree_flatten((sample.input, sample.args, sample.kwargs))
    found = [one for one in leaves if isinstance(one, torch.Tensor)]
    plain = all(
        one.layout == torch.strided and one.dtype != torch.bfloat16 and not one.dtype.is_complex for one in found
    )
    return found if plain else []
