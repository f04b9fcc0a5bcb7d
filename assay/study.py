"""Study files: what to train, export, time and compare, read from TOML and checked completely.

`studies/quick.toml` is a commented example. The classes below give the meaning of every key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from assay.errors import AssayError, StudyError, nearest
from assay.files.mistakes import mistake, mistake_in
from assay.files.overridden import overridden
from assay.files.texts import read_text
from assay.files.toml import NotTomlError, parse_toml
from assay.fleet.section import FleetSection, StudySection
from assay.registry import ARCHITECTURES, DATASETS, EXPORTERS, FRAMEWORKS, RUNTIMES, TASK_OF_ARCHITECTURES, TASKS

MOST_BYTES = 1 << 20
"""The largest study file."""
Size = Annotated[int, Field(ge=8, le=1024)]
Positive = Annotated[int, Field(ge=1)]
Percentile = Annotated[float, Field(gt=50, le=100)]


def _known(registry: Mapping[str, object], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names, after looking each up so that an unknown one is reported with the nearest."""
    for name in names:
        try:
            registry[name]
        except AssayError as error:
            raise ValueError(str(error)) from error
    return names


def _known_wanted(names: tuple[str, ...]) -> tuple[str, ...]:
    """Do the same for runtimes that may name the one export they are wanted for, "openvino@torch-dynamo"."""
    for name in names:
        runtime, separator, exporter = name.partition("@")
        _known(RUNTIMES, (runtime,))
        if separator:
            _known(EXPORTERS, (exporter.partition("+")[0],))
            if not RUNTIMES[runtime].runs_files:
                raise ValueError(f"'{name}': only runtimes of ONNX files run an export, {runtime} does not")
    return names


class DataSection(StudySection):
    """[data]

    Attributes:
        name: "auto", "bloodmnist", "medmnist:<name>", "pbc:<folder or zip>" or "synthetic".
        root: folder of MedMNIST .npz files, or a PBC zip or folder for "auto".
        limit: use at most this many images of each split (stratified); 0 uses all.
        seed: seed of the split (pbc) or of the drawing (synthetic).
    """

    name: str = "auto"
    root: Path | None = None
    limit: int = Field(default=0, ge=0)
    seed: int = 0

    @field_validator("name")
    @classmethod
    def _name_is_registered(cls, name: str) -> str:
        _known(DATASETS, (name.partition(":")[0],))
        return name


class ModelSection(StudySection):
    """[[models]]: one architecture, trained and timed at several resolutions.

    Attributes:
        architecture: a registered architecture.
        sizes: resolutions in pixels, ascending.
        epochs: passes over the training split for each size; fractions are allowed.
        frameworks: frameworks to train it in; empty takes those of [train].
        repeat_seeds: further seeds; empty takes those of [train].
        further_runtimes: runtimes timed in addition to those of [bench], at the smallest and cheapest size only.
        audit_images: test images that `assay audit` draws for each size, 0 for all; empty takes all at every size.
        batch_size, peak_learning_rate: where given, they replace those of [train].
        calibration_percentile: where given, it replaces that of [export].
    """

    architecture: str
    sizes: tuple[Size, ...] = Field(min_length=1)
    epochs: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)
    frameworks: tuple[str, ...] = ()
    repeat_seeds: tuple[int, ...] = ()
    further_runtimes: tuple[str, ...] = ()
    audit_images: tuple[Annotated[int, Field(ge=0)], ...] = ()
    batch_size: Positive | None = None
    peak_learning_rate: float | None = Field(default=None, gt=0)
    calibration_percentile: Percentile | None = None

    _architecture = field_validator("architecture")(lambda name: _known(ARCHITECTURES, (name,))[0])
    _frameworks = field_validator("frameworks")(lambda names: _known(FRAMEWORKS, names))
    _runtimes = field_validator("further_runtimes")(_known_wanted)

    @model_validator(mode="after")
    def _one_number_per_size(self) -> Self:
        if list(self.sizes) != sorted(set(self.sizes)):
            raise ValueError(f"sizes must be ascending and distinct, found {list(self.sizes)}")
        numbers = {"epochs": self.epochs, "audit_images": self.audit_images or self.sizes}
        for name, given in numbers.items():
            if len(given) != len(self.sizes):
                raise ValueError(f"{name} needs one number for each of the {len(self.sizes)} sizes, found {len(given)}")
        return self


