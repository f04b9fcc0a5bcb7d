"""A real cluster of two raylets on this machine. They share its cores, so none of their times is a result.

The tests examine records, exclusivity and failures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.fleet.joined import read_joined
from assay.records.results import RESULTS_FILE, Results, read_results
from tests.bench.fleet.raylets import Cluster, cluster
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

pytestmark = pytest.mark.slow


def assay(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    told = os.environ | {"ASSAY_MACHINE": "local", "ASSAY_RUNTIME_DIR": str(folder / "turn")}
    (folder / "turn").mkdir(mode=0o700, exist_ok=True)
    return subprocess.run([ASSAY, *arguments], cwd=folder, env=told, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    pytest.importorskip("ray", reason="the extra 'fleet' is not installed")
    with cluster(tmp_path_factory.mktemp("machines")) as found:
        found.add("one")
        found.add("two")
        yield found


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


def test_the_same_study_gives_the_same_records_here_and_on_a_fleet(two: Cluster, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(STUDY.replace("threads = [1, 2]", "threads = [1]"))
    here = assay(tmp_path, "run", "small.toml", "--store", "store", "--out", "here")
    assert here.returncode in {0, 1}, here.stderr
    wanted = ("--set", 'fleet.machines=["one","two"]', "--fleet", two.address)
    there = assay(tmp_path, "run", "small.toml", "--store", "store", "--out", "there", *wanted)
    assert there.returncode in {0, 1}, there.stderr
    joined = read_joined(tmp_path / "there" / "small")
    assert [(one.name, one.machines) for one in joined.kinds] == [("k1", 2)]
    ours = read_results(tmp_path / "here" / "small" / RESULTS_FILE)
    for run in joined.runs:
        theirs = read_results(tmp_path / "there" / "small" / "runs" / run.name / RESULTS_FILE)
        assert told(theirs) == told(ours)
    assert (tmp_path / "there/small/report/report.html").is_file()
    again = assay(tmp_path, "run", "small.toml", "--store", "store", "--out", "there", *wanted, "--json")
    assert json.loads(again.stdout)["cells"] == joined.model_dump(mode="json")["cells"], "nothing is timed again"
