"""Small studies of one model as TOML, of which a test says only what it is about."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def small_study(
    name: str = "small",
    *,
    data: str | None = "synthetic",
    limit: int | None = None,
    sizes: Sequence[int] = (28,),
    epochs: float = 1,
    **sections: Mapping[str, Any],
) -> str:
    """The text of a study file.

    Args:
        data: name of the data set; None for the study's default.
        sections: further tables by name, such as train={"frameworks": ["torch"]}. Later keys may be appended to the
            text for the last of them.
    """
    tables = {"data": {"name": data, "limit": limit}} | {key: dict(one) for key, one in sections.items()}
    text = f"name = {_toml(name)}\n"
    for size in sizes:
        text += f'[[models]]\narchitecture = "bloodnet"\nsizes = [{size}]\nepochs = [{epochs}]\n'
    for key, table in tables.items():
        known = {one: value for one, value in table.items() if value is not None}
        text += f"[{key}]\n" * bool(known) + "".join(f"{one} = {_toml(value)}\n" for one, value in known.items())
    return text


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key} = {_toml(one)}' for key, one in value.items())}}}"
    return json.dumps(value)
