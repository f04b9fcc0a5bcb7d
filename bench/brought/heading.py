"""The heading of a user's model's results: the request, the model, its inputs and the machine."""

from __future__ import annotations

from pydantic import JsonValue

from assay.bench.brought.exports import Brought, described
from assay.bench.brought.work import Wanted, Work, folder_name
from assay.bench.machine.host import machine_facts
from assay.bench.stages.results import Heading
from assay.export.probing.probe import RECORDS_FILE
from assay.records.results import DataSummary
from assay.registry import RUNTIMES
from assay.store import file_sha256
from assay.train.brought.model import UserModel

INT8 = "int8"
DRAWN = "Random inputs, drawn from the signature with seed 0: real inputs will differ from them."


def heading_of(work: Work, brought: Brought) -> Heading:
    """Return the heading, without the paths of this machine."""
    wanted = work.wanted
    box: dict[str, JsonValue] = {**work.held} or {"none": "--trust was given"}
    return Heading(
        kind="model",
        study=folder_name(wanted.location),
        task=wanted.task,
        title=f"{wanted.location}, native and ONNX",
        settings=_settings(wanted, brought),
        data=_data(wanted, brought),
        environment=machine_facts(work.host, _libraries(brought.model)) | {"box": box},
    )


def _libraries(model: UserModel) -> list[str]:
    """Return the libraries that a model and its exports may run in."""
    return [family.library for family in RUNTIMES.families if family.framework in {model.kind, "onnx"}]


def _settings(wanted: Wanted, brought: Brought) -> dict[str, JsonValue]:
    """Return the request and the description of the model, without the paths of this machine."""
    model = brought.model
    return {
        "command": wanted.command,
        "model": str(wanted.location),
        "framework": model.kind,
        "inputs": [described(model, one) for one in model.inputs],
        "outputs": [described(model, one) for one in model.outputs],
        "left out": list(model.without),
        **({"told": list(brought.told)} if brought.told else {}),
        **(
            {"dimensions": list(wanted.sizes), "sizes": [list(one.values()) for one in wanted.points]}
            if wanted.sizes
            else {}
        ),
        **({"original": str(wanted.original)} if wanted.original else {}),
        **({"weights": model.weights} if model.weights else {}),
        "a call is": "the whole input of the model" if model.whole else "rows of a batch",
        "reference": brought.what,
        "labels": wanted.labels.name if wanted.labels else "",
        **({"metric": str(wanted.metric)} if wanted.metric else {}),
        **({} if wanted.threshold is None else {"threshold": wanted.threshold}),
        "fingerprint": model.fingerprint,
        "opset": wanted.opset,
        "threads": wanted.threads,
        **({"device": wanted.device} if wanted.device != "cpu" else {}),
        "processes": wanted.processes,
        "minutes": wanted.minutes,
        "interval_width": wanted.interval_width,
        **(
            {"tolerances": {name or "all": one for name, one in wanted.tolerances.items()}} if wanted.tolerances else {}
        ),
        "reduced to": list(wanted.reduced),
        **({"mixed_minutes": wanted.mixed_minutes} if INT8 in wanted.reduced else {}),
    }


def _data(wanted: Wanted, brought: Brought) -> DataSummary:
    given = wanted.inputs.name if wanted.inputs else ""
    return DataSummary(
        name=given or "drawn from the signature",
        content_hash=file_sha256(brought.folder / RECORDS_FILE),
        counts={"inputs": brought.records},
        classes=[],
        attribution="",
        licence="",
        notice="" if given else brought.made or DRAWN,
        synthetic=False,
    )
