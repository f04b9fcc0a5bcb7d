"""The record of `assay verify-server`: whether a server gives the audited answers."""

from __future__ import annotations

from typing import Literal

from assay.records.base import Interval, Record
from assay.records.deployment import ServedTolerance, Unit

SCHEMA_VERSION: Literal[1] = 1


class WayVerified(Record):
    """All audited records over one transport.

    Attributes:
        way: "http", "grpc" or "shared-memory".
        requests, images: how many; requests of all sizes were mixed, `clients` of them under way at a time. What is
            counted as an image is a record where the deployment's unit is that.
        failed: requests that were not answered, or answered with something else; the first reasons are in `reasons`.
        wrong: images of which an output is not the audited one.
        max_absolute: largest |answer - audited| over all numbers that are not an index.
        accuracy: over the wire (Wilson interval); None where nobody knows what is right.
        versions: of the model that the answers say they are from.
    """

    way: str
    clients: int
    requests: int
    images: int
    failed: int
    wrong: int
    max_absolute: float
    accuracy: Interval | None
    versions: list[str]
    reasons: list[str]

    @property
    def passed(self) -> bool:
        return not (self.failed or self.wrong or self.reasons)


class Verification(Record):
    """What was asked of a server and how it answered.

    Attributes:
        machine: that asked, as its fingerprint says it; "" in older records.
        unit: what a record is, "image" or "record".
        server: what it calls itself.
        tolerances: by output, how far an answer may be from the audited one.
        audited_accuracy: of the audited answers, against the same labels.
        metadata: differences between what it says of the model and the deployment's contract.
        skipped: by transport, why it was not tried.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    created: str
    machine: str = ""
    deployment: str
    version: int
    unit: Unit
    server: str
    tolerances: dict[str, ServedTolerance]
    audited_accuracy: Interval | None
    metadata: list[str]
    ways: list[WayVerified]
    skipped: dict[str, str]

    @property
    def passed(self) -> bool:
        """Every difference counts; comparing nothing is not a pass."""
        return not self.metadata and bool(self.ways) and all(way.passed for way in self.ways)
