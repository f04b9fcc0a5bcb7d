"""Inputs for every subject of an audit, and the float64 reference on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.bench.auditing.hard_inputs import special_inputs
from assay.bench.auditing.runs import BOUNDARY, EXTREME, HARD, SPECIAL, TEST, WHOLE, Inputs
from assay.bench.run import Run, TrainedModel
from assay.bench.tasks.task import task
from assay.errors import FailedError
from assay.export.reference.reference import LOGITS, ReferenceRequest, reference_artifact, references_here
from assay.files.arrays import load_array
from assay.jobs.pace import pace_in
from assay.numerics.classification.pictured import WholeSplit
from assay.records.audit import InputSet
from assay.registry import REFERENCES
from assay.store import Artifact, file_sha256
from assay.train.batches import normalise
from assay.train.datasets.data import Split
from assay.train.datasets.sources import write_array

LETS_NAN_THROUGH = "numpy"
"""The implementation that says how NaN and infinity go through a model: a framework's kernels may lose them."""
AGREE_RELATIVE = 1e-12
"""The largest difference of two float64 forward passes by different frameworks, relative to the largest logit."""
LARGE = 64
"""The pixels a side above which an image costs so much that fewer images go through repeated runs."""
BOUNDARY_IMAGES, LARGE_BOUNDARY_IMAGES = 32, 8
"""The number of images at the boundary, and of large ones: the search takes a gradient in float64 at every step."""
IMAGES_AT_ONCE = 256
WHAT = {
    TEST: "images of the test split",
    HARD: "constant, single-pixel and periodic images, and saturated noise",
    EXTREME: "images of extreme contrast, 10,000 times the range of an ordinary image",
    BOUNDARY: "test images moved to the decision boundary by gradient steps",
    SPECIAL: "images that contain NaN or infinity",
    WHOLE: "all images of the test split, for the accuracy of reduced precision, beside the reference in fp32",
}


@dataclass(frozen=True)
class Prepared:
    """Inputs on disk, and the reference for all of them.

    Attributes:
        sets: the sets to compare on; the first is the test split.
        special: images that are not finite; `special_names` has a name for each.
        references: .npy files of float64 logits, by set of inputs, including the special ones.
        places: places in the test split, by set of images that are from it, or made from some of it.
        computed_by: the programs that computed and checked the references, in words.
        agreement: largest relative difference between the two references, over `sets`.
        records: records of all sets.
        split: the whole test split, where it is run in less than fp32.
        whole: the reference on the whole test split, where `sets` have only a part of it.
    """

    sets: tuple[Inputs, ...]
    special: Inputs
    special_names: tuple[str, ...]
    references: dict[str, Path]
    places: dict[str, NDArray[np.int64]]
    computed_by: str
    agreement: float
    records: list[InputSet]
    split: Inputs | None
    whole: WholeSplit | None


