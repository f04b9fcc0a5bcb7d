"""Prices of an hour of each kind of machine: a small file that a person writes.

currency = "USD"

[per_hour]
"c7i.large" = 0.0893   # by instance type
"3fa41c" = 0.12        # or by the beginning of a kind's key, as `assay join` shows it
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from assay.errors import InputError
from assay.files.mistakes import mistake_in
from assay.files.texts import read_text
from assay.files.toml import parse_toml
from assay.fleet.kind import LEAST_OF_A_KEY, MachineKind
from assay.records.base import Record

MOST_BYTES = 1 << 20
A_PRICE = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]


class Prices(Record):
    """Prices of machines.

    Attributes:
        currency: currency of the prices; "" where the file does not give it.
        per_hour: prices by instance type, or by the beginning of a kind's key.
    """

    currency: str = ""
    per_hour: dict[str, A_PRICE]

    def of(self, kind: MachineKind) -> float | None:
        """Return the price of an hour of this kind, or None where it is not in the file."""
        if kind.instance_type in self.per_hour:
            return self.per_hour[kind.instance_type]
        named = [name for name in self.per_hour if len(name) >= LEAST_OF_A_KEY and kind.key.startswith(name)]
        return self.per_hour[max(named, key=len)] if named else None


def read_prices(path: Path) -> Prices:
    """
    Raises:
        InputError: there is no such file, it is not TOML, or it has something else than prices.
    """
    try:
        return Prices.model_validate(parse_toml(read_text(path, MOST_BYTES)))
    except (OSError, ValueError) as error:  # of TOML or pydantic, each of which is a ValueError
        raise InputError(
            f"Cannot read prices from {path}",
            expected="a table [per_hour] of prices above 0, by instance type or kind",
            found=mistake_in(error),
        ) from error
