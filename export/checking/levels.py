"""A file judged at every optimisation level of ONNX Runtime, and who is wrong where the numbers are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from assay.errors import ExportFailedError
from assay.numerics.guilt import Guilt, Outcome, guilt_of, level_of
from assay.records.results import Agreement


@dataclass(frozen=True)
class Levels:
    """The results of a file, by ONNX Runtime's names of the levels.

    Attributes:
        compared: its comparisons, including those that failed.
        failures: why it did not load or run.
    """

    compared: Mapping[str, list[Agreement]]
    failures: Mapping[str, ExportFailedError]

    @property
    def agreements(self) -> list[Agreement]:
        """All comparisons, the lowest level first."""
        return [one for found in self.compared.values() for one in found]

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """The outcome at each level, by the names of `assay.numerics.guilt`."""
        found: dict[str, Outcome] = dict.fromkeys(map(level_of, self.failures), "fails")
        for level, some in self.compared.items():
            found[level_of(level)] = "agrees" if all(one.passed for one in some) else "differs"
        return found


def judged_at_levels(levels: list[str], judge: Callable[[str], list[Agreement]]) -> Levels:
    """
    Args:
        judge: makes the comparisons of one level.

    Raises:
        ExportFailedError: it runs at none of them; the reason is that of the first.
    """
    compared: dict[str, list[Agreement]] = {}
    failures: dict[str, ExportFailedError] = {}
    for level in levels:
        try:
            compared[level] = judge(level)
        except ExportFailedError as error:
            failures[level] = error
    if not compared:
        raise next(iter(failures.values()))
    return Levels(compared, failures)


@dataclass(frozen=True)
class Sentence:
    """The verdict on a file.

    Attributes:
        reason: why the file may not be used, or what is wrong with it; "" where nothing is.
        guilt: the culprit.
    """

    reason: str
    guilt: Guilt


def sentence_on(levels: Levels, others: Callable[[], Mapping[str, Outcome]]) -> Sentence:
    """
    Args:
        others: asks the other witnesses; called where no level of ONNX Runtime agrees.
    """
    outcomes = levels.outcomes
    if "agrees" not in outcomes.values():
        outcomes |= others()
    guilt = guilt_of(outcomes)
    problems = [f"{one.subject}: {one.reason}" for one in levels.agreements if not one.passed]
    problems += [str(error) for error in levels.failures.values()]
    if not problems:
        return Sentence("", guilt)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    said = f"{problems[0]}{more}"
    return Sentence(f"{guilt.said}: {said}" if guilt.file == "right" else f"{said}; {guilt.said}", guilt)
