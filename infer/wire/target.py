"""The target of a request, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from assay.errors import FailedError
from assay.numerics.served import Array, Records, ServedTensor
from assay.records.base import Record

Way = Literal["http", "grpc", "shared-memory"]
WAYS: tuple[Way, ...] = ("http", "grpc", "shared-memory")
LIMIT_SECONDS = 30.0


class Target(Record):
    """A served model and its address.

    Attributes:
        http, grpc: host and port.
        model: its name.
        inputs, outputs: tensors of one record.
        most_records: most records in one request; 0 where a request is one record, without a batch around it.
        binary: whether tensors go over HTTP as bytes, which is an extension of the protocol, or as JSON.
    """

    http: str
    grpc: str
    model: str
    inputs: tuple[ServedTensor, ...]
    outputs: tuple[ServedTensor, ...]
    most_records: int
    binary: bool = True

    def batch(self, records: int) -> list[int]:
        """Return the dimensions that precede a record's shape in a request of so many."""
        return [records] if self.most_records else []

    def arrays(self, records: Records) -> dict[str, Array]:
        """Return the inputs of one request by name, contiguous, in the shapes that the graph has.

        Raises:
            FailedError: a request is one record, and there is none or more than one.
        """
        if not self.most_records and len(records) != 1:
            raise FailedError(
                f"A request of {len(records)} records failed", expected="one, since the model takes no batch"
            )
        source = records if self.most_records else records[0]
        return {one.name: np.asarray(source[one.name], order="C") for one in self.inputs}


@dataclass(frozen=True)
class Answer:
    """The answer to a request.

    Attributes:
        outputs: outputs by name, (records, *shape).
        version: version of the model that answered, "" where the server does not say.
        begun_ns: when the call began, on the monotonic clock.
        wire_ns: time from handing the request to the transport to having its answer.
        client_ns: time spent on making the request and reading the answer.
    """

    outputs: Mapping[str, Array]
    version: str
    begun_ns: int
    wire_ns: int
    client_ns: int

    @property
    def total_ns(self) -> int:
        return self.wire_ns + self.client_ns


class Connection(Protocol):
    """A client of one server, for one thread."""

    def ask(self, records: Records, identifier: str) -> Answer:
        """Send one request with these records, (count,).

        Raises:
            FailedError: the server refused it, did not answer, or answered something else.
        """

    def close(self) -> None:
        """Release the connection and what the server holds for it."""
