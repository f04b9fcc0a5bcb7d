"""`assay verify-server`: every audited answer again, over the wire."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.deployment import Deployment, Tensor
from assay.errors import FailedError
from assay.verification import Verification, WayVerified
from bench.serving.audited import Audited
from infer import wire
from infer.wire import Answer, Connection, Target, Way
from train.metrics import share

CLIENTS = 8
REASONS_KEPT = 10
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def verify(audited: Audited, target: Target, ways: Sequence[Way], seed: int = 0) -> Verification:
    """Ask a server for every image of the test split by each way, and hold what it says against the audit.

    Raises:
        InputError: no server of the Open Inference Protocol answers, or it does not serve the model.
    """
    server = wire.describe(target.http)
    deployment, version = audited.deployment, audited.version
    metadata = differences(deployment, wire.describe(target.http, target.model), "HTTP")
    skipped = {way: why for way in ways if (why := _why_not(way, target, server.get("extensions", [])))}
    tried = [way for way in ways if way not in skipped]
    if "grpc" in tried:
        metadata += differences(deployment, wire.describe_by_grpc(target.grpc, target.model), "gRPC")
    binary = wire.BINARY in server.get("extensions", [])
    right = audited.probabilities.argmax(axis=1) == audited.labels
    return Verification(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        deployment=deployment.name,
        version=version.number,
        server=f"{server.get('name', '')} {server.get('version', '')}".strip(),
        tolerance=version.tolerance,
        derivation=version.derivation,
        audited_accuracy=share(int(right.sum()), len(right)),
        metadata=metadata,
        ways=[_verify_way(audited, target, way, binary=binary, seed=seed) for way in tried],
        skipped=skipped,
    )


def differences(deployment: Deployment, said: dict[str, Any], where: str) -> list[str]:
    """What a server says of the model that is not in the contract, or the other way round."""
    found = []
    for kind, wanted in (("inputs", [deployment.image]), ("outputs", deployment.outputs)):
        expected = {tensor.name: _signature(tensor) for tensor in wanted}
        offered = {one["name"]: (one["datatype"], tuple(one["shape"])) for one in said.get(kind, [])}
        if expected != offered:
            found.append(f"{kind} over {where}: expected {expected}, found {offered}")
    versions = [str(version) for version in said.get("versions", [])]
    if versions and str(deployment.serving) not in versions:
        found.append(f"versions over {where}: expected {deployment.serving}, found {', '.join(versions)}")
    return found


def _signature(tensor: Tensor) -> tuple[str, tuple[int, ...]]:
    """Datatype and shape on the wire, where the batch comes first and is free."""
    return tensor.datatype, (-1, *tensor.shape)


def _why_not(way: Way, target: Target, extensions: Sequence[str]) -> str:
    if way != "shared-memory":
        return ""
    if target.grpc.rpartition(":")[0].strip("[]") not in LOOPBACK:
        return "the server is on another machine"
    return "" if wire.SHARED_MEMORY in extensions else "the server does not offer it"


@dataclass
class _Tally:
    """What came back by one way; many threads add to it."""

    count: int
    right: int = 0
    failed: int = 0
    wrong: int = 0
    worst: float = 0.0
    versions: set[str] = field(default_factory=set)
    reasons: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def complain(self, reason: str) -> None:
        if len(self.reasons) < REASONS_KEPT:
            self.reasons.append(reason)


def _verify_way(audited: Audited, target: Target, way: Way, *, binary: bool, seed: int) -> WayVerified:
    """All images by one way: requests of one image, of as many as are allowed and of all sizes between, mixed."""
    requests = mixed_requests(len(audited.images), target.most_images, seed)
    tally = _Tally(len(audited.images))
    parts = [requests[client::CLIENTS] for client in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda part: _ask_all(audited, target, way, part, tally, binary=binary), parts))
    expected = {str(audited.version.number), ""}
    if tally.versions - expected:
        tally.complain(f"answers came from the versions {', '.join(sorted(tally.versions))}")
    return WayVerified(
        way=way,
        clients=CLIENTS,
        requests=len(requests),
        images=tally.count,
        failed=tally.failed,
        wrong=tally.wrong,
        max_absolute=tally.worst,
        accuracy=share(tally.right, tally.count),
        versions=sorted(tally.versions),
        reasons=tally.reasons,
    )


def mixed_requests(images: int, most: int, seed: int) -> list[NDArray[np.int64]]:
    """Every image once, in random order, in requests of 1 to `most` images; a third are single, a third full."""
    random = np.random.default_rng(seed)
    order = random.permutation(images)
    found: list[NDArray[np.int64]] = []
    begin = 0
    while begin < images:
        size = (1, most, int(random.integers(1, most + 1)))[len(found) % 3]
        found.append(order[begin : begin + size])
        begin += size
    return found


def _ask_all(
    audited: Audited, target: Target, way: Way, requests: Sequence[NDArray[np.int64]], tally: _Tally, *, binary: bool
) -> None:
    """One client's requests, one after the other, while others send theirs."""
    connection: Connection | None = None
    for places in requests:
        try:
            connection = connection or wire.connect(way, target, binary=binary)
            answer = connection.ask(audited.images[places], f"{way}-{places[0]}")
        except FailedError as error:
            with tally.lock:
                tally.failed += 1
                tally.complain(str(error))
            continue
        with tally.lock:
            _judge(audited, places, answer, tally)
    if connection is not None:
        connection.close()


def _judge(audited: Audited, places: NDArray[np.int64], answer: Answer, tally: _Tally) -> None:
    """Add one answer, held element by element against its own images' audited ones."""
    expected, tolerance = audited.probabilities[places], audited.version.tolerance
    errors = np.abs(answer.probabilities.astype(np.float64) - expected).max(axis=1)
    errors[~np.isfinite(errors)] = float(np.finfo(np.float32).max)  # which a record can hold
    wrong = (errors > tolerance) | ~_label_allowed(answer, expected, tolerance)
    tally.versions.add(answer.version)
    tally.right += int((answer.labels == audited.labels[places]).sum())
    tally.wrong += int(wrong.sum())
    tally.worst = max(tally.worst, float(errors.max()))
    for place, error in zip(places[wrong], errors[wrong], strict=True):
        tally.complain(f"image {place}: {error:.3g} from the audited answer, {tolerance:.3g} is tolerated")


def _label_allowed(answer: Answer, expected: NDArray[np.float32], tolerance: float) -> NDArray[np.bool_]:
    """Whether a label is the audited one; where two classes are closer than the tolerance allows, either is."""
    rows = np.arange(len(expected))
    known = (answer.labels >= 0) & (answer.labels < expected.shape[1])
    chosen = expected[rows, np.where(known, answer.labels, 0)]
    allowed: NDArray[np.bool_] = known & (chosen >= expected.max(axis=1) - 2 * tolerance)
    return allowed
