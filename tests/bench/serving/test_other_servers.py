"""A server of the Open Inference Protocol other than Triton: KServe's own is verified and load-tested like ours."""

from __future__ import annotations

import math
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from assay import toolenv
from assay.bench.serving.audited import AuditedAnswers, read_audited, target_of
from assay.bench.serving.client import LoadPlan
from assay.bench.serving.load import measure_load
from assay.bench.serving.verify import verify
from assay.infer.server.ports import LOOPBACK, choose_ports
from assay.infer.wire import WAYS, Target
from tests import serving_folder

pytestmark = pytest.mark.slow
OTHERS = Path(__file__).parent / "other_servers"
READY_SECONDS = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return serving_folder.write_folder(tmp_path_factory.mktemp("served") / "deployment")


@pytest.fixture(scope="module")
def audited(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> AuditedAnswers:
    images = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(images, serving_folder.images())
    return read_audited(folder, images, None, folder)


@pytest.fixture(scope="module")
def kserve(folder: Path, audited: AuditedAnswers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    python = toolenv.ensure("kserve", OTHERS / "kserve.txt", lambda *_: None)
    ports = choose_ports(LOOPBACK, None)
    command = [str(python), str(OTHERS / "kserve_server.py"), str(folder), str(ports.http), str(ports.grpc)]
    log = tmp_path_factory.mktemp("log") / "log"
    with log.open("wb") as stream, subprocess.Popen(command, stdout=stream, stderr=stream) as process:
        try:
            _wait_for(f"http://{LOOPBACK}:{ports.http}/v2/health/ready", process, log)
            yield target_of(audited.deployment, f"http://{LOOPBACK}:{ports.http}", None)
        finally:
            process.terminate()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(log.read_text())


def test_it_gives_the_audited_answers(kserve: Target, audited: AuditedAnswers) -> None:
    found = verify(audited, kserve, WAYS)
    assert found.passed, found
    assert [way.way for way in found.ways] == ["http", "grpc"]
    assert {way.images for way in found.ways} == {serving_folder.IMAGES}
    assert found.skipped == {"shared-memory": "the server does not offer it"}
    assert found.server.startswith("kserve")


def test_it_is_loaded_though_it_keeps_no_counters(kserve: Target, audited: AuditedAnswers, folder: Path) -> None:
    plan = LoadPlan(seconds=0.3, processes=2, clients=(1,), scenarios=("SingleStream",), known_to=math.inf)
    found = measure_load(audited, folder, kserve, plan, print)
    assert all(one.failed == one.wrong == 0 for one in (*found.closed_loop, *found.scenarios))
    assert [one.split for one in found.closed_loop] == [None]
    assert [one.way for one in found.overheads] == ["grpc", "http"]
