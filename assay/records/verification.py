"""The record of `assay verify-server`: whether a server gives the audited answers."""

from __future__ import annotations

from typing import Literal

from assay.records.base import ONCE, Interval, OfMeasure
from assay.records.deployment import ServedTolerance, Unit

SCHEMA_VERSION: Literal[1] = 1


class WayVerified(OfMeasure):
    """The answers to all audited records over one transport.

    Attributes:
        way: "http", "grpc" or "shared-memory".
        requests, images: number of each; requests of all sizes were mixed, `clients` of them under way at a time. An
        image stands for a record where the deployment's unit is a record.
        failed: requests that were not answered, or answered with something else; the first reasons are in `reasons`.
        wrong: number of images with an output that is not the audited one.
        max_absolute: largest |answer - audited| over all numbers that are not an index.
        quality: quality over the wire (Wilson interval); None without labels.
        versions: versions of the model that the answers say they come from.
        clients: number of requests under way at a time.
        reasons: the first reasons of failed requests.
    """

    way: str
    clients: int
    requests: int
    images: int
    failed: int
    wrong: int
    max_absolute: float
    quality: Interval | None
    versions: list[str]
    reasons: list[str]

    @property
    def passed(self) -> bool:
        return not (self.failed or self.wrong or self.reasons)


class Verification(OfMeasure):
    """The requests to a server and how it answered.

    Attributes:
        machine: the client's machine, as its fingerprint describes it; "" in older records.
        unit: meaning of a record, "image" or "record".
        server: the server's name for itself.
        device: the device that the version is served on, "cpu" or "cuda", where its audited answers come from too.
        tolerances: how far an answer may be from the audited one, by output.
        measure: the task's name for the quality of answers.
        audited_quality: quality of the audited answers, against the same labels.
        metadata: differences between the server's description of the model and the deployment's contract.
        skipped: why a transport was not tried, by transport.
        schema_version: version of this form of record.
        created: UTC, ISO 8601.
        deployment, version: name and version of the served model.
        ways: the answers by transport.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    created: str
    machine: str = ""
    deployment: str
    version: int
    unit: Unit
    server: str
    device: str = "cpu"
    tolerances: dict[str, ServedTolerance]
    measure: str = ONCE
    audited_quality: Interval | None
    metadata: list[str]
    ways: list[WayVerified]
    skipped: dict[str, str]

    @property
    def passed(self) -> bool:
        """Whether nothing differs; comparing nothing is not a pass."""
        return not self.metadata and bool(self.ways) and all(way.passed for way in self.ways)
