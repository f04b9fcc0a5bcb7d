"""A package of AOTInductor in PyTorch, on the CPU: compiled code, and beside it at times a package for one row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

OF_ONE = "batch-of-one.pt2"
INSTRUCTIONS = {
    "AVX2": "avx2",
    "AVX512": "avx512_f",
    "AVX512_VNNI": "avx512_vnni",
    "AMX_TILE": "amx_tile",
}
"""By what a package calls instructions that its code has, what PyTorch calls them of a processor."""

Run = Callable[[Sequence[Tensor]], Sequence[Tensor]]


class OpenedByAotInductor:
    """A function from inputs by name to outputs; the file has them by position alone.

    With the option "pixels" the file takes normalised images, channels first, and gives logits, and is asked about
    decoded pixels.

    Attributes:
        inputs, outputs: by name, NumPy's name of their types, as they are expected.
    """

    def __init__(
        self, path: str | Path, options: Mapping[str, str], inputs: Mapping[str, str], outputs: Mapping[str, str]
    ) -> None:
        torch.set_num_threads(int(options.get("threads", 1)))
        of_one = Path(path).with_name(OF_ONE)
        self._any = _loaded(Path(path))
        self._of_one = _loaded(of_one) if of_one.is_file() else self._any
        self._pixels = "pixels" in options
        self.inputs, self.outputs = dict(inputs), dict(outputs)

    def __call__(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        # PyTorch shares memory with no array but one that it may write to.
        given = [np.require(inputs[name], requirements=["C", "W"]) for name in self.inputs]
        with torch.inference_mode():
            taken = [torch.from_numpy(one) for one in given]
            answer = _decided(self._run([_normalised(taken[0])])[0]) if self._pixels else self._run(taken)
        named = dict(zip(self.outputs, (one.numpy() for one in answer), strict=True))
        return [named[name] for name in outputs]

    def _run(self, taken: Sequence[Tensor]) -> Sequence[Tensor]:
        return (self._of_one if taken[0].ndim and len(taken[0]) == 1 else self._any)(taken)


def _loaded(path: Path) -> Run:
    """A package, by what `torch._inductor.aoti_load_package` calls: importing that takes as long as PyTorch itself.

    Raises:
        RuntimeError: it is none, or has instructions that this processor lacks, at which its code would end the
            process.
    """
    found = torch.cpu.get_capabilities()
    loader = torch._C._aoti.AOTIModelPackageLoader(str(path), "model", False, 1, -1)
    wanted = str(loader.get_metadata().get("AOTI_CPU_ISA", "")).split()
    lacking = [name for name in wanted if found.get(INSTRUCTIONS.get(name, "")) is False]
    if lacking:
        raise RuntimeError(
            f"{path.name} was compiled for a processor with {', '.join(lacking)}, which this processor lacks"
        )
    return lambda taken: list(loader.run(list(taken)))


def _normalised(images: Tensor) -> Tensor:
    """Decoded pixels from -1 to 1, channels first, each operation rounded to float32."""
    return images.permute(0, 3, 1, 2).contiguous().to(torch.float32) / 127.5 - 1


def _decided(logits: Tensor) -> list[Tensor]:
    """Probabilities, and the most probable class."""
    return [torch.softmax(logits, dim=1), torch.argmax(logits, dim=1)]


def open_model(
    path: str | Path, options: Mapping[str, str], inputs: Mapping[str, str], outputs: Mapping[str, str]
) -> OpenedByAotInductor:
    """The file, on one thread where the options say nothing; RuntimeError where it is refused."""
    return OpenedByAotInductor(path, options, inputs, outputs)
