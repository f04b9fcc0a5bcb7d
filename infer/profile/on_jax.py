"""jax.profiler: an xplane file for each burst."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jax
from jax.profiler import ProfileData

from assay.infer.profile.calls import ProfiledCall, marked_calls
from assay.infer.profile.xplane import FACTS, Event, Line, calls_in, newest, unreadable
from assay.infer.runtime import ModelFiles, Session
from assay.spec import Settings


class JaxRecorder:
    """Profiles without tracing Python itself, which would cost more than the calls."""

    def __init__(self, model: ModelFiles, settings: Settings, session: Session[object], folder: Path) -> None:
        del model
        self._session, self._folder, self._on_gpu = session, folder, settings.device != "cpu"
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
        return [call for file in self._files for call in calls_in(lines_of(file), on_gpu=self._on_gpu)]


def lines_of(path: Path) -> list[Line]:
    """Read an xplane file.

    Raises:
        DataError: it is missing or not an xplane file.
    """
    try:
        data = ProfileData.from_serialized_xspace(path.read_bytes())
        return [
            Line(plane.name, line.name, [_event(event) for event in line.events])
            for plane in data.planes
            for line in plane.lines
        ]
    except (OSError, ValueError, RuntimeError) as error:
        raise unreadable(path, error) from error


def _event(event: ProfileData) -> Event:
    facts = {str(name): str(value) for name, value in event.stats if name in FACTS}
    return event.name, event.start_ns, event.start_ns + event.duration_ns, facts
