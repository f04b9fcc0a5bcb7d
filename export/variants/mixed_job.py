"""int8 with the layers in fp32 that may not be int8, found by measured sensitivity, in a process of its own. There are
two jobs: "held" judges an int8 file by the policy, and "mixed" searches for the layers and makes the file, which then
passes the checks of every variant. The search is in `search.py`, its measurements in `trials.py`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.errors import ExportFailedError
from assay.export.checking.records import Against
from assay.export.record import MODEL_FILE
from assay.export.variants.quantize import Int8Settings, Quantiser, calibrated, check_computes_in
from assay.export.variants.search import Searched, search
from assay.export.variants.steps import chain, medians_ms
from assay.export.variants.trials import Tryout, image_trial, record_trial
from assay.export.variants.tried import Notebook
from assay.export.variants.variant_job import VariantRequest, calls_of, completed
from assay.jobs.files import Written
from assay.jobs.job import Job
from assay.jobs.serving import serve_job
from assay.numerics.judgement import TaskName
from assay.records.base import Record
from assay.records.localisation import LayerSearch, Tried
from assay.records.results import Export
from assay.steps import MOST_SECONDS, step
from assay.train.brought.model import UserModel
from assay.train.built import BuiltModel

DOING = "The search for layers that must stay in fp32"
LARGE_BYTES = 256 << 20
"""The size of a file above which only int8, the file found and fp32 are timed, since all are in memory at once."""


class DecisionsAsked(Record):
    """The decisions of a user's model, by which files are judged besides their numbers.

    Attributes:
        labels: .npy file of the right answers, where they were given.
        threshold: as in `assay.bench.tasks.task.Answers`.
        reference: description of what computed the reference.
    """

    task: TaskName
    labels: Path | None
    threshold: float | None
    reference: str


class HeldRequest(Record):
    """An int8 file to judge by the policy: on validation images, or a user's on the records by its decisions.

    Attributes:
        source: the export in fp32, which takes images in the layout `layout`.
        file: the int8 file.
        dataset: folder of the stored data set, for one of our models.
    """

    model: BuiltModel | UserModel
    source: Path
    layout: str
    file: Path
    against: Against
    dataset: Path | None = None
    decisions: DecisionsAsked | None = None


class MixedRequest(VariantRequest):
    """A search for layers.

    Attributes:
        why: why the int8 file fails.
        dataset: folder of a stored data set, for one of our models; None for a user's, which is tried on its records.
        notes: folder of this search's measurements, from this run or earlier ones.
        budget_seconds: time that it may take, after which the best set found counts.
    """

    why: str
    dataset: Path | None = None
    decisions: DecisionsAsked | None = None
    notes: Written
    budget_seconds: float


HELD = Job("assay.export.variants.mixed_job", "held", HeldRequest, Tried)
MIXED = Job("assay.export.variants.mixed_job", "mixed", MixedRequest, Export)


def held(request: HeldRequest) -> Tried:
    """Judge an int8 file by the policy on the validation split."""
    return trial_of(request, request.layout).judged(request.file)


def work(request: MixedRequest, trial: Tryout | None = None) -> Export:
    """Search, and make, complete, inspect and check the file that was found.

    Args:
        trial: the records that files are tried on; those of the request when not given.

    Returns:
        Its record; a failed one, with the search, where no set of layers passes or the time ran out.
    """
    begun = time.monotonic()
    trial = trial or trial_of(request, request.record.made_by.get("layout", ""))
    settings = Int8Settings(request.percentile)
    with (
        step(DOING, request.budget_seconds + MOST_SECONDS),
        tempfile.TemporaryDirectory(prefix="assay-mixed-") as text,
        calibrated(request.source, calls_of(request), settings) as quantiser,
    ):
        bench = Bench(trial, quantiser, Path(text), Notebook(request.notes), begun, request.budget_seconds)
        found = searched(bench, request)
        if found.found.passed:
            quantiser.write(request.folder / MODEL_FILE, found.found.left)
    calibration = request.record.calibration
    known = {
        "search": found,
        "calibration": calibration.model_copy(update={"left_out": found.found.left}) if calibration else None,
    }
    if not found.found.passed:
        return request.record.model_copy(update={**known, "reason": reason_of(found), "seconds": found.seconds})
    made = completed(request.model_copy(update={"leave_out": tuple(found.found.left)}), found.seconds)
    return made.model_copy(update=known)


@dataclass(frozen=True)
class Bench:
    """The place where files are made and judged.

    Attributes:
        folder: folder for files that are needed only briefly.
        begun: start of the search, on the clock of `time.monotonic`.
    """

    trial: Tryout
    quantiser: Quantiser
    folder: Path
    notes: Notebook
    begun: float
    budget_seconds: float

    def spent(self) -> float:
        """Return the share of the time that is spent."""
        return (time.monotonic() - self.begun) / self.budget_seconds if self.budget_seconds else 1.0

    def made(self, left: Sequence[str], name: str = "tried.onnx") -> Path:
        """Make the file with these layers in fp32; the one before it under that name is replaced."""
        path = self.folder / name
        self.quantiser.write(path, left)
        return path

    def together(self, left: Sequence[str]) -> Tried:
        """Make and judge the file with these layers in fp32; one without any integers left is not int8."""

        def measure() -> Tried:
            file = self.made(left)
            found = self.trial.judged(file, left)
            try:
                check_computes_in(file, "int8", left)
            except ExportFailedError as error:
                return found.model_copy(update={"reason": str(error)})
            return found

        return self.notes.tried(left, measure)

    def alone(self, layer: str, layers: Sequence[str]) -> float:
        """Return the error with one layer alone in int8."""
        others = [one for one in layers if one != layer]
        return self.notes.alone(layer, lambda: self.trial.error(self.made(others)))


def trial_of(request: HeldRequest | MixedRequest, layout: str = "") -> Tryout:
    """Return the records that files are tried on.

    Args:
        layout: layout of images, for one of our models.
    """
    if isinstance(request.model, UserModel):
        return record_trial(request.model, request.against)
    if request.dataset is None:
        raise ExportFailedError(f"There are no images to test files of {request.model.name} on")
    return image_trial(request.source, layout, request.dataset, request.against.task)


def searched(bench: Bench, request: MixedRequest) -> LayerSearch:
    """Return the search, its steps, and what it examined.

    Raises:
        ExportFailedError: no layer of the file computes in integers.
    """
    from assay.export.variants.on_onnx_layers import layers_of  # noqa: PLC0415

    layers = layers_of(bench.quantiser.prepared, bench.made([]))
    if not layers:
        raise ExportFailedError("No layer of the file computes in integers, so none can stay in fp32")
    as_it_is = bench.together([])
    outcome = search(layers, as_it_is, lambda one: bench.alone(one, layers), bench.together, bench.spent)
    steps = _timed(bench, request.source, _steps(bench, outcome))
    return LayerSearch(
        why=request.why,
        judged_on=bench.trial.records,
        layers=len(layers),
        sensitivities=outcome.ranked,
        steps=steps[:-1],
        full=steps[-1],
        found=next((one for one in steps if set(one.left) == set(outcome.found.left)), outcome.found),
        ended=outcome.ended,
        tries=len(outcome.tried),
        seconds=time.monotonic() - bench.begun,
        allowed_seconds=request.budget_seconds,
    )


def _steps(bench: Bench, outcome: Searched) -> list[Tried]:
    """Return the steps from int8 to the set found; steps that the search did not judge are judged while there is
    time.
    """
    known = {frozenset(one.left): one for one in outcome.tried}
    found = []
    for left in chain(outcome.found.left):
        if frozenset(left) in known:
            found.append(known[frozenset(left)])
        elif bench.spent() < 1:
            found.append(bench.together(left))
    return found


def _timed(bench: Bench, source: Path, steps: Sequence[Tried]) -> list[Tried]:
    """Return the steps and then the file in fp32, each with its time; large files are timed only at the ends."""
    full = bench.trial.judged(source).model_copy(update={"left": []})
    large = source.stat().st_size > LARGE_BYTES
    chosen = {str(place): one for place, one in enumerate(steps) if not large or place in {0, len(steps) - 1}}
    files = {name: bench.made(one.left, f"step-{name}.onnx") for name, one in chosen.items()}
    times = medians_ms({**files, "fp32": source}, bench.trial.one_call())
    timed = [one.model_copy(update={"milliseconds": times.get(str(place))}) for place, one in enumerate(steps)]
    return [*timed, full.model_copy(update={"milliseconds": times["fp32"]})]


def reason_of(found: LayerSearch) -> str:
    """Return why there is no file."""
    best = f"the best one found leaves {len(found.found.left)} of {found.layers} layers in fp32: {found.found.reason}"
    if found.ended == "nothing":
        return f"no set of layers in fp32 makes int8 pass; {best}"
    ranked = f"{len(found.sensitivities)} of {found.layers} layers were ranked and {found.tries} files tried"
    minutes = f"{found.allowed_seconds / 60:.3g} minutes"
    return f"no set of layers in fp32 by which int8 passes was found in {minutes}, {ranked}; {best}"


if __name__ == "__main__":
    serve_job(HELD.done_by(held), MIXED.done_by(work))