class TrainSection(StudySection):
    """[train]: the protocol every framework follows; see `assay.train.recipe.Recipe` for its fixed parts.

    Attributes:
        frameworks: frameworks to train in.
        seed: seed of initial weights, order and augmentation; its models are exported and timed.
        repeat_seeds: further seeds, trained at each model's smallest size only, to show how far seeds differ.
        batch_size: images in one step.
        peak_learning_rate: highest learning rate of the one-cycle schedule.
        own_defaults: give every framework its own initialiser, BatchNorm and Adam constants in place of the shared
            ones, to see their effect on accuracy; parity then has no meaning and is not measured.
        each_default: train each model's smallest size in addition with one of those constants at a time, as some
            framework has it, to see which of them matters.
        progressive: start each size from the weights of the size before it, at half the peak learning rate.
        minutes: stop one training after this many minutes, at the end of an evaluation; 0 has no limit.
        parity_steps: steps over which training parity is measured; 0 leaves it out.
        evaluated_images: maximum number of images of the validation split, and of the test split, that are evaluated,
            with classes in proportion; 0 takes all. Evaluating all takes longer than a training of a few steps.
    """

    frameworks: tuple[str, ...] = ("torch", "tf", "jax")
    seed: int = 0
    repeat_seeds: tuple[int, ...] = ()
    batch_size: Positive = 64
    peak_learning_rate: float = Field(default=4e-3, gt=0)
    own_defaults: bool = False
    each_default: bool = False
    progressive: bool = True
    minutes: float = Field(default=0, ge=0)
    parity_steps: int = Field(default=20, ge=0)
    evaluated_images: int = Field(default=0, ge=0)

    _frameworks = field_validator("frameworks")(lambda names: _known(FRAMEWORKS, names))


class ExportSection(StudySection):
    """[export]

    Attributes:
        exporters: the routes to ONNX.
        opset: the requested operator set; a route that cannot use it records the one it used.
        precisions: "fp32" is the export itself; "int8" and "fp16" make a variant of it, timed and audited as
            "torch-dynamo+int8". One that onnxruntime would compute in fp32 is refused, and the record says why.
        quantise: routes whose files get variants.
        calibration_images: number of images of the validation split that determine the ranges of an int8 variant.
        calibration_percentile: percentage of a tensor's values on those images within its range; 100 takes all.
        mixed_minutes: if an int8 file fails its policy, the time limit of each search for the fewest layers to leave
            in fp32 so that it passes ("torch-dynamo+int8-mixed"); 0 does not search.
    """

    exporters: tuple[str, ...] = tuple(EXPORTERS)
    opset: int = Field(default=18, ge=13, le=24)
    precisions: tuple[Literal["fp32", "fp16", "bf16", "int8"], ...] = ("fp32",)
    quantise: tuple[str, ...] = ("torch-dynamo",)
    calibration_images: Positive = 256
    calibration_percentile: Percentile = 99.99
    mixed_minutes: float = Field(default=5, ge=0, le=24 * 60)

    _exporters = field_validator("exporters", "quantise")(lambda names: _known(EXPORTERS, names))

    @model_validator(mode="after")
    def _variants_come_from_exports(self) -> Self:
        if "fp32" not in self.precisions:
            raise ValueError("precisions must include fp32: smaller precisions are compared with it")
        left = [name for name in self.quantise if name not in self.exporters]
        if left and len(self.precisions) > 1:
            raise ValueError(f"quantise names {', '.join(left)}, which is not among the exporters")
        return self


