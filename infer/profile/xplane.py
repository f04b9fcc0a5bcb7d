"""The events of xplane files, which JAX and TensorFlow both write (`xplane.proto` of the XLA project), as calls. Each
framework reads the file itself: neither is there for certain where the other is. No framework is imported here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.errors import DataError
from assay.files.mistakes import mistake_in
from assay.infer.profile.calls import CALL, Operator, ProfiledCall, calls_of
from assay.infer.profile.traces import short

GRAPH_KERNEL = re.compile(r"(?P<path>[^:]+):(?P<kind>_?[A-Z]\w*)")
EAGER_OPERATOR = "EagerLocalExecute: "
EAGER_KERNEL = "EagerKernelExecute"
INPUT_PIPELINE = "tf_data"
GPU, STREAM = "/device:GPU:", "Stream #"
"""How the names of a GPU's plane and of a stream's line in it begin."""
GPU_WORK = frozenset({"kernel_details", "memcpy_details", "Memset_details", "cuda_graph_exec_id"})
"""Facts that only a kernel, a copy, a fill or a whole CUDA graph has, among all that CUPTI records on a stream."""
FACTS = GPU_WORK | {"hlo_op", "hlo_module", "tf_op"}
Event = tuple[str, float, float, dict[str, str]]


@dataclass(frozen=True)
class Line:
    """One line of a plane: a thread of the host, or a stream of a GPU.

    Attributes:
        plane: name of its plane, "/host:CPU" or "/device:GPU:0".
        events: name, start and end in nanoseconds, and those facts that are among `FACTS`.
    """

    plane: str
    name: str
    events: Sequence[Event]


def newest(folder: Path) -> Path:
    """Return the xplane file that a profiler left below a folder.

    Raises:
        DataError: there is none.
    """
    files = sorted(folder.rglob("*.xplane.pb"))
    if not files:
        raise DataError("The profiler wrote no file", expected=f"*.xplane.pb below {folder.name}")
    return files[-1]


def unreadable(path: Path, error: Exception) -> DataError:
    """Return the refusal of a file that is missing, cut off, or not an xplane file."""
    return DataError(f"Cannot read the profile {path.name}", expected="a complete xplane file", found=mistake_in(error))


def calls_in(lines: Iterable[Line], *, on_gpu: bool = False) -> list[ProfiledCall]:
    """Return the calls in an xplane file.

    The kind of event that counts as an operator depends on the runtime. The first of these kinds that the file has is
    taken: thunks of XLA (`hlo_op` is among their facts), kernels of a TensorFlow graph ("path:Kind" on the executor's
    threads), operators that TensorFlow ran one by one. The frameworks' own bookkeeping ("PjitFunction", "EagerExecute")
    never is. On a GPU the kernels, copies, fills and CUDA graphs on its streams are taken, and nothing else; calls are
    marked on the host's threads.

    Raises:
        DataError: it has no calls or no operators.
    """
    marks: list[tuple[float, float]] = []
    starts: list[float] = []
    thunks: list[Operator] = []
    kernels: list[Operator] = []
    eager: list[Operator] = []
    work: list[Operator] = []
    for line in lines:
        streams = line.plane.startswith(GPU)
        for name, start, end, facts in line.events:
            if name == CALL and not streams:
                marks.append((start, end))
                continue
            starts.append(start)
            if streams:
                if line.name.startswith(STREAM) and GPU_WORK & facts.keys():
                    work.append(_on_stream(line.name, name, start, end, facts))
            elif "hlo_op" in facts:
                thunks.append(
                    Operator(name, re.sub(r"[.\d]+$", "", name), start, end, line.name, facts.get("hlo_module", ""))
                )
            elif (
                (found := GRAPH_KERNEL.fullmatch(name))
                and found["path"] != found["kind"]
                and INPUT_PIPELINE not in line.name
            ):
                kernels.append(Operator(name, found["kind"], start, end, line.name, found["path"]))
        eager += _eager_operators(line.name, line.events)
    return calls_of(marks, work if on_gpu else thunks or kernels or eager, starts, on_gpu=on_gpu)


def _on_stream(stream: str, name: str, start: float, end: float, facts: dict[str, str]) -> Operator:
    """Return a GPU's activity, with the operator that launched it: XLA's by `hlo_op`, TensorFlow's as "path:Kind"."""
    path, _, kind = facts.get("tf_op", "").rpartition(":")
    launcher = facts.get("hlo_op", "") or kind
    scope = "" if "hlo_op" in facts else path
    return Operator(short(name), launcher or short(name), start, end, stream.partition("(")[0], scope)


def _eager_operators(line: str, events: Sequence[Event]) -> list[Operator]:
    """Return TensorFlow's operators that ran one by one: the kernel's run inside each "EagerLocalExecute: Kind".

    One whose kind is a function ("__inference_...") is a graph, not an operator.
    """
    found: list[Operator] = []
    around = ("", float("-inf"))
    for name, start, end, _ in sorted(events, key=lambda event: (event[1], -event[2])):
        if name.startswith(EAGER_OPERATOR):
            around = (name.removeprefix(EAGER_OPERATOR), end)
        elif name == EAGER_KERNEL and end <= around[1] and not around[0].startswith("__"):
            found.append(Operator(around[0], around[0], start, end, line))
    return found
