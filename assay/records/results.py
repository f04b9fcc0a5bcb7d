"""The results of a study: one versioned record, and the raw samples it was derived from.

A study's folder holds `results.json` (a `Results`) and `samples.parquet` (see `assay.files.columns`). Statistics in
the record are derived from the samples and can be derived again.
"""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue, ValidationError, model_validator

from assay.errors import ArtifactError
from assay.files.mistakes import mistake_in
from assay.files.texts import read_json
from assay.files.upgrades import UPGRADES_OF_RESULTS
from assay.numerics.judgement import Ground, Judgement, TaskName
from assay.numerics.precisions import FULL
from assay.records.attribution import AffineFit, Attribution, Crossover, Factors, PrecisionFactors
from assay.records.base import (
    OLDER,
    Interval,
    Record,
)
from assay.records.localisation import Calibration, LayerSearch
from assay.records.races import Race, SpeedComparison
from assay.records.roofline import Bound, Ceilings, GraphWork
from assay.records.selfcheck import SelfCheck
from assay.records.timings import ColdStart, Instances, Steadiness, Timing
from assay.records.trainings import Parity, Training
from assay.registry import RUNTIMES
from assay.runtimes.entry import Tier, tier_of

RESULTS_FILE = "results.json"
SCHEMA_VERSION: Literal[5] = 5
OLDER_MOVED = "top1_flips"


class Agreement(Record):
    """The distance of one output from the float64 reference on the same images, and whether it is tolerated.

    Attributes:
        subject: the compared runtime or export ("torch-dynamo at level 99, batch 3").
        images: number of images.
        max_absolute: largest |output - reference| over all logits.
        max_relative: the same divided by the reference's largest magnitude.
        tolerance: largest max_absolute that passes; `derivation` says where it comes from.
        derivation: where the tolerance comes from, in words.
        largest_moved: number of images whose largest number is elsewhere than the reference's; the task says what it
            means.
        passed: whether it agrees; `reason` says why not.
        reason: why it does not agree, or "".
        ground: the ground of `reason`, where it is more than a distance.
        own_tolerance: the user's own tolerance of the output, which stands beside the derived one; None without one.
        margin: entries of an output of varying size that only one side has, and how near a limit what selects them is,
            or in how many records its size differs and is not explained, in words.
    """

    subject: str
    images: int
    max_absolute: float
    max_relative: float
    tolerance: float
    derivation: str
    largest_moved: int
    passed: bool
    reason: str = ""
    ground: Ground = ""
    own_tolerance: float | None = Field(default=None, ge=0)
    margin: str = Field(default="", exclude_if=operator.not_)

    @model_validator(mode="before")
    @classmethod
    def _by_its_name_of_today(cls, told: object) -> object:
        """Read older records of results, exports and deployments, which spoke of classes whatever the task."""
        if isinstance(told, dict) and OLDER_MOVED in told:
            return {"largest_moved" if name == OLDER_MOVED else name: value for name, value in told.items()}
        return told


class Export(Record):
    """One ONNX file, or the reason why there is none.

    Attributes:
        architecture, size: the model's, whose images are so many pixels high and wide; 0 for a user's own.
        exporter: the route, followed by the variant for reduced precision: "torch-dynamo+int8".
        status: "ok", or "failed" with `reason`.
        reason: why there is no file, or why it is never timed.
        key: key of its artifact; "" where there is none.
        weights: key of the weights that are in it.
        opset: opset of the file's default domain; 0 where there is none.
        opset_asked: opset that the study requests.
        file_bytes: size of the file, its external data included.
        parameters: numbers in its weights.
        nodes: number of nodes of its graph.
        operators: number of nodes by operator.
        transposes: number of nodes that only reorder axes.
        transposes_after_optimisation: those that are left when ONNX Runtime has optimised the graph.
        seconds: seconds of the export and its checks.
        made_by: versions of the packages that made it.
        agreement: one for each optimisation level and batch at which the file was compared with float64.
        precision: precision that the graph computes in; also int8 where some layers are left in fp32.
        calibration: calibration of an integer graph.
        search: search for layers to leave in fp32, where an int8 graph fails without any.
        file_is_right: whether a runtime is wrong and not the file; see `assay.numerics.guilt`.
        undecided: whether nothing shows if the file is wrong, or the only runtime that runs it.
        wrong_in: the witnesses that are wrong; `right_in` proves it.
        right_in: a witness that computes the file correctly, "" where none does.
    """

    architecture: str
    size: int
    exporter: str
    status: Literal["ok", "failed"]
    reason: str = ""
    key: str = ""
    weights: str
    opset: int = 0
    opset_asked: int
    file_bytes: int = 0
    parameters: int = 0
    nodes: int = 0
    operators: dict[str, int] = Field(default_factory=dict)
    transposes: int = 0
    transposes_after_optimisation: int = 0
    seconds: float
    made_by: dict[str, str] = Field(default_factory=dict)
    agreement: list[Agreement] = Field(default_factory=list)
    precision: str = "fp32"
    calibration: Calibration | None = None
    search: LayerSearch | None = None
    file_is_right: bool = False
    undecided: bool = False
    wrong_in: list[str] = Field(default_factory=list)
    right_in: str = ""

    @property
    def is_refused_variant(self) -> bool:
        """Whether it should have been in reduced precision and may not be used."""
        return self.precision != "fp32" and self.status == "failed"

    @property
    def is_unfinished(self) -> bool:
        """Whether the same work, started again, continues from where it was and may give another answer."""
        return self.status == "failed" and self.search is not None and self.search.is_over_time


