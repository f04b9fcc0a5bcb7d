"""One study under way: the places of its artifacts, and its images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

import numpy as np
from pydantic import JsonValue

from assay.bench.course import MOST_TOGETHER, Course
from assay.bench.machine.host import LOCAL, Host
from assay.bench.words.progress import Narrator
from assay.errors import DataError
from assay.jobs.host import Starter
from assay.jobs.sharing import shared
from assay.jobs.side_by_side import leave_if_ended
from assay.spec import ModelSpec
from assay.store import Artifact, Fill, SharingTier
from assay.study import ModelSection, Study
from assay.train.batches import normalise
from assay.train.built import BuiltModel
from assay.train.datasets.data import DataRequest, Dataset, Progress, open_dataset, resolve_auto, store_dataset
from assay.train.job import WEIGHTS_FILE

SAMPLED_IMAGES = 64
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
    _data: dict[int, tuple[Artifact, Dataset]] = field(default_factory=dict)
    _opening: dict[int, Lock] = field(default_factory=lambda: defaultdict(Lock))

    @property
    def together(self) -> int:
        """Number of jobs at a time where nothing is timed: most of one is a single thread that imports, traces or
        reads.
        """
        return min(len(self.host.cores()), MOST_TOGETHER)

    @property
    def models(self) -> list[ModelSection]:
        """The study's models, without those of which no group is timed here."""
        architectures = {group.partition("/")[0] for group in self.groups}
        return [one for one in self.study.models if not self.groups or one.architecture in architectures]

    def sharing(self, jobs: int) -> Starter:
        """The host for so many jobs, of which several go on at a time: each has its part of the cores."""
        return shared(self.host, len(self.host.cores()), min(jobs, self.together))

    def data(self, size: int) -> tuple[Artifact, Dataset]:
        """The study's images at one size, stored and opened.

        They are checked against their hashes once, for which all of them are read; several may ask at the same time.
        """
        with self._opening[size]:
            if size not in self._data:
                self._data[size] = self._opened(size)
            return self._data[size]

    def _opened(self, size: int) -> tuple[Artifact, Dataset]:
        def progress(label: str, done: int, total: int) -> None:
            leave_if_ended()
            self.narrator.bar(label, done, total)

        artifact = store_dataset(replace(self._wanted(progress), size=size), progress)
        return artifact, open_dataset(artifact.folder)

    def _wanted(self, progress: Progress) -> DataRequest:
        """The study's images at any size: of one data set, whichever it is."""
        if self._request is None:
            sizes = sorted({size for model in self.study.models for size in model.sizes})
            asked, cache = self.study.data, self.cache
            request = DataRequest(asked.name, sizes[0], asked.root, asked.limit, asked.seed, cache)
            self._request = resolve_auto(request, sizes, progress)
        return self._request

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
