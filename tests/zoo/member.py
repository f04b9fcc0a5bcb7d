"""The entry of one model in the zoo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Right = Literal["agrees", "differs", "refused"]
"""What Assay has to say: the numbers agree (exit 0, or 1 where a route fails and is told), they differ, or it cannot
compare the model, in a sentence that says what to do.
"""
NETS = Path(__file__).parent / "nets"


@dataclass(frozen=True)
class Member:
    """
    Attributes:
        name: the row's name in the table.
        model: what a person writes for it; "{}" is the folder of what was fetched, or else made.
        right: what is right; `words` are part of what is said then.
        options: further words of the command; "{made}" is the folder of what was made.
        wheel: package that is fetched, without what it depends on, and unpacked; "" where nothing is.
        make: writes files into a folder.
        needs: packages without which the row is skipped.
    """

    name: str
    model: str
    right: Right
    words: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    wheel: str = ""
    make: Callable[[Path], None] | None = None
    needs: tuple[str, ...] = ()


AGREES = ("agree",)
