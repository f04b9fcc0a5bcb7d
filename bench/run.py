"""One study under way: the places of its artifacts, and its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from assay.bench.course import Course
from assay.bench.machine.host import LOCAL, Host
from assay.bench.words.progress import Narrator
from assay.errors import DataError
from assay.spec import ModelSpec
from assay.store import Artifact, Fill, SharingTier
from assay.study import ModelSection, Study
from assay.train.batches import normalise
from assay.train.built import BuiltModel
from assay.train.datasets.data import DataRequest, Dataset, open_dataset, resolve_auto, store_dataset
from assay.train.job import WEIGHTS_FILE

SAMPLED_IMAGES = 64
MOST_TOGETHER = 3
"""Number of jobs at a time: more would wait for memory."""
CALIBRATION_SEED = 0


@dataclass
class Run(Course):
    """One study under way, see `Course` too.

    Attributes:
        study: the study.
        cache: folder of decoded images, shared by studies.
        again: whether results timed by an earlier run are timed once more.
        groups: names of the groups that are timed here, where others are timed elsewhere; all where there is none.
    """

    study: Study
    folder: Path
    cache: Path
    narrator: Narrator
    host: Host = LOCAL
    again: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    tier: SharingTier | None = None
    groups: tuple[str, ...] = ()
    _request: DataRequest | None = None

    @property
    def together(self) -> int:
        """Number of jobs at a time where nothing is timed: most of one is a single thread that imports, traces or
        reads.
        """
        return min(len(self.host.cores()), MOST_TOGETHER)

    def data(self, size: int) -> tuple[Artifact, Dataset]:
        """Return the study's images at one size, stored and opened."""
        if self._request is None:
            wanted = self.study.data
            request = DataRequest(
                name=wanted.name, size=size, root=wanted.root, limit=wanted.limit, seed=wanted.seed, cache=self.cache
            )
            sizes = sorted({size for model in self.study.models for size in model.sizes})
            self._request = resolve_auto(request, sizes, self.narrator.bar)
        artifact = store_dataset(replace(self._request, size=size), self.narrator.bar)
        return artifact, open_dataset(artifact.folder)

    def spec(self, model: ModelSection, size: int) -> ModelSpec:
        """Return the specification of the model at one size, for the study's images."""
        dataset = self.data(size)[1]
        return ModelSpec(model.architecture, size, len(dataset.classes), dataset.train.images.shape[-1])

    def images(self, size: int) -> Path:
        """Return the .npy file of the normalised test images for checking exports and for calls to take in turn."""
        artifact, dataset = self.data(size)
        images = dataset.test.images
        chosen = np.random.default_rng(0).permutation(len(images))[:SAMPLED_IMAGES]
        if len(chosen) < 32:
            raise DataError("The test split is too small to check with", expected="32 images", found=str(len(chosen)))
        inputs: dict[str, JsonValue] = {"data": dataset.content_hash, "count": len(chosen)}

        def fill(work: Path) -> dict[str, JsonValue]:
            np.save(work / "images.npy", normalise(images[chosen]))
            return {}

        return self._images(inputs, fill, artifact.folder.name)

    def calibration_images(self, size: int, wanted: int) -> Path:
        """Return the .npy file of normalised validation images, drawn once, for the ranges of integer graphs."""
        artifact, dataset = self.data(size)
        images = dataset.validation.images
        chosen = np.sort(np.random.default_rng(CALIBRATION_SEED).permutation(len(images))[:wanted])
        inputs: dict[str, JsonValue] = {"data": dataset.content_hash, "count": len(chosen), "seed": CALIBRATION_SEED}

        def fill(work: Path) -> dict[str, JsonValue]:
            np.save(work / "images.npy", normalise(images[chosen]))
            return {}

        return self._images(inputs, fill, f"calibration-{artifact.folder.name}")

    def _images(self, inputs: Mapping[str, JsonValue], fill: Fill, name: str) -> Path:
        return self.store("images").kept("images", inputs, fill, name=name, single=True).file("images.npy")


@dataclass(frozen=True)
class TrainedModel:
    """The weights that every runtime and exporter is given for one model and size.

    Attributes:
        weights: folder of the weights artifact.
        key: key of the weights artifact.
    """

    spec: ModelSpec
    weights: Path
    key: str

    @property
    def model(self) -> BuiltModel:
        return BuiltModel(spec=self.spec, weights=self.weights / WEIGHTS_FILE, fingerprint=self.key)
