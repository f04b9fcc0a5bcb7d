"""Two machines as far as one machine can be two: each with its own disk and name, and one store for both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from assay.bench.fleet.runs import read_run
from assay.fleet.joined import Joined
from assay.store import MANIFEST, Manifest
from tests.small_study import small_study

ASSAY = Path(sys.executable).with_name("assay")
STUDY = small_study(
    limit=96,
    epochs=0.3,
    train={"frameworks": ["torch"]},
    export={"exporters": ["torch-script"]},
    bench={
        "runtimes": ["torch.eager", "ort.cpu"],
        "batches": [1],
        "threads": [1, 2],
        "budget_minutes": 0.4,
        "attribute": False,
    },
)


def node(name: str, folder: Path, *command: str) -> str:
    """The output of a command on a machine with this name, which is a kind of its own."""
    told = os.environ | {"ASSAY_MACHINE": f"node-{name}", "ASSAY_INSTANCE_TYPE": f"kind-{name}"}
    done = subprocess.run([ASSAY, *command], cwd=folder, env=told, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr  # 1 where another's work left no valid time
    return done.stdout


@pytest.mark.slow
def test_a_second_machine_trains_nothing_and_both_are_joined(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(STUDY)
    for name in ("a", "b"):
        options = ("--group", "bloodnet/28/t1", "--store", "store", "--out", f"runs/{name}")
        node(name, tmp_path, "bench", "small.toml", *options)
    assert (tmp_path / "runs/a/small/logs/bloodnet-28-torch-s0.log").exists()
    assert not (tmp_path / "runs/b/small/logs/bloodnet-28-torch-s0.log").exists(), "nothing was trained"
    for room in ("weights", "onnx", "references", "images"):
        first, second = (manifests(tmp_path / "runs" / name / "small" / room) for name in ("a", "b"))
        assert first == second != []
    units = [manifests(tmp_path / "runs" / name / "small/units") for name in ("a", "b")]
    assert units[0] != units[1], "each timed for itself"
    for name in ("a", "b"):
        run = read_run(tmp_path / "runs" / name / "small")
        assert {cell.threads for cell in run.cells.values()} == {1}
        assert {one.threads for one in run.results.ceilings} <= {1}, "only what the group needs"
        assert run.kind.instance_type == f"kind-{name}"
    node("a", tmp_path, "join", "runs/a/small", "runs/b/small", "--out", "joined")
    found = Joined.model_validate(json.loads((tmp_path / "joined/joined.json").read_text()))
    assert [(one.name, one.machines) for one in found.kinds] == [("kind-a", 1), ("kind-b", 1)]
    assert (tmp_path / "joined/report/report.html").is_file()


def manifests(room: Path) -> list[dict[str, str]]:
    """The files of every artifact of one kind."""
    return [Manifest.model_validate_json(one.read_text()).files for one in sorted(room.glob(f"*/{MANIFEST}"))]
