"""Audits that earlier versions of Assay wrote, in the form of today."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import JsonValue
from pydantic_core import from_json, to_json

from assay.files.upgrades import with_names_of_today
from assay.registry import PLAIN_TASK, TASK_OF_ARCHITECTURES


def _from_1_to_2(record: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Version 2 has one name for a runtime, for a study's and a user's models alike."""
    return {name: with_names_of_today(value) for name, value in record.items()} | {"schema_version": 2}


def _from_2_to_3(record: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Version 3 says how a model's answers are judged: before, those of a study's images alone had classes."""
    models = record.get("models")
    if not isinstance(models, list):
        return record | {"schema_version": 3}
    task = TASK_OF_ARCHITECTURES if record.get("data") else PLAIN_TASK
    told: list[JsonValue] = [
        {"task": TASK_OF_ARCHITECTURES if one.get("classes") else task, **one} if isinstance(one, dict) else one
        for one in models
    ]
    return record | {"models": told, "schema_version": 3}


OF_CLASSES = {
    "max_total_variation": "max_total_variation",
    "mean_total_variation": "mean_total_variation",
    "max_divergence": "max_divergence",
    "top1_agreement": "agreement",
    "flip_count": "flip_count",
    "flips": "flips",
    "flipped_margin": "flipped_margin",
    "accuracy": "accuracy",
    "calibration": "calibration",
}
"""Measures of classes: today's name by the name in version 3."""


def _from_3_to_4(record: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Version 4 keeps measures of classes apart: before, they were among the numbers, whatever the task."""
    models = record.get("models")
    for model in models if isinstance(models, list) else ():
        compared = model.get("comparisons") if isinstance(model, dict) else None
        for one in compared if isinstance(compared, list) else ():
            measured = one.get("measured") if isinstance(one, dict) else None
            if isinstance(measured, dict):
                moved = {OF_CLASSES[name]: measured.pop(name) for name in OF_CLASSES if name in measured}
                measured["classes"] = moved or None
    return record | {"schema_version": 4}


# Steps that turn a record of version N into one of version N + 1.
UPGRADES: dict[JsonValue, Callable[[dict[str, JsonValue]], dict[str, JsonValue]]] = {
    1: _from_1_to_2,
    2: _from_2_to_3,
    3: _from_3_to_4,
}


def upgraded(content: bytes) -> bytes:
    """Return the text of a record, upgraded to the present version where it is older."""
    try:
        record = from_json(content)
    except ValueError:
        return content  # its validation says what is wrong with it
    if not isinstance(record, dict) or not isinstance(record.get("schema_version"), int):
        return content
    while record["schema_version"] in UPGRADES:
        record = UPGRADES[record["schema_version"]](record)
    return to_json(record)
