"""Finished audits of single models, so that an audit that was stopped continues where it was."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from assay.bench.course import Course
from assay.bench.timing.workers import Candidate
from assay.export.run import usable_model
from assay.records.audit import PROGRAM, ModelAudit
from assay.records.results import Export
from assay.registry import RUNTIMES
from assay.store import TRY_AGAIN, Store, file_sha256

FILE = "audit.json"
RULES = 7
"""The version of the audit's rules, raised when other things are compared or judged differently, so that models are
audited again.
"""


@dataclass(frozen=True)
class Identity:
    """The weights, files and images that an audit is about.

    Attributes:
        models: sha256 of weights and ONNX files, by name.
        keys: keys of the same as artifacts, and of the programs made from them.
        data_hash: hash of the content of its data set.
        machine: key of the machine, `assay.fingerprint.Fingerprint.key`.
    """

    models: dict[str, str]
    keys: dict[str, str]
    data_hash: str = ""
    machine: str = ""


def identity_of(
    course: Course,
    own: Mapping[str, str],
    key: str,
    exports: Iterable[Export],
    programs: Mapping[str, str],
    data_hash: str = "",
) -> Identity:
    """
    Args:
        own: hashes of the model itself, by name.
        key: key by which results name it.
        programs: key of the runtime's program by label; "" where it has none of its own.
    """
    files = {f"onnx@{one.exporter}": one for one in exports if one.status == "ok"}
    store = course.store("onnx")
    return Identity(
        dict(own) | {name: file_sha256(usable_model(one, store)) for name, one in files.items()},
        {"weights": key}
        | {name: one.key for name, one in files.items()}
        | {f"{PROGRAM}{label}": made for label, made in programs.items() if made},
        data_hash,
        course.host.fingerprint().key,
    )


def determined_by(
    identity: Identity, images: int, candidates: Sequence[Candidate], served: Collection[str]
) -> dict[str, JsonValue]:
    """Return all that determines the result of a model's audit.

    Args:
        images: number of images of the test split; 0 for all.
        candidates: the candidates compared with the reference.
        served: runtimes that run the whole test split where the images are a part of it.
    """
    versions = [RUNTIMES[one.runtime].versions() for one in candidates]
    return {
        "rules": RULES,
        "machine": identity.machine,
        "models": dict(identity.models),
        "keys": dict(identity.keys),
        "data": identity.data_hash,
        "images": images,
        "subjects": [one.label for one in candidates],
        "served": list[JsonValue](sorted(served)),
        "versions": dict(pair for one in versions for pair in one.items()),
    }


def kept_or_made(store: Store, inputs: Mapping[str, JsonValue], make: Callable[[], ModelAudit]) -> ModelAudit:
    """Return the audit of an earlier run with the same inputs, or the one that `make` makes.

    An audit is made again if it is incomplete, since the failure may have been a process's, or if it followed a wrong
    export to its node, since the repro may be gone.
    """

    def fill(work: Path) -> dict[str, JsonValue]:
        made = make()
        (work / FILE).write_text(made.model_dump_json(indent=1), encoding="utf-8")
        return {"model": made.name, TRY_AGAIN: bool(made.missing or made.localisations)}

    return store.kept("audit", inputs, fill).record(ModelAudit, FILE)
