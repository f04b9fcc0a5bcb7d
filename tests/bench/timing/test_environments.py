"""A runtime that cannot share our packages on a device has its own environment there, or a reason why it has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay import toolenv
from assay.bench.timing import environments
from assay.bench.timing.environments import list_of, with_environments
from assay.bench.timing.workers import Candidate
from assay.errors import DiskError, NotInstalledError
from assay.infer.runtime import ModelFiles
from assay.pins import read_pins
from assay.registry import RUNTIMES
from assay.spec import ModelSpec
from assay.train.built import BuiltModel

MODEL = ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", 28, 8), weights=Path("weights.safetensors")))
WANTED = [Candidate(name, "", MODEL) for name in ("torch.eager", "tf.function", "tf.function.bf16", "tf.xla")]
FOR_WORKERS = {"numpy", "pydantic", "safetensors"}
"""The packages that every worker imports."""


class Making:
    """A replacement for making environments; it counts."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.names = error, list[str]()

    def __call__(self, name: str, requirements: Path, progress: toolenv.Progress) -> Path:
        assert requirements == list_of(name)
        self.names.append(name)
        if self.error:
            raise self.error
        return Path("made") / name


def placed(device: str, making: Making, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, str], dict[str, str]]:
    """The interpreter of each candidate, by runtime, and the reason of each refusal."""
    monkeypatch.setattr(environments.toolenv, "ensure", making)
    able, refused = with_environments(WANTED, device, lambda *_: None)
    return {one.runtime: str(one.python or "") for one in able}, {one.runtime: why for one, why in refused}


def test_on_a_gpu_tensorflow_has_one_that_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    making = Making()
    able, refused = placed("cuda", making, monkeypatch)
    assert able == {
        "torch.eager": "", "tf.function": "made/tf-cuda", "tf.function.bf16": "", "tf.xla": "made/tf-cuda",
    }  # fmt: skip
    assert (refused, making.names) == ({}, ["tf-cuda"])


def test_on_the_cpu_all_share_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    able, refused = placed("cpu", making := Making(), monkeypatch)
    assert set(able.values()) == {""}
    assert (refused, making.names) == ({}, [])


def test_one_that_cannot_be_made_costs_its_own_candidates_and_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    making = Making(NotInstalledError("Cannot create a tool environment"))
    able, refused = placed("cuda", making, monkeypatch)
    assert set(able) == {"torch.eager", "tf.function.bf16"}
    assert refused == dict.fromkeys(("tf.function", "tf.xla"), "Cannot create a tool environment")
    assert making.names == ["tf-cuda"]


def test_a_full_disk_is_the_machine_s_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DiskError):
        placed("cuda", Making(DiskError("full")), monkeypatch)


def test_every_environment_has_a_list_with_what_a_worker_needs() -> None:
    named = {name for entry in RUNTIMES.values() for name in entry.environments.values()}
    assert named
    for name in named:
        assert {pin.name for pin in read_pins(list_of(name))} >= FOR_WORKERS, name
