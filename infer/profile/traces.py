"""Readers of profiles in JSON: PyTorch's Chrome traces and ONNX Runtime's own. They import no framework."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from assay.errors import DataError
from assay.files.mistakes import mistake_in
from assay.files.texts import parse_json
from assay.infer.profile.calls import CALL, Operator, ProfiledCall, calls_of

MICROSECOND = 1e3
Event = dict[str, JsonValue]

KERNEL_SUFFIX = "_kernel_time"


def read_torch_trace(path: Path) -> list[ProfiledCall]:
    """Read the calls in a Chrome trace of `torch.profiler`.

    Operators are those that PyTorch's dispatcher ran ("aten::conv2d", which contains "aten::mkldnn_convolution") and
    the C++ kernels of torch.compile. An event that only marks a region (a module, a compiled graph) is not one.

    Raises:
        DataError: it is missing, cut off, or has no calls or no operators.
    """
    events = [event for event in _events(path) if event.get("ph") == "X"]
    marks = [_span(event) for event in events if event.get("name") == CALL and event.get("cat") == "user_annotation"]
    inner = [event for event in events if event.get("name") != CALL]
    operators = [_torch_operator(event) for event in inner if _is_torch_operator(event)]
    return calls_of(marks, operators, [_span(event)[0] for event in inner])


def read_ort_profile(path: Path, first_call: int = 0) -> list[ProfiledCall]:
    """Read the calls in a profile of `onnxruntime.SessionOptions.enable_profiling`, whose times are whole microseconds.

    A call is a "model_run"; its operators are the kernels of the nodes.

    Args:
        first_call: number of calls at the beginning that are warm-up.

    Raises:
        DataError: it is missing, cut off, or has no calls or no operators.
    """
    events = [event for event in _events(path) if event.get("ph") == "X"]
    marks = sorted(_span(event) for event in events if event.get("name") == "model_run")[first_call:]
    nodes = [event for event in events if event.get("cat") == "Node" and _name(event).endswith(KERNEL_SUFFIX)]
    return calls_of(marks, [_ort_operator(event) for event in nodes], [_span(event)[0] for event in nodes])


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
    arguments = event.get("args")
    kind = str(arguments.get("op_name", "")) if isinstance(arguments, dict) else ""
    return Operator(name, kind, start, end, str(event.get("tid", "")), scope=name)
