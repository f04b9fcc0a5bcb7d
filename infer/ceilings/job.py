"""The highest rates of a machine, measured on given cores and threads: `python -P -m assay.infer.ceilings.job`.

Arithmetic: the rate of a large matrix product, by every library here that has one; the best of them is the ceiling.
Traffic: the kernels of STREAM (McCalpin 1995, "Memory bandwidth and machine balance in current high performance
computers", IEEE TCCA Newsletter), counted as STREAM counts, on arrays four times the last-level cache for memory, as
it asks, and on arrays that take half of a cache for that cache. A ceiling is the best of all repetitions, since other
work on the machine can only make a repetition slower.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from assay.entries import load_function
from assay.infer.ceilings.rates import Kernel, Kernels, best_of
from assay.infer.runtimes.same_for_all import begin
from assay.jobs.job import TellingJob
from assay.jobs.serving import serve_job
from assay.records.base import Record
from assay.records.roofline import Bandwidth, Ceilings
from assay.registry import RUNTIMES, installed_versions

Array = NDArray[np.float32]
Measure = Callable[[int, tuple[int, ...], Callable[[str], None]], Ceilings]
"""Measures a device, given threads, cores, and who is told what is being measured."""

SIDE = 512  # near the peak already, and short enough to run undisturbed now and then on a machine that is not idle
TIMES_LAST_LEVEL = 4
LEAST_MEMORY_ARRAY_BYTES = 64 * 2**20
CACHES = Path("/sys/devices/system/cpu")


class CeilingsRequest(Record):
    """The number of threads to measure on, the cores (without them the process is not pinned), and the device."""

    threads: int
    cores: tuple[int, ...]
    device: str = "cpu"


class MeasuringNow(Record):
    """A description of what is being measured now."""

    doing: str


CEILINGS = TellingJob("assay.infer.ceilings.job", "ceilings", CeilingsRequest, Ceilings, MeasuringNow, sees_gpu=True)


class Library(Protocol):
    """The interface of the libraries beside this file."""

    def products(self, left: Array, right: Array, threads: int) -> dict[str, Kernel]:
        """Return calls that multiply the two matrices, by precision."""

    def stream_kernels(self, one: Array, two: Array, three: Array) -> Kernels:
        """Return calls on arrays of equal length that may write the third, each with the bytes it reads and writes, by
        name.
        """


def measure_ceilings(threads: int, cores: tuple[int, ...], tell: Callable[[str], None]) -> Ceilings:
    """Measure all ceilings of this process, which has to be pinned already."""
    libraries, notes = _libraries()
    caches = cache_capacities(cores)
    if not caches:
        notes.append("The system does not report its cache sizes, so only memory was measured")
    rates = {}
    for precision, kernels in _products(libraries, threads).items():
        tell(f"matrix product in {precision}")
        rates[precision] = best_of({by: (kernel, 2.0 * SIDE**3) for by, kernel in kernels.items()})
    bandwidths = []
    last_level = max(caches.values(), default=0)
    memory_bytes = max(3 * TIMES_LAST_LEVEL * last_level, 3 * LEAST_MEMORY_ARRAY_BYTES)
    for level, capacity in [*sorted(caches.items()), ("memory", 0)]:
        tell(f"bandwidth of {level}")
        whole = capacity // 2 or memory_bytes
        found = best_of(_stream_kernels(whole // 3 // 4, libraries))
        bandwidths.append(Bandwidth(level=level, capacity_bytes=capacity, array_bytes=whole, gb_s=found))
    return Ceilings(
        threads=threads,
        cores=cores,
        gflop_s=rates,
        bandwidths=bandwidths,
        versions=installed_versions(["numpy", *libraries]),
        notes=notes,
    )


def measure_of_gpu() -> Measure:
    """Return what measures a GPU.

    Raises:
        NotInstalledError: the library that does is not here.
    """
    family = next(one for one in RUNTIMES.families if one.gpu_ceilings)
    return load_function("the ceilings of a GPU", family.gpu_ceilings, family.extra)


def cache_capacities(cores: tuple[int, ...], root: Path = CACHES) -> dict[str, int]:
    """Return the bytes that the cores' second and third level caches hold, a shared one once; empty where unknown."""
    found: dict[str, dict[str, int]] = {}
    for core in cores:
        for index in sorted(root.glob(f"cpu{core}/cache/index*")):
            level, kind, size, shared = (_told(index / name) for name in ("level", "type", "size", "shared_cpu_list"))
            if kind in {"Data", "Unified"} and level in {"2", "3"} and size.endswith("K"):
                found.setdefault(f"L{level}", {})[shared] = int(size[:-1]) * 1024
    return {level: sum(instances.values()) for level, instances in found.items()}


def _told(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _libraries() -> tuple[dict[str, Library], list[str]]:
    """Return the libraries that are installed, and notes on those that are not."""
    found, notes = {}, []
    for family in RUNTIMES.families:
        name = family.library
        try:
            if family.ceilings:
                module = importlib.import_module(family.ceilings)
                found[name] = cast("Library", module)  # a type checker cannot know what a module named by text has
        except ImportError as error:
            notes.append(f"{name} measured nothing: {error}")
    return found, notes


def _products(libraries: dict[str, Library], threads: int) -> dict[str, dict[str, Kernel]]:
    """Return products of two matrices of SIDE by SIDE, by precision and library."""
    random = np.random.default_rng(0)
    left, right = (random.random((SIDE, SIDE), dtype=np.float32) for _ in range(2))
    out = np.empty((SIDE, SIDE), np.float32)
    products: dict[str, dict[str, Kernel]] = {"fp32": {"numpy": lambda: np.matmul(left, right, out=out)}}
    for name, library in libraries.items():
        for precision, kernel in library.products(left, right, threads).items():
            products.setdefault(precision, {})[name] = kernel
    return products


def _stream_kernels(elements: int, libraries: dict[str, Library]) -> Kernels:
    """Return kernels on three fp32 arrays of so many elements."""
    one, two, three = (np.full(elements, value, np.float32) for value in (1, 2, 0))
    each = 4.0 * elements
    kernels: Kernels = {
        "numpy dot": (lambda: np.dot(one, two), 2 * each),
        "numpy copy": (lambda: np.copyto(three, one), 2 * each),
        "numpy add": (lambda: np.add(one, two, out=three), 3 * each),
    }
    for library in libraries.values():
        kernels |= library.stream_kernels(one, two, three)
    return kernels


def work(request: CeilingsRequest, tell: Callable[[MeasuringNow], None]) -> Ceilings:
    """Pin the process, then measure."""
    begin(request.cores, request.device)
    measure = measure_ceilings if request.device == "cpu" else measure_of_gpu()
    return measure(request.threads, request.cores, lambda what: tell(MeasuringNow(doing=what)))


if __name__ == "__main__":
    serve_job(CEILINGS.told_by(work))
