"""Groups timed together: runtimes on a model and on the files made from it, for a study's and a user's models."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict, Unpack

from assay.bench.course import Course
from assay.bench.timing.environments import with_environments
from assay.bench.timing.programs import Refused, with_programs
from assay.bench.timing.trials import Group
from assay.bench.timing.workers import Candidate
from assay.export.run import usable_model
from assay.infer.runtime import ModelFiles
from assay.records.results import Export
from assay.registry import RUNTIMES
from assay.spec import Settings
from assay.train.brought.model import UserModel
from assay.train.built import BuiltModel


def parted(name: str) -> tuple[str, str]:
    """A runtime as a study or an option names it, and the one export that it is named for, "" for all."""
    runtime, _, exporter = name.partition("@")
    return runtime, exporter


def runs_of(wanted: Iterable[str], exporters: Collection[str]) -> list[tuple[str, str]]:
    """Return each wanted runtime with its exporter ("" for runtimes that run no files), each pair once.

    Args:
        wanted: "ort.cpu" for every exporter or "openvino@torch-dynamo" for one.
    """
    found = []
    for runtime, only in map(parted, wanted):
        if RUNTIMES[runtime].runs_files:
            found += [(runtime, exporter) for exporter in exporters if only in {"", exporter}]
        else:
            found.append((runtime, ""))
    return list(dict.fromkeys(found))


def on_export(wanted: Iterable[str], export: Export) -> list[str]:
    """The runtimes of all that is wanted that run an export."""
    return [runtime for runtime, exporter in runs_of(wanted, [export.exporter]) if exporter]


def files_of_model(course: Course, model: BuiltModel | UserModel, exports: Iterable[Export]) -> dict[str, ModelFiles]:
    """The good exports of a model as runtimes take them, by exporter."""
    return {
        one.exporter: ModelFiles(
            model=model,
            onnx=usable_model(one, course.store("onnx")),
            onnx_layout=one.made_by.get("layout", "NHWC"),
            precision=one.precision,
        )
        for one in exports
        if one.status == "ok"
    }


def candidates_of(
    course: Course, model: BuiltModel | UserModel, wanted: Iterable[str], files: Mapping[str, ModelFiles]
) -> list[Candidate]:
    """All that is wanted on a model itself, and on its good exports, by exporter."""
    native = ModelFiles(model=model)
    return [
        Candidate(runtime, exporter, files[exporter] if exporter else native, trusted=course.trusted)
        for runtime, exporter in runs_of(wanted, files)
    ]


def made_of(
    course: Course, candidates: Sequence[Candidate], calibration: Callable[[], Path | None], device: str
) -> tuple[tuple[Candidate, ...], Refused]:
    """Return the candidates with the environments that they run in on a device and what their runtimes load, and those
    for which either cannot be made, with the reasons.
    """
    placed, homeless = with_environments(candidates, device, course.narrator.bar)
    workshop = course.workshop(calibration)
    if device != "cpu":
        gpus = course.host.environment().get("gpus")
        workshop = replace(workshop, device=device, gpus=tuple(map(str, gpus)) if isinstance(gpus, list) else ())
    able, refused = with_programs(placed, workshop)
    return able, (*homeless, *refused)


class Further(TypedDict, total=False):
    """Optional parts of a group; see `Group`."""

    audited: int
    nodes_on_cpu: bool


def group_of(
    course: Course,
    model: BuiltModel | UserModel,
    candidates: Sequence[Candidate],
    calibration: Callable[[], Path | None],
    *,
    batches: Iterable[int],
    settings: Settings,
    images: Path,
    **further: Unpack[Further],
) -> Group:
    """All candidates on one model, with what their runtimes load made of it.

    Args:
        calibration: see `assay.export.programs.programs.Workshop`.
        images: see `Group`, and `further`.
    """
    able, refused = made_of(course, candidates, calibration, settings.device)
    return Group(
        name=f"{model.name}/{model.image_size}/t{settings.threads}",
        candidates=able,
        batches=tuple(sorted(set(batches))),
        settings=settings,
        images=images,
        refused=refused,
        **further,
    )
