"""Several instances, really started: they run at the same time, each on its own cores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from assay.bench.machine.host import LOCAL
from assay.bench.statistics.together import common_window, together
from assay.bench.timing.instances import InstanceSet, stamps_name
from assay.bench.timing.trials import Group
from assay.bench.timing.workers import Candidate
from tests.bench.timing.test_trials import group  # noqa: F401  a fixture

pytestmark = pytest.mark.skipif(len(LOCAL.cores()) < 2, reason="two cores are needed")


def instance_set(of: Group, candidate: Candidate, folder: Path) -> InstanceSet:
    return InstanceSet(of, candidate, 2, 60, folder, folder / "cache", LOCAL)


def test_two_processes_call_at_the_same_time(group: Group, tmp_path: Path) -> None:  # noqa: F811
    part = replace(group, batches=(2,))
    (seen,) = instance_set(part, group.candidates[0], tmp_path).run()
    stamps = [np.load(tmp_path / stamps_name(2, number)) for number in range(2)]
    begin, end = common_window(stamps)
    assert (end - begin) / 1e9 > 1, "of the two seconds that each calls"
    found = together(stamps)
    assert found is not None
    assert found.fewest > 8
    assert seen.reason == ""
    assert seen.peak_mib > 0


def test_a_runtime_that_cannot_start_costs_its_own_set(group: Group, tmp_path: Path) -> None:  # noqa: F811
    files = group.candidates[0].model.model_copy(update={"onnx": tmp_path / "nowhere.onnx"})
    broken = Candidate("ort.cpu", "torch-dynamo", files)
    found = instance_set(group, broken, tmp_path).run()
    assert [one.batch for one in found] == [1, 2]
    assert all("nowhere.onnx" in one.reason for one in found)
