"""Variants of reduced precision: made from a real export, really computed in less, and detected if they are not."""

from __future__ import annotations

import numpy as np
import pytest

from assay.errors import ExportFailedError
from assay.export.run import artifact_folder, usable_model
from assay.export.variants.quantize import Int8Settings, check_computes_in
from assay.export.variants.variants import VariantJob, export_variant
from assay.numerics.agreement import compare_reduced
from assay.numerics.classification.reduced import BY_CLASSES, LARGEST_FLIPPED_MARGIN
from assay.records.results import Export
from tests.export.models import Workspace, silent, workspace


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return workspace("bloodnet", tmp_path_factory)


def variant(place: Workspace, precision: str) -> VariantJob:
    source = place.export("torch-script")
    images, settings = place.folder / "images.npy", Int8Settings(99.99)
    return VariantJob(source, place.job("torch-script"), precision, images, 0, settings)


@pytest.fixture(scope="module")
def int8(place: Workspace) -> Export:
    return export_variant(variant(place, "int8"), silent)


def test_int8_passes_every_check_of_an_export(int8: Export) -> None:
    assert int8.status == "ok", int8.reason
    assert (int8.exporter, int8.precision) == ("torch-script+int8", "int8")
    assert int8.agreement
    assert all(one.passed for one in int8.agreement)
    assert int8.operators["QuantizeLinear"] > 0
    assert int8.operators["DequantizeLinear"] > 0


def test_it_says_what_it_was_calibrated_with(int8: Export, place: Workspace) -> None:
    assert int8.calibration is not None
    assert (int8.calibration.method, int8.calibration.images, int8.calibration.seed) == ("percentile 99.99", 32, 0)
    assert len(int8.calibration.sha256) == 64
    assert "in integers" in int8.made_by["transforms"]


def test_it_is_computed_in_integers_and_an_fp32_file_is_not(int8: Export, place: Workspace) -> None:
    assert check_computes_in(usable_model(int8, place.exports), "int8").startswith("7 operators in integers")
    with pytest.raises(ExportFailedError, match="computes the int8 graph in fp32"):
        check_computes_in(place.model("torch-script"), "int8")


def test_making_it_again_makes_nothing(int8: Export, place: Workspace) -> None:
    path = artifact_folder(int8, place.exports) / "manifest.json"
    before = path.stat().st_mtime_ns
    assert export_variant(variant(place, "int8"), silent) == int8
    assert path.stat().st_mtime_ns == before


def test_bf16_is_refused_with_what_to_do_instead(place: Workspace) -> None:
    record = export_variant(variant(place, "bf16"), silent)
    assert record.status == "failed"
    assert "openvino.bf16" in record.reason


def test_calibration_by_percentile_or_by_extremes_is_said() -> None:
    assert Int8Settings(99.9).method == "percentile 99.9"
    assert Int8Settings(100).method == "least and greatest value"


def test_only_flips_that_the_reference_is_sure_of_are_against_a_variant() -> None:
    reference = np.array([[2.0, 1.9, 0.0], [5.0, 1.0, 0.0]])
    unsure = np.array([[1.9, 2.0, 0.0], [5.0, 1.0, 0.0]])
    sure = np.array([[2.0, 1.9, 0.0], [1.0, 5.0, 0.0]])
    assert compare_reduced("x", unsure, reference, BY_CLASSES).passed
    assert compare_reduced("x", unsure, reference, BY_CLASSES).largest_moved == 1
    found = compare_reduced("x", sure, reference, BY_CLASSES)
    assert not found.passed
    assert "in the reference is 4" in found.reason
    assert found.tolerance == LARGEST_FLIPPED_MARGIN
    assert not compare_reduced("x", np.full((2, 3), np.nan), reference, BY_CLASSES).passed
    assert not compare_reduced("x", np.zeros((0, 3)), np.zeros((0, 3)), BY_CLASSES).passed
