"""Seeded fuzzing of every kind of file that Assay reads: six mutants of each by default, two hundred if slow.

For any file the command ends with 0, 1 or 2 and a message, never with a traceback, writes nothing outside the given
folder, and takes at most 2 GiB and 60 s.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from assay.bench.deployment.deploy import write_deployment
from assay.bench.deployment.folder import write_checksums
from assay.bench.deployment.subject import read_study
from assay.bench.words.progress import Narrator
from assay.records.audit import AUDIT_FILE
from assay.records.results import RESULTS_FILE
from assay.store import MANIFEST, read_artifact, write_artifact
from assay.study import load_study
from assay.train.weights import load_weights
from tests.bench.finished_study import CELL, finished_study
from tests.export.pairs.pair_models import WIDTH, save_classifier
from tests.hostile import forked
from tests.hostile.mutants import (
    Mutate,
    broken_bytes,
    broken_json,
    broken_npz,
    broken_onnx,
    broken_safetensors,
    broken_toml,
)

FEW, MANY = 6, 200
TOLD = ("measured.json", "audit.json")
"""Files of a deployment with numbers from which nothing else follows: only a signature protects those."""


@dataclass(frozen=True)
class Target:
    """One kind of file, and what reads it.

    Attributes:
        seed: the unbroken file, or the folder of which one file is broken.
        mutate: breaks it.
        place: its name in the folder where the command runs.
        readers: what is run on each mutant, in turns: mutant number n goes to reader n modulo their number.
        also: what lies beside it.
    """

    seed: Path
    mutate: Mutate
    place: str
    readers: tuple[Callable[[], object], ...]
    also: tuple[Path, ...] = ()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_study(tmp_path_factory)


@pytest.fixture(scope="module")
def targets(study: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    """Kinds of files by name."""
    root = tmp_path_factory.mktemp("seeds")
    good = save_classifier(root / "good.onnx")
    inputs = root / "inputs.npz"
    np.savez(inputs, image=np.random.default_rng(0).normal(size=(4, WIDTH)).astype(np.float32))
    artifact = root / "artifact"
    write_artifact(
        artifact, "weights", {"a": 1}, made_by={}, fill=lambda work: {"n": (work / "w.bin").write_bytes(b"w")}
    )
    pair = ("audit", "--reference", "good.onnx", "--candidate")
    weights = next(study.glob("weights/*/weights.safetensors"))
    choose = forked.command("choose", "finished", "--batch", "1")
    report = forked.program("report", "finished", "--out", "out")
    return {
        "onnx": Target(
            good,
            broken_onnx,
            "mutant.onnx",
            (
                forked.command(*pair, "mutant.onnx", "--out", "out"),
                forked.command("export", "--inspect", "mutant.onnx"),
            ),
            (good,),
        ),
        "npz": Target(
            inputs,
            broken_npz,
            "mutant.npz",
            (forked.command(*pair, "good.onnx", "--inputs", "mutant.npz", "--out", "out"),),
            (good,),
        ),
        "safetensors": Target(
            weights, broken_safetensors, "mutant.safetensors", (lambda: load_weights(Path("mutant.safetensors")),)
        ),
        "manifest": Target(
            artifact / MANIFEST,
            broken_json,
            f"artifact/{MANIFEST}",
            (lambda: read_artifact(Path("artifact"), "weights"),),
            (artifact,),
        ),
        "results": Target(
            study / RESULTS_FILE,
            broken_json,
            f"finished/{RESULTS_FILE}",
            (choose, choose, choose, report),
            (study / AUDIT_FILE,),
        ),
        "audit": Target(
            study / AUDIT_FILE,
            broken_json,
            f"finished/{AUDIT_FILE}",
            (choose, choose, choose, report),
            (study / RESULTS_FILE,),
        ),
        "study": Target(
            study.parent / "small.toml", broken_toml, "mutant.toml", (lambda: load_study(Path("mutant.toml")),)
        ),
    }


KINDS = ("onnx", "npz", "safetensors", "manifest", "results", "audit", "study")


@pytest.mark.parametrize("kind", KINDS)
def test_mutants(kind: str, targets: dict[str, Target], tmp_path: Path) -> None:
    run_mutants(targets[kind], range(FEW), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_mutants(kind: str, targets: dict[str, Target], tmp_path: Path) -> None:
    run_mutants(targets[kind], range(FEW, MANY), tmp_path)


def test_mutants_of_a_deployment(study: Path, tmp_path: Path) -> None:
    run_deployments(study, range(FEW), tmp_path)


@pytest.mark.slow
def test_many_mutants_of_a_deployment(study: Path, tmp_path: Path) -> None:
    run_deployments(study, range(FEW, MANY), tmp_path)


def run_mutants(target: Target, seeds: range, root: Path) -> None:
    """Make each mutant in a separate folder, read it, and check what happened."""
    content = target.seed.read_bytes()
    found = []
    for seed in seeds:
        folder = root / str(seed)
        mutant = folder / target.place
        mutant.parent.mkdir(parents=True)
        for other in target.also:
            copy = shutil.copytree if other.is_dir() else shutil.copy
            copy(other, mutant.parent if other.is_dir() else mutant.parent / other.name, **_merging(other))
        mutant.write_bytes(target.mutate(content, random.Random(seed)))
        # `choose` and `report` write beside what they read, which is the folder that they were given.
        own = {mutant.parent} if target.place.startswith("finished/") else set()
        _, problem = looked_at(target.readers[seed % len(target.readers)], folder, own)
        found += [f"mutant {seed} {problem}"] if problem else []
    assert not found, "\n\n".join(found)


def run_deployments(study: Path, seeds: range, root: Path) -> None:
    """One file of a deployment is broken, its checksums are rewritten or not, and the folder is checked.

    A change to anything that follows from something else in the folder is refused.
    """
    whole = root / "whole"
    write_deployment(read_study(study), CELL, whole, Narrator())
    files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    found = []
    for seed in seeds:
        chance = random.Random(seed)
        folder = root / str(seed)
        shutil.copytree(whole, folder / "cells")
        path = folder / "cells" / chance.choice(files)
        before = path.read_bytes()
        mutate = broken_json if path.suffix == ".json" else broken_npz if path.suffix == ".npz" else broken_bytes
        path.write_bytes(mutate(before, chance))
        changed = path.read_bytes() != before
        if chance.random() < 0.7 and path.name != "checksums.sha256":
            write_checksums(folder / "cells")
        ended, problem = looked_at(forked.command("deploy", "--check", "cells"), folder, set())
        if changed and ended.status == 0 and path.name not in TOLD:
            problem = "passed although it was changed"
        found += [f"mutant {seed}, {path.relative_to(folder)}, {problem}"] if problem else []
    assert not found, "\n\n".join(found)


def looked_at(work: Callable[[], object], folder: Path, own: set[Path]) -> tuple[forked.Ended, str]:
    """Run it, and return how it ended and the problems with that or with what it left.

    Args:
        own: folders that it may write besides `out` and its cache.
    """
    for name in ("home", "tmp", "cache"):
        (folder / name).mkdir()
    variables = {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "ASSAY_CACHE": str(folder / "cache"),
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "TERM": "dumb",
    }
    before = listing(folder.parent)
    ended = forked.run(work, folder, folder / "printed", variables)
    problem = ended.problem()
    allowed = {folder / "printed", folder / "out", folder / "cache", *own}
    left = {path for path in listing(folder.parent) - before if not any(path.is_relative_to(one) for one in allowed)}
    if left and not problem:
        problem = f"wrote outside of its folder: {sorted(map(str, left))}"
    if ended.status == 2 and not problem and not {"assay:", "Error"} & set(ended.printed.split()):
        problem = "was refused without a message"
    shutil.rmtree(folder)
    return ended, f"{problem}: {ended.printed[-1500:]}" if problem else ""


def listing(folder: Path) -> set[Path]:
    return {Path(place) / name for place, folders, files in os.walk(folder) for name in (*folders, *files)}


def _merging(path: Path) -> dict[str, bool]:
    return {"dirs_exist_ok": True} if path.is_dir() else {}
