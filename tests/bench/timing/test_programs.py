"""Runtimes that load a format of their own, or compute in reduced precision, before anything is timed."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.bench.timing.programs import with_programs
from assay.bench.timing.workers import Candidate
from assay.export.programs.programs import Workshop
from assay.registry import RUNTIMES
from assay.runtimes.entry import AS_IT_COMES
from assay.store import Store
from tests.bench.timing.test_schedule import FILES

REDUCING = [one.name for one in RUNTIMES.values() if one.runs_files and one.precision not in {"", AS_IT_COMES}]


@pytest.mark.parametrize("runtime", REDUCING)
def test_a_file_of_reduced_precision_is_not_reduced_again(tmp_path: Path, runtime: str) -> None:
    """OpenVINO in bf16 computes an int8 file in int8, so that the audit would fail what nobody asked for."""
    int8 = FILES.model_copy(update={"precision": "int8"})
    candidates = [Candidate(name, "torch-dynamo+int8", int8) for name in (runtime, "ort.cpu", "openvino.default")]
    able, refused = with_programs(candidates, Workshop(Store(tmp_path), lambda: None))
    assert [one.runtime for one in able] == ["ort.cpu", "openvino.default"]
    assert not refused
