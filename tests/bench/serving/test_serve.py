"""`assay serve`: a real server becomes ready, follows its folder, and leaves nothing behind however it ends."""

from __future__ import annotations

import json
import os
import platform as platform_module
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from assay.bench.machine.machine import cores_of_server, usable_cores
from assay.bench.serving.serve import cores_for
from assay.errors import FailedError, InputError, NotInstalledError
from assay.infer import wire
from assay.infer.server.ports import LOOPBACK, Ports, choose_ports
from assay.infer.server.triton import PROGRAM, ServerPlacement, TritonServer, contract_of
from assay.records.deployment import Version, read_deployment
from tests import serving_folder
from tests.bench.serving.conftest import Served, alive, descendants, start, stop

PATIENCE_SECONDS = 60


def becomes(condition: Callable[[], bool]) -> bool:
    """Whether a condition becomes true within the tests' patience."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_it_answers_and_shows_health_metrics_and_its_log(served: Served) -> None:
    records = serving_folder.records()[:3]
    for way in wire.WAYS:
        connection = wire.connect(way, served.target)
        answer = connection.ask(records, "first")
        connection.close()
        np.testing.assert_allclose(answer.outputs["probabilities"], serving_folder.probabilities(1)[:3], atol=1e-5)
        assert answer.version == "1"
    with urllib.request.urlopen(f"{served.ready['http']}/v2/health/ready") as health:
        assert health.status == 200
    with urllib.request.urlopen(served.ready["metrics"]) as metrics:
        assert b'nv_inference_request_success{model="cells",version="1"}' in metrics.read()
    assert "Started HTTPService" in Path(served.ready["log"]).read_text()


def test_it_runs_on_as_many_cores_as_the_model_has_threads(served: Served) -> None:
    first = min(os.sched_getaffinity(0))
    assert served.ready["cores"] == [first]
    below = [pid for pid in descendants(served.process.pid) if alive(pid)]
    assert {tuple(os.sched_getaffinity(pid)) for pid in below} == {(first,)}
    assert cores_of_server(served.http, PROGRAM) == (first,)


def test_cores_are_those_of_the_deployment_or_those_asked_for(tmp_path: Path) -> None:
    usable = usable_cores()
    deployment = read_deployment(serving_folder.write_folder(tmp_path / "deployment"))
    assert cores_for(deployment, None) == usable[:1]
    assert cores_for(deployment.model_copy(update={"threads": 2, "instances": 2}), None) == usable[:4]
    assert cores_for(deployment, len(usable)) == usable
    with pytest.raises(InputError, match=f"--cores.*at most {len(usable)}, found {len(usable) + 1}"):
        cores_for(deployment, len(usable) + 1)


def test_the_cores_of_a_server_that_is_not_ours_are_not_seen() -> None:
    with socket.create_server((LOOPBACK, 0)) as listening:
        address = f"{LOOPBACK}:{listening.getsockname()[1]}"
        assert cores_of_server(address, "another") is None
        assert cores_of_server(address, psutil.Process().name()) == usable_cores()
    assert cores_of_server(address, psutil.Process().name()) is None
    assert cores_of_server("192.0.2.1:8000", PROGRAM) is None


def test_only_the_serving_command_changes_models(served: Served) -> None:
    for action in ("load", "unload"):
        request = urllib.request.Request(f"{served.ready['http']}/v2/repository/models/cells/{action}", data=b"{}")
        with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(request):
            pass
        refused.value.close()
        assert refused.value.code == 404
    with urllib.request.urlopen(f"{served.ready['http']}/v2/models/cells/ready") as ready:
        assert ready.status == 200


@pytest.mark.parametrize(
    "path", ["/v2/models/../../etc/passwd", "/v2/models/..%2f..%2fetc/config", "/../../etc/passwd"]
)
def test_a_path_that_leaves_the_repository_is_not_found(served: Served, path: str) -> None:
    host, port = served.http.split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = connection.recv(65536)
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404"))
    assert b"root:" not in answer


class Load:
    """Four clients that send requests without a break and compare every answer with the version that it names."""

    def __init__(self, served: Served) -> None:
        self.versions: list[str] = []
        self.wrong: list[str] = []
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(served, number)) for number in range(4)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, served: Served, number: int) -> None:
        connection = wire.connect("grpc", served.target)
        random = np.random.default_rng(number)
        records = serving_folder.records()
        audited = {str(version): serving_folder.probabilities(version) for version in (1, 2)}
        while not self._ending.is_set():
            places = random.integers(0, len(records), random.integers(1, 5))
            try:
                answer = connection.ask(records[places], f"{number}")
            except FailedError as error:
                self.wrong.append(str(error))
                continue
            self.versions.append(answer.version)
            if np.abs(answer.outputs["probabilities"] - audited[answer.version][places]).max() > 1e-5:
                self.wrong.append(f"wrong answer by version {answer.version}")
        connection.close()


def test_going_over_to_another_version_and_back_loses_no_request(served: Served) -> None:
    with Load(served) as load:
        assert becomes(lambda: "1" in load.versions)
        serving_folder.serve_version(served.folder, 2)
        assert served.event("serving", "kept") == {"event": "serving", "version": 2}
        before = len(load.versions)
        assert becomes(lambda: len(load.versions) > before + 50)
        assert load.versions[-1] == "2"
        serving_folder.serve_version(served.folder, 1)
        assert served.event("serving", "kept") == {"event": "serving", "version": 1}
        before = len(load.versions)
        assert becomes(lambda: len(load.versions) > before + 50)
        assert load.versions[-1] == "1"
    assert load.wrong == []


def test_a_version_that_does_not_load_leaves_the_old_one_serving(served: Served) -> None:
    broken = served.folder / "models" / serving_folder.NAME / "2" / "model.onnx"
    whole = broken.read_bytes()
    with Load(served) as load:
        broken.write_bytes(b"no model")
        serving_folder.serve_version(served.folder, 2, versions_of(served))
        kept = served.event("serving", "kept")
        assert kept["event"] == "kept"
        assert kept["version"] == 1
        assert "refused to load version 2" in kept["reason"]
        before = len(load.versions)
        assert becomes(lambda: len(load.versions) > before + 50)
    assert load.wrong == []
    assert set(load.versions) == {"1"}
    broken.write_bytes(whole)
    serving_folder.serve_version(served.folder, 2, versions_of(served))
    assert served.event("serving", "kept") == {"event": "serving", "version": 2}
    serving_folder.serve_version(served.folder, 1)
    assert served.event("serving", "kept") == {"event": "serving", "version": 1}


def versions_of(served: Served) -> list[Version]:
    return [serving_folder.version(number, served.folder) for number in (1, 2)]


def test_ports_are_chosen_free_and_refused_in_use(served: Served) -> None:
    port = int(served.http.split(":")[1])
    with pytest.raises(InputError, match=f"Cannot listen on 127.0.0.1:{port}.*in use"):
        choose_ports(LOOPBACK, port)
    with pytest.raises(InputError, match=f"Cannot listen on 127.0.0.1:{port + 1}.*in use"):
        choose_ports(LOOPBACK, port + 1)
    assert choose_ports(LOOPBACK, None).http > port
    with pytest.raises(InputError, match="Cannot listen on 192"):
        choose_ports("192.0.2.1", 50_000)


def test_where_it_cannot_run_it_says_so_and_how_docker_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform_module, "machine", lambda: "riscv64")
    deployment = read_deployment(serving_folder.write_folder(tmp_path / "deployment"))
    contract = contract_of(deployment, LOOPBACK, tmp_path, shared_memory=False)
    with pytest.raises(NotInstalledError, match="riscv64") as refused:
        TritonServer(
            tmp_path, tmp_path, contract, ServerPlacement(LOOPBACK, Ports(8000), [0], tmp_path / "log"), progress=print
        )
    assert "docker compose -f docker/compose.yaml up --build" in str(refused.value)
    assert refused.value.exit_code == 3


def test_ctrl_c_leaves_nothing_behind(platform: None, tmp_path: Path) -> None:
    served = start(serving_folder.write_folder(tmp_path / "deployment"), tmp_path / "log")
    below = descendants(served.process.pid)
    assert len(below) >= 4  # the guard, the server and its worker, the filter
    assert stop(served) == 0
    assert not any(map(alive, below))


@pytest.mark.parametrize(
    "victim", ["assay", pytest.param("guard", marks=pytest.mark.slow), pytest.param("server", marks=pytest.mark.slow)]
)
def test_nothing_is_left_when_a_part_is_killed(platform: None, tmp_path: Path, victim: str) -> None:
    served = start(serving_folder.write_folder(tmp_path / "deployment"), tmp_path / "log")
    below = descendants(served.process.pid)
    (guard,) = [pid for pid in below if b"/triton_guard.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    (server,) = [pid for pid in below if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].endswith(b"server")]
    work = Path(json.loads(Path(f"/proc/{guard}/cmdline").read_bytes().split(b"\0")[3])["folder"])
    assert (work / "models").is_dir()
    os.kill({"assay": served.process.pid, "guard": guard, "server": server}[victim], signal.SIGKILL)
    assert becomes(lambda: not any(map(alive, below)))
    assert becomes(lambda: not work.exists())
    with served.process:
        said = served.process.communicate()[0]
    assert served.process.returncode == (-signal.SIGKILL if victim == "assay" else 1), said


def test_a_worker_that_is_killed_never_makes_a_wrong_answer(served: Served) -> None:
    (worker,) = [
        pid
        for pid in descendants(served.process.pid)
        if b"triton_python_backend_stub" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    ]
    connection = wire.connect("grpc", served.target)
    os.kill(worker, signal.SIGKILL)
    assert served.event("worker lost", "serving")["event"] == "worker lost"

    def answered() -> bool:
        try:
            answer = connection.ask(serving_folder.records()[:2], "after")
        except FailedError:
            return False
        np.testing.assert_allclose(answer.outputs["probabilities"], serving_folder.probabilities(1)[:2], atol=1e-5)
        return True

    assert becomes(answered)
    connection.close()
