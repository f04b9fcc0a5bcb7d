"""The seam between the conductor and the host that starts processes for it, on this machine or another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypedDict, Unpack

from assay.boxed.boxing import Box
from assay.errors import AssayError
from assay.jobs.files import Files
from assay.jobs.job import Message
from assay.jobs.patience import Spent


class Running(Protocol):
    """A process of a host, which receives messages and answers with messages."""

    @property
    def module(self) -> str:
        """The module that it runs."""

    def send(self, message: Message, limit_seconds: float) -> None:
        """Send one message.

        Raises:
            WorkerError: the process has ended, or did not take it within the limit and was killed.
        """

    def receive(self, limit_seconds: float) -> Message:
        """Return the next message.

        Raises:
            TimeoutError: there was none within the limit; the process goes on.
            WorkerError: the process ended, or what it sent is not a message and it was killed.
        """

    def explained(self, error: AssayError) -> AssayError:
        """Return an error of the process with its cause, as far as the host knows it: a full disk, or a limit of its
        box.
        """

    def spent(self) -> Spent:
        """Return the processor time of the process and all that it started."""

    def freeze(self) -> None:
        """Stop the process where it is; it uses no processor until `thaw`."""

    def thaw(self) -> None:
        """Let it go on."""

    def kill(self) -> None:
        """End the process and all that it started, at once."""

    def close(self) -> None:
        """Let the process end by itself, or kill it where it does not."""


class How(TypedDict, total=False):
    """The way of starting a process.

    Attributes:
        environment: variables to set in addition to the conductor's own.
        python: the interpreter, the conductor's own by default.
        box: limits on the process, where it runs somebody else's code.
    """

    environment: Mapping[str, str] | None
    python: Path | None
    box: Box | None


class Starter(Files, Protocol):
    """A host that starts processes and has files for them: all that running a job needs."""

    def start(self, module: str, log: Path, **how: Unpack[How]) -> Running:
        """Start a module as a process.

        Args:
            module: the module to run; see `assay.start`.
            log: the conductor's path of the file for everything the process prints.

        Raises:
            DiskError: there is no room for what it writes.
        """


@dataclass(frozen=True)
class Through:
    """The files of a host, for hosts that start its processes in a way of their own."""

    host: Starter

    def there(self, path: Path, written: bool) -> Path:
        """See `assay.jobs.files.Files`."""
        return self.host.there(path, written)

    def here(self, path: Path) -> Path:
        """See `assay.jobs.files.Files`."""
        return self.host.here(path)

    def fetch(self, path: Path) -> None:
        """See `assay.jobs.files.Files`."""
        self.host.fetch(path)


@dataclass(frozen=True)
class InEnvironment(Through):
    """A host whose processes run in another environment, by its interpreter."""

    python: Path

    def start(self, module: str, log: Path, **how: Unpack[How]) -> Running:
        """See `Starter`."""
        how["python"] = self.python
        return self.host.start(module, log, **how)
