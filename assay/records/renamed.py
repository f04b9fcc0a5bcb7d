"""What older records call by another name than today: runtimes of a user's own model were `user.torch.eager`."""

from __future__ import annotations

import re

from pydantic import JsonValue

OF_A_USER = re.compile(r"(^|/)user\.((?:torch|tf|jax)\.[a-z]+(?:\[[^/]*\])?)$")
"""A runtime's name, a label, or the end of a cell's name."""


def name_of_today(text: str) -> str:
    """A runtime's name, a label or a cell's name as it is today; every other text as it is."""
    return OF_A_USER.sub(r"\1\2", text)


def with_names_of_today(value: JsonValue) -> JsonValue:
    """A record in which every runtime, label and cell has the name of today, as a value and as a key."""
    if isinstance(value, str):
        return name_of_today(value)
    if isinstance(value, list):
        return [with_names_of_today(one) for one in value]
    if isinstance(value, dict):
        return {name_of_today(key): with_names_of_today(one) for key, one in value.items()}
    return value
