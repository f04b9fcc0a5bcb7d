"""From a comparison to a verified server: the files of `assay deploy` are served here, and answer as audited."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from assay.bench.deployment.checking.verify import check_deployment
from assay.bench.deployment.deploy import write_deployment
from assay.bench.deployment.folder import write_checksums
from assay.bench.deployment.subject import read_study
from assay.bench.serving.audited import read_audited, target_of
from assay.bench.serving.client import LoadPlan
from assay.bench.serving.load import measure_load
from assay.bench.serving.verify import verify
from assay.bench.words.progress import Narrator
from assay.infer.wire import WAYS
from assay.records.deployment import served_by
from assay.registry import RUNTIMES
from tests.bench.compared_model import Takes, cell_name, make_comparison
from tests.bench.finished_study import finished_study, of_runtime, of_variant, precision_of
from tests.bench.serving.conftest import Served, start, stop

SHOWING_ACCURACY = 1000
"""Enough images to show that 99 % of the accuracy is kept."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "runtime", [entry.name for entry in RUNTIMES.values() if entry.served_by and entry.served_by.device == "cpu"]
)
def test_a_deployed_model_gives_its_audited_answers_over_the_wire(
    platform: None, runtime: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Cells of every runtime that a server supports, which take decoded pixels."""
    reduced = precision_of(runtime) != "fp32"
    study = finished_study(tmp_path_factory, SHOWING_ACCURACY if reduced else 96)
    served_as_audited(study, of_runtime(study, runtime), tmp_path, loaded=not reduced)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["ort.cpu", "openvino"])
def test_a_deployed_variant_gives_its_audited_answers_over_the_wire(
    platform: None, runtime: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """An int8 export; others in less than fp32 are refused when they are made, on a CPU."""
    study = finished_study(tmp_path_factory, SHOWING_ACCURACY)
    served_as_audited(study, of_variant(study, runtime, "int8"), tmp_path, loaded=False)


def served_as_audited(study: Path, cell: str, work: Path, *, loaded: bool) -> None:
    """Deploy a cell of a study and serve it: every transport gives the audited answers, and so does a server under
    load.
    """
    folder = study / "deployment"
    deployed = write_deployment(read_study(study, None), cell, folder, Narrator())
    trusted = served_by(deployed.version(1).runtime).is_code  # for being our own
    check_deployment(folder, trusted=trusted)
    served = start(folder, work / "log", *(["--trust"] if trusted else []))
    try:
        audited = read_audited(folder, None, None, study.parent / "data")
        target = target_of(audited.deployment, served.ready["http"], None)
        found = verify(audited, target, WAYS)
        plan = LoadPlan(seconds=0.2, processes=2, clients=(2,), scenarios=(), known_to=math.inf, trusted=trusted)
        load = measure_load(audited, folder, target, plan, print) if loaded else None
    finally:
        assert stop(served) == 0
    assert load is None or all(one.failed == one.wrong == 0 for one in load.closed_loop)
    assert found.passed, found
    assert {way.images for way in found.ways} == {len(audited.inputs)}
    assert all(way.quality == found.audited_quality for way in found.ways)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("takes", "runtime"),
    [
        ("rows", "ort.cpu"),
        ("four rows", "ort.cpu"),
        ("a call", "ort.cpu"),
        ("rows", "openvino"),
        ("a call", "openvino"),
    ],
)
def test_a_user_s_model_is_served_verified_and_loaded(
    platform: None, takes: Takes, runtime: str, tmp_path: Path
) -> None:
    folder = tmp_path / "deployment"
    study = read_study(make_comparison(tmp_path / "compared", takes, runtime=runtime))
    write_deployment(study, cell_name(takes, runtime), folder, Narrator())
    served = start(folder, tmp_path / "log")
    try:
        audited = read_audited(folder, None, None, tmp_path)
        target = target_of(audited.deployment, served.ready["http"], None)
        found = verify(audited, target, WAYS)
        _samples_are_answered(served)
        plan = LoadPlan(
            seconds=0.3, processes=2, clients=(2,), scenarios=("SingleStream", "MultiStream", "Offline"), known_to=1
        )
        load = measure_load(audited, folder, target, plan, print)
        differs = verify(read_audited(_with_another_answer(folder), None, None, tmp_path), target, ["grpc"])
    finally:
        assert stop(served) == 0
    assert found.passed, found
    assert found.audited_quality is None
    assert {way.images for way in found.ways} == {64}
    assert all(one.failed == one.wrong == 0 for one in (*load.closed_loop, *load.scenarios))
    assert load.unit == "record"
    assert not differs.passed
    assert "record 1, sum: 1 from the audited answer" in differs.ways[0].reasons[0]


def _samples_are_answered(served: Served) -> None:
    """With the client and with curl, both on the warm-up's record, which is the first audited one."""
    likeness = np.load(served.folder / "audited/1/outputs.npy")["likeness"][0]
    requests = served.folder / "requests"
    asked = [sys.executable, str(requests / "client.py"), "--server", served.http]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "likeness float32" in done.stdout
    if shutil.which("curl"):
        curl = ["sh", str(requests / "infer.sh"), str(served.ready["http"])]
        first, second, *_ = subprocess.run(curl, capture_output=True, check=True).stdout.split(b"\n", 1)
        outputs = {one["name"]: one["data"] for one in json.loads(first)["outputs"]}
        np.testing.assert_allclose(outputs["likeness"], np.atleast_1d(likeness), rtol=1e-5)
        assert b'"name":"sum"' in second


def _with_another_answer(folder: Path) -> Path:
    """A copy of a deployment with a different sum for the second record."""
    copied = Path(shutil.copytree(folder, folder.with_name("other")))
    outputs = np.load(copied / "audited/1/outputs.npy")
    outputs["sum"][1].flat[0] += 1
    np.save(copied / "audited/1/outputs.npy", outputs)
    write_checksums(copied)
    return copied
