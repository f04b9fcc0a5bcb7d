"""The filter's parts: any input ends in a refusal at worst."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from assay.infer.server.front.calls import Calls, HostileError, literal
from assay.infer.server.front.contract import Contract, RefusedError
from assay.infer.server.front.crowd import REQUEST_SECONDS, Crowd, RequestMemory
from assay.infer.server.front.grpc_front import GrpcFront, GrpcPort
from assay.infer.server.front.http_front import HttpFront, Port, host_of
from assay.infer.server.front.json_request import Canonical, canonical
from assay.infer.server.front.memory import SHARED_MEMORY, checked_registration
from assay.infer.server.front.message import check_infer
from assay.infer.server.front.routes import inference_routes
from assay.infer.server.front.upstream import Upstream
from assay.numerics.served import ServedTensor
from tests import serving_folder
from tests.hostile import raw_grpc

RECORD_BYTES = raw_grpc.RECORD_BYTES
CONTRACT = Contract(
    model=serving_folder.NAME,
    inputs=tuple(serving_folder.INPUTS),
    outputs=tuple(serving_folder.OUTPUTS),
    most_records=serving_folder.MOST,
    hosts=("localhost",),
    shared_memory=True,
    memory_prefix="assay-serve-x-",
)
GOOD: dict[str, Any] = {
    "id": "a",
    "inputs": [
        {
            "name": "images",
            "datatype": "UINT8",
            "shape": [1, serving_folder.SIDE, serving_folder.SIDE, 3],
            "parameters": {"binary_data_size": RECORD_BYTES},
        }
    ],
}
JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(), inner, max_size=4),
)


def refused(check: Callable[[], object]) -> bool:
    """Whether a check refuses; any other exception fails the test."""
    try:
        check()
    except (RefusedError, HostileError) as error:
        return str(error).isascii()
    return False


def test_a_request_is_rewritten_with_its_numbers_as_bytes() -> None:
    flat = [number % 256 for number in range(RECORD_BYTES)]
    as_json = {"inputs": [{**GOOD["inputs"][0], "data": flat}]}
    del as_json["inputs"][0]["parameters"]
    text, tail = canonical(json.dumps(as_json).encode(), None, CONTRACT)
    assert tail == bytes(flat)
    assert json.loads(text)["inputs"] == GOOD["inputs"]
    head = json.dumps(GOOD).encode()
    again = Canonical(CONTRACT)
    assert [again(head + bytes(flat), len(head)) for _ in range(2)] == [
        canonical(head + bytes(flat), len(head), CONTRACT)
    ] * 2
    assert refused(lambda: again(head + bytes(flat) + b"x", len(head)))


@settings(max_examples=150)
@given(some.data())
def test_json_of_any_kind_is_answered_or_refused(data: some.DataObject) -> None:
    said = json.loads(json.dumps(GOOD))
    place = data.draw(some.sampled_from(["id", "inputs", "outputs", "parameters", "name", "shape", "datatype", "data"]))
    target = said if place in {"id", "inputs", "outputs", "parameters"} else said["inputs"][0]
    target[place] = data.draw(JSON)
    body = json.dumps(said).encode()
    refused(lambda: canonical(body + bytes(RECORD_BYTES), len(body), CONTRACT))
    refused(lambda: canonical(body, None, CONTRACT))


@settings(max_examples=150)
@given(some.binary(max_size=400), some.none() | some.integers(0, 500))
def test_bytes_of_any_kind_are_refused(body: bytes, length: int | None) -> None:
    assert refused(lambda: canonical(body, length, CONTRACT))
    assert refused(lambda: check_infer(body, CONTRACT))


@settings(max_examples=150)
@given(some.integers(0, 2**32), some.integers(0, 255))
def test_a_message_with_one_byte_changed_is_answered_or_refused(place: int, value: int) -> None:
    sent = bytearray(raw_grpc.infer_request().SerializeToString())
    assert not refused(lambda: check_infer(bytes(sent), CONTRACT))
    sent[place % 60] = value
    refused(lambda: check_infer(bytes(sent), CONTRACT))


@settings(max_examples=150)
@given(some.lists(some.binary(max_size=100), min_size=1, max_size=5))
def test_header_blocks_of_any_kind_are_read_or_refused(blocks: list[bytes]) -> None:
    calls = Calls()
    for block in blocks:
        if refused(lambda block=block: calls.read(block)):  # type: ignore[misc]
            return


def test_a_block_means_what_the_table_says_now() -> None:
    """The same bytes after a change to the table are another call: the kept result is not used."""
    pairs = [(b":method", b"POST"), (b":scheme", b"http"), (b"content-type", b"application/grpc")]
    common = b"".join(literal(*pair) for pair in pairs)

    def entering(path: bytes) -> bytes:
        """A block whose path goes into the table (RFC 7541, 6.2.1)."""
        return common + b"\x40" + literal(b":path", path)[1:]

    calls, referring = Calls(), common + b"\xbe"
    good, bad = b"/inference.GRPCInferenceService/ServerLive", b"/inference.GRPCInferenceService/LogSettings"
    assert calls.read(entering(good)).refused is None
    assert [calls.read(referring).refused for _ in range(2)] == [None, None]
    assert calls.read(entering(bad)).refused
    assert calls.read(referring).refused
    assert calls.read(b"\x20" + entering(good)).refused is None  # a table of no room
    assert refused(lambda: calls.read(referring))


@pytest.mark.parametrize("name", ["http", "grpc"])
def test_who_does_not_end_a_request_in_time_is_sent_away(name: str, tmp_path: Path) -> None:
    async def held_open() -> None:
        crowd, memory = Crowd(), RequestMemory(10**6)
        port = Port(inference_routes(CONTRACT), Upstream(str(tmp_path / "http")), crowd, memory, CONTRACT)
        calls = GrpcPort(CONTRACT, str(tmp_path / "grpc"), crowd, memory)
        others: list[asyncio.StreamWriter] = []
        behind = await asyncio.start_unix_server(lambda _, other: others.append(other), tmp_path / "grpc")
        guests: list[HttpFront | GrpcFront] = []

        def made() -> HttpFront | GrpcFront:
            guests.append(HttpFront(port) if name == "http" else GrpcFront(calls))
            return guests[-1]

        server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"POST /v2" if name == "http" else raw_grpc.OPENING[:30])
        while not guests:
            await asyncio.sleep(0.01)
        guests[0].look(time.monotonic() + REQUEST_SECONDS - 5)
        assert len(crowd) == 1
        while len(crowd):  # what was sent may still be on its way
            guests[0].look(time.monotonic() + REQUEST_SECONDS + 5)
            await asyncio.sleep(0.01)
        for one in (writer, *others):
            one.close()
        server.close()
        behind.close()

    asyncio.run(held_open())


def test_memory_of_requests_is_counted() -> None:
    memory = RequestMemory(10)
    assert memory.take(10)
    assert not memory.take(1)
    memory.give_back(10)
    assert memory.take(1)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost:8000", ("localhost", False)),
        ("LocalHost.", ("localhost", False)),
        ("127.0.0.1", ("127.0.0.1", True)),
        ("[::1]:80", ("::1", True)),
        ("[0:0::1]", ("::1", True)),
        ("evil.example:8000", ("evil.example", False)),
        ("localhost:8000@evil.example", ("localhost:8000@evil.example", False)),
    ],
)
def test_a_host_is_read(header: str, name: tuple[str, bool]) -> None:
    assert host_of(header) == name


def test_only_shared_memory_that_is_there_and_ones_own_is_registered() -> None:
    name = f"assay-test-{os.getpid()}"
    path = SHARED_MEMORY / name
    path.write_bytes(bytes(100))

    def registered(**changes: Any) -> dict[str, Any]:
        request = {"key": f"/{name}", "offset": 0, "byte_size": 100} | changes
        found: dict[str, Any] = json.loads(checked_registration(json.dumps(request).encode(), CONTRACT))
        return found

    try:
        assert registered() == {"key": f"/{name}", "offset": 0, "byte_size": 100}
        for changes in (
            *({"byte_size": 101}, {"byte_size": 0}, {"byte_size": -1}, {"byte_size": 2**64}, {"byte_size": "1"}),
            *({"offset": 1}, {"offset": -1}, {"offset": 2**63}, {"more": 1}, {"byte_size": True}),
            *({"key": "/assay-serve-x-1"}, {"key": "/../etc/passwd"}, {"key": name}, {"key": "/"}, {"key": 1}),
            *({"key": "/a\0b"}, {"key": "//" + name}, {"key": "/not-there"}, {"key": "/" + "a" * 300}),
        ):
            with pytest.raises(RefusedError):
                registered(**changes)
        link = SHARED_MEMORY / f"{name}-link"
        link.symlink_to(path)
        try:
            with pytest.raises(RefusedError):
                registered(key=f"/{link.name}")
        finally:
            link.unlink()
    finally:
        path.unlink()


def test_what_a_request_may_take_grows_with_the_names_of_its_tensors() -> None:
    long = ServedTensor(name="n" * 100_000, datatype="FP32", shape=[1])
    contract = Contract(model="long", inputs=(long,), outputs=(long,), most_records=0, hosts=())
    said = {"inputs": [{"name": long.name, "datatype": "FP32", "shape": [1], "data": [1.5]}]}
    body = json.dumps(said).encode()
    canonical(body, None, contract)
    assert len(body) <= contract.largest_body
