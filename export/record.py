"""The record of an ONNX file, filled in one way: for a route's export, a user's model and a variant of either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from assay.results import Agreement, Export
from export.inspect import inspect

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


def checked(record: Export, agreement: Sequence[Agreement], problem: str = "") -> Export:
    """The record with what the checks of its file found; `problem` is why it could not be compared, or ""."""
    failed = [one for one in agreement if not one.passed]
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    reason = problem or (f"{failed[0].subject}: {failed[0].reason}{more}" if failed else "")
    status = "failed" if reason else "ok"
    return record.model_copy(update={"status": status, "reason": reason, "agreement": list(agreement)})
