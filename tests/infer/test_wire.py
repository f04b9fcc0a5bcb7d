"""Servers other than Triton: plain answers of the Open Inference Protocol, and answers that are not."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from assay.errors import FailedError, InputError
from assay.infer import wire
from assay.infer.wire.exchange import FIELDS, exchange
from assay.numerics.served import DTYPES, Records, ServedTensor, records_of

NUMBER = ServedTensor(name="x", datatype="FP32", shape=[])
TARGET = wire.Target(http="", grpc="", model="m", inputs=(NUMBER,), outputs=(NUMBER,), most_records=8, binary=False)


@contextmanager
def answering(answers: dict[str, bytes], otherwise: bytes = b"") -> Iterator[str]:
    """A web server with these answers at these paths; returns its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = answers.get(self.path, otherwise)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  by which name it is looked up

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_null_is_the_same_as_nothing() -> None:
    """As KServe's own server returns for the versions of a model that has none."""
    said = {"name": "m", "versions": None, "platform": "", "inputs": [], "outputs": []}
    with answering({"/v2/models/m": json.dumps(said).encode()}) as http:
        assert wire.describe(http, "m") == wire.Description(name="m")


@pytest.mark.parametrize(
    "page", [b"<!doctype html><p>Hello", b"[]", b"null", b"\xff", b'{"extensions": 3}', b'{"name": []}']
)
def test_another_web_server_is_bad_input(page: bytes) -> None:
    with answering({}, page) as http, pytest.raises(InputError, match="a server of the Open Inference Protocol"):
        wire.describe(http)


def one_record() -> Records:
    return records_of({"x": np.array([1.5], np.float32)}, [NUMBER])


def output(**changes: Any) -> bytes:
    """An answer of one number, as JSON, with changes."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [2.5]} | changes
    return json.dumps({"model_name": "m", "model_version": None, "id": None, "outputs": [tensor]}).encode()


def test_an_answer_in_json_is_read() -> None:
    with answering({"/v2/models/m/infer": output()}) as http:
        connection = wire.connect("http", TARGET.model_copy(update={"http": http}))
        answer = connection.ask(one_record(), "1")
        assert (answer.outputs["x"], answer.version) == ([2.5], "")
        connection.close()


@pytest.mark.parametrize(
    "answer",
    [
        output(data=[1, 2, 3]),
        output(data=["two"]),
        output(datatype="FP99"),
        output(datatype="INT8", data=[300]),
        output(datatype="FP64"),
        output(shape=[-7, 2]),
        output(name="y"),
        b"{",
        b"[]",
        b"{}",
        b"<html>",
        b'{"outputs": 3}',
    ],
)
def test_an_answer_that_cannot_be_read_has_failed(answer: bytes) -> None:
    with answering({"/v2/models/m/infer": answer}) as http:
        connection = wire.connect("http", TARGET.model_copy(update={"http": http}))
        with pytest.raises(FailedError):
            connection.ask(one_record(), "1")
        connection.close()


class Answering:
    """A gRPC client that always gets this answer."""

    def __init__(self, response: Any) -> None:
        self.response = response

    def infer(self, *_: object, **__: object) -> object:
        from tritonclient.grpc import InferResult  # noqa: PLC0415  only there with the extra 'serve'

        return InferResult(self.response)


def test_each_client_over_grpc_has_a_connection_of_its_own() -> None:
    """A refused connection is not a reason to refuse the next, and two connections are two to the server."""
    import grpc  # noqa: PLC0415  only there with the extra 'serve'
    from tritonclient.grpc import service_pb2_grpc  # noqa: PLC0415

    peers = set()

    class Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]  it has no types
        def ModelInfer(self, request: Any, context: Any) -> Any:
            peers.add(context.peer())
            return grpc_answer("FP32", np.array([2], np.float32), raw=True)

    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*place.getsockname())
    target = TARGET.model_copy(update={"grpc": address})
    records = one_record()
    early = wire.connect("grpc", target)
    with pytest.raises(FailedError, match="failed to connect"):
        early.ask(records, "1")
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_insecure_port(address)
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Servicer(), server)
    server.start()
    clients = [wire.connect("grpc", target) for _ in range(2)]
    assert [client.ask(records, "1").outputs["x"] for client in clients] == [2, 2]
    assert len(peers) == 2
    for client in (early, *clients):
        client.close()
    server.stop(None)


def grpc_answer(datatype: str, array: Any, *, raw: bool) -> Any:
    from tritonclient.grpc.service_pb2 import ModelInferResponse  # noqa: PLC0415

    response = ModelInferResponse(model_name="m", id="1")
    tensor = response.outputs.add(name="x", datatype=datatype, shape=array.shape)
    if raw:
        response.raw_output_contents.append(array.tobytes())
    else:
        getattr(tensor.contents, FIELDS[datatype]).extend(array.reshape(-1).tolist())
    return response


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("datatype", FIELDS)
def test_numbers_in_typed_fields_are_read_like_bytes(datatype: str, raw: bool) -> None:
    tensor = ServedTensor(name="x", datatype=datatype, shape=[3])  # type: ignore[arg-type]
    target = TARGET.model_copy(update={"outputs": (tensor,)})
    limits = np.iinfo(DTYPES[datatype]) if np.dtype(DTYPES[datatype]).kind in "iu" else None  # type: ignore[index]
    numbers = [0, 1, 0.1] if limits is None else [limits.min, limits.max, 1]
    array = np.array([numbers], DTYPES[datatype])  # type: ignore[index]
    answer = exchange(Answering(grpc_answer(datatype, array, raw=raw)), target, lambda: ([], None), 1, "1")
    assert answer.outputs["x"].dtype == array.dtype
    np.testing.assert_array_equal(answer.outputs["x"], array)


def test_a_missing_or_untyped_output_has_failed() -> None:
    for datatype, name in (("FP32", "y"), ("BYTES", "x")):
        response = grpc_answer("FP32", np.zeros((1, 1), np.float32), raw=False)
        response.outputs[0].name, response.outputs[0].datatype = name, datatype
        with pytest.raises(FailedError):
            exchange(Answering(response), TARGET, lambda: ([], None), 1, "1")
