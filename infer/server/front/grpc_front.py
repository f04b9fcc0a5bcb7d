"""The filter's gRPC: it walks through HTTP/2's frames, and checks those that have an effect against what a client may
send.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from assay.infer.server.front.calls import INVALID, Calls, HostileError, status_block
from assay.infer.server.front.contract import Contract
from assay.infer.server.front.crowd import ANSWER_SECONDS, REQUEST_SECONDS, Crowd, RequestMemory, stream_of
from assay.infer.server.front.frames import (
    CANCEL,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEAD,
    HEADERS,
    NO_ERROR,
    PADDED,
    PING,
    PREFACE,
    PUSH_PROMISE,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    farewell,
    frame,
    reset,
)
from assay.infer.server.front.stream import Stream

CONNECTION_KINDS = frozenset({SETTINGS, PING, GOAWAY, WINDOW_UPDATE})
BLOCK_BYTES, CONTROL_BYTES, MOST_FRAME_BYTES, MOST_CALLS = 16_384, 1_024, 4_194_304, 128
IDLE_SECONDS = 3600.0
CONTROL_AT_ONCE, CONTROL_PER_SECOND, CONTROL_PER_CALL = 1_000, 50.0, 8
"""How many frames that belong to no call may be read at once; more are allowed with time and with every answered
call.
"""


@dataclass(frozen=True)
class GrpcPort:
    """The state that all connections share."""

    contract: Contract
    path: str
    crowd: Crowd
    memory: RequestMemory


class _Behind(asyncio.Protocol):
    """One client's connection to the server."""

    def __init__(self, front: GrpcFront) -> None:
        self._front = front

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._front.reached(stream_of(transport))

    def data_received(self, data: bytes) -> None:
        self._front.answered(data)

    def pause_writing(self) -> None:
        self._front.listen(False)

    def resume_writing(self) -> None:
        self._front.listen(True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._front.close()


class GrpcFront(asyncio.Protocol):
    """A client's connection."""

    def __init__(self, port: GrpcPort) -> None:
        self._port = port
        self.since = time.monotonic()
        self._transport: asyncio.Transport | None = None
        self._behind: asyncio.Transport | None = None
        self._rest = bytearray(b"")
        self._begun = self._leaving = False
        self._calls = Calls()
        self._streams: dict[int, Stream] = {}
        self._last = 0
        self._block: tuple[int, int, bytearray] | None = None
        self._control, self._refilled = float(CONTROL_AT_ONCE), self.since
        self._out: list[bytes] = []
        self._skip, self._head = 0, b""

    @property
    def busy(self) -> bool:
        return bool(self._streams)

    # Callbacks of the two transports.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = stream_of(transport)
        if not self._port.crowd.join(self):
            self._transport.abort()
            return
        self._transport.pause_reading()
        self._connecting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: _Behind(self), self._port.path)
        except OSError:
            self.close()

    def reached(self, transport: asyncio.Transport) -> None:
        """Note that the connection to the server is open."""
        self._behind = transport
        if self._transport is None:
            transport.abort()
        else:
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._port.crowd.quit(self)
        for stream in self._streams.values():
            stream.forget(self._port.memory)
        self._streams.clear()
        if self._behind is not None:
            self._behind.abort()

    def pause_writing(self) -> None:
        if self._behind is not None:
            self._behind.pause_reading()

    def resume_writing(self) -> None:
        if self._behind is not None and not self._behind.is_closing():
            self._behind.resume_reading()

    def listen(self, on: bool) -> None:
        """Read on from the client while the server takes more, and pause otherwise."""
        if self._transport is not None and not self._transport.is_closing():
            (self._transport.resume_reading if on else self._transport.pause_reading)()

    def close(self) -> None:
        """End the connection once everything written has been sent."""
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        try:
            self._read(data)
        except HostileError as error:
            self._end(error)
        if self._out and self._behind is not None:
            self._behind.write(b"".join(self._out))
            self._out.clear()

    # Frames from the client.

    def _read(self, data: bytes) -> None:
        """
        Raises:
            HostileError: no gRPC client sends this.
        """
        rest: bytes | bytearray = data
        if self._rest:
            self._rest += data
            rest = self._rest
        place = 0
        if not self._begun:
            if not PREFACE.startswith(rest[: len(PREFACE)]):
                raise HostileError("this port speaks gRPC")
            if len(rest) < len(PREFACE):
                self._rest = bytearray(rest)
                return
            self._begun, place = True, len(PREFACE)
            self._out.append(PREFACE)
        while len(rest) - place >= HEAD:
            size = int.from_bytes(rest[place : place + 3], "big")
            if size > min(MOST_FRAME_BYTES, self._port.contract.largest_message + HEAD):
                raise HostileError("a frame is too long", FRAME_SIZE_ERROR)
            end = place + HEAD + size
            if end > len(rest):
                break
            kind, flags = rest[place + 3], rest[place + 4]
            stream = int.from_bytes(rest[place + 5 : place + 9], "big")
            self._frame(kind, flags, stream, bytes(rest[place:end]))
            place = end
        self._rest = bytearray(rest[place:])

    def _frame(self, kind: int, flags: int, number: int, whole: bytes) -> None:
        if self._block is not None and (kind != CONTINUATION or number != self._block[0]):
            raise HostileError("headers were begun but not ended")
        if kind == DATA:
            self._data(flags, number, whole)
        elif kind == HEADERS:
            self._headers(flags, number, whole[HEAD:])
        elif kind == CONTINUATION:
            self._continuation(flags, whole[HEAD:])
        else:
            self._controls(kind, number, whole)

    def _headers(self, flags: int, number: int, block: bytes) -> None:
        if flags & PADDED or number % 2 == 0 or number <= self._last:
            raise HostileError("headers that do not begin a new call")
        self._last = number
        if flags & WITH_PRIORITY:
            block = block[5:]
        if flags & END_HEADERS:
            self._called(flags, number, block)
        else:
            self._block = (number, flags, bytearray(block))

    def _continuation(self, flags: int, block: bytes) -> None:
        if self._block is None:
            raise HostileError("a continuation without headers")
        number, begun, collected = self._block
        self._spend()
        collected += block
        if len(collected) > BLOCK_BYTES:
            raise HostileError("the headers are too long", ENHANCE_YOUR_CALM)
        if flags & END_HEADERS:
            self._block = None
            self._called(begun, number, bytes(collected))

    def _called(self, flags: int, number: int, block: bytes) -> None:
        """Begin a client's call."""
        if len(block) > BLOCK_BYTES:
            raise HostileError("the headers are too long", ENHANCE_YOUR_CALM)
        call = self._calls.read(block)
        if self._leaving or len(self._streams) >= MOST_CALLS:
            self._spend()
            self._say(reset(number, REFUSED_STREAM))
            return
        stream = self._streams[number] = Stream(call, time.monotonic())
        self.since = stream.since
        if call.refused:
            self._refuse(number, stream, *call.refused)
        elif flags & END_STREAM:
            self._refuse(number, stream, INVALID, b"the call has no message")
        else:
            stream.head = frame(HEADERS, END_HEADERS, number, call.headers)

    def _data(self, flags: int, number: int, whole: bytes) -> None:
        """Take a part of a message; its last part is passed on when the message has been checked."""
        if flags & PADDED or not 0 < number <= self._last:
            raise HostileError("data that belongs to no call")
        stream = self._streams.get(number)
        if stream is None:
            self._swallow(len(whole) - HEAD)
            return
        if len(whole) == HEAD and not flags & END_STREAM:
            self._spend()
        ended = bool(flags & END_STREAM)
        problem = stream.take(whole[HEAD:], self._port.contract, self._port.memory, ended=ended)
        if problem:
            self._swallow(len(whole) - HEAD)
            self._refuse(number, stream, *problem)
            return
        self._out += [
            stream.head,
            whole if flags <= END_STREAM else frame(DATA, flags & END_STREAM, number, whole[HEAD:]),
        ]
        stream.head, stream.told = b"", True

    def _refuse(self, number: int, stream: Stream, status: int, text: bytes) -> None:
        """Answer a call from here. If the server has heard of it, it is told to forget it."""
        self._spend()
        if stream.told:
            self._out.append(reset(number, CANCEL))
        stream.forget(self._port.memory)
        self._say(
            frame(HEADERS, END_HEADERS | END_STREAM, number, status_block(status, text)) + reset(number, NO_ERROR)
        )
        del self._streams[number]

    def _swallow(self, size: int) -> None:
        """Drop data that goes no further; the client may send as much again."""
        self._spend()
        if size:
            self._say(frame(WINDOW_UPDATE, 0, 0, size.to_bytes(4, "big")))

    def _controls(self, kind: int, number: int, whole: bytes) -> None:
        """Handle frames that belong to no call; each has a cost, so their number is limited."""
        self._spend()
        if kind == PUSH_PROMISE or len(whole) > HEAD + CONTROL_BYTES:
            raise HostileError("a frame that no client sends")
        stream = self._streams.get(number)
        if kind in CONNECTION_KINDS and number == 0:
            self._out.append(whole)
        elif kind == WINDOW_UPDATE and stream is not None:
            if stream.told:
                self._out.append(whole)
            else:
                stream.head += whole
        elif kind == RST_STREAM and stream is not None:
            del self._streams[number]
            stream.forget(self._port.memory)
            if stream.told:
                self._out.append(whole)

    def _spend(self) -> None:
        now = time.monotonic()
        self._control = min(self._control + (now - self._refilled) * CONTROL_PER_SECOND, CONTROL_AT_ONCE) - 1
        self._refilled = now
        if self._control < 0:
            raise HostileError("too many frames that are not calls", ENHANCE_YOUR_CALM)

    # Frames from the server.

    def answered(self, data: bytes) -> None:
        """Pass on what the server sends, and note which calls have ended."""
        if self._transport is None:
            return
        self._transport.write(data)
        place, size = 0, len(data)
        while place < size:
            if self._skip:
                step = min(self._skip, size - place)
                self._skip -= step
                place += step
                continue
            head = self._head + data[place : place + HEAD - len(self._head)]
            place += len(head) - len(self._head)
            self._head = head
            if len(head) == HEAD:
                self._head = b""
                self._skip = int.from_bytes(head[:3], "big")
                if (head[3] in {DATA, HEADERS} and head[4] & END_STREAM) or head[3] == RST_STREAM:
                    self._ended(int.from_bytes(head[5:], "big"))

    def _ended(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            stream.forget(self._port.memory)
            self.since = time.monotonic()
            self._control = min(self._control + CONTROL_PER_CALL, CONTROL_AT_ONCE)
        if self._leaving and not self._streams:
            self.close()

    def _say(self, content: bytes) -> None:
        if self._transport is not None:
            self._transport.write(content)

    def _end(self, error: HostileError) -> None:
        self._say(farewell(self._last, error.code, str(error)))
        self.close()

    # Methods for the crowd.

    def look(self, now: float) -> None:
        late = any(
            now - one.since > (ANSWER_SECONDS if one.complete else REQUEST_SECONDS) for one in self._streams.values()
        )
        unfinished = not self._begun or self._block is not None or bool(self._rest)
        unfinished |= self._transport is None or self._transport.is_closing()
        if late or (not self._streams and now - self.since > (REQUEST_SECONDS if unfinished else IDLE_SECONDS)):
            self.abort()

    def leave(self) -> None:
        self._leaving = True
        self._say(farewell(self._last, NO_ERROR))
        if not self._streams:
            self.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
