"""The machines of a fleet, as its conductor knows them. No caller knows the engine behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from assay.errors import WorkerError
from assay.fleet.kind import MachineIdentity, MachineKind
from assay.fleet.section import EACH_KIND, FleetSection
from assay.jobs.host import Starter

LEAST_OF_A_KEY = 6
"""Fewest characters of a key or an identity that stand for it."""


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

    def is_called(self, name: str) -> bool:
        """Check whether a study means this machine by a name."""
        return name in {self.labels.get("name"), self.name, self.place} or _begins(self.key, name)

    def is_of(self, kind: str) -> bool:
        """Check whether a study means this machine's kind by a name."""
        return kind in {self.labels.get("kind"), self.kind.instance_type} or _begins(self.kind.key, kind)

    def slots(self, asked: FleetSection) -> Iterator[tuple[str, int]]:
        """Iterate over what it may be taken for, and how many machines are asked to be that."""
        if asked.machines == EACH_KIND:
            yield self.kind.key, 1
        elif isinstance(asked.machines, dict):
            yield from ((kind, number) for kind, number in asked.machines.items() if self.is_of(kind))
        else:
            yield from ((name, 1) for name in asked.machines if self.is_called(name))


def _begins(key: str, name: str) -> bool:
    return len(name) >= LEAST_OF_A_KEY and key.startswith(name)


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
