"""The filter's HTTP: one whole request at a time, read by llhttp, checked, and rewritten for the server."""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httptools

from assay.infer.server.front.contract import Contract, RefusedError, shown
from assay.infer.server.front.crowd import ANSWER_SECONDS, REQUEST_SECONDS, Crowd, RequestMemory, stream_of
from assay.infer.server.front.routes import JSON, RequestHead, Route
from assay.infer.server.front.upstream import Reply, Upstream

MOST_HEADERS, HEADER_BYTES, MOST_CHUNKS = 64, 16_384, 4_096
IDLE_SECONDS = 600.0
LINGER_SECONDS = 1.0
ONCE = frozenset(
    {b"host", b"content-length", b"content-type", b"content-encoding", b"transfer-encoding", b"expect"}
    | {b"inference-header-content-length"}
)
"""Headers that determine the meaning of a request, which may not appear twice."""


@dataclass(frozen=True)
class Port:
    """The state that all connections of one port share."""

    routes: Sequence[Route]
    upstream: Upstream
    crowd: Crowd
    memory: RequestMemory
    contract: Contract


class HttpFront(asyncio.Protocol):
    """A client's connection."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self.busy, self.since = False, time.monotonic()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._inside = self._last = self._stuck = False
        self._held = 0
        self._clear()

    def _clear(self) -> None:
        """Reset the state for the next request."""
        self._port.memory.give_back(self._held)
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._header_bytes = self._fed = self._count = self._chunks = self._held = 0
        self._route: Route | None = None
        self._problem: RefusedError | None = None
        self._complete = self._inside = self._past_headers = self._ending = False

    # Callbacks of the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = stream_of(transport)
        if not self._port.crowd.join(self):
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._port.crowd.quit(self)
        self._clear()

    def eof_received(self) -> bool:
        """Keep the connection open if the client still has to get an answer."""
        self._last = True
        return self.busy

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read its answers until it does."""
        self._stuck, self.since = True, time.monotonic()
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._stuck = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._last or self._transport is None:
            return
        if self.busy:  # nobody may have two requests under way: anything after the first is not read
            self._last = True
            return
        if not self._inside:
            self._inside, self.since = True, time.monotonic()
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse("this server does not switch protocols")
        except httptools.HttpParserError as error:
            if not self._complete:  # an error after a whole request is not that request's fault, but nothing follows it
                self._refuse(f"malformed request: {shown(str(error))}")
            self._last = True
        if self._problem is None and not self._past_headers and self._fed > HEADER_BYTES:
            self._refuse("the headers are too long", 431)
        if self._problem is not None:
            self._answer_problem(self._problem)
        elif self._complete:
            self._pass_on()

    # Callbacks of the parser; an error is kept until it has finished. Nothing of a second request behind the first is
    # taken.

    def on_message_begin(self) -> None:
        self._last = self._last or self._complete

    def on_url(self, url: bytes) -> None:
        if not self._complete:
            self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._complete:
            return
        name = name.lower()
        self._count += 1
        self._header_bytes += len(name) + len(value)
        if self._count > MOST_HEADERS or self._header_bytes > HEADER_BYTES:
            self._refuse("the headers are too long", 431)
        elif name in ONCE and name in self._headers:
            self._refuse(f"the header {name.decode()} appears twice")
        else:
            self._headers[name] = value

    def on_headers_complete(self) -> None:
        if self._complete:
            return
        self._past_headers, self._ending = True, not self._parser.should_keep_alive()
        if self._problem is None:
            try:
                self._check_headers()
            except RefusedError as error:
                self._problem = error
        if self._problem is None and self._headers.get(b"expect", b"").lower() == b"100-continue" and self._transport:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_chunk_header(self) -> None:
        self._chunks += 0 if self._complete else 1
        if self._chunks > MOST_CHUNKS:
            self._refuse(f"a request has at most {MOST_CHUNKS} chunks", 413)

    def on_body(self, body: bytes) -> None:
        if self._complete or self._problem is not None or self._route is None:
            return
        if self._held + len(body) > self._route.largest:
            self._refuse(f"a request is at most {self._route.largest} bytes", 413)
        elif not self._port.memory.take(len(body)):
            self._refuse("too many large requests at a time", 503)
        else:
            self._held += len(body)
            self._body.append(body)

    def on_message_complete(self) -> None:
        self._complete = True

    # Handling of the parsed request.

    def _check_headers(self) -> None:
        """
        Raises:
            RefusedError: this request may not be made, whatever its body.
        """
        headers = self._headers
        self._check_sender()
        if headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            raise RefusedError("the only transfer encoding is chunked", 501)
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise RefusedError("compressed requests are not supported", 415)
        if headers.get(b"expect", b"100-continue").lower() != b"100-continue":
            raise RefusedError("the only supported Expect header is 100-continue", 417)
        method, path = self._parser.get_method().decode(), self._url.decode("latin-1")
        fitting = [route for route in self._port.routes if route.pattern.fullmatch(path)]
        if not fitting:
            raise RefusedError(f"there is no {shown(path)} here", 404)
        self._route = next((route for route in fitting if route.method == method), None)
        if self._route is None:
            raise RefusedError(f"{shown(path)} takes {fitting[0].method}", 405)
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 19 or int(length) > self._route.largest:
            raise RefusedError(f"a request is at most {self._route.largest} bytes", 413)

    def _check_sender(self) -> None:
        """Refuse a page in a browser, whichever name led it to this machine."""
        if self._parser.get_http_version() != "1.1" or b"host" not in self._headers:
            raise RefusedError("expected HTTP/1.1 with a Host")
        if b"origin" in self._headers or self._headers.get(b"sec-fetch-site", b"none") != b"none":
            raise RefusedError("web pages may not call this server", 403)
        name, is_address = host_of(self._headers[b"host"].decode("latin-1"))
        if name not in self._port.contract.hosts and not (is_address and self._port.contract.any_address):
            raise RefusedError(f"this server is not called {shown(name)}", 403)

    def _pass_on(self) -> None:
        route, transport = self._route, self._transport
        assert route is not None
        assert transport is not None
        try:
            path, headers, content = route.write(self._asked(), b"".join(self._body))
        except RefusedError as error:
            self._problem = error
            self._answer_problem(error)
            return
        self.busy = True
        self._last = self._last or self._ending
        length = b"Content-Length: %d\r\n" % len(content) if route.method == "POST" else b""
        self._body = []
        head = f"{route.method} {path} HTTP/1.1\r\nHost: triton\r\n".encode() + headers + length + b"\r\n"
        self._port.upstream.ask(head + content, lambda reply: self._reply(route.read(reply)))

    def _asked(self) -> RequestHead:
        kind = self._headers.get(b"content-type")
        length = self._headers.get(b"inference-header-content-length")
        if length is not None and not (length.isdigit() and len(length) < 12):
            raise RefusedError(f"{shown(length)} is not a length of a header")
        return RequestHead(
            self._url.decode("latin-1"),
            None if kind is None else kind.partition(b";")[0].strip().lower(),
            None if length is None else int(length),
        )

    def _reply(self, reply: Reply) -> None:
        """Send the answer; the client may be gone."""
        self.busy, self.since = False, time.monotonic()
        if self._transport is None:
            return
        headers = b"".join(b"%s: %s\r\n" % pair for pair in reply.headers.items())
        phrase = http.client.responses.get(reply.status, "")
        status = f"HTTP/1.1 {reply.status} {phrase}\r\nContent-Length: {len(reply.body)}\r\n".encode()
        ending = b"Connection: close\r\n\r\n" if self._last else b"\r\n"
        self._transport.write(status + headers + ending + reply.body)
        cut_short = self._inside and not self._complete
        self._clear()
        if self._last and cut_short:
            self._hang_up(self._transport)
        elif self._last:
            self._transport.close()

    def _hang_up(self, transport: asyncio.Transport) -> None:
        """Send no more, and close a little later: on a connection that is closed while its client still sends, the
        system throws away the answer that the client has not read yet (RFC 9112, section 9.6).
        """
        transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, transport.close)

    def _refuse(self, text: str, status: int = 400) -> None:
        self._problem = self._problem or RefusedError(text, status)

    def _answer_problem(self, problem: RefusedError) -> None:
        """Answer with the problem. If the request has not ended, nobody knows where the next begins."""
        self._last = self._last or not self._complete or self._ending
        body = json.dumps({"error": str(problem)}).encode()
        self._reply(Reply(problem.status, {b"content-type": JSON}, body))

    # Methods for the crowd.

    def look(self, now: float) -> None:
        limit = REQUEST_SECONDS if self._inside else ANSWER_SECONDS if self._stuck else IDLE_SECONDS
        if not self.busy and now - self.since > limit:
            self.abort()

    def leave(self) -> None:
        self._last = True
        if not self.busy:
            self.abort()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def host_of(header: str) -> tuple[str, bool]:
    """Return the name in a Host header, without its port, and whether it is an address, which is then in its usual
    form.
    """
    name = header.rpartition(":")[0] if header.rpartition(":")[2].isdigit() and ":" in header else header
    try:
        return str(ipaddress.ip_address(name.strip("[]"))), True
    except ValueError:
        return name.lower().rstrip("."), False
