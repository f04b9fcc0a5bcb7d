"""unique, sample 100 of PyTorch's OpInfo in float32. It needs torch and expecttest, and nothing else."""

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
        info = next(one for one in op_db if one.full_name == 'unique')
        sample = next(itertools.islice(info.sample_inputs("cpu", torch.float32), 100, None))
        leaves, self.structure = pytree.tree_flatten((sample.input, sample.args, sample.kwargs))
        self.op, self.rest = info.op, [None if isinstance(one, torch.Tensor) else (one,) for one in leaves]

    def forward(self, x0):
        given = iter((x0,))
        leaves = [next(given) if one is None else one[0] for one in self.rest]
        first, rest, named = pytree.tree_unflatten(leaves, self.structure)
        return self.op(first, *rest, **named)


def build():
    return Operator()
