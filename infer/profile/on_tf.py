"""tf.profiler: an xplane file for each burst."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from assay.infer.profile.calls import ProfiledCall, marked_calls
from assay.infer.profile.on_xplane import newest, read_xplane
from assay.infer.runtime import ModelFiles, Session
from assay.spec import Settings


class TensorFlowRecorder:
    """Profiles at level 3, the lowest at which TensorFlow records the kernels of a graph."""

    def __init__(self, model: ModelFiles, settings: Settings, session: Session[object], folder: Path) -> None:
        del model, settings
        self._session, self._folder = session, folder
        self._files: list[Path] = []
        self._options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=3, python_tracer_level=0)

    def burst(self, natives: Sequence[object], calls: int) -> list[int]:
        folder = self._folder / f"tf-{len(self._files)}"
        tf.profiler.experimental.start(str(folder), options=self._options)
        try:
            found = marked_calls(self._session, natives, calls, tf.profiler.experimental.Trace)
        finally:
            tf.profiler.experimental.stop()
        self._files.append(newest(folder))
        return found

    def finish(self) -> list[ProfiledCall]:
        return [call for file in self._files for call in read_xplane(file)]
