"""`assay verify-server`: ask for every audited answer again, over the wire."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from assay.bench.machine.fingerprint import fingerprint
from assay.bench.serving.audited import AuditedAnswers
from assay.errors import FailedError, InputError
from assay.infer import wire
from assay.infer.server.ports import is_on_loopback
from assay.infer.wire import Answer, Connection, Description, Target, Way
from assay.numerics.served import Array, Records, ServedTensor, errors_of
from assay.records.base import Interval
from assay.records.deployment import Deployment, served_by
from assay.records.verification import Verification, WayVerified
from assay.train.metrics import share

CLIENTS = 8
LEAST_ASKED = 64
"""If there are fewer records than this, each is asked about several times, so that the server gets all request
sizes.
"""
REASONS_KEPT = 10


def verify(
    audited: AuditedAnswers, target: Target, ways: Sequence[Way], seed: int = 0, *, insist: bool = False
) -> Verification:
    """Ask a server about every audited record by each way, and compare its answers with the audit.

    Args:
        insist: whether a way that cannot be had is an error, and not skipped.

    Raises:
        InputError: no server of the Open Inference Protocol answers, it does not serve the model, or it cannot be asked
            by a way that is insisted on.
    """
    server = wire.describe(target.http)
    target = wire.agreed(target, server)
    deployment, version = audited.deployment, audited.version
    metadata = differences(deployment, wire.describe(target.http, target.model), "HTTP")
    skipped = {way: why for way in ways if (why := _why_not(way, target, server.extensions))}
    if skipped and insist:
        way, why = next(iter(skipped.items()))
        raise InputError(
            f"The server at {target.http} cannot be reached by {way}",
            found=why,
            remedy="`assay serve --shared-memory` turns it on for a server on this machine",
        )
    tried = [way for way in ways if way not in skipped]
    if "grpc" in tried:
        metadata += differences(deployment, wire.describe_by_grpc(target.grpc, target.model), "gRPC")
    return Verification(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=fingerprint().words,
        deployment=deployment.name,
        version=version.number,
        unit=deployment.unit,
        server=f"{server.name} {server.version}".strip(),
        device=served_by(version.runtime).device,
        tolerances=version.tolerances,
        measure=version.measure,
        audited_quality=_quality(audited, _right(audited, audited.outputs), 1),
        metadata=metadata,
        ways=[_verify_way(audited, target, way, seed) for way in tried],
        skipped=skipped,
    )


def differences(deployment: Deployment, said: Description, where: str) -> list[str]:
    """Return the differences between a server's description of the model and the contract."""
    found = []
    batch = [-1] if deployment.most_records else []
    for kind, wanted, said_of in (
        ("inputs", deployment.inputs, said.inputs),
        ("outputs", deployment.outputs, said.outputs),
    ):
        expected = {tensor.name: (tensor.datatype, (*batch, *tensor.wire_shape)) for tensor in wanted}
        offered = {one.name: (one.datatype, one.shape) for one in said_of}
        if expected != offered:
            found.append(f"{kind} over {where}: expected {expected}, found {offered}")
    if said.versions and str(deployment.serving) not in said.versions:
        found.append(f"versions over {where}: expected {deployment.serving}, found {', '.join(said.versions)}")
    return found


def _why_not(way: Way, target: Target, extensions: Sequence[str]) -> str:
    if way != "shared-memory":
        return ""
    if not is_on_loopback(target.grpc):
        return "the server is on another machine"
    if wire.SHARED_MEMORY not in extensions:
        return "the server does not offer it"
    return wire.why_no_shared_memory(target)


@dataclass
class _Tally:
    """The answers that came back by one way; many threads add to it."""

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