class BenchSection(StudySection):
    """[bench]

    Attributes:
        runtimes: runtimes to time; those of ONNX files on every export, or on one as in "openvino@torch-dynamo".
        weights: the framework whose trained weights all runtimes run, or "best" (validation accuracy).
        batches: images in one call.
        threads: compute threads given to every runtime, one set of cells for each number.
        instances: numbers of processes of one runtime to run at the same time, such as [1, 2, 4], each with as many
            cores as it has threads, to measure the throughput of the whole machine. Numbers for which the machine has
            too few cores are left out.
        instance_minutes: wall time for all of these, in addition to that of the timing.
        device: "cpu" or "cuda".
        nodes_on_cpu: on a GPU, whether nodes of an ONNX file may stay on the CPU, as ONNX Runtime leaves those that
            compute shapes; they are on record and do not make cells INVALID.
        processes: least number of fresh processes for each cell; intervals take the spread from this sample, even if
            more are added. Five make intervals a third narrower than three.
        processes_of_slower: fresh processes for each cell that its first one shows to be out of the running, more than
            1.2 times as slow as the fastest of its side (native, ONNX) at every batch; as many as `processes` when not
            given. All but the first run after the contenders of all groups have theirs: with a small budget, that buys
            verdicts on the cells that may be the answer. With two, a cell has a time and no verdict.
        interval_width: processes are added, where they are needed most, until the 95 % interval of each ratio to the
            fastest native runtime is narrower than this share of it, or the budget is spent; 0 adds none.
        until_decided: whether to end, before the budget does, when it is clear which of native and ONNX is faster.
        blocks: largest number of interleaved blocks in one process; fewer where the budget does not suffice. Starting a
            process costs about 30 times a block and varies about as much, so that more than ten are better spent on
            another process (Kalibera & Jones 2013, section 7).
        budget_minutes: wall time that timing may take in all, including the start-up of the workers.
        call_limit_seconds: a single load or call that takes longer is given up.
        attribute: measure where the time goes, by each framework's profiler and a skeleton of the model. It runs after
            the timing and is not part of its budget.
    """

    device: Annotated[str, Field(pattern="^(cpu|cuda)$")] = "cpu"
    runtimes: tuple[str, ...] = Field(default_factory=lambda given: RUNTIMES.usual("study", given.get("device", "cpu")))
    weights: str = "best"
    batches: tuple[Positive, ...] = Field(default=(1, 32), min_length=1)
    threads: tuple[Positive, ...] = Field(default=(1,), min_length=1)
    instances: tuple[Positive, ...] = Field(default=(1,), min_length=1)
    instance_minutes: float = Field(default=10, gt=0)
    nodes_on_cpu: bool = False
    processes: Positive = 3
    processes_of_slower: Positive | None = None
    interval_width: float = Field(default=0.02, ge=0, lt=1)
    until_decided: bool = False
    blocks: Positive = 10
    budget_minutes: float = Field(default=10, gt=0)
    call_limit_seconds: float = Field(default=120, gt=0)
    attribute: bool = True

    _runtimes = field_validator("runtimes")(_known_wanted)

    @model_validator(mode="before")
    @classmethod
    def _older_name(cls, keys: object) -> object:
        if not isinstance(keys, dict) or "precision" not in keys:
            return keys
        if "interval_width" in keys:
            raise ValueError("interval_width is given twice: precision is its older name")
        return {("interval_width" if key == "precision" else key): value for key, value in keys.items()}

    @model_validator(mode="after")
    def _instances_have_cores(self) -> Self:
        if self.device != "cpu" and max(self.instances) > 1:
            raise ValueError("instances share out the cores of a machine: they need device = 'cpu'")
        return self

    @field_validator("weights")
    @classmethod
    def _weights_are_trained(cls, weights: str) -> str:
        if weights != "best":
            _known(FRAMEWORKS, (weights,))
        return weights


