"""A file for a runtime is made again if anything that determines it changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn, Unpack

import pytest
from pydantic import JsonValue

from assay.errors import DiskError
from assay.export.programs.programs import Workshop, program_of
from assay.jobs.host import How
from assay.jobs.process import Here
from assay.registry import RUNTIMES
from assay.spec import ModelSpec
from assay.store import Store
from assay.train.built import BuiltModel

MODEL = BuiltModel(spec=ModelSpec("bloodnet", 28, 8), weights=Path("none"), fingerprint="weights")


class Keys(Store):
    """A store that is asked and makes nothing."""

    def kept(self, kind: str, inputs: dict[str, JsonValue], *args: object, **more: object) -> object:  # type: ignore[override]
        raise LookupError(inputs)


def asked(runtime: str, processor: str, **more: Any) -> dict[str, JsonValue]:
    workshop = Workshop(Keys(Path("none")), lambda: None, processor=processor, **more)
    with pytest.raises(LookupError) as caught:
        program_of(RUNTIMES[runtime], MODEL, workshop)
    return dict(caught.value.args[0])


@pytest.mark.parametrize("runtime", [name for name, entry in RUNTIMES.items() if entry.maker])
def test_code_is_for_the_processor_that_it_was_made_on_and_other_files_are_for_any(runtime: str) -> None:
    same = asked(runtime, "one") == asked(runtime, "another")
    assert same != RUNTIMES[runtime].makes_code
    assert RUNTIMES[runtime].makes_code == runtime.startswith("torch.aot")


@pytest.mark.parametrize("runtime", [name for name, entry in RUNTIMES.items() if entry.maker])
def test_code_for_a_gpu_is_for_that_gpu_and_what_runs_on_the_processor_alone_is_as_in_any_study(runtime: str) -> None:
    on_cpu = asked(runtime, "one")
    one, another = (asked(runtime, "one", device="cuda", gpus=(name,)) for name in ("H200, 580", "H200, 590"))
    for_gpu = runtime in {"torch.aot", "torch.aot.bf16"}
    assert ("cuda" in RUNTIMES[runtime].devices) == for_gpu
    assert (one != on_cpu, one != another) == (for_gpu, for_gpu)


class Started(Here):
    """A machine that says how a process was started, and starts none."""

    def __init__(self) -> None:
        self.environment: dict[str, str] = {}

    def start(self, module: str, log: Path, **how: Unpack[How]) -> NoReturn:
        self.environment = dict(how.get("environment") or {})
        raise DiskError("nothing is started")


@pytest.mark.parametrize(("device", "hidden"), [("cpu", True), ("cuda", False)])
def test_the_job_that_makes_code_sees_a_gpu_only_where_the_code_is_for_one(
    device: str, hidden: bool, tmp_path: Path
) -> None:
    host = Started()
    with pytest.raises(DiskError, match="nothing is started"):
        program_of(RUNTIMES["torch.aot"], MODEL, Workshop(Store(tmp_path), lambda: None, host=host, device=device))
    assert ("CUDA_VISIBLE_DEVICES" in host.environment) == hidden
    assert ("CUDA_DEVICE_ORDER" in host.environment) != hidden
