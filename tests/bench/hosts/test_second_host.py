"""Code above a host does not know which host it has: another host gives the same records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.bench.conductor import run_study
from assay.bench.machine.host import LOCAL, Host
from assay.bench.timing.measurements import Measurements
from assay.bench.timing.schedule import Budget, measure
from assay.bench.timing.trials import Group
from assay.bench.timing.workers import Candidate
from assay.bench.words.progress import Narrator
from assay.errors import InputError, WorkerError
from assay.infer.runtime import ModelFiles
from assay.jobs.running import run_job
from assay.spec import ModelSpec, Settings
from assay.store import Store
from assay.study import load_study
from assay.train.built import BuiltModel
from assay.train.weights import initial_weights, save_weights
from tests.assay.small_job import SMALL, At, Deed, Outcome
from tests.bench.hosts.relayed import RelayHost
from tests.small_study import small_study

SPEC = ModelSpec("bloodnet", 12, 3)
STUDY = small_study(
    limit=96,
    epochs=0.2,
    train={"frameworks": ["torch"], "parity_steps": 0},
    export={"exporters": ["torch-script"]},
    bench={
        "runtimes": ["torch.eager", "ort.cpu"],
        "batches": [1],
        "threads": [1],
        "processes": 2,
        "blocks": 4,
        "budget_minutes": 0.5,
    },
)


@pytest.fixture
def relayed(tmp_path: Path) -> RelayHost:
    root = tmp_path / "elsewhere"
    root.mkdir()
    return RelayHost(root)


def measured(folder: Path, host: Host) -> Measurements:
    """null twice, whose outputs are the same bytes in every process."""
    folder.mkdir()
    save_weights(folder / "w.safetensors", initial_weights(SPEC, 0))
    np.save(folder / "images.npy", np.random.default_rng(0).normal(size=(8, 12, 12, 3)).astype(np.float32))
    files = ModelFiles(model=BuiltModel(spec=SPEC, weights=folder / "w.safetensors"))
    group = Group(
        "bloodnet/12/t1",
        (Candidate("null", "", files), Candidate("null", "again", files)),
        (1, 2),
        Settings(),
        folder / "images.npy",
    )
    return measure([group], Budget(600, 1, 60, 4), Store(folder / "units"), lambda text: None, host)


def test_a_measurement_on_another_host_gives_the_same_records(tmp_path: Path, relayed: RelayHost) -> None:
    ours, theirs = measured(tmp_path / "here", LOCAL), measured(tmp_path / "there", relayed)
    assert relayed.started == ["assay.infer.worker"] * 2
    for column in ("cell", "process", "block", "boundary"):
        assert set(ours.samples[column]) == set(theirs.samples[column])
    assert [(one.cell, one.reason, one.precision, set(one.facts)) for one in ours.facts] == [
        (one.cell, one.reason, one.precision, set(one.facts)) for one in theirs.facts
    ]
    assert ours.logits.keys() == theirs.logits.keys() == ours.timed.keys() == theirs.timed.keys()
    for cell, path in ours.logits.items():
        assert path.read_bytes() == theirs.logits[cell].read_bytes()
        assert tmp_path / "there" in theirs.logits[cell].parents
    machines = {unit.manifest.inputs["machine"] for one in (ours, theirs) for unit in one.units}
    assert machines == {LOCAL.fingerprint().key, relayed.fingerprint().key}


@pytest.mark.parametrize("where", ["here", "there"])
def test_a_job_does_and_fails_alike_on_every_host(
    where: str, tmp_path: Path, relayed: RelayHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    host: Host = LOCAL if where == "here" else relayed
    told: list[At] = []
    heard, log = SMALL.heard_by(told.append), tmp_path / "log"
    assert run_job(SMALL, Deed(do="count", to=2), log, limit_seconds=60, heard=heard, host=host) == Outcome(sum=3)
    assert told == [At(at=1), At(at=2)]
    with pytest.raises(InputError, match="a bad value: expected good, found bad"):
        run_job(SMALL, Deed(do="refuse"), log, limit_seconds=60, host=host)
    with pytest.raises(WorkerError, match="was ended by SIGSEGV"):
        run_job(SMALL, Deed(do="crash"), log, limit_seconds=60, host=host)
    with pytest.raises(WorkerError, match=r"The second thing used almost no processor time"):
        run_job(SMALL, Deed(do="linger", seconds=0.5), log, limit_seconds=60, host=host)
    assert run_job(SMALL, Deed(do="print"), log, limit_seconds=60, host=host) == Outcome()
    assert "{this is not an answer}" in log.read_text()


@pytest.mark.slow
def test_a_study_on_another_host_gives_the_same_records(tmp_path: Path, relayed: RelayHost) -> None:
    (tmp_path / "small.toml").write_text(STUDY)
    study = load_study(tmp_path / "small.toml")
    ours, theirs = (
        run_study(study, tmp_path / name, tmp_path / "data", Narrator(), host=host)
        for name, host in (("here", LOCAL), ("there", relayed))
    )
    assert {
        "assay.train.job",
        "assay.export.reference.reference",
        "assay.export.job",
        "assay.infer.worker",
        "assay.export.graph.count",
    } <= set(relayed.started)
    assert [one.weights for one in ours.trainings] == [one.weights for one in theirs.trainings]
    assert [one.test for one in ours.trainings] == [one.test for one in theirs.trainings]
    assert [(one.key, one.status, one.agreement) for one in ours.exports] == [
        (one.key, one.status, one.agreement) for one in theirs.exports
    ]
    assert [(one.name, one.status, one.agreement) for one in ours.cells] == [
        (one.name, one.status, one.agreement) for one in theirs.cells
    ]
    assert [(one.baseline, one.candidate) for one in ours.comparisons] == [
        (one.baseline, one.candidate) for one in theirs.comparisons
    ]
    assert [one.flops for one in ours.works] == [one.flops for one in theirs.works]
    assert theirs.environment["processor"] == "another processor"
