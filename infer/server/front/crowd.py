"""The connected clients: how many there may be, how long one may be silent, and how much memory all may take."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol, cast

MOST_CONNECTIONS = 256
SWEEP_SECONDS = 1.0
REQUEST_SECONDS = 30.0
"""The seconds from the first byte of a request to its last."""
ANSWER_SECONDS = 180.0
"""The seconds from the last byte of a request to the end of its answer, and from an answer until the client has read
it.
"""


class Guest(Protocol):
    """A client's connection.

    Attributes:
        since: when it last began or ended something, on the monotonic clock.
    """

    since: float

    @property
    def busy(self) -> bool:
        """Whether the server owes it an answer."""

    def look(self, now: float) -> None:
        """End the connection if it takes too long."""

    def leave(self) -> None:
        """End the connection as soon as nothing is owed."""

    def abort(self) -> None:
        """End the connection now."""


def stream_of(transport: asyncio.BaseTransport) -> asyncio.Transport:
    """Return the transport of a stream, given what its protocol receives when it is connected."""
    return cast("asyncio.Transport", transport)  # the stub covers datagrams too; uvloop's is not a subclass


class RequestMemory:
    """The budget of bytes of requests that all connections together may hold at a time."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, size: int) -> bool:
        """Reserve so many more bytes if there is room; return whether there is."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        """Release so many bytes."""
        self._left += size


class Crowd:
    """The clients of one port. A newcomer takes the place of the client that has been idle longest, so nobody can keep
    others out by holding connections.
    """

    def __init__(self, most: int = MOST_CONNECTIONS) -> None:
        self._guests: set[Guest] = set()
        self._most = most

    def __len__(self) -> int:
        return len(self._guests)

    def join(self, guest: Guest) -> bool:
        """Admit one more client if there is room; return whether there is."""
        if len(self._guests) >= self._most:
            idle = min((one for one in self._guests if not one.busy), key=lambda one: one.since, default=None)
            if idle is None:
                return False
            self._guests.discard(idle)
            idle.abort()
        self._guests.add(guest)
        return True

    def quit(self, guest: Guest) -> None:
        """Forget a client whose connection has ended."""
        self._guests.discard(guest)

    async def sweep(self) -> None:
        """Check every client once a second, for ever."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = time.monotonic()
            for guest in list(self._guests):
                guest.look(now)

    async def disperse(self, limit_seconds: float) -> None:
        """Ask every client to leave, and end the connections after the limit."""
        deadline = time.monotonic() + limit_seconds
        for guest in list(self._guests):
            guest.leave()
        while self._guests and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        for guest in list(self._guests):
            guest.abort()
