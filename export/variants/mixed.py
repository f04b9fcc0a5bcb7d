"""int8 with some layers in fp32, as the conductor sees it: searched for where int8 fails, and filed like any variant.
Its precision is called int8, as for LiteRT, torchao and NNCF's accuracy control, none of which have every operator in
integers: it races against other int8, and is recognised by its name and by the layers in its record. A race of its own
would have one runner, and anybody who wants to know which int8 to serve would have to look in two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from assay import __version__
from assay.errors import ExportFailedError
from assay.export.run import KIND, LOG_FILE, Progress, filed, usable_model
from assay.export.variants.mixed_job import HELD, MIXED, DecisionsAsked, HeldRequest, MixedRequest
from assay.export.variants.variants import VariantJob, inputs_of, record_of_variant, versions_of_variant
from assay.jobs.job import Job
from assay.records.localisation import Tried
from assay.records.results import Export
from assay.store import KEY_CHARACTERS, Store, artifact_key, file_sha256

MIXED_MINUTES = 5.0
"""The time for a search for one file, unless more is given."""
SUFFIX = "-mixed"
"""The ending of its name, after the name of the int8 variant."""


@dataclass(frozen=True)
class ByTask:
    """The decisions by which a user's int8 files are judged, besides their numbers.

    Attributes:
        held, mixed: the jobs that judge a file and that search, in place of `HELD` and `MIXED`.
        labels: hash of the labels, "" without any.
    """

    decisions: DecisionsAsked
    held: Job[HeldRequest, Tried]
    mixed: Job[MixedRequest, Export]
    labels: str

    @property
    def data(self) -> dict[str, JsonValue]:
        """The part of it that determines a result."""
        return {**self.decisions.model_dump(mode="json"), "labels": self.labels}


@dataclass(frozen=True)
class MixedJob:
    """A search for the layers that may not be int8 in one int8 file.

    Attributes:
        variant: the int8 file that was made; `int8` is its record.
        dataset: folder of a study's stored images; None for a user's model.
        data: the part of them that determines the result.
        trials: store of the measurements.
        minutes: time that a search may take; 0 for no search.
        by_task: the decisions of a user's model; None for its numbers alone.
    """

    variant: VariantJob
    int8: Export
    trials: Store
    minutes: float
    dataset: Path | None = None
    data: str = ""
    by_task: ByTask | None = None

    @property
    def label(self) -> str:
        return f"{self.variant.label}{SUFFIX}"


def export_mixed(mixed: MixedJob, progress: Progress) -> Export | None:
    """Return the smallest set of layers in fp32 with which int8 passes, made and checked; None where int8 has no
    failure that this could mend, or nobody wants a search.

    A search that finds none is a record with status "failed", the reason, and the nearest set. One that had too little
    time continues from there in the next run.

    Raises:
        InputError: weights, images or folders cannot be used.
        ArtifactError: the export's file is not the one that was written.
    """
    if mixed.minutes <= 0 or mixed.variant.precision != "int8":
        return None
    why = _what_it_fails_by(mixed, progress)
    if not why:
        return None
    variant, job = mixed.variant, mixed.variant.job
    inputs = {**inputs_of(variant), "mixed": mixed.data or "records", **(mixed.by_task.data if mixed.by_task else {})}
    versions = versions_of_variant()
    key = artifact_key(KIND, inputs | {"versions": dict(versions)})
    blank = record_of_variant(variant, key).model_copy(update={"exporter": mixed.label})

    def make(folder: Path) -> Export:
        if job.against is None:
            raise ExportFailedError(f"The policy that {blank.exporter} has to meet is unknown")
        request = MixedRequest(
            source=usable_model(variant.source, job.exports),
            model=job.model,
            record=blank,
            against=job.against(progress),
            calibration=variant.calibration,
            percentile=variant.settings.percentile,
            leave_out=(),
            folder=folder,
            why=why,
            dataset=mixed.dataset,
            decisions=mixed.by_task.decisions if mixed.by_task else None,
            notes=mixed.trials.folder / f"{mixed.label}-{key[:KEY_CHARACTERS]}",
            budget_seconds=60 * mixed.minutes,
        )
        request.notes.mkdir(parents=True, exist_ok=True)
        doing = f"Searching for layers of {blank.architecture} that must stay in fp32"
        return job.start(
            mixed.by_task.mixed if mixed.by_task else MIXED, request, folder / LOG_FILE, doing, folder, request.notes
        )

    return filed(job, blank, inputs, versions, make, progress)


def _what_it_fails_by(mixed: MixedJob, progress: Progress) -> str:
    """Return why the int8 file fails its policy; "" where it does not, or is not an int8 file."""
    int8 = mixed.int8
    failed = next((one.reason for one in int8.agreement if not one.passed), "")
    if int8.status != "ok" or (mixed.dataset is None and mixed.by_task is None):
        return failed
    found = _held(mixed, progress)
    return f"on {'validation images' if mixed.dataset else 'the records'}, {found.reason}" if found.reason else ""


def _held(mixed: MixedJob, progress: Progress) -> Tried:
    """Judge a good int8 file by the policy, measured once."""
    job, int8 = mixed.variant.job, mixed.int8
    file = usable_model(int8, job.exports)
    inputs: Mapping[str, JsonValue] = {
        **job.data,
        "file": file_sha256(file),
        "source": mixed.variant.source.key,
        "data": mixed.data,
        **(mixed.by_task.data if mixed.by_task else {}),
        "assay": __version__,
    }

    def fill(folder: Path) -> dict[str, JsonValue]:
        if job.against is None:
            raise ExportFailedError(f"There is nothing to compare {int8.exporter} with")
        request = HeldRequest(
            model=job.model,
            source=usable_model(mixed.variant.source, job.exports),
            layout=mixed.variant.source.made_by.get("layout", ""),
            file=file,
            against=job.against(progress),
            dataset=mixed.dataset,
            decisions=mixed.by_task.decisions if mixed.by_task else None,
        )
        doing = f"Checking {int8.exporter} of {int8.architecture} against its policy"
        progress(doing, 0, 1)
        found = job.start(mixed.by_task.held if mixed.by_task else HELD, request, folder / LOG_FILE, doing)
        progress(doing, 1, 1)
        return {"tried": found.model_dump(mode="json")}

    name = f"held-{int8.architecture}-{int8.size}-{int8.exporter}"
    return mixed.trials.kept("held", inputs, fill, name=name).record(Tried, "tried")
