"""A test suite: its description, and what the file that reads it gives.

The content of a suite is read when the atlas runs, and nothing of it is copied.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from assay.bench.atlas.record import Numbers
from assay.errors import missing
from assay.registry import EXPORTERS
from assay.train.brought.model import Form, Kind

NUMPYS_OWN = 1
"""Numpy's `isbuiltin` of its own types; bfloat16 and narrower ones are foreign to it."""


@dataclass(frozen=True)
class Sample:
    """One use of an operator.

    Attributes:
        place: its position among those of the suite.
        numbers: see `assay.bench.atlas.record.Numbers`.
        files: content of the files that make the model, by name; the model is the first.
        inputs: arrays by the names of the model's inputs.
    """

    place: int
    files: Mapping[str, bytes]
    inputs: Mapping[str, NDArray[np.generic]]
    numbers: Numbers = "given"

    @property
    def name(self) -> str:
        return f"{self.place}-{self.numbers}"


def spread(samples: Sequence[Sample], most: int) -> list[Sample]:
    """Return at most so many samples, spread over all, and none with an empty input where there are others."""
    full = [one for one in samples if all(array.size for array in one.inputs.values())] or samples
    return [full[at] for at in sorted({round(at) for at in np.linspace(0, len(full) - 1, min(most, len(full)))})]


@dataclass(frozen=True)
class BackendCase:
    """One ONNX file with inputs and the outputs that its suite expects.

    Attributes:
        place: its position among those of the operator.
        name: its name in the suite.
        model: the file.
        inputs, outputs: arrays, lists of arrays, or None, in the order of the file.
        relative, absolute: tolerances of the suite: |found - expected| <= absolute + relative * |expected|.
        is_random: whether the file draws numbers.
    """

    place: int
    name: str
    model: bytes
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    relative: float
    absolute: float
    is_random: bool = False


class Reader(Protocol):
    """A file that reads a suite."""

    def prepare(self) -> None:
        """Import and use once what every operator needs, and start no thread: operators are judged in forks."""

    def operators(self, dtype: str) -> list[str]:
        """Return the names of all operators that take the data type."""


class SampleReader(Reader, Protocol):
    """A file that reads a suite of models."""

    def samples(self, operator: str, dtype: str, most: int) -> Iterator[Sample]:
        """Return at most so many samples of an operator, spread over those of the suite, and none with an empty input
        where there are others.

        Raises:
            InputError: the suite has no such operator.
        """


class CaseReader(Reader, Protocol):
    """A file that reads a suite of ONNX files."""

    def cases(self, operator: str) -> Iterator[BackendCase]:
        """Return all cases of an operator."""


@dataclass(frozen=True)
class Suite:
    """A test suite.

    Attributes:
        title: its name in sentences.
        module: the module that reads it.
        kind, form: kind and form of its models; see `assay.train.brought.model.Location`.
        function: name of the function that makes the model in its file; "" for a file that is the model.
        routes: the exporters that take its models; for a suite of ONNX files, the runtimes that run them.
        packages: packages whose versions matter.
        extra: the extra of ours that it needs, "" for none.
        runs_in: for a suite of ONNX files, the packages of each runtime.
    """

    title: str
    module: str
    kind: Kind
    form: Form
    function: str
    routes: tuple[str, ...]
    packages: tuple[str, ...]
    extra: str = ""
    runs_in: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def has_files(self) -> bool:
        """Whether it is a suite of ONNX files, whose reader is a `CaseReader`; others have a `SampleReader`."""
        return self.kind == "onnx"

    def packages_of(self, route: str) -> tuple[str, ...]:
        """Return the packages whose versions decide what comes of one route: without those of other routes alone."""
        mine, others = set(self._own(route)), {name for one in self.routes for name in self._own(one)}
        return tuple(name for name in self.packages if name in mine or name not in others)

    def _own(self, route: str) -> tuple[str, ...]:
        return EXPORTERS[route].packages if route in EXPORTERS else self.runs_in[route]

    def reader(self) -> Any:
        """Return the module that reads it.

        Raises:
            NotInstalledError: a package that the suite needs is missing.
        """
        try:
            return importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            raise missing(self.title, error, self.extra) from error


def written(sample: Sample, suite: Suite, folder: Path) -> Path:
    """Write a sample's model and its inputs into a folder, and return the path of the model."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in sample.files.items():
        (folder / name).write_bytes(content)
    np.savez(folder / INPUTS_FILE, allow_pickle=False, **sample.inputs)
    return folder / next(iter(sample.files))


def with_further_numbers(samples: Iterator[Sample]) -> Iterator[Sample]:
    """Return samples, and the first of them with floating-point inputs also with very small and very large numbers.

    Suites draw numbers of about one, where log(1 + x) is as good as log1p(x).
    """
    widened = False
    for sample in samples:
        yield sample
        if not widened and any(one.dtype.kind == "f" for one in sample.inputs.values()):
            widened = True
            for numbers, factor in FACTORS.items():
                inputs = {
                    name: np.multiply(one, factor, dtype=one.dtype) if one.dtype.kind == "f" else one
                    for name, one in sample.inputs.items()
                }
                yield replace(sample, numbers=numbers, inputs=inputs)


FACTORS: dict[Numbers, np.float32] = {"tiny": np.float32(1e-6), "large": np.float32(1e3)}
INPUTS_FILE = "inputs.npz"
