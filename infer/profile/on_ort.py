"""ONNX Runtime's own profiler, which belongs to a session from its beginning: profiling needs a second session."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from assay.infer.profile.calls import ProfiledCall, marked_calls
from assay.infer.profile.traces import read_ort_profile
from assay.infer.runtime import ModelFiles, Session
from assay.infer.runtimes import on_ort
from assay.spec import Settings

WARM_CALLS = 3


class OrtRecorder:
    """A session like the timed one, which profiles all its calls; the first ones warm it up."""

    def __init__(self, model: ModelFiles, settings: Settings, session: Session[object], folder: Path) -> None:
        level = session.facts["graph optimisation"]
        self._inference = on_ort.session_of(model, settings, level=level, profile=folder / "calls")
        self._session: Session[Any] = on_ort.CpuSession(model, self._inference, settings)
        self._warm = False

    def burst(self, natives: Sequence[object], calls: int) -> list[int]:
        if not self._warm:
            self._warm = True
            self._calls(natives, WARM_CALLS)
        return self._calls(natives, calls)

    def finish(self) -> list[ProfiledCall]:
        return read_ort_profile(Path(self._inference.end_profiling()), WARM_CALLS)

    def _calls(self, natives: Sequence[object], calls: int) -> list[int]:
        """Run the calls without marks, as ONNX Runtime marks them itself."""
        return marked_calls(self._session, natives, calls, nullcontext)