def prepare(run: Run, subject: TrainedModel, most_images: int, work: Path, *, reduced: bool) -> Prepared:
    """Write the inputs into `work` and compute the reference on them, unless a run before has done so.

    Args:
        most_images: largest number of images from the test split, drawn once; 0 for all.
        reduced: whether anything computes in less than fp32.

    Raises:
        FailedError: the two float64 references disagree, so that there is nothing to compare with.
        AssayError: bad input or missing software.
    """
    exact, check, *_ = references_here()
    by = [REFERENCES[name].summary for name in (exact, check)]
    shape = subject.spec.image_shape
    split = run.data(subject.spec.size)[1].test
    chosen = drawn(len(split.labels), most_images, seed=0)
    pushed = BOUNDARY_IMAGES if subject.spec.size <= LARGE else LARGE_BOUNDARY_IMAGES
    started = chosen[drawn(len(chosen), pushed, seed=1)]
    test, of_all = _test_inputs(TEST, subject, split, chosen, work), len(split.labels)
    every = np.arange(of_all)
    whole = _test_inputs(WHOLE, subject, split, every, work) if len(chosen) < of_all else None
    judged_as = task(run.study.task)
    made = [_saved(name, one.images, work) for name, one in judged_as.made_inputs(shape).items()]
    start = normalise(split.images[started])
    made += judged_as.searched_inputs(
        run, subject, start, lambda: pace_in(_reference_of(run, subject, test, exact).manifest.facts), work
    )
    sets = (test, *made)
    named = special_inputs(shape)
    special = _saved(SPECIAL, named.images, work)
    references = {one.name: _reference(run, subject, one, exact) for one in sets}
    checks = {one.name: _reference(run, subject, one, check) for one in sets}
    agreement = max(relative_difference(references[name], checks[name], name, by) for name in references)
    references[SPECIAL] = _reference(run, subject, special, LETS_NAN_THROUGH, finite=False)
    if whole:
        references[WHOLE] = work / "reference of the whole.npy"
        np.save(
            references[WHOLE], load_array(_reference(run, subject, whole, exact, dtype="float32")).astype(np.float64)
        )
    records = [
        InputSet(
            name=one.name,
            sha256=file_sha256(one.path),
            images=one.images,
            sampled_from=of_all if one is test else one.images,
            what=WHAT[one.name],
        )
        for one in (*sets, special, *((whole,) if whole and reduced else ()))
    ]
    places = {TEST: chosen, BOUNDARY: started, WHOLE: every}
    known = judged_as.whole_split(load_array(references[WHOLE]), split.labels) if whole else None
    through = whole if reduced else None
    computed_by = f"{by[0]} in float64, checked by {by[1]} in float64"
    return Prepared(sets, special, named.names, references, places, computed_by, agreement, records, through, known)


def drawn(of: int, most: int, seed: int) -> NDArray[np.int64]:
    """Return ascending places of at most so many images out of `of`; all of them for 0."""
    return np.sort(np.random.default_rng(seed).permutation(of)[: most or of])


def relative_difference(reference: Path, check: Path, name: str, by: Sequence[str]) -> float:
    """Return the largest |difference| of two references over the largest |reference|.

    Args:
        name: name of the inputs, for the message.
        by: names of what computed the two, for the message.

    Raises:
        FailedError: it is more than 1e-12, so that one of them is wrong.
    """
    exact, other = load_array(reference), load_array(check)
    scale = float(np.abs(exact).max())
    found = float(np.abs(exact - other).max()) / scale if scale else 0.0
    if not found <= AGREE_RELATIVE:
        raise FailedError(
            f"The float64 references of {' and '.join(by)} disagree on the inputs '{name}'",
            expected=f"at most {AGREE_RELATIVE:.0e} of the largest logit",
            found=f"{found:.2g}",
            remedy="One of the two implementations of the model is wrong: see train/models",
        )
    return found


def _test_inputs(name: str, subject: TrainedModel, split: Split, chosen: NDArray[np.int64], work: Path) -> Inputs:
    """Write images of the test split, normalised in pieces."""
    path, labels = work / f"{name}.npy", work / f"{name} labels.npy"
    shape = (len(chosen), *subject.spec.image_shape)
    pieces = np.split(chosen, range(IMAGES_AT_ONCE, len(chosen), IMAGES_AT_ONCE))
    write_array(path, shape, (np.ascontiguousarray(normalise(split.images[piece])) for piece in pieces), kind="<f4")
    np.save(labels, split.labels[chosen])
    return Inputs(name, path, len(chosen), labels)


def _saved(name: str, images: NDArray[np.float32], work: Path) -> Inputs:
    path = work / f"{name}.npy"
    np.save(path, images)
    return Inputs(name, path, len(images))


def _reference(
    run: Run, subject: TrainedModel, inputs: Inputs, framework: str, *, finite: bool = True, dtype: str = "float64"
) -> Path:
    return _reference_of(run, subject, inputs, framework, finite=finite, dtype=dtype).file(LOGITS)


def _reference_of(
    run: Run, subject: TrainedModel, inputs: Inputs, framework: str, *, finite: bool = True, dtype: str = "float64"
) -> Artifact:
    request = ReferenceRequest(subject.weights, inputs.path, framework, dtype, finite)
    return reference_artifact(request, run.store("references"), run.narrator.bar, host=run.host)
