"""The jobs for Slurm and Kubernetes in the how-to on many machines, checked and run without either of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from assay.alone import FOLDER_VARIABLE
from assay.bench.machine.kind import MACHINE_VARIABLE, TYPE_VARIABLE
from assay.fleet.joined import read_joined
from tests.bench.fleet.test_real import STUDY
from tests.docs.test_commands import parse

PAGE = (Path(__file__).parents[2] / "docs/how-to/fleet.md").read_text(encoding="utf-8")
SHARED = "/shared"
JOBS = 2


def shown(pattern: str) -> str:
    """The text of the page's one part that matches."""
    (found,) = re.findall(pattern, PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


SLURM = shown(r"^```sh\n(#!/bin/sh\n#SBATCH.*?)^```")
POD = shown(r"^```yaml\n(apiVersion: batch/v1\n.*?)^```")
PRICES = shown(r"^```toml\n(currency.*?)^```")
JOIN = shown(r"^(assay join runs/\*/study [^\n]*)$")


def job() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(POD)
    return found


def container() -> dict[str, Any]:
    (found,) = job()["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def variables() -> dict[str, Any]:
    """The container's variables by name, without those whose value Kubernetes fills in."""
    return {one["name"]: one.get("value") for one in container()["env"]}


def test_the_slurm_script_takes_a_node_of_its_own_and_gives_a_command_that_exists() -> None:
    assert {"--exclusive", "--nodes=1"} <= set(re.findall(r"^#SBATCH (\S+)$", SLURM, re.MULTILINE))
    assert subprocess.run(["sh", "-n"], input=SLURM, text=True, check=False).returncode == 0
    (command,) = re.findall(r"^srun (assay bench .*)$", SLURM, re.MULTILINE)
    parse(command)
    assert "--group" in command
    assert TYPE_VARIABLE in SLURM


def test_the_kubernetes_job_has_pods_with_whole_cores_each_on_a_node_of_its_own() -> None:
    spec, pod, ours = job()["spec"], job()["spec"]["template"], container()
    assert spec["completions"] == spec["parallelism"]
    assert spec["completionMode"] == "Indexed"
    (apart,) = pod["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert apart["topologyKey"] == "kubernetes.io/hostname"
    assert apart["labelSelector"]["matchLabels"] == pod["metadata"]["labels"]
    assert ours["resources"]["requests"] == ours["resources"]["limits"]
    assert ours["resources"]["limits"]["cpu"].isdigit(), "the static policy gives cores of their own for whole numbers"
    assert set(variables()) == {TYPE_VARIABLE, MACHINE_VARIABLE, FOLDER_VARIABLE}
    places = {one["mountPath"]: one["name"] for one in ours["volumeMounts"]}
    volumes = {one["name"]: set(one) - {"name"} for one in pod["spec"]["volumes"]}
    assert volumes[places[variables()[FOLDER_VARIABLE]]] == {"hostPath"}, "pods on a node take turns"
    assert volumes[places[SHARED]] == {"persistentVolumeClaim"}
    shell, option, command = ours["command"]
    assert (shell, option) == ("sh", "-c")
    parse(command)
    assert "$JOB_COMPLETION_INDEX" in command, "each pod has a folder of its own"


def on_slurm(folder: Path, number: int) -> subprocess.CompletedProcess[str]:
    (folder / "bin").mkdir(exist_ok=True)
    srun = folder / "bin" / "srun"
    srun.write_text('#!/bin/sh\nexec "$@"\n')
    srun.chmod(0o755)
    told = {"SLURM_SUBMIT_DIR": str(folder), "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": str(number)}
    return run(folder, SLURM, told | {MACHINE_VARIABLE: f"node-{number}"})


def on_kubernetes(folder: Path, number: int) -> subprocess.CompletedProcess[str]:
    told = {"JOB_COMPLETION_INDEX": str(number), TYPE_VARIABLE: variables()[TYPE_VARIABLE]}
    command = container()["command"][-1].replace(SHARED, str(folder))
    return run(folder, command, told | {MACHINE_VARIABLE: f"node-{number}"})


def run(folder: Path, script: str, told: dict[str, str]) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path} | told
    return subprocess.run(
        ["sh", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "begin"), [("icelake-node", on_slurm), ("c7i.large", on_kubernetes)])
def test_the_jobs_share_a_store_and_are_joined(
    kind: str, begin: Callable[[Path, int], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    study = STUDY.replace('name = "small"', 'name = "study"').replace("threads = [1, 2]", "threads = [1]")
    (tmp_path / "study.toml").write_text(study)
    (tmp_path / "prices.toml").write_text(PRICES)
    for number in range(JOBS):
        done = begin(tmp_path, number)
        assert done.returncode in {0, 1}, done.stderr  # 1 where another's work left no valid time
    assert len(list(tmp_path.glob("runs/*/study/logs/bloodnet-28-torch-s0.log"))) == 1, "the second trained nothing"
    done = run(tmp_path, JOIN, {})
    assert done.returncode in {0, 1}, done.stderr
    joined = read_joined(tmp_path / "joined")
    assert [(one.name, one.machines) for one in joined.kinds] == [(kind, JOBS)]
    assert [one.price_per_hour for one in joined.kinds] == [0.0893 if kind == "c7i.large" else None]