class Cell(Record):
    """One runtime, on one model, at one batch size and thread count.

    Attributes:
        name: unique name within the study, "bloodnet/28/b1/t1/ort.cpu@tf2onnx".
        architecture, size, batch, threads: the model's and its call's: image height and width in pixels (0 of a user's
            own model), records in a call, threads that the runtime may use.
        device_kind: device that it ran on, as a call showed; where none did, the requested one.
        runtime: a registered runtime.
        framework: framework of its model: "torch", "tf", "jax" or "onnx"; "" for the instrument's own runtimes.
        exporter: the export that it ran, for runtimes of ONNX files, else "".
        label: the runtime, followed by "@exporter" where there is one.
        status: "ok", "failed" (with `reason`), or "skipped" (budget spent, or nothing to run).
        reason: why it failed or was skipped, or "".
        lacks: the thing that it lacked to run: "file", since its export failed, or "time", since none was left; ""
            where neither was missing, and in older records.
        weights: key of the weights that it runs.
        program: key of the model's conversion for a runtime with its own format; "" for all others, and in older
            records.
        host: time to prepare the input, run, and fetch the output.
        device: time to run alone, with the input already in the runtime's own form.
        throughput: images per second at the host boundary.
        cold: how long a fresh process takes until it is ready.
        processor_use: processor time over wall time of the timed calls; about the number of threads asked for.
        peak_memory_mib: highest resident memory of the process.
        precision: precision of its numbers, "fp32" or less exact, as a call showed it
            (`assay.infer.observing.observed`).
        computed_in: precision of its kernels, where a call showed something other than `precision`: a file in fp16 may
            be computed in fp32.
        asked_device, asked_precision: those requested of it; "" where none was, as for a user's own model, and in
            older records. Deviations are in `invalid`.
        provenance: versions and settings that the worker reported.
        agreement: agreement of its outputs on the audited images with the float64 reference.
        timed_agreement: the same of outputs sampled from the timed calls themselves.
        invalid: why the times of an "ok" cell, which is shown and never ranked, are not to be trusted; empty if VALID.
        steadiness: observations while it was timed.
        judgement: the task's judgement of a user's model's outputs. A study's models are judged by its audit.
    """

    name: str
    architecture: str
    size: int
    batch: int
    threads: int
    device_kind: str
    runtime: str
    framework: str
    exporter: str = ""
    label: str
    status: Literal["ok", "failed", "skipped"]
    reason: str = ""
    lacks: Literal["", "file", "time"] = Field(default="", exclude_if=operator.not_)
    weights: str
    program: str = Field(default="", exclude_if=operator.not_)
    host: Timing | None = None
    device: Timing | None = None
    throughput: Interval | None = None
    cold: ColdStart | None = None
    processor_use: float | None = None
    peak_memory_mib: float | None = None
    precision: str = ""
    computed_in: str = ""
    asked_device: str = ""
    asked_precision: str = ""
    provenance: dict[str, str] = Field(default_factory=dict)
    agreement: Agreement | None = None
    timed_agreement: Agreement | None = None
    invalid: list[str] = Field(default_factory=list)
    steadiness: Steadiness | None = None
    judgement: Judgement | None = None

    @property
    def reduced_precision(self) -> bool:
        """Whether it computes in less than fp32, so that it cannot answer whether a model is better off as ONNX."""
        return bool(self.precision) and self.precision not in FULL

    @property
    def tier(self) -> Tier:
        """How near to its framework it ran (see `assay.runtimes.entry.TIERS`); "" if it runs no model."""
        entry = RUNTIMES.find(self.runtime)
        return entry.tier if entry else tier_of(self.framework)

    @property
    def waits(self) -> str:
        """How a call of its runtime gives up the processor by design (`assay.runtimes.entry`); "" for all others."""
        entry = RUNTIMES.find(self.runtime)
        return entry.waits if entry else ""

    @property
    def is_native(self) -> bool:
        """Whether it ran in its framework, or in the framework's own deployment runtime."""
        return self.tier in {"framework", "deployment"}

    def is_fp32_of(self, other: Cell) -> bool:
        """Return whether it is the fp32 counterpart of a cell in reduced precision: the same runtime and export."""
        entry = RUNTIMES.find(other.runtime)
        runtimes = {other.runtime, entry.reduces if entry and entry.reduces else other.runtime}
        exporter = other.exporter.partition("+")[0]
        return not self.reduced_precision and self.runtime in runtimes and self.exporter == exporter


