"""Units that wait for a machine, each in its place."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict, deque
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

Unit = TypeVar("Unit")
Placed = dict[str, deque[tuple[int, Unit]]]


class Waiting(Generic[Unit]):
    """A queue for each slot, made of lines. A machine that may not take the first unit of a line may not take the
    others of it either, so that it looks at no more units than there are lines.

    A unit that is put back goes to the front of its slot. `_firsts` has the lines of each slot in the order of their
    first units.
    """

    def __init__(self) -> None:
        self._lines: dict[str, Placed[Unit]] = defaultdict(lambda: defaultdict(deque))
        self._firsts: dict[str, deque[tuple[int, str]]] = defaultdict(deque)
        self._front = self._back = self._number = 0

    def __len__(self) -> int:
        return self._number

    def of(self, slot: str) -> list[Unit]:
        """Return the units of a slot, in their order."""
        placed = [one for units in self._lines[slot].values() for one in units]
        return [unit for _, unit in sorted(placed, key=lambda one: one[0])]

    def put(self, slot: str, line: str, unit: Unit, *, first: bool = False) -> None:
        """Add a unit at the end of its slot, or at the front."""
        units, firsts = self._lines[slot][line], self._firsts[slot]
        self._number += 1
        if first:
            if units:
                del firsts[bisect_left(firsts, (units[0][0], line))]
            self._front -= 1
            units.appendleft((self._front, unit))
            firsts.appendleft((self._front, line))
        else:
            self._back += 1
            if not units:
                firsts.append((self._back, line))
            units.append((self._back, unit))

    def take(self, slot: str, may: Callable[[Unit], bool]) -> Unit | None:
        """Remove and return the first unit of a slot that a machine may take; None if there is no such unit."""
        lines, firsts = self._lines[slot], self._firsts[slot]
        for at, (_, line) in enumerate(firsts):
            units = lines[line]
            if may(units[0][1]):
                del firsts[at]
                _, unit = units.popleft()
                self._number -= 1
                if units:
                    insort(firsts, (units[0][0], line))
                return unit
        return None

    def drop(self, slot: str, dropped: Collection[Unit]) -> None:
        """Remove units of a slot."""
        lines = self._lines[slot]
        for line, units in list(lines.items()):
            lines[line] = deque(one for one in units if one[1] not in dropped)
            self._number -= len(units) - len(lines[line])
        self._firsts[slot] = deque(sorted((units[0][0], line) for line, units in lines.items() if units))
