"""A study on a real cluster of four raylets, in which conductors, machines and their processes are killed at random
points.

It times only the instrument's own runtimes, so that a group takes seconds. After any kill, the same command ends
with the results of a study that nobody disturbed, and nothing finished is timed a second time.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from assay.fleet.joined import read_joined
from assay.records.results import RESULTS_FILE, read_results
from assay.store import MANIFEST, TRY_AGAIN
from tests.bench.fleet.raylets import Cluster, cluster, study_of_rulers
from tests.bench.fleet.test_on_ray import ASSAY, told

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

STUDY = study_of_rulers(threads=[1, 2], processes=3, machines={"k1": 2})
MACHINES = ("one", "two", "three", "four")
VICTIMS = ("conductor",) * 5 + ("machine",) * 5 + ("process",) * 10
SECONDS_BETWEEN = (0.5, 9.0)
END_SECONDS, MOST_STARTS = 1500.0, 20
SEED = 20


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    pytest.importorskip("ray", reason="the extra 'fleet' is not installed")
    with cluster(tmp_path_factory.mktemp("machines")) as found:
        for name in MACHINES:
            found.add(name)
        yield found


@dataclass
class Course:
    """A study's command, started again after it was killed, and what it had finished at every look.

    Attributes:
        finished: by file of an artifact that is not to be made again, when it was made.
    """

    of: Cluster
    folder: Path
    out: str
    options: tuple[str, ...] = ()
    finished: dict[Path, int] = field(default_factory=dict)
    starts: int = 0
    _begun_at: int = 0
    _conductor: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        (self.folder / "small.toml").write_text(STUDY)
        (self.folder / "turn").mkdir(mode=0o700, exist_ok=True)

    def __enter__(self) -> Course:
        return self

    def __exit__(self, *error: object) -> None:
        """Leave no conductor behind where a test fails."""
        if self._conductor and self._conductor.poll() is None:
            self._conductor.kill()
            self._conductor.wait()

    def goes_on(self) -> bool:
        """Start the command, or start it again after it was killed or gave something up; False when it is done."""
        if self._conductor is None or self._conductor.poll() == -signal.SIGKILL or self._has_given_up():
            self.starts += 1
            self._begun_at = self.said.stat().st_size if self.said.exists() else 0
            environment = os.environ | {"ASSAY_MACHINE": "local", "ASSAY_RUNTIME_DIR": str(self.folder / "turn")}
            command = [ASSAY, "run", "small.toml", "--out", self.out, "--fleet", self.of.address, *self.options]
            with self.said.open("ab") as log:
                self._conductor = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        return self._conductor.poll() is None

    def end(self) -> None:
        """Wait for its end."""
        deadline = time.monotonic() + END_SECONDS
        while self.goes_on():
            assert time.monotonic() < deadline, self.said.read_text()[-3000:]
            time.sleep(0.5)

    def kill(self, victim: str, chance: random.Random) -> None:
        """Kill the conductor, a machine or one of a machine's processes."""
        if victim == "conductor":
            assert self._conductor is not None
            self._conductor.kill()
            self._conductor.wait()
        elif victim == "machine":
            name = chance.choice(MACHINES)
            self.of.kill(name)
            self.of.add(name)
        else:
            at_work = [one for name in MACHINES for one in self.of.below(name) if _works(one)]
            if at_work:
                os.kill(chance.choice(at_work).pid, signal.SIGKILL)

    def look(self) -> None:
        """Take note of what is finished, and check that all that was finished before is as it was."""
        now = {path: path.stat().st_mtime_ns for path in self._artifacts() if _is_final(path)}
        assert {path: now.get(path) for path in self.finished} == self.finished
        self.finished = now

    @property
    def said(self) -> Path:
        return self.folder / f"{self.out}.log"

    def _has_given_up(self) -> bool:
        """Whether something was killed so often that it was given up; the same command tries it again."""
        assert self._conductor is not None
        if self._conductor.poll() is None:
            return False
        assert self.starts < MOST_STARTS, self.said.read_text()[-3000:]
        return b" is given up: " in self.said.read_bytes()[self._begun_at :]

    def _artifacts(self) -> list[Path]:
        """The groups that came back, and the single processes that every machine keeps."""
        of_groups = (self.folder / self.out / "small").glob(f"units/*/{MANIFEST}")
        of_processes = self.of.folder.glob(f"*/cache/fleet/*/small-*/*/units/*/{MANIFEST}")
        return [one for one in (*of_groups, *of_processes) if not one.parent.name.startswith(".")]


def _works(process: psutil.Process) -> bool:
    """Whether this is one of Assay's processes, or the one of Ray's that starts them."""
    try:
        words = " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False
    return "assay" in words or "FarSide" in words


def _is_final(path: Path) -> bool:
    """Whether a group or a process of it is not timed again: nobody ended one of its processes."""
    facts = json.loads(path.read_text())["facts"]
    return not facts.get("cut") and not facts.get(TRY_AGAIN)


def outcome(folder: Path) -> dict[str, list[object]]:
    """By group, what each machine that timed it found, without times."""
    found: dict[str, list[object]] = {}
    for run in read_joined(folder).runs:
        results = read_results(folder / "runs" / run.name / RESULTS_FILE)
        (group,) = {f"{cell.architecture}/{cell.size}/t{cell.threads}" for cell in results.cells}
        found.setdefault(group, []).append(told(results))
    return found


@pytest.fixture(scope="module")
def wanted(four: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[object]]:
    """The outcome of an undisturbed run."""
    with Course(four, tmp_path_factory.mktemp("study"), "undisturbed") as undisturbed:
        undisturbed.end()
    found = outcome(undisturbed.folder / "undisturbed" / "small")
    assert {group: len(each) for group, each in found.items()} == {"bloodnet/12/t1": 2, "bloodnet/12/t2": 2}
    assert all(each[0] == each[1] for each in found.values())
    return found


def test_twenty_kills_change_no_result_and_nothing_finished_is_timed_again(
    four: Cluster, wanted: dict[str, list[object]], tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    victims, rounds = list(VICTIMS), 0
    chance.shuffle(victims)
    while victims:
        rounds += 1
        with Course(four, tmp_path, f"disturbed{rounds}") as course:
            while victims and course.goes_on():
                time.sleep(chance.uniform(*SECONDS_BETWEEN))
                course.look()
                course.kill(victims.pop(), chance)
            course.end()
            course.look()
        assert outcome(tmp_path / course.out / "small") == wanted


def test_a_cluster_that_shrinks_to_nothing_is_waited_for_and_continues_later(
    four: Cluster, wanted: dict[str, list[object]], tmp_path: Path
) -> None:
    units = tmp_path / "shrunk" / "small" / "units"
    with Course(four, tmp_path, "shrunk", ("--set", "fleet.wait_minutes=0.2")) as course:
        while course.goes_on() and not any(units.glob(f"*/{MANIFEST}")):
            time.sleep(0.2)
        course.look()
        for name in MACHINES:
            four.kill(name)
        course.end()
    said = course.said.read_text()
    assert "given up after 0.2 minutes (fleet.wait_minutes)" in said
    assert "assay: No machine came for bloodnet/" in said
    assert "Traceback" not in said
    for name in MACHINES:
        four.add(name)
    with Course(four, tmp_path, "shrunk", finished=course.finished) as later:
        later.end()
        later.look()
    assert outcome(tmp_path / "shrunk" / "small") == wanted
