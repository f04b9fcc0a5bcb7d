"""The highest rates of a GPU, by PyTorch: products of matrices, memory, second-level cache, and the bus to the host.

Times are the GPU's own, between two events on the stream that computes, around several launches: NVIDIA's nvbench and
triton's `do_bench` take them so. Each group begins when the clock of the GPU is steady.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch

from assay.foreign import said_by
from assay.infer.ceilings.on_torch import kernels_on
from assay.infer.ceilings.rates import Kernel, Kernels, best_of
from assay.infer.gpu.nvml import first_gpu
from assay.infer.gpu.steady import spin
from assay.infer.runtimes.same_for_all import let_torch_round, tell_torch_of_gpu, torch_device
from assay.records.roofline import Bandwidth, Ceilings, Rate
from assay.registry import installed_versions
from assay.spec import Settings

Made = Iterable[tuple[str, Callable[[], Kernels]]]
"""Measurements by name, each with a function that makes its kernels, whose arrays live no longer than it takes."""
DEVICE = "cuda"
SIDE = 8192
PRECISIONS = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
MOST_ARRAY_BYTES, SHARE_OF_FREE_MEMORY = 1 << 30, 8
TIMES_READ = 64
BUS_BYTES = 64 << 20
LAUNCHES, REPETITIONS = 10, 5
WAYS, KINDS = ("to", "from"), ("pinned", "pageable")


def measure(threads: int, cores: tuple[int, ...], tell: Callable[[str], None]) -> Ceilings:
    """Measure all ceilings of the first GPU; what fails costs itself, and leaves a note.

    Raises:
        InputError: PyTorch finds no GPU.
    """
    torch_device(Settings(threads, device="cuda"))
    gpu = first_gpu()
    cache = int(torch.cuda.get_device_properties(0).L2_cache_size)
    array = min(MOST_ARRAY_BYTES, torch.cuda.mem_get_info()[0] // SHARE_OF_FREE_MEMORY)
    sizes = {**({"L2": (cache, cache // 2)} if cache else {}), "memory": (0, 3 * array)}
    levels = {level: partial(_cached if capacity else _streamed, whole) for level, (capacity, whole) in sizes.items()}
    notes: list[str] = []

    def rates(what: str, made: Made) -> dict[str, Rate]:
        found = {}
        for name, make in made:
            tell(f"{what}, {name}")
            try:
                kernels = make()
                first, _ = next(iter(kernels.values()))
                if gpu:
                    spin(gpu, partial(_waited_for, first))
                found[name] = best_of(kernels, seconds_of_a_launch)
            except RuntimeError as error:  # no memory, or a type that this GPU lacks
                notes.append(f"{what}, {name}: not measured: {said_by(error)}")
        return found

    products = rates("matrix product", ((name, partial(_product, name)) for name in PRECISIONS))
    bandwidths = rates("bandwidth", levels.items())
    ways = {f"{way} the GPU, {kind}": partial(_copied, way, kind) for way in WAYS for kind in KINDS}
    return Ceilings(
        threads=threads,
        cores=cores,
        device="cuda",
        gpu=f"{gpu.name}, driver {gpu.driver}" if gpu else torch.cuda.get_device_name(0),
        gflop_s=products,
        bandwidths=[
            Bandwidth(level=level, capacity_bytes=sizes[level][0], array_bytes=sizes[level][1], gb_s=rate)
            for level, rate in bandwidths.items()
        ],
        transfers=rates("copy", ways.items()),
        versions=installed_versions(["torch"]),
        notes=notes,
    )


def seconds_of_a_launch(kernel: Kernel) -> Iterator[float]:
    """Iterate over the seconds that the GPU takes for a launch; the first launch is not timed."""
    _waited_for(kernel)
    for _ in range(REPETITIONS):
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        for _ in range(LAUNCHES):
            kernel()
        last.record()
        last.synchronize()
        yield first.elapsed_time(last) / 1e3 / LAUNCHES


def _waited_for(kernel: Kernel) -> None:
    kernel()
    torch.cuda.synchronize()


def _product(precision: str) -> Kernels:
    (let_torch_round if precision == "tf32" else tell_torch_of_gpu)()
    left, right = (torch.randn(SIDE, SIDE, device=DEVICE).to(PRECISIONS[precision]) for _ in range(2))
    return {"torch": (partial(torch.mm, left, right, out=torch.empty_like(left)), 2.0 * SIDE**3)}


def _streamed(whole_bytes: int) -> Kernels:
    """Return copy, triad and sum on three arrays of so many bytes together."""
    return kernels_on(*(torch.ones(whole_bytes // 3 // 4, device=DEVICE) for _ in range(3)))


def _cached(whole_bytes: int) -> Kernels:
    """Return the same, and one that reads an array many times: next to the others, a launch takes long itself."""
    row = torch.ones(whole_bytes // 4, device=DEVICE)
    again = partial(torch.sum, row.expand(TIMES_READ, -1), dim=1)
    return _streamed(whole_bytes) | {"torch sum, read again": (again, float(TIMES_READ * row.nbytes))}


def _copied(way: str, kind: str) -> Kernels:
    host = torch.ones(BUS_BYTES, dtype=torch.uint8, pin_memory=kind == "pinned")
    gpu = torch.ones(BUS_BYTES, dtype=torch.uint8, device=DEVICE)
    to, of = (gpu, host) if way == "to" else (host, gpu)
    return {"torch copy": (partial(to.copy_, of, non_blocking=kind == "pinned"), float(BUS_BYTES))}