class DataSummary(Record):
    """The images that a study used. `notice` is shown with every result: unofficial split, synthetic images.

    Attributes:
        name: name of the data set.
        content_hash: sha256 of all images and labels.
        counts: number of images by split.
        classes: names of the classes, in the order of their numbers.
        attribution: owners of the images, and place of publication.
        licence: licence of the images.
        notice: remark that goes with every result, or "".
        synthetic: whether they were made by Assay, and show nothing real.
    """

    name: str
    content_hash: str
    counts: dict[str, int]
    classes: list[str]
    attribution: str
    licence: str
    notice: str
    synthetic: bool


class Results(Record):
    """The findings of a study, or of the comparison of one model that a user brought.

    Attributes:
        schema_version: version of this record's format.
        kind: which of the two it is: a study's models take images, a user's take any numbers.
        study: name of the study.
        task: task by which answers are judged; see `assay.bench.tasks`.
        title: title of its report.
        created: UTC, ISO 8601.
        assay_version: version that wrote it.
        settings: the whole study, as it was read, or the settings of a model's comparison.
        environment: machine, system and versions of packages.
        data: images that were used.
        trainings: one for each trained model.
        parity: parity of the frameworks' training, one for each architecture and size.
        exports: one for each route, architecture and size.
        cost: outputs of a user's model in reduced precision against those of its original, one for each, where it was
            given.
        cells: everything that was timed, or was to be.
        comparisons: one for each group of cells that were timed together and have both sides.
        races: the fastest native cell against the fastest through ONNX, in each precision; empty in older records.
        works: work of each exported graph at each batch.
        ceilings: highest rates of the machine, one for each number of threads.
        bounds: the least time that the machine allows, one for each cell.
        attributions: parts of the time, one for each cell examined.
        fits: fixed time and time for each image, one for each runtime, model and number of threads.
        crossovers: sizes from which kernels outweigh the framework.
        factors: tables of times by exporter and runtime, decomposed.
        precisions: tables of times by runtime and precision, decomposed.
        instances: joint performance of several processes of a cell.
        seconds: seconds by phase.
        selfcheck: check of the instrument's own error; None where there was none.
        tables: sha256 of the tables that were written with it, by file name; empty in records of older versions.
    """

    schema_version: Literal[5] = SCHEMA_VERSION
    kind: Literal["study", "model"] = "study"
    study: str
    task: TaskName
    title: str
    created: str
    assay_version: str
    settings: dict[str, JsonValue]
    environment: dict[str, JsonValue]
    data: DataSummary
    trainings: list[Training]
    parity: list[Parity]
    exports: list[Export]
    cost: list[Agreement] = Field(default_factory=list)
    cells: list[Cell]
    comparisons: list[SpeedComparison]
    races: list[Race] = Field(default_factory=list)
    works: list[GraphWork] = Field(default_factory=list)
    ceilings: list[Ceilings] = Field(default_factory=list)
    bounds: list[Bound] = Field(default_factory=list)
    attributions: list[Attribution] = Field(default_factory=list)
    fits: list[AffineFit] = Field(default_factory=list)
    crossovers: list[Crossover] = Field(default_factory=list)
    factors: list[Factors] = Field(default_factory=list)
    precisions: list[PrecisionFactors] = Field(default_factory=list)
    instances: list[Instances] = Field(default_factory=list)
    seconds: dict[str, float]
    selfcheck: SelfCheck | None = None
    tables: dict[str, str] = Field(default_factory=dict)


def read_results(path: Path) -> Results:
    """Read `results.json`, upgrading older versions.

    Raises:
        ArtifactError: missing, not JSON, of an unknown version, or not a record of results.
    """
    try:
        record = read_json(path)
        if not isinstance(record, dict):
            raise ValueError(f"JSON that is not an object: {type(record).__name__}")
        version = record["schema_version"]
        if not isinstance(version, int):
            raise ValueError("a schema_version that is not a whole number")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"Cannot read results from {path}",
            expected="a results.json written by `assay run`",
            found=mistake_in(error),
        ) from error
    while version in UPGRADES_OF_RESULTS:
        record = UPGRADES_OF_RESULTS[version](record)
        version = record["schema_version"]
    if version != SCHEMA_VERSION:
        raise ArtifactError(
            f"{path} has results of an unknown version",
            expected=f"1 to {SCHEMA_VERSION}",
            found=str(version),
            remedy="Install the version of onnx-assay that wrote it, or a newer one",
        )
    try:
        return Results.model_validate(record, context=OLDER)
    except ValidationError as error:
        raise ArtifactError(f"{path} is not a record of results", found=mistake_in(error)) from error
