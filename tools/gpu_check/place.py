"""The place of a check: its folder, its device, and what its steps share."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assay.infer.gpu.nvml import Gpu, first_gpu
from assay.spec import ModelSpec, Settings

MODELS = (ModelSpec("bloodnet", 28, 8), ModelSpec("resnet18", 224, 8))
Found = dict[str, Any]


class Place:
    """The folder of a check, and the device that it is of."""

    def __init__(self, folder: Path, device: str) -> None:
        self.folder, self.device = folder, device
        self.gpu: Gpu | None = first_gpu() if device == "cuda" else None
        self.settings = Settings(threads=1, device=device)

    def file(self, spec: ModelSpec, kind: str) -> Path:
        """Return the path of a model's file of a kind."""
        return self.folder / f"{spec.architecture}.{kind}"

    def weights(self, spec: ModelSpec) -> Path:
        """Return the path of a model's weights."""
        return self.file(spec, "safetensors")

    def state(self) -> Found | None:
        """Return the state of the GPU, None without one."""
        return asdict(self.gpu.state()) if self.gpu else None


@contextmanager
def noting(told: Found, what: str) -> Iterator[None]:
    """Let what fails cost its own entry."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  a framework's
        told[what] = {"failed": f"{type(error).__name__}: {error}"[:500]}


def is_there(packages: tuple[str, ...]) -> bool:
    """Return whether all of these are installed, by import name."""
    return all(importlib.util.find_spec(one) for one in packages)
