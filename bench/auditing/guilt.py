"""The party at fault in an audit, by the rule of `assay.numerics.guilt`: a sentence for each file that is run
wrongly.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from assay.bench.atlas.lookup import known_of_export
from assay.bench.auditing.localise import RUNNERS, Followable, localisations_of, outcomes_of
from assay.bench.auditing.record import Explained
from assay.bench.course import Course
from assay.numerics.guilt import EVALUATOR_IN_FLOAT64, Outcome, guilt_of
from assay.records.audit import Comparison
from assay.records.localisation import Localisation
from assay.records.results import Export
from assay.registry import RUNTIMES


def witnesses_in(
    comparisons: Iterable[Comparison], runners: Mapping[str, str], failed: Iterable[str] = ()
) -> dict[str, Outcome]:
    """Return what each runtime of a file says about it, by witness.

    Args:
        runners: witness of each subject; other subjects are left out.
        failed: subjects without outputs.
    """
    found: dict[str, Outcome] = {runners[name]: "fails" for name in failed if name in runners}
    for name, passed in outcomes_of(comparisons, runners).items():
        found[name] = "agrees" if passed else "differs"
    return found


def explained_by_files(
    course: Course, subject: Followable, exports: Sequence[Export], comparisons: Sequence[Comparison]
) -> Explained:
    """Follow a model's wrong exports to where they go wrong, name who is wrong about each, and say what the atlas has
    on it.
    """
    localisations = localisations_of(course, subject, exports, comparisons)
    guilt = _guilt_of_files(comparisons, exports, localisations)
    return Explained(localisations, guilt + known_of_files(comparisons, exports, subject.operators))


def known_of_files(
    comparisons: Iterable[Comparison], exports: Iterable[Export], operators: Collection[str]
) -> list[str]:
    """Return what the atlas has on the operators of a model, for each export that failed its check or its audit.

    Args:
        operators: the framework's, that compute in a call of the model.
    """
    failed = {one.subject.partition("@")[::2] for one in comparisons if not one.passed}
    found = []
    for export in exports:
        runtimes = [name for name, exporter in failed if exporter == export.exporter and name in RUNTIMES]
        if runtimes or (export.status == "failed" and export.agreement):
            found += [f"{export.exporter}: {said}" for said in known_of_export(export, operators, runtimes)]
    return found


def _guilt_of_files(
    comparisons: Sequence[Comparison], exports: Iterable[Export], localisations: Sequence[Localisation]
) -> list[str]:
    """Return a sentence for each export that some runtime gets wrong, with its name."""
    found = []
    for export in exports:
        runners = {f"{name}@{export.exporter}": runner for name, runner in RUNNERS.items()}
        outcomes: dict[str, Outcome] = dict.fromkeys(export.wrong_in, "differs")
        outcomes |= witnesses_in(comparisons, runners)
        if "differs" not in outcomes.values():
            continue
        if export.right_in:
            outcomes.setdefault(export.right_in, "agrees")
        if any(one.subject == export.exporter and not one.runtime for one in localisations):
            outcomes[EVALUATOR_IN_FLOAT64] = "differs"
        found.append(f"{export.exporter}: {guilt_of(outcomes).said}")
    return found
