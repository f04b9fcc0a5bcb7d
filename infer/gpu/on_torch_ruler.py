"""The calibrated runtime on a GPU, with which `assay selfcheck --device cuda` proves the instrument there.

Its work is products of matrices, launched one after the other as a model's kernels are. Each takes longer than its
launch, so that the time of all depends on their number and little else; a planted slowdown is that many more.
"""

from __future__ import annotations

import torch
from torch import Tensor

from assay.infer.observing.observed import Observed
from assay.infer.runtime import Logits, ModelFiles, Records
from assay.infer.runtimes.calibrated import CalibratedSession
from assay.infer.runtimes.same_for_all import torch_device
from assay.spec import Settings

PRODUCTS, SIDE = 100, 1024


class ProductsSession(CalibratedSession):
    """Multiplies matrices so many times in `run`, and answers zeros."""

    def __init__(self, model: ModelFiles, device: torch.device, products: int) -> None:
        super().__init__(model, 0)
        self.facts = {"products": str(products)}
        self._left, self._right = (torch.ones(SIDE, SIDE, device=device) for _ in range(2))
        self._out, self._products = torch.empty_like(self._left), products

    def prepare(self, records: Records) -> Tensor:
        placed = torch.from_numpy(records).to(self._out.device)
        self.synchronise()
        return placed

    def run(self, native: Tensor) -> Tensor:
        for _ in range(self._products):
            torch.mm(self._left, self._right, out=self._out)
        self.synchronise()
        return native

    def synchronise(self) -> None:
        """Wait for the GPU, where the session is on one."""
        if self._out.is_cuda:
            torch.cuda.synchronize()

    def fetch(self, native: Tensor) -> Logits:
        return super().fetch(native.cpu().numpy())

    def observe(self, native: Tensor) -> Observed:
        return Observed(self._out.device.type, "fp32")


def load(percent: int, model: ModelFiles, settings: Settings) -> ProductsSession:
    """Load with so many per cent more products.

    Raises:
        InputError: PyTorch finds no GPU.
    """
    return ProductsSession(model, torch_device(settings), PRODUCTS * (100 + percent) // 100)
