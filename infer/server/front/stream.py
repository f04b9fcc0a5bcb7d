"""A gRPC call that is under way: its message, collected and checked."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from assay.infer.server.front.calls import EXHAUSTED, INVALID, STATUSES, UNIMPLEMENTED, RelayedCall
from assay.infer.server.front.contract import Contract, RefusedError
from assay.infer.server.front.crowd import RequestMemory
from assay.infer.server.front.message import OTHER_BYTES, check_infer

PREFIX = 5
"""Bytes before a message: whether it is compressed, and its length."""
Problem = tuple[int, bytes]
"""gRPC's status and a text, for a call that may not go on."""


@dataclass
class Stream:
    """
    Attributes:
        head: the frames for the server before the message, which have not been sent yet.
        told: whether the server has heard of it.
        message: the part of the message received so far, which is complete when it has `need` bytes.
        complete: whether the message has been complete.
    """

    call: RelayedCall
    since: float
    head: bytes = b""
    told: bool = False
    message: bytearray = field(default_factory=bytearray)
    need: int = 0
    complete: bool = False

    def take(self, part: bytes, contract: Contract, memory: RequestMemory, *, ended: bool) -> Problem | None:
        """Add a part of the message."""
        if self.complete:
            return (INVALID, b"a call has one message") if part else None
        if not memory.take(len(part)):
            return EXHAUSTED, b"too many large requests at a time"
        self.message += part
        problem = self._look_at_prefix(contract)
        if problem or len(self.message) < (self.need or PREFIX):
            return problem or ((INVALID, b"the message is not whole") if ended else None)
        return self._check(contract, memory)

    def _look_at_prefix(self, contract: Contract) -> Problem | None:
        if self.need or len(self.message) < PREFIX:
            return None
        size = int.from_bytes(self.message[1:PREFIX], "big")
        self.need = PREFIX + size
        limit = contract.largest_message if self.call.infer else OTHER_BYTES
        if self.message[0]:
            return UNIMPLEMENTED, b"compressed messages are not read"
        return (EXHAUSTED, b"a message is at most %d bytes" % limit) if size > limit else None

    def _check(self, contract: Contract, memory: RequestMemory) -> Problem | None:
        """Check the complete message."""
        if len(self.message) > self.need:
            return INVALID, b"a call has one message"
        self.complete, self.since = True, time.monotonic()
        content = bytes(self.message[PREFIX:])
        self.forget(memory)
        if not self.call.infer:
            return None
        try:
            check_infer(content, contract)
        except RefusedError as error:
            return STATUSES.get(error.status, INVALID), str(error).encode()
        return None

    def forget(self, memory: RequestMemory) -> None:
        """Release the memory of the message."""
        memory.give_back(len(self.message))
        self.message = bytearray()
