"""Reference outputs are computed once, and only from weights and images that fit together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.errors import ArtifactError, InputError
from assay.export.reference import reference
from assay.export.reference.reference import ReferenceRequest, ensure_reference, read_images, spec_of
from assay.jobs.pace import pace_in
from assay.spec import ModelSpec
from assay.store import write_artifact
from tests.export.models import IMAGES, Workspace, silent, workspace

SPEC = ModelSpec("bloodnet", 28, 8)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return workspace("bloodnet", tmp_path_factory)


def test_it_is_computed_once(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    request = ReferenceRequest(place.folder / "weights", place.folder / "images.npy")
    first = ensure_reference(request, place.references, silent)
    assert (first.shape, first.dtype) == ((IMAGES, place.spec.classes), np.float64)
    facts = reference.reference_artifact(request, place.references, silent).manifest.facts
    pace = pace_in(facts)
    assert pace is not None, "what comes after is measured by it"
    assert pace.call_seconds > 0
    assert pace.load_seconds > 0
    monkeypatch.setattr(reference, "run_job", lambda *_, **__: pytest.fail("it was computed again"))
    assert np.array_equal(ensure_reference(request, place.references, silent), first)


def test_another_dtype_is_refused(place: Workspace) -> None:
    with pytest.raises(InputError, match="expected float32 or float64, found float16"):
        reference.load_forward("torch", place.spec, place.folder / "weights" / "weights.safetensors", "float16")


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((3, 28, 28, 3), np.uint8), "float32.*found uint8"),
        (np.zeros((3, 3, 28, 28), np.float32), r"of shape \(28, 28, 3\)"),
        (np.zeros((28, 28, 3), np.float32), r"of shape \(28, 28, 3\)"),
        (np.zeros((2, 28, 28, 3), np.float32), "at least 3"),
        (np.full((3, 28, 28, 3), np.nan, np.float32), "not finite"),
    ],
)
def test_images_that_do_not_fit_are_refused(images: np.ndarray, words: str, tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", images)
    with pytest.raises(InputError, match=words):
        read_images(tmp_path / "images.npy", SPEC, at_least=3)


@pytest.mark.parametrize("content", [b"", b"not an array", b"\x93NUMPY\x01\x00"])
def test_a_damaged_file_of_images_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "images.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"images\.npy"):
        read_images(path, SPEC)


def test_weights_without_a_specification_are_refused(tmp_path: Path) -> None:
    for name, inputs in (("none", {}), ("wrong", {"spec": {"size": 28}})):
        artifact = write_artifact(tmp_path / name, "weights", inputs, made_by={}, fill=lambda _: {})
        with pytest.raises(ArtifactError, match="does not say which model"):
            spec_of(artifact)
