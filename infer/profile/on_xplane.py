"""The reader of xplane files, which JAX and TensorFlow both write (`xplane.proto` of the XLA project)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from jax.profiler import ProfileData

from assay.errors import DataError
from assay.files.mistakes import mistake_in
from assay.infer.profile.calls import CALL, Operator, ProfiledCall, calls_of

GRAPH_KERNEL = re.compile(r"(?P<path>[^:]+):(?P<kind>_?[A-Z]\w*)")
EAGER_OPERATOR = "EagerLocalExecute: "
EAGER_KERNEL = "EagerKernelExecute"
INPUT_PIPELINE = "tf_data"


def newest(folder: Path) -> Path:
    """Return the xplane file that a profiler left below a folder.

    Raises:
        DataError: there is none.
    """
    files = sorted(folder.rglob("*.xplane.pb"))
    if not files:
        raise DataError("The profiler wrote no file", expected=f"*.xplane.pb below {folder.name}")
    return files[-1]


def read_xplane(path: Path) -> list[ProfiledCall]:
    """Read the calls in an xplane file.

    The kind of event that counts as an operator depends on the runtime. The first of these kinds that the file has is
    taken: thunks of XLA (`hlo_op` is among their facts), kernels of a TensorFlow graph ("path:Kind" on the executor's
    threads), operators that TensorFlow ran one by one. The frameworks' own bookkeeping ("PjitFunction", "EagerExecute")
    never is.

    Raises:
        DataError: it is missing, cut off, or has no calls or no operators.
    """
    marks: list[tuple[float, float]] = []
    starts: list[float] = []
    thunks: list[Operator] = []
    kernels: list[Operator] = []
    eager: list[Operator] = []
    for line, events in _lines(path):
        for name, start, end, facts in events:
            if name == CALL:
                marks.append((start, end))
                continue
            starts.append(start)
            if "hlo_op" in facts:
                thunks.append(Operator(name, re.sub(r"[.\d]+$", "", name), start, end, line, facts["hlo_module"]))
            elif (
                (found := GRAPH_KERNEL.fullmatch(name))
                and found["path"] != found["kind"]
                and INPUT_PIPELINE not in line
            ):
                kernels.append(Operator(name, found["kind"], start, end, line, found["path"]))
        eager += _eager_operators(line, events)
    return calls_of(marks, thunks or kernels or eager, starts)


Event = tuple[str, float, float, dict[str, str]]


def _lines(path: Path) -> list[tuple[str, list[Event]]]:
    """
    Raises:
        DataError: the file is missing or not an xplane file.
    """
    try:
        data = ProfileData.from_serialized_xspace(path.read_bytes())
        return [(line.name, [_event(event) for event in line.events]) for plane in data.planes for line in plane.lines]
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(
            f"Cannot read the profile {path.name}", expected="a complete xplane file", found=mistake_in(error)
        ) from error


def _event(event: ProfileData) -> Event:
    facts = {str(name): str(value) for name, value in event.stats if name in ("hlo_op", "hlo_module")}
    return event.name, event.start_ns, event.start_ns + event.duration_ns, facts


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
