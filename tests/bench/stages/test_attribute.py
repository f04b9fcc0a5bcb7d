"""The attribution stage in fresh processes of a real runtime on a real file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from assay.bench.machine.host import LOCAL
from assay.bench.stages import attribute
from assay.bench.stages.attribute import PROCESSES, AttributionSettings, attribute_all
from assay.bench.timing.trials import Group
from assay.bench.timing.workers import Candidate
from assay.infer.runtime import ModelFiles
from assay.records.base import Interval
from assay.records.results import Cell
from assay.spec import ModelSpec, Settings
from assay.store import Store
from assay.train.built import BuiltModel
from tests.bench.explaining.test_estimate import cell
from tests.export.models import workspace


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Group:
    place = workspace("bloodnet", tmp_path_factory)
    model = ModelFiles(model=BuiltModel(spec=place.spec), onnx=place.model("torch-script"), onnx_layout="NCHW")
    candidate = Candidate("ort.cpu", "torch-script", model)
    return Group("bloodnet/28/t1", (candidate,), (1, 2), Settings(), place.folder / "images.npy")


def timed(group: Group) -> list[Cell]:
    label = group.candidates[0].label
    plain = cell(28, 1, 1.0).model_copy(update={"label": label, "runtime": "ort.cpu", "framework": "onnx"})
    return [plain.model_copy(update={"batch": batch, "name": group.cell_name(batch, label)}) for batch in group.batches]


@pytest.mark.slow
def test_every_runtime_is_profiled_in_fresh_processes(group: Group, tmp_path: Path) -> None:
    """Each process leaves its answers in its own folder, and the next run reads them from there."""
    told: list[str] = []
    place = AttributionSettings(Store(tmp_path), 18, 60.0, host=LOCAL)
    found = attribute_all([group], timed(group), place, told.append).attributions
    assert [one.profiled.processes for one in found] == [PROCESSES, PROCESSES]
    assert [one.skeleton.processes for one in found] == [PROCESSES, PROCESSES]
    assert len(list(tmp_path.glob("ort.cpu-p*"))) == PROCESSES
    assert told[-1] == f"attributing the time of ort.cpu, process {PROCESSES} of {PROCESSES}"
    for one in found:
        assert one.profiled.kernel_ms is not None
        assert 0 <= one.profiled.kernel_ms.low < one.profiled.kernel_ms.value < one.profiled.kernel_ms.high <= 1.0
    assert attribute_all([group], timed(group), place, told.append).attributions == found


@pytest.mark.slow
def test_where_time_is_short_every_runtime_has_one_process(group: Group, tmp_path: Path) -> None:
    place = replace(AttributionSettings(Store(tmp_path), 18, 60.0, host=LOCAL), seconds=0.0)
    found = attribute_all([group], timed(group), place, lambda _: None).attributions
    assert [one.profiled.processes for one in found] == [1, 1]
    assert found[0].profiled.kernel_ms is not None
    assert found[0].profiled.kernel_ms == Interval(value=found[0].profiled.kernel_ms.value, low=0, high=1)


@pytest.mark.parametrize(("seconds", "processes"), [(0, [1, 1]), (20, [1, 1]), (35, [2, 1]), (90, [PROCESSES] * 2)])
def test_the_first_processes_count_as_seconds_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seconds: float, processes: list[int]
) -> None:
    """For a model of 9 us with half a minute, attribution took as long as the timing."""
    now, done = [0.0], [0, 0]

    def answers(task: int, *_: object) -> dict[tuple[str, int], SimpleNamespace]:
        now[0] += 10.0
        done[task] += 1
        return {("model", 1): SimpleNamespace(plain_ns=[1], rounds=[])}

    monkeypatch.setattr(attribute, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(attribute, "_answers", lambda task, *rest: answers(int(task.runtime), *rest))
    place = replace(AttributionSettings(Store(tmp_path), 18, 60.0, host=LOCAL), seconds=seconds)
    tasks = [attribute.AttributionTask(str(number), Settings(), ()) for number in range(2)]
    attribute._answers_of_processes(tasks, {}, place, lambda _: None)
    assert done == processes


@pytest.mark.parametrize(("device", "expected"), [("cuda", Path("tf-cuda/python")), ("cpu", None)])
def test_a_runtime_with_an_environment_of_its_own_on_a_device_is_profiled_there(
    device: str, expected: Path | None
) -> None:
    model = ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", 28, 8)))
    there = Candidate("tf.function", "", model, python=Path("tf-cuda/python"))
    group = Group("bloodnet/28/t1", (there,), (1,), Settings(device=device), Path("images.npy"))
    task = attribute.AttributionTask("tf.function", Settings(device=device), (group,))
    assert task.python() == expected
