"""The machines of a fleet, as its conductor knows them. No caller knows the engine behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from assay.errors import WorkerError
from assay.fleet.kind import LEAST_OF_A_KEY, MachineIdentity, MachineKind
from assay.jobs.host import Starter


class LostError(WorkerError):
    """A machine went away while something ran on it, or did not begin it."""


@dataclass(frozen=True)
class Machine:
    """One machine of a fleet.

    Attributes:
        place: the engine's name for it, another after each start of the engine there.
        name: its name for people.
        labels: its owner's words for it, by name.
        refused: why it gets no work, "" where it does.
        checked: whether it passed its self-check since it was started; None where there was none.
    """

    place: str
    name: str
    kind: MachineKind
    identity: MachineIdentity
    labels: Mapping[str, str] = field(default_factory=dict)
    refused: str = ""
    checked: bool | None = None

    @property
    def key(self) -> str:
        """The machine itself, whatever the engine calls it today."""
        return self.identity.machine or self.place

    @property
    def names(self) -> set[str]:
        """The names by which a study may ask for this machine."""
        return {self.labels.get("name", ""), self.name, self.place, *_beginnings(self.key)}

    @property
    def names_of_kind(self) -> set[str]:
        """The names by which a study may ask for this machine's kind."""
        return {self.labels.get("kind", ""), self.kind.instance_type, *_beginnings(self.kind.key)}


def _beginnings(key: str) -> Iterator[str]:
    return (key[:length] for length in range(LEAST_OF_A_KEY, len(key) + 1))


class Fleet(Protocol):
    """Machines that a study is timed on, through some engine."""

    def machines(self) -> Sequence[Machine]:
        """Return those that are there now, each once.

        Raises:
            LostError: the engine does not answer.
        """

    def host(self, machine: Machine, *, whole: bool) -> AbstractContextManager[Starter]:
        """Return a host there for the block. It ends all that it started when the block does.

        Args:
            whole: whether nothing else of the fleet may run there meanwhile, since it times.

        Raises:
            LostError: the machine went away.
        """

    def close(self) -> None:
        """End everything that runs there for this conductor, at once."""
