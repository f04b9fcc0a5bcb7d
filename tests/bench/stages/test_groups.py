"""One group of a study: the names of groups, a wrong name refused before any work, and only that group made."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.bench.conductor import run_study
from assay.bench.course import SHARED_ROOMS
from assay.bench.run import Run
from assay.bench.stages import time as stage
from assay.bench.stages.time import groups_of, names_of_groups
from assay.bench.words.progress import Narrator
from assay.errors import InputError
from assay.fleet.shelf import FolderShelf
from assay.fleet.tier import SharedTier
from assay.study import Study

STUDY = Study.model_validate(
    {
        "name": "small",
        "models": [{"architecture": "bloodnet", "sizes": [28, 64], "epochs": [1, 1]}],
        "bench": {"threads": [1, 2]},
    }
)
NAMES = ["bloodnet/28/t1", "bloodnet/64/t1", "bloodnet/28/t2", "bloodnet/64/t2"]


def test_groups_are_called_by_model_size_and_threads() -> None:
    assert names_of_groups(STUDY) == NAMES


def test_a_wrong_name_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"bloodnet/28/t3.*one of bloodnet/28/t1.*Did you mean"):
        run_study(STUDY, tmp_path / "small", tmp_path, Narrator(), groups=("bloodnet/28/t3",))
    assert list(tmp_path.iterdir()) == []


def test_only_the_named_group_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Trained:
        def __init__(self, size: int) -> None:
            self.spec = type("Spec", (), {"architecture": "bloodnet", "size": size})()

    monkeypatch.setattr(stage, "_group", lambda run, one, exports, threads: (one.spec.size, threads))
    subjects = [Trained(28), Trained(64)]

    def made(*groups: str) -> list[object]:
        run = Run(STUDY, tmp_path, tmp_path, Narrator(), groups=groups)
        return list(groups_of(run, subjects, []))  # type: ignore[arg-type]

    assert made() == [(28, 1), (64, 1), (28, 2), (64, 2)]
    assert made("bloodnet/64/t1", "bloodnet/28/t2") == [(64, 1), (28, 2)]


def test_times_are_not_shared_between_machines(tmp_path: Path) -> None:
    run = Run(STUDY, tmp_path, tmp_path, Narrator(), tier=SharedTier(FolderShelf(tmp_path / "shared")))
    assert all(run.store(room).tier for room in SHARED_ROOMS)
    told = ("units", "instances", "attribution", "ceilings", "audits", "compared/x")
    assert [room for room in told if run.store(room).tier] == []
