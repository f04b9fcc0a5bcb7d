"""jax.profiler: an xplane file for each burst."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jax

from assay.infer.profile.calls import ProfiledCall, marked_calls
from assay.infer.profile.on_xplane import newest, read_xplane
from assay.infer.runtime import ModelFiles, Session
from assay.spec import Settings


class JaxRecorder:
    """Profiles without tracing Python itself, which would cost more than the calls."""

    def __init__(self, model: ModelFiles, settings: Settings, session: Session[object], folder: Path) -> None:
        del model, settings
        self._session, self._folder = session, folder
        self._files: list[Path] = []
        self._options = jax.profiler.ProfileOptions()
        self._options.python_tracer_level = 0
        self._options.host_tracer_level = 2

    def burst(self, natives: Sequence[object], calls: int) -> list[int]:
        folder = self._folder / f"jax-{len(self._files)}"
        with jax.profiler.trace(str(folder), profiler_options=self._options):
            found = marked_calls(self._session, natives, calls, jax.profiler.TraceAnnotation)
        self._files.append(newest(folder))
        return found

    def finish(self) -> list[ProfiledCall]:
        return [call for file in self._files for call in read_xplane(file)]
