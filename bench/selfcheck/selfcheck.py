"""`assay selfcheck`: the instrument measured on this machine, with runtimes whose true times are known.

Everything is done as in a study: fresh worker processes, frozen while they wait, bursts in random order, ratios within
blocks, and as many processes and blocks for each comparison as the study has. Comparisons are made until it is decided
whether false alarms and missed slowdowns are as rare as they should be (`assay.bench.statistics.sequential`). A
comparison is read alone here; comparisons read together in a study are corrected for that, and detect less.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars
from pydantic import JsonValue, ValidationError

from assay import __version__
from assay.bench.judging.summary import CellSamples, by_cell
from assay.bench.judging.verdicts import judge
from assay.bench.machine.host import LOCAL, Host, check_gpu
from assay.bench.machine.kept import kept_of_machine
from assay.bench.machine.machine import advice, package_versions
from assay.bench.selfcheck.ruler import (
    MISSED,
    MISTAKEN,
    attribution_check,
    floor_check,
    found_check,
    frozen_check,
    least_told,
    mistaken_check,
    timer_checks,
    told_check,
)
from assay.bench.statistics.stats import Ratio, Samples, process_logs, ratio_estimate
from assay.bench.timing.limits import Limits
from assay.bench.timing.trials import Group, Tell, Unit
from assay.bench.timing.workers import Candidate
from assay.errors import ArtifactError, DiskError, FailedError, InputError
from assay.files.texts import read_bytes
from assay.infer.runtime import ModelFiles
from assay.records.selfcheck import SELFCHECK_FILE, Check, Design, PlantedComparisons, SelfCheck
from assay.runtimes import rulers
from assay.spec import ModelSpec, Settings
from assay.store import write_atomically
from assay.train.built import BuiltModel

DESIGN = Design(processes=3, blocks=4)
"""Least design of a study: see `assay.study.BenchSection` and `assay.bench.timing.trials.LEAST_BLOCKS`."""
TOLD_WITH = (3, 5, 10)
LEAST_LOGS = 15
"""Fewest ratios of identical runtimes, one for each process, that show which differences could be detected."""
CALL_SECONDS = 30.0
KEPT = "selfcheck"
"""Name of the record among the files kept for a machine."""
KNOWN_PROCESSES, KNOWN_BLOCKS = 3, 2
FROZEN = (0, 1, 4, 8)
"""Numbers of frozen processes with a context on the GPU, beside which one runs."""
SPEC = ModelSpec("bloodnet", 28, 8)
FILES = ModelFiles(model=BuiltModel(spec=SPEC))
REFERENCE = Candidate(rulers.CALIBRATED.name, "", FILES)
IDENTICAL = tuple(
    (Candidate(rulers.CALIBRATED.name, again, FILES), Candidate(rulers.CALIBRATED.name, name, FILES))
    for name, again in (("", "again"), ("second", "second-again"), ("third", "third-again"))
)
"""Pairs that share only conditions common to all: each is a comparison of its own."""
PLANTED = {
    0.03: ((Candidate(rulers.SLOWER_3.name, "", FILES), REFERENCE),),
    0.1: ((Candidate(rulers.SLOWER_10.name, "", FILES), REFERENCE),),
}
PAIRS = {0.0: IDENTICAL, **PLANTED}
CANDIDATES = tuple(dict.fromkeys(one for pairs in PAIRS.values() for pair in pairs for one in pair[::-1]))
NULL = Candidate(rulers.NULL.name, "", FILES)
SPLIT, SKELETON = Candidate(rulers.SPLIT.name, "", FILES), Candidate(rulers.SKELETON.name, "", FILES)
MINUTES = {"cpu": 4.8, "cuda": 30.0}
"""Time that a self-check may take where nobody says otherwise, by device: processes start more slowly on a GPU."""


def check_device(device: str, host: Host = LOCAL) -> float:
    """Return the minutes that a self-check of a device takes by default.

    Raises:
        InputError: there is no such device here.
    """
    if device not in MINUTES:
        raise InputError("--device is not a device", expected=" or ".join(MINUTES), found=device)
    if device == "cuda":
        check_gpu("--device cuda", host, "Leave it out to check the CPU, or run it on a machine with one")
    return MINUTES[device]


@dataclass
class Trial:
    """A group of candidates, timed in as many fresh processes as necessary."""

    group: Group
    host: Host = LOCAL
    parts: list[polars.DataFrame] = field(default_factory=list)
    longest_seconds: float = 0.0

    def add_process(self, folder: Path, deadline: float, blocks: int, tell: Tell) -> None:
        """
        Raises:
            FailedError: nothing could be timed.
        """
        begun = time.monotonic()
        limits = Limits(share=deadline, end=deadline, call=CALL_SECONDS, blocks=blocks)
        unit = Unit(self.group, len(self.parts), limits, folder, folder / "cache", self.host)
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
        """Return the median over all calls in microseconds, or None when there are none."""
        samples = self.samples(candidate, boundary)
        return float(np.median(samples.values)) * 1000 if samples else None

    def process_medians(self, candidate: Candidate) -> list[float]:
        """Return the median at the device boundary in each process, in milliseconds."""
        samples = self.samples(candidate, "device")
        if samples is None:
            return []
        return [float(np.median(samples.values[samples.process == one])) for one in np.unique(samples.process)]

    def samples(self, candidate: Candidate, boundary: str) -> Samples | None:
        """Return its timed calls, or None where time ran out before the first, perhaps after the warm-up."""
        return self.timed.get(self.group.cell_name(1, candidate.label), {}).get(boundary)

    def ratio(self, candidate: Candidate, reference: Candidate = REFERENCE) -> Ratio | None:
        """Return the candidate's time over the reference's, at the host boundary as in a study."""
        above, below = self.samples(candidate, "host"), self.samples(reference, "host")
        return ratio_estimate(above, below) if above and below else None

    def logs(self, candidate: Candidate, reference: Candidate) -> list[float]:
        """Return the logarithm of that ratio in each process."""
        above, below = self.samples(candidate, "host"), self.samples(reference, "host")
        return process_logs(above, below) if above and below else []


def run_selfcheck(
    seconds: float, tell: Tell, design: Design = DESIGN, host: Host = LOCAL, device: str = "cpu"
) -> SelfCheck:
    """Measure the instrument within so many seconds; a check that did not fit fails and says so.

    Args:
        design: design of every comparison, that of the study it is made for.
        device: "cpu", or "cuda" to compare runtimes on the GPU, and find out what frozen ones cost there.

    Raises:
        FailedError: the workers cannot be run at all.
    """
    begun = time.monotonic()
    deadline = begun + seconds
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        images = folder / "images.npy"
        np.save(images, np.zeros((4, *SPEC.image_shape), np.float32))
        group = _grouping(images, host, device)
        checks = timer_checks()
        checks += _known_times(group, folder, deadline, tell, host)
        if device == "cuda":
            checks.append(_beside_frozen(group, folder, deadline, tell, host))
        trials = _compare_until_decided(group, design, folder, deadline, tell, host)
    comparisons = [comparisons_with(trials, share) for share in PAIRS]
    told = _told(trials, design)
    checks += [mistaken_check(comparisons[0]), found_check(comparisons[-1]), told_check(told, design.processes)]
    return SelfCheck(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=this_machine(host, device),
        seconds=time.monotonic() - begun,
        passed=all(check.passed for check in checks),
        checks=checks,
        comparisons=comparisons,
        advice=advice(host.environment()),
        design=design,
        told=told,
    )


def _grouping(images: Path, host: Host = LOCAL, device: str = "cpu") -> Callable[[str, tuple[Candidate, ...]], Group]:
    settings = Settings(threads=1, cores=host.cores()[-1:], device=device)
    return lambda name, candidates: Group(f"{name}/{SPEC.size}/t1", candidates, (1,), settings, images)


def _known_times(
    group: Callable[[str, tuple[Candidate, ...]], Group], folder: Path, deadline: float, tell: Tell, host: Host
) -> list[Check]:
    """Check the runtime that does nothing, and the one whose overhead and kernel are known."""
    floor, split = Trial(group("floor", (NULL,)), host), Trial(group("attribution", (SPLIT, SKELETON)), host)
    for trial in (floor, split):
        for _ in range(KNOWN_PROCESSES):
            trial.add_process(folder, deadline, KNOWN_BLOCKS, tell)
    return [
        floor_check(floor.median_us(NULL), floor.median_us(NULL, "host")),
        attribution_check(split.median_us(SPLIT), split.median_us(SKELETON)),
    ]


def _beside_frozen(
    group: Callable[[str, tuple[Candidate, ...]], Group], folder: Path, deadline: float, tell: Tell, host: Host
) -> Check:
    """Check what frozen processes cost the one that runs on a GPU; the numbers of them take turns."""
    trials = {
        many: Trial(group(f"frozen{many}", (REFERENCE, *(_again(number) for number in range(many)))), host)
        for many in FROZEN
    }
    for process in range(KNOWN_PROCESSES):
        for many, trial in trials.items():
            tell(f"beside {many} frozen processes, {process + 1} of {KNOWN_PROCESSES}")
            trial.add_process(folder, deadline, KNOWN_BLOCKS, lambda text: None)
    return frozen_check({many: trial.process_medians(REFERENCE) for many, trial in trials.items()})


def _again(number: int) -> Candidate:
    return Candidate(rulers.CALIBRATED.name, f"frozen{number}", FILES)


def _compare_until_decided(
    group: Callable[[str, tuple[Candidate, ...]], Group],
    design: Design,
    folder: Path,
    deadline: float,
    tell: Tell,
    host: Host,
) -> list[Trial]:
    """Return trials, each of as many processes as the design has, until both tests have an answer or time runs out.

    A trial that the time cuts short says nothing and is left out.
    """
    trials: list[Trial] = []
    longest_seconds = 0.0
    while not decided(trials):
        trial = Trial(group(f"comparison{len(trials)}", CANDIDATES), host)
        for process in range(design.processes):
            longest_seconds = max(longest_seconds, trial.longest_seconds)
            if time.monotonic() + longest_seconds > deadline:
                return trials
            tell(f"comparison {len(trials) + 1}, process {process + 1} of {design.processes}")
            trial.add_process(folder, deadline, design.blocks, lambda text: None)
        trials.append(trial)
    return trials


def decided(trials: Sequence[Trial]) -> bool:
    """Check whether the error rate of the verdicts is known, on identical runtimes and on slow ones."""
    same, slow = comparisons_with(trials, 0.0).verdicts, comparisons_with(trials, max(PAIRS)).verdicts
    alarms = MISTAKEN.answer(verdict in {"faster", "slower"} for verdict in same)
    return "open" not in {alarms, MISSED.answer(verdict != "slower" for verdict in slow)}


def comparisons_with(trials: Sequence[Trial], planted: float) -> PlantedComparisons:
    """Return the verdicts on one kind of pair, trial by trial."""
    found = [ratio for trial in trials for pair in PAIRS[planted] if (ratio := trial.ratio(*pair)) is not None]
    return PlantedComparisons(
        planted=planted,
        ratios=[ratio.interval for ratio in found],
        verdicts=[judge([ratio])[0] for ratio in found],
        processes=[ratio.processes for ratio in found],
    )


def _told(trials: Sequence[Trial], design: Design) -> dict[int, float]:
    """Return the smallest slowdown detected, by number of processes; nothing where too few were timed."""
    logs = [log for trial in trials for pair in IDENTICAL for log in trial.logs(*pair)]
    counts = sorted({design.processes, *TOLD_WITH})
    return {count: least_told(logs, count) for count in counts} if len(logs) >= LEAST_LOGS else {}


def this_machine(host: Host = LOCAL, device: str = "cpu") -> dict[str, str]:
    """Return the facts that a measurement must share with a self-check for the latter to apply to it."""
    facts = host.environment()
    names = ("processor", "usable_cores", "system", "python")
    on_gpu = {} if device == "cpu" else {"device": device, "gpus": str(facts["gpus"])}
    return (
        {name: str(facts[name]) for name in names}
        | on_gpu
        | {
            "fingerprint": host.fingerprint().key,
            "onnx-assay": __version__,
            "numpy": package_versions().get("numpy", ""),
        }
    )


def file_of(device: str) -> str:
    """Return the name of the record of a device."""
    return SELFCHECK_FILE if device == "cpu" else f"{device}-{SELFCHECK_FILE}"


def store_selfcheck(found: SelfCheck, folder: Path, host: Host = LOCAL) -> Path:
    """Write the record where studies of this folder find it, and those of every other one until the machine is started
    again.
    """
    path = folder / file_of(found.machine.get("device", "cpu"))
    write_atomically(path, found.model_dump_json(indent=1).encode())
    if kept := kept_of_machine(host):
        store, of_this_start = kept

        def fill(work: Path) -> dict[str, JsonValue]:
            (work / SELFCHECK_FILE).write_text(found.model_dump_json(indent=1), encoding="utf-8")
            return {}

        with suppress(DiskError):  # it is in its folder
            store.kept(KEPT, of_this_start | {"measured": dict(found.machine)}, fill, name=KEPT, anew=True)
    return path


def stored_selfcheck(folder: Path, host: Host = LOCAL, device: str = "cpu") -> SelfCheck | None:
    """Return the record in this folder, else the one that is kept of the machine, or None where there is none of this
    machine, this device of it and these versions.
    """
    path = folder / file_of(device)
    try:
        found = SelfCheck.model_validate_json(read_bytes(path))
    except (OSError, ValidationError):
        return kept_selfcheck(host, device)
    return found if found.machine == this_machine(host, device) else kept_selfcheck(host, device)


def kept_selfcheck(host: Host = LOCAL, device: str = "cpu") -> SelfCheck | None:
    """The last check of this machine by these versions since it was started; None where there was none."""
    kept = kept_of_machine(host)
    if kept is None:
        return None
    store, of_this_start = kept
    inputs: dict[str, JsonValue] = of_this_start | {"measured": dict(this_machine(host, device))}
    try:
        artifact = store.found(KEPT, inputs, KEPT)
        return artifact.record(SelfCheck, SELFCHECK_FILE) if artifact else None
    except ArtifactError:  # damaged: as if it had never been
        return None
