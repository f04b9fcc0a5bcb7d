"""A real cluster of two raylets on this machine. They share its cores, so none of their times is a result.

The tests examine records, exclusivity and failures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from assay.bench.fleet.machines import LostError
from assay.bench.fleet.on_ray import RayFleet
from assay.errors import InputError, WorkerError
from assay.fleet.joined import read_joined
from assay.jobs.running import run_job
from assay.records.results import RESULTS_FILE, Results, read_results
from tests.assay.small_job import SMALL, At, Deed, Outcome
from tests.bench.fleet.raylets import Cluster
from tests.bench.fleet.test_real import STUDY

ASSAY = Path(sys.executable).with_name("assay")
TIMED = {
    "host",
    "device",
    "throughput",
    "steadiness",
    "invalid",
    "processor_use",
    "peak_memory_mib",
    "cold",
    "timed_agreement",
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def assay(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    told = os.environ | {"ASSAY_MACHINE": "local", "ASSAY_RUNTIME_DIR": str(folder / "turn")} | variables
    (folder / "turn").mkdir(mode=0o700, exist_ok=True)
    return subprocess.run([ASSAY, *arguments], cwd=folder, env=told, capture_output=True, text=True, check=False)


def told(results: Results) -> dict[str, object]:
    """The output of a run without its times and its machine."""
    return {
        "settings": results.settings,
        "data": results.data,
        "trainings": [
            (one.weights, one.test, [epoch.training_loss for epoch in one.history]) for one in results.trainings
        ],
        "exports": [(one.exporter, one.key, one.status) for one in results.exports],
        "cells": {
            cell.name: {
                name: value
                for name, value in cell.model_dump(mode="json").items()
                if name not in {*TIMED, "provenance"}
            }
            for cell in results.cells
        },
    }


def test_a_cluster_is_reached_by_every_kind_of_address(two: Cluster, tmp_path: Path) -> None:
    addresses = {two.address: {}, f"ray://127.0.0.1:{two.client_port}": {}, "auto": {"RAY_ADDRESS": two.address}}
    for address, variables in addresses.items():
        found = assay(tmp_path, "fleet", "list", "--fleet", address, "--json", **variables)
        assert found.returncode == 0, found.stderr
        rows = json.loads(found.stdout)["machines"]
        assert [(one["machine"], one["kind"], one["state"]) for one in rows] == [
            ("one", "k1", "ready, not yet checked"),
            ("two", "k1", "ready, not yet checked"),
        ], address
    nobody = assay(tmp_path, "fleet", "list", "--fleet", "ray://127.0.0.1:9")
    assert nobody.returncode == 2
    assert nobody.stderr.startswith("assay: The fleet ray://127.0.0.1:9 cannot be reached: expected")
    assert "Traceback" not in nobody.stderr


def test_a_job_does_and_fails_on_a_machine_of_a_cluster_as_here(fleet: RayFleet, tmp_path: Path) -> None:
    one, _ = sorted(fleet.machines(), key=lambda machine: machine.labels["name"])
    told: list[At] = []
    heard, log = SMALL.heard_by(told.append), tmp_path / "log"
    with fleet.host(one, whole=False) as host:
        assert run_job(SMALL, Deed(do="count", to=2), log, limit_seconds=60, heard=heard, host=host) == Outcome(sum=3)
        assert told == [At(at=1), At(at=2)]
        with pytest.raises(InputError, match="a bad value: expected good, found bad"):
            run_job(SMALL, Deed(do="refuse"), log, limit_seconds=60, host=host)
        with pytest.raises(WorkerError, match="was ended by SIGSEGV"):
            run_job(SMALL, Deed(do="crash"), log, limit_seconds=60, host=host)
        with pytest.raises(WorkerError, match="The second thing used almost no processor time"):
            run_job(SMALL, Deed(do="linger", seconds=0.5), log, limit_seconds=60, host=host)
        assert run_job(SMALL, Deed(do="print"), log, limit_seconds=60, host=host) == Outcome()
        assert "{this is not an answer}" in log.read_text()


def test_the_processor_time_of_a_process_on_a_cluster_is_its_own(fleet: RayFleet, tmp_path: Path) -> None:
    one, *_ = fleet.machines()
    with fleet.host(one, whole=True) as host:
        process = host.start("tests.bench.fleet.spins", tmp_path / "log")
        process.send({"job": "any"}, 60.0)
        assert process.receive(60.0) == {"spins": True}
        before = process.spent()
        time.sleep(2)
        after = process.spent()
        assert after.seconds > before.seconds
        assert not after.frozen
        process.freeze()
        frozen = process.spent()
        assert frozen.frozen
        time.sleep(1)
        assert process.spent().seconds - frozen.seconds < 0.1
        process.thaw()
        assert not process.spent().frozen
        process.kill()
        with pytest.raises(WorkerError, match="was ended by SIGKILL"):
            process.receive(60.0)


@pytest.mark.parametrize("other", ["ordinary", "timing"])
def test_nothing_else_of_the_fleet_begins_on_a_machine_that_times(fleet: RayFleet, other: str) -> None:
    one, *_ = fleet.machines()
    begun, end = threading.Event(), threading.Event()

    def work() -> None:
        with fleet.host(one, whole=other == "timing"):
            begun.set()
            end.wait(60)

    with fleet.host(one, whole=True):
        thread = threading.Thread(target=work)
        thread.start()
        assert not begun.wait(5)
    assert begun.wait(120)
    end.set()
    thread.join()


def test_a_machine_that_dies_is_an_error_about_it_and_leaves_no_process(
    two: Cluster, fleet: RayFleet, tmp_path: Path
) -> None:
    two.add("three")
    three = next(one for one in fleet.machines() if one.labels["name"] == "three")
    with fleet.host(three, whole=True) as host:
        process = host.start("tests.bench.fleet.spins", tmp_path / "log")
        process.send({"job": "any"}, 60.0)
        assert process.receive(60.0) == {"spins": True}
        spinning = [one for one in two.below("three") if "tests.bench.fleet.spins" in one.cmdline()]
        assert spinning
        two.kill("three")
        with pytest.raises(LostError, match="three went away"):
            process.receive(600.0)
        process.kill()
    deadline = time.monotonic() + 60
    while any(one.is_running() and one.status() != "zombie" for one in spinning) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not any(one.is_running() and one.status() != "zombie" for one in spinning)
    with pytest.raises(LostError, match="three"), fleet.host(three, whole=True):
        raise AssertionError("nothing can be started there")


def test_the_same_study_gives_the_same_records_here_and_on_a_fleet(two: Cluster, tmp_path: Path) -> None:
    few = "processes = 2\nblocks = 4\ninterval_width = 0\nbudget_minutes = 10"  # none is left out on a busy machine
    study = STUDY.replace("threads = [1, 2]", "threads = [1]").replace("budget_minutes = 0.4", few)
    (tmp_path / "small.toml").write_text(study)
    here = assay(tmp_path, "run", "small.toml", "--store", "store", "--out", "here")
    assert here.returncode in {0, 1}, here.stderr
    asked = 'fleet.machines=["one","two"]', "fleet.selfcheck_minutes=0"
    wanted = [word for change in asked for word in ("--set", change)]
    there = assay(tmp_path, "run", "small.toml", "--store", "store", "--out", "there", *wanted, "--fleet", two.address)
    assert there.returncode in {0, 1}, there.stderr
    joined = read_joined(tmp_path / "there" / "small")
    assert [(one.name, one.machines) for one in joined.kinds] == [("k1", 2)]
    ours = read_results(tmp_path / "here" / "small" / RESULTS_FILE)
    for run in joined.runs:
        theirs = read_results(tmp_path / "there" / "small" / "runs" / run.name / RESULTS_FILE)
        assert told(theirs) == told(ours)
    assert (tmp_path / "there/small/report/report.html").is_file()
    client = f"ray://127.0.0.1:{two.client_port}"
    again = assay(
        tmp_path, "run", "small.toml", "--store", "store", "--out", "there", *wanted, "--fleet", client, "--json"
    )
    assert json.loads(again.stdout)["cells"] == joined.model_dump(mode="json")["cells"], "nothing is timed again"
