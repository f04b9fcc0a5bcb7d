"""The container files of a deployment, run by Docker: the served answers are the audited ones.

They use the stock Triton image if it has been pulled, or else the substitute of stand_in_triton/build.sh.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from assay.bench.deployment.deploy import write_deployment
from assay.bench.deployment.subject import read_study
from assay.bench.serving.audited import read_audited, target_of
from assay.bench.serving.verify import verify
from assay.bench.words.progress import Narrator
from assay.infer import wire
from assay.infer.server.ports import LOOPBACK, Ports, choose_ports
from assay.records.deployment import STOCK_TRITON
from assay.records.verification import Verification
from tests.bench.finished_study import CELL, finished_study

pytestmark = pytest.mark.slow
READY_SECONDS = 120
IMAGE = f"nvcr.io/nvidia/tritonserver:{STOCK_TRITON}-py3"
NAME = "bloodnet-28"


def run(command: Sequence[str], **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **variables})


@pytest.fixture(scope="module")
def docker() -> None:
    """A Docker that has the image, which is never pulled here because it has many gigabytes."""
    if not shutil.which("docker") or run(["docker", "info"]).returncode:
        pytest.skip("Docker is not running here")
    if run(["docker", "image", "inspect", IMAGE]).returncode:
        pytest.skip(f"Docker has no {IMAGE} here: pull it, or see stand_in_triton/build.sh")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment that only its owner can read."""
    study = finished_study(tmp_path_factory)
    write_deployment(read_study(study, None), CELL, study / "deployment", Narrator())
    assert run(["chmod", "--recursive", "go=", str(study / "deployment")]).returncode == 0
    return study / "deployment"


def compose() -> list[str]:
    """Compose as a part of Docker, or as the separate program that it used to be."""
    return ["docker", "compose"] if run(["docker", "compose", "version"]).returncode == 0 else ["docker-compose"]


@contextmanager
def composed(folder: Path, ports: Ports) -> Iterator[Callable[[], bool]]:
    """The Compose file, running."""
    command = [*compose(), "--project-name", "assay-test", "-f", str(folder / "docker" / "compose.yaml")]
    variables = {"HTTP_PORT": str(ports.http), "GRPC_PORT": str(ports.grpc), "METRICS_PORT": str(ports.metrics)}
    up = run([*command, "up", "--build", "--detach"], **variables)
    container = run([*command, "ps", "--quiet"], **variables).stdout.strip()

    def healthy() -> bool:
        state = run(["docker", "inspect", "--format", "{{.State.Health.Status}}", container])
        return state.stdout.strip() == "healthy"

    try:
        assert up.returncode == 0, up.stderr
        cores = run(["docker", "inspect", "--format", "{{.HostConfig.CpusetCpus}}", container])
        assert cores.stdout.strip() == "0"
        yield healthy
        written = run(["docker", "exec", container, "touch", "/written"])
        assert "Read-only file system" in written.stderr
    finally:
        run([*command, "down"], **variables)
        run(["docker", "image", "rm", f"{NAME}:1"])


def test_a_container_gives_the_audited_answers(docker: None, folder: Path, tmp_path: Path) -> None:
    ports = choose_ports(LOOPBACK, None)
    with composed(folder, ports) as ready:
        _wait_for(ready)
        found = _verified(folder, ports, tmp_path)
    assert found.passed, found
    assert [way.way for way in found.ways] == ["http", "grpc"]
    assert {way.images for way in found.ways} == {96}
    assert "shared-memory" in found.skipped  # a container's is its own


def _wait_for(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        assert time.monotonic() < deadline, "the container did not become ready"
        time.sleep(0.5)


def _verified(folder: Path, ports: Ports, work: Path) -> Verification:
    audited = read_audited(folder, None, None, work)
    target = target_of(audited.deployment, f"http://{LOOPBACK}:{ports.http}", None)
    return verify(audited, target, wire.WAYS)
