"""OpenVINO's performance counters, which a model either is compiled with or lacks: profiling needs a second model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import openvino as ov

from assay.infer.profile.calls import Operator, ProfiledCall
from assay.infer.runtime import ModelFiles, Session
from assay.infer.runtimes.on_openvino import compiled_model
from assay.spec import Settings

WARM_CALLS = 3


class Counter(Protocol):
    """OpenVINO's counters of one node in the last call, `openvino.ProfilingInfo`."""

    node_name: str
    node_type: str
    status: object
    real_time: timedelta


class OpenVinoRecorder:
    """A compiled model like the timed one, whose counters are read after every call."""

    def __init__(self, model: ModelFiles, settings: Settings, session: Session[object], folder: Path) -> None:
        del folder
        compiled = compiled_model(model, settings, counting=True, precision=session.facts["inference precision"])
        self._request = compiled.create_infer_request()
        self._calls: list[ProfiledCall] = []
        self._warm = False

    def burst(self, natives: Sequence[object], calls: int) -> list[int]:
        if not self._warm:
            self._warm = True
            for call in range(WARM_CALLS):
                self._infer(natives[call % len(natives)])
        return [self._one_call(natives[call % len(natives)]) for call in range(calls)]

    def finish(self) -> list[ProfiledCall]:
        return self._calls

    def _infer(self, native: object) -> None:
        self._request.infer(native, share_inputs=True, share_outputs=True)

    def _one_call(self, native: object) -> int:
        start = time.perf_counter_ns()
        self._infer(native)
        end = time.perf_counter_ns()
        self._calls.append(call_of(start, end, self._request.profiling_info))
        return end - start


def call_of(start_ns: int, end_ns: int, counters: Sequence[Counter]) -> ProfiledCall:
    """Return a call whose executed nodes follow each other from its start.

    OpenVINO counts how long a node took, in whole microseconds, and not when it ran; with one stream, one node runs
    after the other, so their positions do not change the length that they cover together.
    """
    operators, reached = [], float(start_ns)
    for node in counters:
        if node.status == ov.ProfilingInfo.Status.EXECUTED:
            end = reached + node.real_time.total_seconds() * 1e9
            operators.append(Operator(node.node_name, node.node_type, reached, end))
            reached = end
    return ProfiledCall(float(start_ns), float(end_ns), tuple(operators), len(counters))
