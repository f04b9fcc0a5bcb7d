"""Whether the numbers of a user's model agree, in a sentence or two that come before speed. Pure functions.

The reasons are in the refusals that follow; the agreement and its degree are here.
"""

from __future__ import annotations

from collections.abc import Sequence

from assay.bench.words.names import verified
from assay.bench.words.numbers import listed, scientific
from assay.records.results import Agreement, Export, Results
from assay.registry import GIVEN

MOST_NAMED = 4


def numbers_in_words(results: Results) -> list[str]:
    """Describe the exports that agree with the reference, those that do not, and those that failed, a sentence each.

    Args:
        results: results of `assay model`, whose settings name the reference.
    """
    reference = str(results.settings.get("reference", "float64")).partition(":")[0]
    exports = [one for one in results.exports if one.precision == "fp32"]
    agreeing = [one for one in exports if one.agreement and all(part.passed for part in one.agreement)]
    undecided = [one for one in exports if one.agreement and one not in agreeing and one.undecided]
    others = [one for one in exports if one not in agreeing and one not in undecided]
    wrong = [one for one in others if one.agreement and not one.file_is_right]
    optimised = [one for one in others if one.agreement and one.file_is_right]
    unrun = [one for one in exports if not one.agreement and one.file_is_right]
    lacking = [one for one in exports if not one.agreement and one not in unrun]
    found = []
    if wrong:
        found.append(f"{_disagree(wrong, exports)} with {reference}.")
    if undecided:
        verb = "is" if len(undecided) == 1 else "are"
        found.append(f"{_named(undecided, exports)} {verb} not judged.")
    if optimised:
        verb = "is" if len(optimised) == 1 else "are"
        found.append(f"{_named(optimised, exports)} {verb} right, and ONNX Runtime's optimiser is not.")
    if unrun:
        verb = "is" if len(unrun) == 1 else "are"
        found.append(f"{_named(unrun, exports)} {verb} right, and ONNX Runtime lacks an operator to run it.")
    if agreeing:
        verb = "agrees" if len(agreeing) == 1 else "agree"
        found.append(f"{_run(agreeing, exports)} {verb} with {reference}{_how_closely(agreeing)}.")
    found += [f"The route {one.exporter} gave no usable file: {one.reason.rstrip('.')}." for one in lacking]
    variants = [one for one in results.exports if one.precision != "fp32" and one.status == "ok"]
    costs = [f"{one.subject}: {one.derivation}." for one in results.cost if one.passed]
    return [
        *found,
        *(one[0].upper() + one[1:] for one in costs),
        *_at_the_margin(results),
        *told_of_model(results),
        *_by_own_tolerances(results),
        *filter(None, [verified(results)]),
        *(f"{one.exporter} follows {reference}{_layers_left(one)}: {_worst([one]).derivation}." for one in variants),
    ]


def _at_the_margin(results: Results) -> list[str]:
    """Say which entries, such as boxes, are on one side only in what agrees, once for all that say the same."""
    checked = [(one.exporter, part) for one in results.exports for part in one.agreement]
    timed = [(cell.label, part) for cell in results.cells for part in (cell.agreement, cell.timed_agreement) if part]
    by_margin: dict[str, dict[str, None]] = {}
    for name, part in (*checked, *timed):
        if part.margin and part.passed:
            by_margin.setdefault(part.margin, {})[name] = None
    return [f"In {listed(list(names))}, {said}." for said, names in by_margin.items()]


def told_of_model(results: Results) -> list[str]:
    """Return what the probe said of the model: where a library's weights are from, how whole numbers are drawn, and
    which outputs cannot be compared, or only in another form.
    """
    weights, said = results.settings.get("weights"), results.settings.get("told")
    told = [str(one) for one in said] if isinstance(said, list) else []
    return [f"Weights: {weights}.", *told] if weights else told


def _by_own_tolerances(results: Results) -> list[str]:
    """Say which runtimes keep the user's own tolerances, and what was derived beside them."""
    judged = [(cell.label, cell.agreement) for cell in results.cells if cell.agreement]
    known = [(label, one, one.own_tolerance) for label, one in judged if one.own_tolerance is not None]
    if not known:
        return []
    beyond = list(dict.fromkeys(label for label, one, own in known if not 0 <= one.max_absolute <= own))
    _, worst, own = max(known, key=lambda row: row[1].max_absolute / (row[2] or 1e-300))
    said = (
        f"the worst is {scientific(worst.max_absolute)}, where {scientific(own)} is your own tolerance and "
        f"{scientific(worst.tolerance)} the derived one"
    )
    if beyond:
        return [f"Your own tolerance is exceeded by {listed(beyond)}: {said}."]
    return [f"Your own tolerance is kept by every runtime: {said}."]


def _layers_left(export: Export) -> str:
    """Return " with 2 of 29 layers in fp32 (conv1, fc)", for a file for which these were searched; "" for any other."""
    if export.search is None:
        return ""
    left = export.search.found.left
    names = ", ".join([*left[:MOST_NAMED], *(["..."] if len(left) > MOST_NAMED else [])])
    return f" with {len(left)} of {export.search.layers} layers in fp32 ({names})"


def _named(some: Sequence[Export], of_all: Sequence[Export]) -> str:
    """Name these exports, to begin a sentence."""
    names = [one.exporter for one in some]
    if names == [GIVEN]:
        return "The file"
    if len(names) == 1:
        return f"The export by {names[0]}"
    if len(names) == len(of_all):
        return ("Both exports" if len(names) == 2 else f"All {len(names)} exports") + f" ({', '.join(names)})"
    return f"The exports by {listed(names)}"


def _run(some: Sequence[Export], of_all: Sequence[Export]) -> str:
    """Name what is compared with float64 likewise; a user's own file is the model itself, by another evaluator."""
    named = _named(some, of_all)
    return f"{named} in ONNX Runtime" if [one.exporter for one in some] == [GIVEN] else named


def _disagree(wrong: Sequence[Export], of_all: Sequence[Export]) -> str:
    """Say that these do not agree, in a sentence up to its "with"."""
    names = ", ".join(one.exporter for one in wrong)
    if len(wrong) == 1:
        return f"{_run(wrong, of_all)} does NOT agree"
    if len(wrong) < len(of_all):
        return f"{_named(wrong, of_all)} do NOT agree"
    return (
        f"NEITHER export ({names}) agrees" if len(wrong) == 2 else f"NONE of the {len(wrong)} exports ({names}) agrees"
    )


def _how_closely(agreeing: Sequence[Export]) -> str:
    """Return " to 3.0e-07, where 1.6e-06 is tolerated", by the comparison that takes most of its tolerance."""
    worst = _worst(agreeing)
    if not worst.tolerance:
        return ", number for number"
    return f" to {scientific(worst.max_absolute)}, where {scientific(worst.tolerance)} is tolerated"


def _worst(some: Sequence[Export]) -> Agreement:
    """Return the comparison that takes most of its tolerance."""
    parts = [part for one in some for part in one.agreement]
    return max(parts, key=lambda part: part.max_absolute / part.tolerance if part.tolerance else -1.0)
