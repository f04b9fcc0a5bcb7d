"""A file for a runtime is made again if anything that determines it changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import JsonValue

from assay.export.programs.programs import Workshop, program_of
from assay.registry import RUNTIMES
from assay.spec import ModelSpec
from assay.store import Store
from assay.train.built import BuiltModel

MODEL = BuiltModel(spec=ModelSpec("bloodnet", 28, 8), weights=Path("none"), fingerprint="weights")


class Keys(Store):
    """A store that is asked and makes nothing."""

    def kept(self, kind: str, inputs: dict[str, JsonValue], *args: object, **more: object) -> object:  # type: ignore[override]
        raise LookupError(inputs)


def asked(runtime: str, processor: str) -> dict[str, JsonValue]:
    with pytest.raises(LookupError) as caught:
        program_of(RUNTIMES[runtime], MODEL, Workshop(Keys(Path("none")), lambda: None, processor=processor))
    return dict(caught.value.args[0])


@pytest.mark.parametrize("runtime", [name for name, entry in RUNTIMES.items() if entry.maker])
def test_code_is_for_the_processor_that_it_was_made_on_and_other_files_are_for_any(runtime: str) -> None:
    same = asked(runtime, "one") == asked(runtime, "another")
    assert same != RUNTIMES[runtime].makes_code
    assert RUNTIMES[runtime].makes_code == runtime.startswith("torch.aot")
