"""From a finished study to a verified server: what `assay deploy` writes is served here, and answers as audited."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.deploy import write_deployment
from bench.deployment.subject import read_study
from bench.progress import Narrator
from bench.serving.audited import read_audited, target_of
from bench.serving.verify import verify
from infer.wire import WAYS
from tests.bench.finished_study import CELL, make_study
from tests.bench.serving.conftest import start, stop


@pytest.mark.slow
def test_a_deployed_model_gives_its_audited_answers_over_the_wire(platform: None, tmp_path: Path) -> None:
    study = make_study(tmp_path)
    folder = study / "deployment"
    write_deployment(read_study(study, None), CELL, folder, Narrator())
    served = start(folder, tmp_path / "log")
    try:
        audited = read_audited(folder, None, None, tmp_path / "data")
        found = verify(audited, target_of(audited.deployment, served.ready["http"], None), WAYS)
    finally:
        assert stop(served) == 0
    assert found.passed, found
    assert {way.images for way in found.ways} == {len(audited.images)}
    assert all(way.accuracy == found.audited_accuracy for way in found.ways)
