"""The reading of results and comparisons that are joined into a history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.bench.comparing.compare import Outcome, packages_of
from assay.bench.fleet.runs import read_run
from assay.bench.history.record import ReadRun
from assay.bench.machine.machine import RECORDED_PACKAGES
from assay.bench.statistics.stats import Samples
from assay.bench.timing.unit_files import SAMPLES_FILE
from assay.errors import ArtifactError, InputError
from assay.fleet.kind import kind_in
from assay.records.results import RESULTS_FILE, Results, read_results


@dataclass(frozen=True)
class Release:
    """One of the results that are joined.

    Attributes:
        folder: its folder.
        results: results as their audit leaves them.
        timed: calls by cell and boundary; empty for results of trainings alone.
    """

    folder: Path
    results: Results
    timed: Mapping[str, Mapping[str, Samples]]

    @property
    def machine(self) -> str:
        """The key of its kind of machine."""
        return kind_in(self.results.environment).key

    @property
    def told(self) -> ReadRun:
        """Its description for the record."""
        packages = packages_of(self.results)
        return ReadRun(
            folder=self.folder.name,
            study=self.results.study,
            created=self.results.created,
            assay_version=self.results.assay_version,
            machine=kind_in(self.results.environment).words,
            packages={name: packages[name] for name in RECORDED_PACKAGES if name in packages},
        )


def read_all(paths: Sequence[Path]) -> tuple[list[Release], list[Outcome]]:
    """Return the results in folders, the oldest first, and the comparisons in JSON files.

    Raises:
        InputError: fewer than two are given, or one twice.
        ArtifactError: a path has neither results nor a comparison, or they are damaged.
    """
    if len(paths) < 2:
        raise InputError("One run has no history", expected="two folders of results or more")
    outcomes = [read_outcome(path) for path in paths if path.is_file() and path.name != RESULTS_FILE]
    folders = [path.parent if path.is_file() else path for path in paths if path.is_dir() or path.name == RESULTS_FILE]
    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None:
        raise ArtifactError(
            f"There is no {missing}", expected=f"a folder with {RESULTS_FILE}, or a file of assay compare --json"
        )
    releases = [read_release(folder) for folder in folders]
    seen: dict[str, Path] = {}
    for one in releases:
        content = one.results.model_dump_json()
        if content in seen:
            raise InputError(f"{one.folder} and {seen[content]} are the same run", expected="each run once")
        seen[content] = one.folder
    return sorted(releases, key=lambda one: one.results.created), outcomes


def read_release(folder: Path) -> Release:
    """
    Raises:
        ArtifactError: there are no results in the folder, times without their samples, or something is damaged.
    """
    if (folder / SAMPLES_FILE).is_file():
        run = read_run(folder)
        return Release(folder.resolve(), run.said, run.timed)
    results = read_results(folder / RESULTS_FILE)
    if any(cell.host for cell in results.cells):
        read_run(folder)  # which says what is missing
    return Release(folder.resolve(), results, {})


def read_outcome(path: Path) -> Outcome:
    """
    Raises:
        ArtifactError: the file is not a comparison.
    """
    return Outcome.read_from(path, f"{path} is not a comparison", expected="what assay compare --json prints")
