"""The record of an ONNX file, filled in one way: for a route's export, a user's model and a variant of either."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from assay.export.checking.levels import Levels, sentence_on
from assay.export.graph.inspect import inspect
from assay.numerics.guilt import Guilt, Outcome
from assay.records.results import Export

MODEL_FILE, INSPECTION_FILE = "model.onnx", "inspection.json"


def recorded(record: Export, folder: Path, seconds: float, made_by: Mapping[str, str]) -> Export:
    """The record of a file that was made and not yet checked. All there is to say of it is written beside it.

    Args:
        record: what was asked for.
        folder: with the file, under the name `MODEL_FILE`.
        seconds: that making it took.
        made_by: versions, layout and transforms.

    Raises:
        ArtifactError: it is no ONNX file.
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


def checked(record: Export, levels: Levels, others: Callable[[], Mapping[str, Outcome]]) -> Export:
    """The record with what the checks of its file found.

    Args:
        others: asks witnesses beside ONNX Runtime, where none of its levels agrees.
    """
    found = sentence_on(levels, others)
    update = {
        "status": "failed" if found.reason and found.guilt.file != "right" else "ok",
        "reason": found.reason,
        "agreement": levels.agreements,
        **guilt_fields(found.guilt),
    }
    return record.model_copy(update=update)


def guilt_fields(guilt: Guilt) -> dict[str, object]:
    """What the record of an export says of who is wrong."""
    is_right = guilt.file == "right" and bool(guilt.wrong)
    return {
        "file_is_right": is_right,
        "undecided": guilt.file == "undecided" and bool(guilt.said),
        "wrong_in": list(guilt.wrong),
        "right_in": guilt.right if is_right else "",
    }
