"""`assay serve`: a deployment folder served here, and followed when another of its versions is to be served.

Change of version: the server loads the new version while the old one runs, directs new requests to it once it is ready,
and ends the old one when its last request is answered. When the new one cannot be loaded the old one stays.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from assay.bench.machine.machine import check_cores, usable_cores
from assay.bench.serving.snapshot import fingerprint, take_snapshot
from assay.errors import AssayError, FailedError
from assay.infer.server import triton_control
from assay.infer.server.ports import WORK_PREFIX
from assay.infer.server.triton import HARMLESS, Progress, ServerPlacement, TritonServer, contract_of
from assay.records.deployment import CONFIG_FILE, MODELS, Deployment

Event = dict[str, JsonValue]
Tell = Callable[[Event], None]
LOAD_SECONDS = 120.0
SETTLE_SECONDS = 10.0
"""A folder that is being written does not match its checksums; only after this long is that an error."""
HEALTH_SECONDS = 5.0


@dataclass
class Serving:
    """A deployment folder and the server that serves it.

    Attributes:
        current: the record of the deployment being served.
        signed_by: the public key whose signature every version has to have, where there is one.
        trusted: whether the model's file may act.
        seconds_to_ready: from starting the server's process to its being ready.
    """

    folder: Path
    server: TritonServer
    current: Deployment
    repository: Path
    work: Path
    _seen: str
    signed_by: Path | None = None
    trusted: bool = False
    _read_bytes: int = 0
    _unsettled_since: float | None = None
    _health: bool = True
    _asked_health: float = field(default_factory=time.monotonic)

    def watch(self, tell: Tell) -> None:
        """Look once at everything that may have happened, and report it.

        Raises:
            FailedError: the server has ended by itself.
        """
        self._show_log(tell)
        if not self.server.running():
            raise self.server.ended()
        self._look_at_health(tell)
        self._revive(tell)
        self.follow(tell)

    def follow(self, tell: Tell) -> None:
        """Change to the version that the folder now names for serving, if that has changed."""
        seen = fingerprint(self.folder)
        if seen == self._seen:
            self._unsettled_since = None
            return
        now = time.monotonic()
        self._unsettled_since = self._unsettled_since or now
        try:
            self._go_over(tell)
        except FailedError as error:
            tell({"event": "kept", "version": self.current.serving, "reason": str(error)})
        except AssayError as error:
            if now - self._unsettled_since < SETTLE_SECONDS:
                return
            tell({"event": "kept", "version": self.current.serving, "reason": str(error)})
        self._seen, self._unsettled_since = seen, None

    def _go_over(self, tell: Tell) -> None:
        """
        Raises:
            ArtifactError: the folder is not whole, perhaps not yet.
            FailedError: the server did not load it; it goes on with its old version.
        """
        config = self.repository / self.current.name / CONFIG_FILE
        before = config.read_bytes()
        found = take_snapshot(self.folder, self.repository, self.signed_by, trusted=self.trusted)
        if found.name != self.current.name:
            raise FailedError(f"{self.folder} now holds another model", expected=self.current.name, found=found.name)
        if _contract(found) != _contract(self.current):
            raise FailedError(
                f"{self.folder} now has different input or output tensors",
                remedy="Stop this server and start a new one on the folder",
            )
        try:
            self._change("load", found)
        except BaseException:
            config.write_bytes(before)
            raise
        self.current = found
        tell({"event": "serving", "version": found.serving})

    def _revive(self, tell: Tell) -> None:
        """Load the model again when a process that runs it was killed; until then its requests get errors."""
        missing = self.current.instances - self.server.workers()
        if missing <= 0:
            return
        tell({"event": "worker lost", "version": self.current.serving})
        try:
            self._change("unload", self.current)
            self._change("load", self.current)
        except FailedError as error:
            tell({"event": "log", "text": str(error)})  # and tried again at the next look
            return
        tell({"event": "serving", "version": self.current.serving})

    def _change(self, action: Literal["load", "unload"], deployment: Deployment) -> None:
        """Have the server load or unload the model; Triton answers when it is ready, or refused.

        Raises:
            FailedError: the server did not do it.
        """
        triton_control.change(self.work, deployment.name, action, f"version {deployment.serving}", LOAD_SECONDS)

    def _look_at_health(self, tell: Tell) -> None:
        now = time.monotonic()
        if now - self._asked_health < HEALTH_SECONDS:
            return
        self._asked_health, healthy = now, self.server.is_ready()
        if healthy != self._health:
            self._health = healthy
            tell({"event": "healthy" if healthy else "unhealthy"})

    def _show_log(self, tell: Tell) -> None:
        """Pass on warnings and errors that the server has logged since."""
        with self.server.log.open("rb") as stream:
            stream.seek(self._read_bytes)
            content = stream.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        for line in whole.decode("utf-8", errors="replace").splitlines():
            if line[:1] in "EW" and line[1:5].isdecimal() and HARMLESS not in line:
                tell({"event": "log", "text": line})


def _contract(deployment: Deployment) -> tuple[object, ...]:
    """Return the facts about the model that the filter in front of the server knows."""
    return deployment.inputs, deployment.outputs, deployment.most_records


def cores_for(deployment: Deployment, wanted: int | None) -> tuple[int, ...]:
    """Return the numbers of the cores to serve on: as many as requested, or as in its manifests, if there are enough.

    If they may roam over all cores, a server's threads wake each other across them, which costs each request time: a
    tenth of a millisecond for a small model on 2 cores (docs/how-to/serving.md).

    Raises:
        InputError: more are wanted than this process may use.
    """
    check_cores("--cores asks for more than this process has", wanted or 1, usable_cores())
    return usable_cores()[: wanted or deployment.cores]


@contextmanager
def serving(
    folder: Path,
    place: ServerPlacement,
    progress: Progress,
    *,
    shared_memory: bool = False,
    signed_by: Path | None = None,
    trusted: bool = False,
) -> Iterator[Serving]:
    """Serve a deployment folder inside this block.

    Args:
        signed_by: the public key whose signature it has to have, now and whenever it is written again.
        shared_memory: whether clients may have the server read memory that they share with it.
        trusted: whether the model's file may act.

    Raises:
        ArtifactError: the folder is not as it was deployed.
        NotInstalledError: the server cannot run here.
        FailedError: it did not start.
    """
    work = Path(tempfile.mkdtemp(prefix=WORK_PREFIX))
    try:
        seen = fingerprint(folder)
        repository = work / MODELS
        found = take_snapshot(folder, repository, signed_by, trusted=trusted)
        contract = contract_of(found, place.host, work, shared_memory=shared_memory)
        with TritonServer(work, repository, contract, place, progress=progress) as server:
            yield Serving(folder, server, found, repository, work, seen, signed_by, trusted)
    finally:
        shutil.rmtree(work, ignore_errors=True)