class Study(StudySection):
    """A whole study file.

    Attributes:
        name: name of the folder of its artifacts.
        title: the report's heading.
        task: the registered task by which answers are judged: "classification" by the classes of the data set's images,
            "numerical" by their numbers alone.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    title: str = ""
    task: str = TASK_OF_ARCHITECTURES
    data: DataSection = DataSection()
    models: tuple[ModelSection, ...] = Field(min_length=1)
    train: TrainSection = TrainSection()
    export: ExportSection = ExportSection()
    bench: BenchSection = BenchSection()
    fleet: FleetSection = FleetSection()

    _task = field_validator("task")(lambda name: _known(TASKS, (name,))[0])

    @property
    def runtimes(self) -> tuple[str, ...]:
        """The names of all runtimes that are timed anywhere in the study."""
        wanted = (*self.bench.runtimes, *(name for model in self.models for name in model.further_runtimes))
        return tuple(dict.fromkeys(name.partition("@")[0] for name in wanted))

    def runtimes_at(self, architecture: str, size: int) -> tuple[str, ...]:
        """Return the runtimes to time a model with at one size, each once."""
        further = (
            name
            for model in self.models
            if (model.architecture, model.sizes[0]) == (architecture, size)
            for name in model.further_runtimes
        )
        return tuple(dict.fromkeys((*self.bench.runtimes, *further)))

    def audit_images_at(self, architecture: str, size: int) -> int:
        """Return how many test images an audit takes for a model at one size, 0 for all."""
        for model in self.models:
            if model.architecture == architecture and size in model.sizes and model.audit_images:
                return model.audit_images[model.sizes.index(size)]
        return 0

    def calibration_percentile_at(self, architecture: str, size: int) -> float:
        """Return the percentile with which an int8 variant of a model at one size is calibrated."""
        given = (
            model.calibration_percentile
            for model in self.models
            if model.architecture == architecture and size in model.sizes
        )
        return next(given, None) or self.export.calibration_percentile

    @model_validator(mode="after")
    def _sizes_ascend_over_entries(self) -> Self:
        """Check that an architecture listed again has larger sizes, which continue from the smaller ones."""
        for architecture in dict.fromkeys(model.architecture for model in self.models):
            sizes = [size for model in self.models if model.architecture == architecture for size in model.sizes]
            if sizes != sorted(set(sizes)):
                raise ValueError(f"the sizes of {architecture} must be ascending over all its entries, found {sizes}")
        return self

    @model_validator(mode="after")
    def _weights_come_from_a_training(self) -> Self:
        for model in self.models:
            trained = model.frameworks or self.train.frameworks
            if self.bench.weights not in {"best", *trained}:
                raise ValueError(
                    f"bench.weights is '{self.bench.weights}', but {model.architecture} is trained in "
                    f"{', '.join(trained)} only"
                )
        return self


def load_study(path: Path, changes: Sequence[str] = ()) -> Study:
    """Read and check a study file.

    Args:
        changes: keys whose values differ from the file's, "bench.batches=[1,8]" (`assay.files.overridden`).

    Raises:
        StudyError: the file is missing, is not TOML, or has an unknown or wrong key; the message names
            the key, what is wrong with it and the nearest valid name.
    """
    try:
        document = parse_toml(read_text(path, MOST_BYTES))
    except OSError as error:
        raise StudyError(
            f"Cannot read study file {path}",
            found=error.strerror,
            remedy="studies/quick.toml in the repository is an example",
        ) from error
    except NotTomlError as error:
        raise StudyError(
            f"{path} is not TOML in line {error.line}",
            expected=error.expected,
            found=error.found,
            remedy="studies/quick.toml in the repository is an example",
        ) from error
    except ValueError as error:  # not UTF-8, or too long
        raise StudyError(f"{path} is not valid TOML", found=mistake_in(error)) from error
    try:
        return Study.model_validate(overridden(document, changes))
    except ValidationError as error:
        problems = [_describe(detail) for detail in _deepest(error.errors())]
        with_changes = "".join(f" --set {change}" for change in changes)
        raise StudyError(f"{path}{with_changes} has {len(problems)} problem(s): {'; '.join(problems)}") from error


def _deepest(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Drop problems that only follow from a deeper one: a list is too short when one of its entries is invalid."""
    places = [detail["loc"] for detail in details]
    return [
        one for one in details if not any(at != one["loc"] and at[: len(one["loc"])] == one["loc"] for at in places)
    ]


def _describe(detail: ErrorDetails) -> str:
    """Describe one validation problem, with the nearest valid key for an unknown one."""
    place = ".".join(str(part) for part in detail["loc"]) or "the file"
    if detail["type"] != "extra_forbidden":
        return mistake(detail)
    known = _keys_at(detail["loc"][:-1])
    suggestion = nearest(str(detail["loc"][-1]), known)
    hint = f" (did you mean '{suggestion}'?)" if suggestion else f" (known keys: {', '.join(known)})"
    return f"{place}: unknown key{hint}"


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that a study file may have at a place such as ("bench",) or ("models", 0)."""
    sections: dict[str, type[StudySection]] = {
        "data": DataSection,
        "models": ModelSection,
        "train": TrainSection,
        "export": ExportSection,
        "bench": BenchSection,
        "fleet": FleetSection,
    }
    section = sections[str(location[0])] if location else Study
    return list(section.model_fields)
