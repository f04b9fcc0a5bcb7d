"""Candidates that find no room on a fake GPU beside the others are run after them; the units are fakes too."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars
import pytest

from assay.bench.timing import room
from assay.bench.timing.room import AFTER, NO_ROOM, TIMED
from assay.bench.timing.trials import CellFacts, Group
from assay.bench.timing.unit_files import BURSTS_FILE, CELL_FACTS, FACTS_FILE, SAMPLES_FILE, UnitFacts, fill_unit
from assay.bench.timing.workers import Candidate
from assay.files.columns import BURST_COLUMNS, SAMPLE_COLUMNS
from assay.files.tables import read_table
from assay.files.texts import read_json
from assay.infer.runtime import ModelFiles
from assay.spec import ModelSpec, Settings
from assay.train.built import BuiltModel

FILES = ModelFiles(model=BuiltModel(spec=ModelSpec("resnet18", 224, 8)))
SMALL, LARGE = Candidate("torch.eager", "", FILES), Candidate("jax.jit", "", FILES)
FULL = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 4294967296 bytes."


@dataclass
class FakeUnit:
    """A unit in which `room_for` batches of the large candidate fit beside another, and all fit alone."""

    group: Group
    process: int = 1
    limits: object = None
    folder: Path = Path()
    compile_cache: Path = Path()
    host: object = None
    firsts: frozenset[str] = frozenset()
    room_for: tuple[int, ...] = ()
    facts: list[CellFacts] = field(default_factory=list)
    spent: dict[str, dict[int, float]] = field(default_factory=dict)

    def run(self, tell: object) -> float:
        for one in self.group.candidates:
            crowded = one == LARGE and len(self.group.candidates) > 1
            self.spent[one.label] = {0: 2.0}
            for batch in self.group.batches:
                reason = FULL if crowded and batch not in self.room_for else ""
                cell = self.group.cell_name(batch, one.label)
                self.facts.append(CellFacts(cell=cell, process=self.process, reason=reason))
                self.spent[one.label][batch] = 1.0
        return 3.0

    def _timed(self) -> list[str]:
        return [one.cell for one in self.facts if not one.reason]

    def samples(self) -> polars.DataFrame:
        rows = [(cell, self.process, 0, 0, "host", 1000, 1000) for cell in self._timed()]
        return polars.DataFrame(rows, schema=SAMPLE_COLUMNS, orient="row")

    def burst_table(self) -> polars.DataFrame:
        rows = [(cell, self.process, 0, 0, 1, 1, 0, None, None) for cell in self._timed()]
        return polars.DataFrame(rows, schema=BURST_COLUMNS, orient="row")


def filled(
    folder: Path, device: str, monkeypatch: pytest.MonkeyPatch, **more: Any
) -> tuple[UnitFacts, list[CellFacts]]:
    monkeypatch.setattr(room, "Unit", FakeUnit)
    group = Group("resnet18/224/t1", (SMALL, LARGE), (1, 32), Settings(device=device), Path("images.npy"))
    unit: Any = FakeUnit(group, folder=folder, **more)
    known = UnitFacts.model_validate(fill_unit(unit, lambda text: None))
    return known, CELL_FACTS.validate_python(read_json(folder / FACTS_FILE))


def test_the_batches_that_lacked_room_are_timed_after_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, facts = filled(tmp_path, "cuda", monkeypatch, room_for=(1,))
    names = [f"resnet18/224/b{batch}/t1/{one}" for one in ("torch.eager", "jax.jit") for batch in (1, 32)]
    assert [one.cell for one in facts] == names
    assert not any(one.reason for one in facts)
    assert [one.facts for one in facts] == [{}, {}, {}, {TIMED: AFTER}]
    assert read_table(tmp_path / SAMPLES_FILE)["cell"].to_list() == names
    assert read_table(tmp_path / BURSTS_FILE)["cell"].to_list() == names
    assert known.spent["jax.jit"] == {"0": 2.0, "1": 1.0, "32": 1.0}


def test_on_the_processor_a_full_memory_is_a_failure_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, facts = filled(tmp_path, "cpu", monkeypatch)
    assert [one.reason for one in facts] == ["", "", FULL, FULL]


def test_what_has_no_time_left_to_run_alone_keeps_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_time = FakeUnit.run

    def late(self: FakeUnit, tell: object) -> float:
        seconds = in_time(self, tell)
        if len(self.group.candidates) == 1:
            self.facts = [one.model_copy(update={"skipped": True}) for one in self.facts]
        return seconds

    monkeypatch.setattr(FakeUnit, "run", late)
    _, facts = filled(tmp_path, "cuda", monkeypatch)
    assert [one.reason for one in facts] == ["", "", FULL, FULL]


@pytest.mark.parametrize(
    ("reason", "full"),
    [
        (FULL, True),
        ("OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB", True),
        ("ResourceExhaustedError: OOM when allocating tensor with shape[256,64,112,112]", True),
        ("BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 8", True),
        ("cuDNN error: CUDNN_STATUS_ALLOC_FAILED", True),
        ("RuntimeError: no kernel image is available for execution on the device", False),
        ("", False),
    ],
)
def test_a_full_memory_is_known_by_what_the_frameworks_say(reason: str, full: bool) -> None:
    assert bool(NO_ROOM.search(reason)) is full
