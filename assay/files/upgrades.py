"""Translation of older records into today's terms: names that have changed, and the versions of results.

Runtimes of a user's own model were called `user.torch.eager`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pydantic import JsonValue

from assay.fingerprint import told_by_older
from assay.registry import PLAIN_TASK, TASK_OF_ARCHITECTURES

OF_A_USER = re.compile(r"(^|/)user\.((?:torch|tf|jax)\.[a-z]+(?:\[[^/]*\])?)$")
"""Matches a runtime's name, a label, or the end of a cell's name."""


def name_of_today(text: str) -> str:
    """Return today's name of a runtime, a label or a cell; any other text is returned unchanged."""
    return OF_A_USER.sub(r"\1\2", text)


def with_names_of_today(value: JsonValue) -> JsonValue:
    """Return a record in which every runtime, label and cell has today's name, both as a value and as a key."""
    if isinstance(value, str):
        return name_of_today(value)
    if isinstance(value, list):
        return [with_names_of_today(one) for one in value]
    if isinstance(value, dict):
        return {name_of_today(key): with_names_of_today(one) for key, one in value.items()}
    return value


def _from_1_to_2(record: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Version 2 added validity, steadiness, a verdict for every label, and the explanation of times; all may be
    missing.

    Version 1 called ONNX faster or slower without correcting for many comparisons, and those verdicts stay as they
    were.
    """
    return record | {"schema_version": 2}


def _from_2_to_3(record: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Version 3 knows a machine by its fingerprint; one is made from whatever an older record says of its machine."""
    newer = record | {"schema_version": 3}
    told = record.get("environment")
    if isinstance(told, dict):
        newer["environment"] = {"fingerprint": told_by_older(told), **told}
    return newer


def _from_3_to_4(record: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Version 4 records the kind of its results, and has one name for a runtime for all models."""
    settings = record.get("settings")
    kind = "model" if isinstance(settings, dict) and "fingerprint" in settings else "study"
    newer = {name: with_names_of_today(value) for name, value in record.items()}
    return newer | {"schema_version": 4, "kind": kind}


def _from_4_to_5(record: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Version 5 says how answers are judged: before it, only the images of a study had classes."""
    task = PLAIN_TASK if record.get("kind") == "model" else TASK_OF_ARCHITECTURES
    return record | {"task": task, "schema_version": 5}


# Steps that turn a record of version N into one of version N + 1.
UPGRADES_OF_RESULTS: dict[int, Callable[[dict[str, JsonValue]], dict[str, JsonValue]]] = {
    1: _from_1_to_2,
    2: _from_2_to_3,
    3: _from_3_to_4,
    4: _from_4_to_5,
}
