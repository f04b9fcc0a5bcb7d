"""`assay selfcheck`: the instrument measured on this machine, with runtimes whose truth is known.

Everything goes the way of a study: fresh worker processes, frozen while they wait, bursts in random order, ratios
within blocks, processes added until the intervals are narrow enough, verdicts corrected over what is compared
together.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars
from pydantic import ValidationError

from assay import __version__
from assay.errors import FailedError
from assay.selfcheck import SELFCHECK_FILE, Check, PlantedComparisons, SelfCheck
from assay.spec import ModelSpec, Settings
from assay.store import write_atomically
from assay.texts_on_disk import read_bytes
from bench.fingerprint import fingerprint
from bench.machine import advice, environment, package_versions, usable_cores
from bench.ruler import attribution_check, floor_check, found_check, mistaken_check, timer_checks
from bench.stats import Ratio, Samples, ratio_estimate
from bench.summary import CellSamples, by_cell
from bench.trials import Group, Limits, Tell, Unit
from bench.verdicts import judge
from bench.workers import Candidate
from infer.runtime import ModelFiles

COMPARISONS = 20
LEAST_PROCESSES, BLOCKS = 3, 2  # processes are the sample, so time goes into more of them
PRECISION = 0.02
CALL_SECONDS = 30.0
SPEC = ModelSpec("bloodnet", 28, 8)
FILES = ModelFiles(spec=SPEC)
REFERENCE = Candidate("calibrated", "", FILES)
PLANTED = {
    0.0: Candidate("calibrated", "again", FILES),
    0.03: Candidate("calibrated.slower3", "", FILES),
    0.1: Candidate("calibrated.slower10", "", FILES),
}
NULL = Candidate("null", "", FILES)
SPLIT, SKELETON = Candidate("calibrated.split", "", FILES), Candidate("calibrated.skeleton", "", FILES)


@dataclass
class Trial:
    """A group whose candidates are timed in as many fresh processes as it takes."""

    group: Group
    parts: list[polars.DataFrame] = field(default_factory=list)
    longest_seconds: float = 0.0

    def add_process(self, folder: Path, deadline: float, tell: Tell) -> None:
        """
        Raises:
            FailedError: nothing could be timed.
        """
        begun = time.monotonic()
        limits = Limits(share=deadline, end=deadline, call=CALL_SECONDS, blocks=BLOCKS)
        unit = Unit(self.group, len(self.parts), limits, folder, folder / "cache")
        unit.run(tell)
        reasons = [fact.reason for fact in unit.facts if fact.reason and not fact.skipped]
        if reasons:
            raise FailedError("The self-check cannot time its own runtimes", found=reasons[0])
        self.parts.append(unit.samples())
        self.longest_seconds = max(self.longest_seconds, time.monotonic() - begun)

    @property
    def timed(self) -> CellSamples:
        return by_cell(polars.concat(self.parts)) if self.parts else {}

    def median_us(self, candidate: Candidate, boundary: str = "device") -> float | None:
        """Median over all calls in microseconds; None when there are none."""
        samples = self.samples(candidate, boundary)
        return float(np.median(samples.values)) * 1000 if samples else None

    def samples(self, candidate: Candidate, boundary: str) -> Samples | None:
        """Its timed calls; None where time ran out before the first, perhaps after the warm-up."""
        return self.timed.get(self.group.cell_name(1, candidate.label), {}).get(boundary)

    def ratio(self, candidate: Candidate) -> Ratio | None:
        """The candidate's time over the reference's, at the host boundary as in a study."""
        subject, reference = self.samples(candidate, "host"), self.samples(REFERENCE, "host")
        return ratio_estimate(subject, reference) if subject and reference else None


def run_selfcheck(seconds: float, tell: Tell, comparisons: int = COMPARISONS) -> SelfCheck:
    """Measure the ruler within so many seconds; what did not fit fails its check and says so.

    Raises:
        FailedError: the workers cannot be run at all.
    """
    begun = time.monotonic()
    deadline = begun + seconds
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        images = folder / "images.npy"
        np.save(images, np.zeros((4, *SPEC.image_shape), np.float32))
        group = _grouping(images)
        checks = timer_checks()
        checks += _known_times(group, folder, deadline, tell)
        trials = [Trial(group(f"comparison{n}", (REFERENCE, *PLANTED.values()))) for n in range(comparisons)]
        compare_until(trials, folder, deadline, tell)
    planted = [comparisons_with(trials, share) for share in PLANTED]
    checks.append(mistaken_check(planted[0], comparisons))
    checks += [found_check(one, comparisons) for one in planted[1:]]
    return SelfCheck(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=this_machine(),
        seconds=time.monotonic() - begun,
        passed=all(check.passed for check in checks),
        checks=checks,
        comparisons=planted,
        advice=advice(environment()),
    )


def _grouping(images: Path) -> Callable[[str, tuple[Candidate, ...]], Group]:
    settings = Settings(threads=1, cores=usable_cores()[-1:])
    return lambda name, candidates: Group(f"{name}/{SPEC.size}/t1", candidates, (1,), settings, images)


def _known_times(
    group: Callable[[str, tuple[Candidate, ...]], Group], folder: Path, deadline: float, tell: Tell
) -> list[Check]:
    """The runtime that does nothing, and the one whose overhead and kernel are known."""
    floor, split = Trial(group("floor", (NULL,))), Trial(group("attribution", (SPLIT, SKELETON)))
    for trial in (floor, split):
        for _ in range(LEAST_PROCESSES):
            trial.add_process(folder, deadline, tell)
    return [
        floor_check(floor.median_us(NULL), floor.median_us(NULL, "host")),
        attribution_check(split.median_us(SPLIT), split.median_us(SKELETON)),
    ]


def compare_until(trials: Sequence[Trial], folder: Path, deadline: float, tell: Tell) -> None:
    """Add processes where the intervals are widest until all are narrow enough, or the next would end too late."""
    widths = dict.fromkeys(range(len(trials)), float("inf"))
    while open_ones := [place for place, width in widths.items() if width > PRECISION]:
        place = min(open_ones, key=lambda n: (min(len(trials[n].parts), LEAST_PROCESSES), -widths[n], n))
        if time.monotonic() + max(trial.longest_seconds for trial in trials) > deadline:
            return
        done = len(trials) - len(open_ones)
        tell(
            f"{done} of {len(trials)} comparisons settled; process {len(trials[place].parts) + 1} of number {place + 1}"
        )
        trials[place].add_process(folder, deadline, lambda text: None)
        if len(trials[place].parts) >= LEAST_PROCESSES:
            widths[place] = max(width_of(trials[place].ratio(candidate)) for candidate in PLANTED.values())


def width_of(ratio: Ratio | None) -> float:
    """Relative width of the interval, the rule by which a study adds processes."""
    return (ratio.interval.high - ratio.interval.low) / ratio.interval.value if ratio else float("inf")


def comparisons_with(trials: Sequence[Trial], planted: float) -> PlantedComparisons:
    """What was said of one kind of candidate; what is compared with one reference is one family."""
    ratios, verdicts, processes = [], [], []
    for trial in trials:
        estimates = {share: trial.ratio(candidate) for share, candidate in PLANTED.items()}
        family = [ratio for ratio in estimates.values() if ratio is not None]
        if len(family) == len(PLANTED):
            place = list(PLANTED).index(planted)
            ratios.append(family[place].interval)
            verdicts.append(judge(family)[place])
            processes.append(family[place].processes)
    return PlantedComparisons(planted=planted, ratios=ratios, verdicts=verdicts, processes=processes)


def this_machine() -> dict[str, str]:
    """What a measurement must share with a self-check for that to speak for it."""
    facts = environment()
    names = ("processor", "usable_cores", "system", "python")
    return {name: str(facts[name]) for name in names} | {
        "fingerprint": fingerprint().key,
        "onnx-assay": __version__,
        "numpy": package_versions().get("numpy", ""),
    }


def store_selfcheck(found: SelfCheck, folder: Path) -> Path:
    """Write the record where studies of this folder find it."""
    path = folder / SELFCHECK_FILE
    write_atomically(path, found.model_dump_json(indent=1).encode())
    return path


def stored_selfcheck(folder: Path) -> SelfCheck | None:
    """The record in this folder; None where there is none of this machine and these versions."""
    path = folder / SELFCHECK_FILE
    try:
        found = SelfCheck.model_validate_json(read_bytes(path))
    except (OSError, ValidationError):
        return None
    return found if found.machine == this_machine() else None
