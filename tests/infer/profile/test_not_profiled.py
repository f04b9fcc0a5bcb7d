"""Code that calls its kernels without the profiler is timed without one, and has no split of its time."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.infer.profile import attribute_job
from assay.infer.profile.attribute_job import AttributedModel, AttributionRequest, Figures, work
from assay.infer.runtime import ModelFiles
from assay.registry import RUNTIMES
from assay.runtimes.entry import RuntimeEntry
from assay.spec import ModelSpec, Settings
from assay.train.built import BuiltModel


class Nothing:
    """A session that does nothing."""

    def prepare(self, images: object) -> object:
        return images

    def run(self, native: object) -> object:
        return native

    def close(self) -> None:
        """Release nothing, as there is nothing."""


@pytest.mark.parametrize("runtime", [name for name, entry in RUNTIMES.items() if entry.makes_code])
def test_a_package_is_not_profiled(runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its profile had 1 % of the time in kernels, which was all that the profiler saw."""
    monkeypatch.setattr(RuntimeEntry, "load", lambda entry: lambda model, settings: Nothing())
    monkeypatch.setattr(attribute_job, "load_function", lambda *named: pytest.fail("it is profiled"))
    model = ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", 28, 8), weights=Path("none")))
    told: list[Figures] = []
    subject = AttributedModel(name="it", model=model, batches=(1,))
    work(AttributionRequest(runtime=runtime, settings=Settings(), subjects=(subject,), seconds=0.01), told.append)
    assert told[0].reason == f"{runtime} calls its kernels without the profiler"
    assert told[0].plain_ns
    assert not told[0].rounds
