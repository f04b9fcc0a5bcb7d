"""Readers of profiles in JSON: PyTorch's Chrome traces and ONNX Runtime's own. They import no framework."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from assay.errors import DataError
from assay.files.mistakes import mistake_in
from assay.files.texts import parse_json
from assay.infer.profile.calls import CALL, Operator, ProfiledCall, calls_of

MICROSECOND = 1e3
Event = dict[str, JsonValue]

KERNEL_SUFFIX = "_kernel_time"
GPU_WORK = ("kernel", "gpu_memcpy", "gpu_memset")
"""Categories of a GPU's activities in a trace of PyTorch, as its library Kineto writes them."""
MOST_OF_A_NAME = 80
"""Characters kept of the name of a kernel, which its template arguments make thousands long."""


def read_torch_trace(path: Path, *, on_gpu: bool = False) -> list[ProfiledCall]:
    """Read the calls in a Chrome trace of `torch.profiler`.

    Operators are those that PyTorch's dispatcher ran ("aten::conv2d", which contains "aten::mkldnn_convolution") and
    the C++ kernels of torch.compile. An event that only marks a region (a module, a compiled graph) is not one.
    On a GPU they are its kernels, copies and fills, which CUPTI records whichever library launched them; each has the
    kind of the operator that launched it, where that is one of PyTorch's.

    Raises:
        DataError: it is missing, cut off, or has no calls or no operators.
    """
    events = [event for event in _events(path) if event.get("ph") == "X"]
    marks = [_span(event) for event in events if event.get("name") == CALL and event.get("cat") == "user_annotation"]
    inner = [event for event in events if event.get("name") != CALL]
    if on_gpu:
        launchers = {_external(one): _name(one) for one in inner if one.get("cat") == "cpu_op" and _external(one)}
        operators = [_gpu_work(event, launchers) for event in inner if event.get("cat") in GPU_WORK]
    else:
        operators = [_torch_operator(event) for event in inner if _is_torch_operator(event)]
    return calls_of(marks, operators, [_span(event)[0] for event in inner], on_gpu=on_gpu)


def read_ort_profile(path: Path, first_call: int = 0, *, on_gpu: bool = False) -> list[ProfiledCall]:
    """Read the calls in a profile of `onnxruntime.SessionOptions.enable_profiling`, whose times are whole microseconds.

    A call is a "model_run"; its operators are the kernels of the nodes. On a GPU the time of a node is that of its
    launches, and the operators are the GPU's own kernels, which a build with CUDA profiling records with the name of
    their node.

    Args:
        first_call: number of calls at the beginning that are warm-up.

    Raises:
        DataError: it is missing, cut off, or has no calls or no operators.
    """
    events = [event for event in _events(path) if event.get("ph") == "X"]
    marks = sorted(_span(event) for event in events if event.get("name") == "model_run")[first_call:]
    nodes = [event for event in events if event.get("cat") == "Node" and _name(event).endswith(KERNEL_SUFFIX)]
    kernels = [event for event in events if on_gpu and event.get("cat") == "Kernel"]
    operators = [_ort_kernel(event) for event in kernels] if on_gpu else [_ort_operator(event) for event in nodes]
    return calls_of(marks, operators, [_span(event)[0] for event in [*nodes, *kernels]], on_gpu=on_gpu)


def _events(path: Path) -> list[Event]:
    """
    Raises:
        DataError: the file is missing, empty, or not complete JSON.
    """
    try:
        content = parse_json(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"Cannot read the profile {path.name}", expected="a complete JSON trace", found=mistake_in(error)
        ) from error
    events = content.get("traceEvents") if isinstance(content, dict) else content
    if not isinstance(events, list):
        raise DataError(f"The profile {path.name} is not a trace", expected="a list of events")
    return [event for event in events if isinstance(event, dict)]


def _name(event: Event) -> str:
    return str(event.get("name", ""))


def _span(event: Event) -> tuple[float, float]:
    start = _number(event, "ts") * MICROSECOND
    return start, start + (_number(event, "dur") if "dur" in event else 0.0) * MICROSECOND


def _number(event: Event, name: str) -> float:
    """
    Raises:
        DataError: the event has no such number.
    """
    found = event.get(name)
    if not isinstance(found, int | float):
        raise DataError(f"An event of the profile has no number '{name}'", found=str(event)[:200])
    return float(found)


def _is_torch_operator(event: Event) -> bool:
    return event.get("cat") == "cpu_op" and ("::" in _name(event) or _name(event).startswith(("cpp_", "graph_")))


def _torch_operator(event: Event) -> Operator:
    start, end = _span(event)
    name = _name(event)
    return Operator(name, name.rpartition("::")[2], start, end, str(event.get("tid", "")))


def _ort_operator(event: Event) -> Operator:
    start, end = _span(event)
    name = _name(event).removesuffix(KERNEL_SUFFIX)
    return Operator(name, _argument(event, "op_name"), start, end, str(event.get("tid", "")), scope=name)


def _gpu_work(event: Event, launchers: Mapping[str, str]) -> Operator:
    """Return a GPU's activity; the stream that it ran on takes the place of a thread."""
    start, end = _span(event)
    name = short(_name(event))
    launcher = launchers.get(_external(event), "").rpartition("::")[2]
    return Operator(name, launcher or name, start, end, f"stream {event.get('tid', '')}")


def _ort_kernel(event: Event) -> Operator:
    start, end = _span(event)
    name = short(_name(event))
    kind, parent, stream = (_argument(event, one) for one in ("op_name", "parent_name", "stream"))
    return Operator(name, kind or name, start, end, f"stream {stream}", scope=parent.removesuffix(KERNEL_SUFFIX))


def short(name: str) -> str:
    """Return the beginning of a kernel's name in C++."""
    return name.removeprefix("void ")[:MOST_OF_A_NAME]


def _external(event: Event) -> str:
    """Return the number that an operator shares with what it launched; "" where there is none."""
    return _argument(event, "External id")


def _argument(event: Event, name: str) -> str:
    arguments = event.get("args")
    return str(arguments.get(name, "")) if isinstance(arguments, dict) else ""