def _verify_way(audited: AuditedAnswers, target: Target, way: Way, seed: int) -> WayVerified:
    """Verify all records by one way: single requests, requests as large as allowed and all sizes between, mixed."""
    times = -(-LEAST_ASKED // len(audited.inputs))
    requests = mixed_requests(len(audited.inputs), max(target.most_records, 1), seed, times)
    numbered = list(enumerate(requests))
    tally = _Tally()
    parts = [numbered[client::CLIENTS] for client in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda part: _ask_all(audited, target, way, part, tally), parts))
    expected = {str(audited.version.number), ""}
    if tally.versions - expected:
        tally.complain(f"answers came from versions {', '.join(sorted(tally.versions))}")
    return WayVerified(
        way=way,
        clients=CLIENTS,
        requests=len(requests),
        images=sum(map(len, requests)),
        failed=tally.failed,
        wrong=tally.wrong,
        max_absolute=tally.worst,
        quality=_quality(audited, tally.right, times),
        versions=sorted(tally.versions),
        reasons=tally.reasons,
    )


def mixed_requests(records: int, most: int, seed: int, times: int = 1) -> list[NDArray[np.int64]]:
    """Return every record so many times, in random order, in requests of 1 to `most` records: a third single, a third
    full.
    """
    random = np.random.default_rng(seed)
    order = np.concatenate([random.permutation(records) for _ in range(times)])
    found: list[NDArray[np.int64]] = []
    begin = 0
    while begin < len(order):
        size = (1, most, int(random.integers(1, most + 1)))[len(found) % 3]
        found.append(order[begin : begin + size])
        begin += size
    return found


def _ask_all(
    audited: AuditedAnswers,
    target: Target,
    way: Way,
    requests: Sequence[tuple[int, NDArray[np.int64]]],
    tally: _Tally,
) -> None:
    """Send one client's requests, one after the other, while others send theirs."""
    connection: Connection | None = None
    for number, places in requests:
        try:
            connection = connection or wire.connect(way, target)
            answer = connection.ask(audited.inputs[places], f"{way}-{number}")
        except FailedError as error:
            with tally.lock:
                tally.failed += 1
                tally.complain(str(error))
            continue
        with tally.lock:
            _judge(audited, places, answer, tally)
    if connection is not None:
        connection.close()


def _judge(audited: AuditedAnswers, places: NDArray[np.int64], answer: Answer, tally: _Tally) -> None:
    """Add one answer, compared element by element with the audited answers of its own records."""
    deployment, expected = audited.deployment, audited.outputs[places]
    allowed = deployment.allowed(audited.version)
    wrong = np.zeros(len(places), bool)
    for output in deployment.outputs:
        errors, most = errors_of(answer.outputs, expected, output), allowed[output.name]
        wrong |= errors > most
        tally.worst = max(tally.worst, 0.0 if output.index_of else float(errors.max()))
        for place, error in zip(places[errors > most], errors[errors > most], strict=True):
            tally.complain(_complaint(deployment, output, int(place), float(error), most))
    tally.versions.add(answer.version)
    tally.wrong += int(wrong.sum())
    tally.right += _right(audited, answer.outputs, places)


def _complaint(deployment: Deployment, output: ServedTensor, place: int, error: float, most: float) -> str:
    name = f", {output.name}" if len(deployment.outputs) > 1 else ""
    return f"{deployment.unit} {place}{name}: {error:.3g} from the audited answer, where {most:.3g} is tolerated"


def _right(
    audited: AuditedAnswers, outputs: Mapping[str, Array] | Records, places: NDArray[np.int64] | None = None
) -> int:
    """Return how many answers are the true class."""
    index = next((one.name for one in audited.deployment.outputs if one.index_of), None)
    if audited.labels is None or index is None:
        return 0
    labels = audited.labels if places is None else audited.labels[places]
    return int((outputs[index] == labels).sum())


def _quality(audited: AuditedAnswers, right: int, times: int) -> Interval | None:
    """Return the share of right answers among all records so many times, or None where nobody knows the right ones."""
    return None if audited.labels is None else share(right, len(audited.labels) * times)
