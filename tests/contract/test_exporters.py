"""Rules that every registered exporter follows, for every architecture: the right numbers in a file of the agreed form.

By default, all of them run on bloodnet. The other architectures' exports by PyTorch are made and run in the tests of
checks and of references.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import onnx
import pytest

from assay.bench.stages.skeletons import skeleton_files
from assay.export import routes, run
from assay.export.checking.check import BATCHES, check_structure
from assay.export.graph.inspect import Inspection
from assay.export.run import artifact_folder, export_model, usable_model
from assay.jobs.process import HERE
from assay.records.results import Export
from assay.registry import ARCHITECTURES, EXPORTERS
from assay.spec import INPUT_NAME, OUTPUT_NAME, ModelSpec
from assay.store import Store
from tests.export.models import Workspace, silent, usable_exports, workspace

LEVELS = 5


def cases() -> list[object]:
    """Every architecture with every exporter; the larger ones take long."""
    return [
        pytest.param(
            (architecture, exporter),
            id=f"{architecture}-{exporter}",
            marks=[] if architecture == "bloodnet" else [pytest.mark.slow],
        )
        for architecture, exporter in product(ARCHITECTURES, EXPORTERS)
    ]


def test_a_route_is_one_entry_and_one_file_for_all_models() -> None:
    modules = [entry.target.partition(":")[0].rpartition(".")[2] for entry in EXPORTERS.values()]
    assert sorted(modules) == sorted(path.stem for path in Path(routes.__path__[0]).glob("from_*.py"))


@pytest.mark.slow
def test_a_skeleton_is_exported_by_the_same_job(tmp_path: Path) -> None:
    """It is compared with nothing, because its numbers mean nothing."""
    files = skeleton_files(ModelSpec("bloodnet", 28, 8), "torch-script", 18, Store(tmp_path), HERE)
    assert (files.spec.skeleton, files.onnx_layout) == (True, "NCHW")
    assert files.onnx is not None
    check_structure(files.onnx, files.spec, "NCHW")


@pytest.fixture(scope="module", params=cases())
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Export]:
    architecture, exporter = request.param
    place = workspace(architecture, tmp_path_factory)
    return place, place.export(exporter)


def test_it_passes_every_check(exported: tuple[Workspace, Export]) -> None:
    _, record = exported
    assert (record.status, record.reason) == ("ok", "")
    assert len(record.agreement) == LEVELS * len(BATCHES)
    for agreement in record.agreement:
        assert agreement.passed
        assert agreement.largest_moved == 0
        assert (
            agreement.max_absolute
            <= agreement.tolerance
            < 1e-4 * agreement.max_absolute / max(agreement.max_relative, 1e-12)
        ), "the tolerance stays far below 1e-4 of the largest logit"


def test_its_file_has_the_agreed_form(exported: tuple[Workspace, Export]) -> None:
    place, record = exported
    model = onnx.load(usable_model(record, place.exports))
    assert [value.name for value in model.graph.input] == [INPUT_NAME]
    assert [value.name for value in model.graph.output] == [OUTPUT_NAME]
    assert record.opset == record.opset_asked == 18
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["assay.exporter"] == record.exporter
    assert metadata["assay.architecture"] == record.architecture
    assert metadata["assay.weights"] == record.weights
    channels_first = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value == place.spec.channels
    assert metadata["assay.layout"] == ("NCHW" if channels_first else "NHWC")
    assert metadata["assay.versions"]


def test_what_it_made_is_described(exported: tuple[Workspace, Export]) -> None:
    place, record = exported
    folder = artifact_folder(record, place.exports)
    inspection = Inspection.model_validate(json.loads((folder / "inspection.json").read_text()))
    assert inspection.operators == record.operators
    assert inspection.optimised is not None
    assert inspection.optimised.transposes == record.transposes_after_optimisation
    assert record.nodes == sum(record.operators.values())
    assert record.parameters > 100_000
    assert record.file_bytes == (folder / "model.onnx").stat().st_size
    assert str(place.folder) not in (folder / "manifest.json").read_text()


def test_it_is_not_made_twice(exported: tuple[Workspace, Export], monkeypatch: pytest.MonkeyPatch) -> None:
    place, record = exported

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a finished export was started again")

    monkeypatch.setattr(run, "run_job", refuse)
    assert export_model(place.job(record.exporter), silent) == record
    assert record in [found for found, _ in usable_exports(place.exports)]
