"""ONNX Runtime's own profiler, which belongs to a session from its beginning: profiling needs a second session.

On a GPU it records kernels only where ONNX Runtime was built with CUDA profiling, which its packages are not
(https://github.com/microsoft/onnxruntime, tools/ci_build/github/linux/build_linux_python_package.sh), and in whole
microseconds, where a kernel takes a few. So PyTorch's profiler records it there, and this one where PyTorch is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from onnxruntime import InferenceSession

from assay.infer.profile.calls import ProfiledCall, Recorder, marked_calls
from assay.infer.profile.traces import read_ort_profile
from assay.infer.runtime import ModelFiles, Session
from assay.infer.runtimes import on_ort
from assay.infer.runtimes.on_ort_gpu import CudaSession, with_profile
from assay.spec import Settings

WARM_CALLS = 3


class OrtRecorder:
    """A session like the timed one, which profiles all its calls; the first ones warm it up."""

    def __init__(self, model: ModelFiles, settings: Settings, session: Session[object], folder: Path) -> None:
        profile = folder / "calls"
        self._session: Session[Any]
        self._inference: InferenceSession
        self._on_gpu = isinstance(session, CudaSession)
        if isinstance(session, CudaSession):
            self._session, self._inference = with_profile(session, model, settings, profile)
        else:
            level = session.facts["graph optimisation"]
            self._inference = on_ort.session_of(model, settings, level=level, profile=profile)
            self._session = on_ort.CpuSession(model, self._inference, settings)
        self._warm = False

    def burst(self, natives: Sequence[object], calls: int) -> list[int]:
        if not self._warm:
            self._warm = True
            self._calls(natives, WARM_CALLS)
        return self._calls(natives, calls)

    def finish(self) -> list[ProfiledCall]:
        return read_ort_profile(Path(self._inference.end_profiling()), WARM_CALLS, on_gpu=self._on_gpu)

    def _calls(self, natives: Sequence[object], calls: int) -> list[int]:
        """Run the calls without marks, as ONNX Runtime marks them itself."""
        return marked_calls(self._session, natives, calls, nullcontext)


def recorder_of(model: ModelFiles, settings: Settings, session: Session[object], folder: Path) -> Recorder:
    """Return what records a session; see above."""
    if settings.device == "cpu" or not find_spec("torch"):
        return OrtRecorder(model, settings, session, folder)
    from assay.infer.profile.on_torch import TorchRecorder  # noqa: PLC0415  seconds, for a GPU alone

    return TorchRecorder(model, settings, session, folder)
