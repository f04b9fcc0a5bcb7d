"""A second host, on this machine.

Its processes start in another working directory, have copies of the conductor's files below a separate folder, and
communicate through a pipe to a process in between.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Unpack

from pydantic import JsonValue

from assay.bench.machine.disturbance import Disturbance
from assay.bench.machine.host import LOCAL
from assay.errors import AssayError, WorkerError
from assay.fingerprint import Fingerprint
from assay.jobs.host import How
from assay.jobs.job import Message
from assay.jobs.patience import Spent
from assay.jobs.running import error_from
from assay.jobs.serving import told_of

ROOT = Path(__file__).parents[3]


class RelayedProcess:
    """A process behind a relay."""

    def __init__(self, host: RelayHost, module: str, log: Path, **how: Unpack[How]) -> None:
        self.module, self._host, self._log = module, host, log
        self._messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self._done: queue.Queue[Message | None] = queue.Queue()
        box, python = how.get("box"), how.get("python")
        self._box = box
        far = box and {"writable": [str(host.there(one, True)) for one in box.writable], "trusted": box.trusted}
        environment = {name: host.text_there(value) for name, value in (how.get("environment") or {}).items()}
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.bench.hosts.relay"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=host.root,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            text=True,
        )
        self._say(
            module=module,
            log=str(host.there(log, True)),
            environment=environment,
            python=python and str(python),
            box=far,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, message: Message, limit_seconds: float) -> None:
        del limit_seconds
        self._deed("send", message=message)

    def receive(self, limit_seconds: float) -> Message:
        try:
            told = self._messages.get(timeout=limit_seconds)
        except queue.Empty:
            raise TimeoutError from None
        if told["message"] is None:
            error = error_from(told["ended"])
            raise WorkerError(str(error))
        return told["message"]

    def explained(self, error: AssayError) -> AssayError:
        self._say(do="explain", error=told_of(error))
        told = self._done.get()
        return error if told is None else error_from(told)

    def spent(self) -> Spent:
        self._say(do="spent")
        told = self._done.get()
        assert told is not None
        return Spent(**told)

    def freeze(self) -> None:
        self._deed("freeze")

    def thaw(self) -> None:
        self._deed("thaw")

    def kill(self) -> None:
        self._end("kill")

    def close(self) -> None:
        self._end("close")

    def _end(self, deed: str) -> None:
        if self._popen.poll() is None:
            self._deed(deed)
            self._popen.communicate()
        self._host.fetch(self._log)

    def _deed(self, deed: str, **more: Any) -> None:
        self._say(do=deed, **more)
        told = self._done.get()
        if told is not None:
            raise error_from(told)

    def _say(self, **what: Any) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.write(json.dumps(what) + "\n")
        self._popen.stdin.flush()

    def _listen(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            told = json.loads(line)
            if "held" in told and self._box and self._box.told:
                self._box.told(told["held"])
            elif "message" in told:
                self._messages.put(told)
            else:
                self._done.put(told["done"])


class RelayHost:
    """The second host.

    Args:
        root: folder for its files, in which its processes start.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.started: list[str] = []
        self._known: dict[Path, Path] = {}

    def start(self, module: str, log: Path, **how: Unpack[How]) -> RelayedProcess:
        self.started.append(module)
        return RelayedProcess(self, module, log, **how)

    def there(self, path: Path, written: bool) -> Path:
        far = self._far(path)
        self._known[far] = path
        far.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, far, dirs_exist_ok=True, ignore=None if not written else _not_yet(far))
        elif path.is_file() and not far.exists():
            for beside in path.parent.glob(f"{path.name}*"):  # external data of a model
                shutil.copy(beside, far.parent)
        return far

    def here(self, path: Path) -> Path:
        return self._known.get(path, path)

    def fetch(self, path: Path) -> None:
        far = self._far(path)
        if far.is_dir():
            shutil.copytree(far, path, dirs_exist_ok=True)
        elif far.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(far, path)

    def text_there(self, text: str) -> str:
        """The value of a variable, which may be a path."""
        return str(self.there(Path(text), True)) if text.startswith("/") else text

    def cores(self) -> tuple[int, ...]:
        return LOCAL.cores()

    def disturbance(self, cores: Sequence[int]) -> Disturbance:
        return LOCAL.disturbance(cores)

    def fingerprint(self) -> Fingerprint:
        return LOCAL.fingerprint().model_copy(update={"name": "another processor", "stepping": "none"})

    def environment(self) -> dict[str, JsonValue]:
        return LOCAL.environment() | {"processor": "another processor"}

    def _far(self, path: Path) -> Path:
        return self.root / path.absolute().relative_to("/")


def _not_yet(far: Path) -> Any:
    """Existing files stay as they are."""

    def ignored(folder: str, names: Iterable[str]) -> set[str]:
        del folder
        return {name for name in names if (far / name).exists()}

    return ignored
