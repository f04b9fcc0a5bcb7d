"""torch.profiler: a Chrome trace for each burst. On a GPU it records by NVIDIA's CUPTI, which sees every stream of the
process, whichever library launched on it: so it records other runtimes there too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch.profiler import ProfilerActivity, profile, record_function

from assay.infer.profile.calls import ProfiledCall, marked_calls
from assay.infer.profile.traces import read_torch_trace
from assay.infer.runtime import ModelFiles, Session
from assay.spec import Settings


class TorchRecorder:
    """Makes a profile of each burst; all are read at the end, so that reading disturbs no burst."""

    def __init__(self, model: ModelFiles, settings: Settings, session: Session[object], folder: Path) -> None:
        del model
        self._session, self._folder, self._on_gpu = session, folder, settings.device != "cpu"
        self._files: list[Path] = []

    def burst(self, natives: Sequence[object], calls: int) -> list[int]:
        kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if self._on_gpu else [])]
        with profile(activities=kinds) as recorded:
            found = marked_calls(self._session, natives, calls, record_function)
        file = self._folder / f"torch-{len(self._files)}.json"
        recorded.export_chrome_trace(str(file))
        self._files.append(file)
        return found

    def finish(self) -> list[ProfiledCall]:
        return [call for file in self._files for call in read_torch_trace(file, on_gpu=self._on_gpu)]
