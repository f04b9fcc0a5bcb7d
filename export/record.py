"""The record of an ONNX file, filled in the same way for a route's export, a user's model and a variant of either."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from assay.export.checking.levels import Sentence
from assay.export.graph.inspect import inspect
from assay.records.base import Record
from assay.records.results import Agreement, Export
from assay.train.brought.model import UserModel
from assay.train.built import BuiltModel

MODEL_FILE, INSPECTION_FILE = "model.onnx", "inspection.json"


def asked_for(model: BuiltModel | UserModel, exporter: str, opset: int, key: str = "") -> Export:
    """Return the record of an export before anything is made.

    Args:
        key: key of the artifact to be made; "" where there will be none.
    """
    return Export(
        architecture=model.name,
        size=model.image_size,
        exporter=exporter,
        status="failed",
        key=key,
        weights=model.fingerprint,
        opset_asked=opset,
        seconds=0,
    )


def recorded(record: Export, folder: Path, seconds: float, made_by: Mapping[str, str]) -> Export:
    """Return the record of a file that was made and not yet checked. Its inspection is written beside it.

    Args:
        record: the record of the request.
        folder: folder of the file, which is named `MODEL_FILE`.
        seconds: time that making it took.
        made_by: versions, layout and transforms.

    Raises:
        ArtifactError: it is not an ONNX file.
    """
    found = inspect(folder / MODEL_FILE)
    (folder / INSPECTION_FILE).write_text(found.model_dump_json(indent=1), encoding="utf-8")
    return record.model_copy(
        update={
            "status": "ok",
            "reason": "",
            "opset": found.opsets.get("", found.opsets.get("ai.onnx", 0)),
            "file_bytes": found.file_bytes,
            "parameters": found.parameters,
            "nodes": found.nodes,
            "operators": found.operators,
            "transposes": found.transposes,
            "transposes_after_optimisation": found.optimised.transposes if found.optimised else 0,
            "seconds": seconds,
            "made_by": dict(made_by),
        }
    )


class Judged(Record):
    """The result of checking a file.

    Attributes:
        agreement: its comparisons, including failed ones.
        reason: why the file may not be used, or what is wrong with it; "" where nothing is.
        file_is_right: whether a runtime is wrong and not the file, which is then timed while each runtime is judged by
            its own numbers.
        undecided: whether nobody can say who is wrong.
        wrong_in, right_in: the culprit, and the witness that computes it correctly; see `assay.numerics.guilt`.
    """

    agreement: list[Agreement]
    reason: str
    file_is_right: bool
    undecided: bool
    wrong_in: list[str]
    right_in: str

    def on(self, record: Export) -> Export:
        """Return the record of the file with this result; a file that is not right has failed."""
        status = "failed" if self.reason and not self.file_is_right else "ok"
        return record.model_copy(update={**dict(self), "status": status})


def judged_by(agreements: list[Agreement], sentence: Sentence) -> Judged:
    """Return the result of checking a file, from the verdict on its comparisons."""
    guilt = sentence.guilt
    is_right = guilt.file == "right" and bool(guilt.wrong)
    return Judged(
        agreement=agreements,
        reason=sentence.reason,
        file_is_right=is_right,
        undecided=guilt.file == "undecided" and bool(guilt.said),
        wrong_in=list(guilt.wrong),
        right_in=guilt.right if is_right else "",
    )
