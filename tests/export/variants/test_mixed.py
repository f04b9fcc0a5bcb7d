"""int8 of one of our models that fails its policy on validation images, repaired: real files, in jobs, kept in
stores.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import JsonValue

from assay.export.run import artifact_folder, export_model, job_of_weights, usable_model
from assay.export.variants.mixed import MixedJob, export_mixed
from assay.export.variants.quantize import Int8Settings, check_computes_in
from assay.export.variants.variants import VariantJob, export_variant
from assay.records.results import Export
from assay.spec import ModelSpec
from assay.store import Store, write_artifact
from assay.train.batches import normalise
from assay.train.datasets.data import DataRequest, open_dataset, store_dataset
from assay.train.weights import save_weights
from tests.contract.training_steps import moved_weights
from tests.export.models import IMAGES, SIZE, Workspace, silent

BAD = "stage2.unit2.conv.kernel"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """bloodnet with one layer that must not be int8: its weights for a channel that is always zero are far larger than
    the others, which share their step.
    """
    found = Workspace(ModelSpec("bloodnet", SIZE, 8), tmp_path_factory.mktemp("planted"))
    weights = moved_weights(found.spec)
    for name in ("scale", "offset"):
        weights[f"stage2.unit1.norm.{name}"][0] = 0
    weights[BAD][:, :, 0] = 300
    weights["head.kernel"] *= 30

    def fill(work: Path) -> dict[str, JsonValue]:
        save_weights(work / "weights.safetensors", weights)
        return {}

    write_artifact(found.folder / "weights", "weights", {"spec": dict(found.spec.to_dict())}, made_by={}, fill=fill)
    return found


@pytest.fixture(scope="module")
def mixed(place: Workspace, tmp_path_factory: pytest.TempPathFactory) -> MixedJob:
    folder = tmp_path_factory.mktemp("mixed")
    data = store_dataset(DataRequest("synthetic", SIZE, limit=60, cache=folder / "cache"), silent)
    images = place.folder / "images.npy"
    np.save(images, normalise(open_dataset(data.folder).train.images[:IMAGES]))
    kept = (place.exports, place.references)
    job = job_of_weights("torch-script", place.folder / "weights", images, *kept, task="numerical")
    source = export_model(job, silent)
    variant = VariantJob(source, job, "int8", images, 0, Int8Settings(99.99))
    int8 = export_variant(variant, silent)
    return MixedJob(variant, int8, Store(folder / "trials"), 2.0, data.folder, open_dataset(data.folder).content_hash)


@pytest.fixture(scope="module")
def made(mixed: MixedJob) -> Export:
    found = export_mixed(mixed, silent)
    assert found is not None
    return found


@pytest.mark.slow
def test_the_bad_layer_is_left_in_fp32_by_what_validation_images_show(
    made: Export, mixed: MixedJob, place: Workspace
) -> None:
    assert made.search is not None
    assert "50% is allowed: the output does not follow the reference" in made.search.why
    assert made.search.judged_on == "60 images of the validation split"
    assert made.status == "ok", made.reason
    assert (made.exporter, made.precision) == ("torch-script+int8-mixed", "int8")
    assert made.calibration is not None
    left = made.calibration.left_out
    (layer,) = left
    sensitivities = list(made.search.sensitivities.values())
    assert next(iter(made.search.sensitivities)) == layer
    assert sensitivities[0] > 10 * sensitivities[1]
    check_computes_in(usable_model(made, place.exports), "int8", left)
    assert [one.passed for one in made.search.steps] == [False, True]
    assert made.search.ended == "minimal"


@pytest.mark.slow
def test_looking_again_measures_nothing(made: Export, mixed: MixedJob, place: Workspace) -> None:
    path = artifact_folder(made, place.exports) / "manifest.json"
    before = path.stat().st_mtime_ns
    assert export_mixed(mixed, silent) == made
    assert path.stat().st_mtime_ns == before


@pytest.mark.slow
def test_nothing_is_searched_without_a_request_or_an_int8_file(
    made: Export, mixed: MixedJob, place: Workspace, tmp_path: Path
) -> None:
    assert export_mixed(replace(mixed, minutes=0), silent) is None
    assert export_mixed(replace(mixed, variant=replace(mixed.variant, precision="fp16")), silent) is None
    none_made = mixed.int8.model_copy(update={"status": "failed", "agreement": []})
    assert export_mixed(replace(mixed, int8=none_made, trials=Store(tmp_path)), silent) is None
