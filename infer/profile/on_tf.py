"""tf.profiler: an xplane file for each burst."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from assay.infer.profile.calls import ProfiledCall, marked_calls
from assay.infer.profile.xplane import FACTS, Line, calls_in, newest, unreadable
from assay.infer.runtime import ModelFiles, Session
from assay.spec import Settings


class TensorFlowRecorder:
    """Profiles at level 3, the lowest at which TensorFlow records the kernels of a graph."""

    def __init__(self, model: ModelFiles, settings: Settings, session: Session[object], folder: Path) -> None:
        del model
        self._session, self._folder, self._on_gpu = session, folder, settings.device != "cpu"
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
        return [call for file in self._files for call in calls_in(lines_of(file), on_gpu=self._on_gpu)]


def lines_of(path: Path) -> list[Line]:
    """Read an xplane file.

    Raises:
        DataError: it is missing or not an xplane file.
    """
    try:
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise unreadable(path, error) from error
    return [_line(plane, line) for plane in space.planes for line in plane.lines]


def _line(plane: xplane_pb2.XPlane, line: xplane_pb2.XLine) -> Line:
    facts = {number: one.name for number, one in plane.stat_metadata.items() if one.name in FACTS}
    events = []
    for event in line.events:
        start = line.timestamp_ns + event.offset_ps / 1000
        known = {facts[one.metadata_id]: _value(plane, one) for one in event.stats if one.metadata_id in facts}
        name = plane.event_metadata[event.metadata_id].name
        events.append((name, start, start + event.duration_ps / 1000, known))
    return Line(plane.name, line.name, events)


def _value(plane: xplane_pb2.XPlane, stat: xplane_pb2.XStat) -> str:
    """Return a fact, which is a text by itself or the name of another."""
    which = stat.WhichOneof("value")
    found = getattr(stat, which) if which else ""
    return str(plane.stat_metadata[found].name if which == "ref_value" else found)
