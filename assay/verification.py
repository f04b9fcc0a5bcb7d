"""The record of `assay verify-server`: whether a server gives the audited answers."""

from __future__ import annotations

from typing import Literal

from assay.records import Interval, Record

SCHEMA_VERSION: Literal[1] = 1


class WayVerified(Record):
    """All test images over one transport.

    Attributes:
        way: "http", "grpc" or "shared-memory".
        requests, images: how many; requests of all sizes were mixed, `clients` of them under way at a time.
        failed: requests that were not answered, or answered with something else; the first reasons are in `reasons`.
        wrong: images of which a probability or the label is not the audited one.
        max_absolute: largest |answer - audited| over all probabilities.
        accuracy: over the wire (Wilson interval).
        versions: of the model that the answers say they are from.
    """

    way: str
    clients: int
    requests: int
    images: int
    failed: int
    wrong: int
    max_absolute: float
    accuracy: Interval
    versions: list[str]
    reasons: list[str]

    @property
    def passed(self) -> bool:
        return not (self.failed or self.wrong or self.reasons)


class Verification(Record):
    """What was asked of a server and how it answered.

    Attributes:
        server: what it calls itself.
        metadata: differences between what it says of the model and the deployment's contract.
        skipped: by transport, why it was not tried.
        audited_accuracy: of the audited answers, against the same labels.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    created: str
    deployment: str
    version: int
    server: str
    tolerance: float
    derivation: str
    audited_accuracy: Interval
    metadata: list[str]
    ways: list[WayVerified]
    skipped: dict[str, str]

    @property
    def passed(self) -> bool:
        """Every difference counts; comparing nothing is no pass."""
        return not self.metadata and bool(self.ways) and all(way.passed for way in self.ways)
