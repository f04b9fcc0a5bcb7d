"""The common part of a study and a comparison of one model while they are under way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from assay.bench.machine.host import Host
from assay.bench.words.progress import Narrator
from assay.export.programs.programs import Workshop
from assay.jobs.job import Answered, Asked, Job
from assay.jobs.running import run_job
from assay.steps import Limit
from assay.store import SharingTier, Store

SHARED_ROOMS = frozenset({"images", "weights", "onnx", "references", "trials", "programs", "parity"})
"""Artifacts that are the same wherever they were made, as their keys have all that they depend on. Times, and facts
about a machine, stay on it.
"""

MOST_TOGETHER = 3
"""Jobs at a time: more would wait for memory."""


class Course:
    """A study or comparison under way.

    Attributes:
        folder: folder for everything that is made.
        narrator: reports the progress.
        host: the host on which it is measured.
        seconds: time that each stage took in this session.
        tier: where machines share what they make; None where this one is alone.
    """

    folder: Path
    narrator: Narrator
    host: Host
    seconds: dict[str, float]
    tier: SharingTier | None = None

    def store(self, room: str) -> Store:
        """Return the store in one of its folders: "weights", "onnx", "references", "units", "attribution", ..."""
        return Store(self.folder / room, tier=self.tier if room in SHARED_ROOMS else None)

    def ask(self, job: Job[Asked, Answered], request: Asked, log: Path, limit: Limit, *answers: Path) -> Answered:
        """Run a job on a model and return its answer; a user's model is run in its box.

        Args:
            answers: folders that the job writes.
        """
        return run_job(job, request, log, limit_seconds=limit, host=self.host)

    @property
    def trusted(self) -> bool:
        """Whether a model that somebody brought runs outside of its box."""
        return False

    def workshop(self, calibration: Callable[[], Path | None]) -> Workshop:
        """Where what runtimes load is made of a model; `calibration` is as of `Workshop`."""
        return Workshop(
            self.store("programs"),
            calibration,
            host=self.host,
            processor=self.host.fingerprint().key,
            tell=self.narrator.tell,
        )

    @contextmanager
    def stage(self, name: str, title: str) -> Iterator[None]:
        """Time and announce a stage."""
        self.narrator.stage(title)
        begun = time.monotonic()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - begun
