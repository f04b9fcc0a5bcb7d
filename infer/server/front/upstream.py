"""Connections to the server's HTTP, over its unix socket."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import httptools

from assay.infer.server.front.crowd import ANSWER_SECONDS, stream_of

MOST_AT_A_TIME = 64
PASSED_ON = (b"content-type", b"inference-header-content-length")


@dataclass
class Reply:
    """The server's answer."""

    status: int
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""


NO_REPLY = Reply(
    502, {b"content-type": b"application/json"}, b'{"error":"the server behind the filter does not answer"}'
)
Then = Callable[[Reply], None]


class Upstream:
    """Requests to the server, of which only so many run at a time; the others wait their turn."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._idle: list[_UpstreamConnection] = []
        self._waiting: deque[tuple[bytes, Then]] = deque()
        self._under_way = 0
        self._connecting: set[asyncio.Task[None]] = set()

    def ask(self, request: bytes, then: Then) -> None:
        """Send a whole request, and pass its reply on; `NO_REPLY` where there is none."""
        if self._under_way >= MOST_AT_A_TIME:
            self._waiting.append((request, then))
            return
        self._under_way += 1
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                connection.ask(request, then)
                return
        task = asyncio.ensure_future(self._connect(request, then))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, request: bytes, then: Then) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_unix_connection(lambda: _UpstreamConnection(self), self._path)
        except OSError:
            self.done(None, then, NO_REPLY)
            return
        connection.ask(request, then)

    def done(self, connection: _UpstreamConnection | None, then: Then, reply: Reply) -> None:
        """Take a reply, whose connection is then free for the next request."""
        self._under_way -= 1
        if connection is not None and connection.usable:
            self._idle.append(connection)
        if self._waiting:
            self.ask(*self._waiting.popleft())
        then(reply)


class _UpstreamConnection(asyncio.Protocol):
    """One connection to the server, with one request at a time."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._transport: asyncio.Transport | None = None
        self._then: Then | None = None
        self._begin()

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = stream_of(transport)

    def ask(self, request: bytes, then: Then) -> None:
        assert self._transport is not None
        self._then = then
        self._late = asyncio.get_running_loop().call_later(ANSWER_SECONDS, self._transport.abort)
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._then is not None:
            self._finish(NO_REPLY)

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in PASSED_ON:
            self._headers[name] = value

    def on_headers_complete(self) -> None:
        self._ending = not self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._then is None:
            return
        status = self._parser.get_status_code()
        if self._ending and self._transport is not None:
            self._transport.close()
        reply = Reply(status, self._headers, b"".join(self._body))
        asyncio.get_running_loop().call_soon(self._finish, reply)  # once the parser has finished its data

    def _finish(self, reply: Reply) -> None:
        then, self._then = self._then, None
        if then is None:
            return
        self._late.cancel()
        self._begin()
        self._upstream.done(self if self.usable else None, then, reply)

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._ending = False
