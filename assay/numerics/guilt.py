"""The party at fault where an ONNX file gives wrong numbers: the file, a runtime, its optimiser, or an evaluator.

One rule serves every command. Each *witness* runs the file, and agrees with the right numbers, differs from them, or
cannot run the file at all. Witnesses come from several makers, who share no mistakes:

- Where any witness agrees, the file is right, and the witnesses that differ are wrong. ONNX Runtime without
optimisations does what the file says: where that agrees and a higher level does not, the optimiser is wrong; where it
differs, its own operators are wrong. - Where all differ and come from two makers or more, the file is wrong. - Where
all differ and only one maker runs the file, either may be wrong, and the result says so. - An evaluation in float64
alone does not clear a file that computes in fp32: where only it agrees, the file loses the numbers in fp32.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from assay.runtimes import openvino, ort

Outcome = Literal["agrees", "differs", "fails"]

UNOPTIMISED = ort.NO_OPTIMISATION.runner
LEVELS = (UNOPTIMISED, "basic", "extended", "layout", "all")
"""ONNX Runtime's levels of optimisation, from the one that changes a file least."""
OPENVINO, OPENVINO_AS_IT_COMES = openvino.FP32.runner, openvino.DEFAULT.runner
EVALUATOR, EVALUATOR_IN_FLOAT64 = "evaluator", "evaluator in float64"
MAKERS = {
    **dict.fromkeys(LEVELS, ort.FAMILY.words),
    OPENVINO: openvino.FAMILY.words,
    OPENVINO_AS_IT_COMES: openvino.FAMILY.words,
    EVALUATOR: "onnx's reference evaluator",
    EVALUATOR_IN_FLOAT64: "onnx's reference evaluator",
}
"""The maker of each witness."""


@dataclass(frozen=True)
class Guilt:
    """
    Attributes:
        file: whether the file is right; "undecided" where nothing shows it, as where no witness runs the file.
        said: a sentence on who is wrong and what shows it; "" where nobody is.
        wrong: witnesses that are wrong about a right file.
        right: the agreeing witness that changes the file least; "" where none agrees.
    """

    file: Literal["right", "wrong", "undecided"]
    said: str
    wrong: tuple[str, ...] = ()
    right: str = ""


def level_of(name: str) -> str:
    """Return our name of a level that ONNX Runtime calls "disable_all" or "enable_basic"."""
    return UNOPTIMISED if name == "disable_all" else name.removeprefix("enable_")


def guilt_of(outcomes: Mapping[str, Outcome]) -> Guilt:
    """
    Args:
        outcomes: outcome by witness, a key of `MAKERS`; witnesses that were not asked are left out.
    """
    agreeing = [name for name in MAKERS if outcomes.get(name) == "agrees"]
    in_fp32 = [name for name in agreeing if name != EVALUATOR_IN_FLOAT64]
    others = [name for name in MAKERS if name in outcomes and name not in agreeing]
    if in_fp32:
        wrong = tuple(others)
        said = f"the file is right ({_agree(in_fp32)}), {_accused(outcomes, others)}" if wrong else ""
        return Guilt("right", said, wrong, in_fp32[0])
    differing = list(dict.fromkeys(MAKERS[name] for name in others if outcomes[name] == "differs"))
    if not differing:
        return Guilt("undecided", "no runtime runs the file" if outcomes else "")
    if agreeing:
        return Guilt("wrong", f"the file is right in float64 alone: in fp32 {_listed(differing)} give wrong numbers")
    if len(differing) > 1:
        return Guilt("wrong", f"the file is wrong: {_listed(differing)} run it, and none gives the right numbers")
    return Guilt("undecided", f"the file is wrong, or {differing[0]} is, the only one that runs it")


def _agree(names: list[str]) -> str:
    levels = [name for name in names if name in LEVELS]
    found = [f"it agrees at level {', '.join(levels)}"] if levels else []
    others = list(dict.fromkeys(MAKERS[name] for name in names if name not in LEVELS))
    if others:
        found.append(f"{_listed(others)} {'agree' if len(others) > 1 else 'agrees'}")
    return "; ".join(found)


def _accused(outcomes: Mapping[str, Outcome], wrong: list[str]) -> str:
    levels = [name for name in LEVELS if name in outcomes]
    found = []
    for outcome, does in (("differs", "is wrong"), ("fails", "does not run it")):
        some = [name for name in levels if name in wrong and outcomes[name] == outcome]
        if some:
            found.append(f"{_part(outcomes, some)} {does} at {_levels(some, levels)}")
        found += [
            f"{_name(outcomes, name)} {does}" for name in wrong if name not in LEVELS and outcomes[name] == outcome
        ]
    return "; ".join(dict.fromkeys(found))


def _part(outcomes: Mapping[str, Outcome], levels: list[str]) -> str:
    """Name the part of ONNX Runtime at fault: its optimiser only if the result is right without optimisations."""
    return "ONNX Runtime's optimiser" if outcomes.get(UNOPTIMISED) == "agrees" else "ONNX Runtime"


def _levels(some: list[str], asked: list[str]) -> str:
    return "every level" if some == asked and len(asked) > 1 else f"level {', '.join(some)}"


def _name(outcomes: Mapping[str, Outcome], name: str) -> str:
    if name != OPENVINO_AS_IT_COMES:
        return MAKERS[name]
    proven = outcomes.get(OPENVINO) == "agrees"
    return (
        "OpenVINO as it comes, which computes in less than fp32 (told to use f32 it agrees)," if proven else "OpenVINO"
    )


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
