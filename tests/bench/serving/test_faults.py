"""Bad requests and broken clients each get a clear error, and the server keeps giving the audited answers."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.bench.serving.serve import serving
from assay.errors import ArtifactError, FailedError
from assay.infer import wire
from assay.infer.server.ports import LOOPBACK, Ports
from assay.infer.server.triton import ServerPlacement
from assay.infer.wire.clients import grpc_client
from assay.infer.wire.clients import refusal as refusal_of_client
from tests import serving_folder
from tests.bench.serving.conftest import Served

SIDE, MOST = serving_folder.SIDE, serving_folder.MOST
REFUSED = (400,)


@pytest.fixture(autouse=True)
def _goes_on(served: Served) -> Iterator[None]:
    """After every test, an ordinary request gets the audited answer."""
    yield
    connection = wire.connect("grpc", served.target)
    answer = connection.ask(serving_folder.records()[:MOST], "afterwards")
    connection.close()
    np.testing.assert_allclose(answer.outputs["probabilities"], serving_folder.probabilities(1)[:MOST], atol=1e-5)


def post(served: Served, body: bytes, headers: str = "", model: str = serving_folder.NAME) -> tuple[int, str]:
    """Status and body of a raw inference request."""
    host, port = served.http.split(":")
    head = f"POST /v2/models/{model}/infer HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n{headers}\r\n".encode() + body)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    status, _, text = answer.partition(b"\r\n\r\n")
    return int(status.split()[1]), text.decode(errors="replace")


def request(**changes: Any) -> bytes:
    """A JSON request of one image, with changes to its tensor."""
    tensor = {"name": "images", "datatype": "UINT8", "shape": [1, SIDE, SIDE, 3], "data": [0] * (SIDE * SIDE * 3)}
    return json.dumps({"inputs": [tensor | changes]}).encode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (request(datatype="FP32"), "FP32"),
        (request(datatype="UINT9"), "invalid datatype"),
        (request(shape=[1, SIDE, SIDE, 4]), "shape"),
        (request(shape=[SIDE, SIDE, 3]), "shape"),
        (request(shape=[0, SIDE, SIDE, 3], data=[]), ""),
        (request(shape=[-1, SIDE, SIDE, 3]), ""),
        (request(data=[1, 2, 3]), ""),
        (request(name="pictures"), "pictures"),
        (b"", ""),
        (b"{", ""),
        (b"null", ""),
        (b'{"inputs": []}', ""),
        (b"\xff\xfe\x00", ""),
        (request() + b"x" * 1000, ""),
    ],
    ids=[
        *("other type", "no type", "other shape", "no batch", "no images", "negative", "too little data"),
        *("other name", "empty", "half", "null", "no inputs", "no text", "more than its header says"),
    ],
)
def test_a_request_that_cannot_be_answered_is_refused(served: Served, body: bytes, words: str) -> None:
    status, said = post(served, body)
    assert status in REFUSED, said
    assert words in json.loads(said)["error"]


@pytest.mark.parametrize("way", wire.WAYS)
@pytest.mark.parametrize("count", [0, MOST + 1])
def test_no_images_and_too_many_are_refused_over_every_way(served: Served, way: wire.Way, count: int) -> None:
    connection = wire.connect(way, served.target)
    with pytest.raises(FailedError, match=f"A request of {count} records failed"):
        connection.ask(serving_folder.records()[:count], "bad")
    connection.close()


@pytest.mark.parametrize("way", ["http", "grpc"])
def test_an_oversized_request_is_refused(served: Served, way: wire.Way) -> None:
    many = np.zeros(150_000, serving_folder.records().dtype)  # 65 MB
    connection = wire.connect(way, served.target)
    with pytest.raises(FailedError, match="A request of 150000 records failed"):
        connection.ask(many, "large")
    connection.close()


def test_a_header_that_promises_other_bytes_is_refused(served: Served) -> None:
    for length in ("10", "99999999", "-1", "many"):
        status, said = post(served, request(), f"Inference-Header-Content-Length: {length}\r\n")
        assert status in REFUSED, said
        assert json.loads(said)["error"]


def test_the_server_s_own_memory_is_not_registered(served: Served) -> None:
    """Although clients may register their memory here; over gRPC nobody can register any."""
    own = [path.name for path in Path("/dev/shm").glob("assay-serve-*")]
    assert own
    for name in [*own, f"../shm/{own[0]}", f"./{own[0]}", "assay-not-there"]:
        body = json.dumps({"key": f"/{name}", "offset": 0, "byte_size": 1}).encode()
        request = urllib.request.Request(
            f"{served.ready['http']}/v2/systemsharedmemory/region/stolen/register",
            data=body,
            headers={"Content-Type": "application/json"},
        )
        with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(request):
            pass
        refused.value.close()
        assert refused.value.code == (403 if name in own else 400)
    client = grpc_client(served.grpc)
    with pytest.raises(refusal_of_client(), match="no such call"):
        client.register_system_shared_memory("stolen", f"/{own[0]}", 1)
    client.close()


def test_another_model_is_not_found(served: Served) -> None:
    for name in ("others", "..", "%2e%2e%2fcells", "cells/versions/9"):
        status, said = post(served, request(), model=name)
        assert status in {400, 404}, said


def test_clients_that_disconnect_are_forgotten(served: Served) -> None:
    host, port = served.http.split(":")
    body = request()
    head = (
        f"POST /v2/models/{serving_folder.NAME}/infer HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    for sent in (head.encode(), head.encode() + body[: len(body) // 2], head.encode() + body):
        for _ in range(20):
            connection = socket.create_connection((host, int(port)))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, no farewell
            connection.sendall(sent)
            connection.close()


def test_sixty_four_clients_get_each_their_own_answer(served: Served) -> None:
    wrong: list[str] = []
    expected = serving_folder.probabilities(1)

    def ask(number: int) -> None:
        random = np.random.default_rng(number)
        connection = wire.connect("grpc", served.target)
        for turn in range(5):
            places = random.integers(0, serving_folder.IMAGES, random.integers(1, MOST + 1))
            answer = connection.ask(serving_folder.records()[places], f"{number}-{turn}")
            if np.abs(answer.outputs["probabilities"] - expected[places]).max() > 1e-5:
                wrong.append(f"{number}-{turn}")
        connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def refusal(folder: Path) -> str:
    """The reason why `assay serve` does not start with a folder."""
    with (
        pytest.raises(ArtifactError) as refused,
        serving(folder, ServerPlacement(LOOPBACK, Ports(1), [0], folder / "log"), print),
    ):
        pass
    return str(refused.value)


def test_a_model_that_was_changed_is_not_served(tmp_path: Path) -> None:
    folder = serving_folder.write_folder(tmp_path / "deployment")
    model = folder / "models" / serving_folder.NAME / "1" / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    assert "model.onnx differs from the deployed file" in refusal(folder)


def test_a_model_outside_the_folder_is_not_served(tmp_path: Path) -> None:
    folder = serving_folder.write_folder(tmp_path / "deployment")
    model = folder / "models" / serving_folder.NAME / "1" / "model.onnx"
    os.rename(model, tmp_path / "model.onnx")
    model.symlink_to(tmp_path / "model.onnx")
    assert "leaves the deployment folder" in refusal(folder)
