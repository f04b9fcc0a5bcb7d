"""Candidates that run on a device in an environment of their own: what cannot share ours, as TensorFlow with CUDA.

Their workers are like any other's: this copy of Assay, by its place, on the packages of the other environment.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from assay import toolenv
from assay.bench.timing.programs import Refused
from assay.bench.timing.workers import Candidate
from assay.errors import AssayError, DiskError
from assay.registry import RUNTIMES

FOLDER = Path(__file__).parents[2] / "infer" / "runtimes" / "envs"


def with_environments(
    candidates: Iterable[Candidate], device: str, progress: toolenv.Progress
) -> tuple[tuple[Candidate, ...], Refused]:
    """Return the candidates with the interpreter that each runs in, and those without an environment, with reasons.

    Args:
        device: requested device.
        progress: receiver of news of an environment being made, once for all that run in it.

    Raises:
        DiskError: the machine cannot write.
    """
    made: dict[str, Path | str] = {}
    able: list[Candidate] = []
    refused: list[tuple[Candidate, str]] = []
    for candidate in candidates:
        name = RUNTIMES[candidate.runtime].environments.get(candidate.asked_device(device), "")
        if not name or candidate.python:
            able.append(candidate)
            continue
        if name not in made:
            made[name] = _made(name, progress)
        place = made[name]
        if isinstance(place, str):
            refused.append((candidate, place))
        else:
            able.append(replace(candidate, python=place))
    return tuple(able), tuple(refused)


def list_of(name: str) -> Path:
    """The pinned list of an environment."""
    return FOLDER / f"{name}.txt"


def _made(name: str, progress: toolenv.Progress) -> Path | str:
    """Its interpreter, or why there is none.

    Raises:
        DiskError: the machine cannot write.
    """
    try:
        return toolenv.ensure(name, list_of(name), progress)
    except DiskError:
        raise  # the machine's failure, not this one's
    except AssayError as error:
        return str(error)
