"""A study on a real Ray cluster of two machines, small enough for the default suite: it times only the instrument's own
runtimes. Both machines share the processors of this one, so that none of their times is a result.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from assay.bench.fleet.conduct import run_on_fleet
from assay.bench.fleet.machines import Machine
from assay.bench.fleet.on_ray import RayFleet
from assay.bench.selfcheck.selfcheck import SelfCheck
from assay.bench.words.progress import Narrator
from assay.fleet.joined import Joined
from assay.records.results import RESULTS_FILE, read_results
from assay.records.selfcheck import SELFCHECK_FILE
from assay.store import MANIFEST
from assay.study import load_study
from tests.bench.fleet.raylets import Cluster, study_of_rulers
from tests.bench.fleet.test_on_ray import assay

RUNTIMES = ("null", "calibrated", "calibrated.slower10")
STUDY = study_of_rulers(threads=[1], processes=2)
BEGINS_SECONDS, WAITS_SECONDS = 120.0, 3.0


def run_there(folder: Path, fleet: RayFleet, *changes: str) -> tuple[Joined | None, list[str]]:
    """Run the study, and return the joined results and why work was given up."""
    (folder / "small.toml").write_text(STUDY)
    study = load_study(folder / "small.toml", changes)
    joined, failed = run_on_fleet(study, folder / "small", folder / "data", fleet, Narrator())
    return joined, list(failed.values())


def one_after_another(fleet: RayFleet, machine: Machine) -> bool:
    """Whether ordinary work waits for its turn on a machine that is taken as a whole."""
    begun = threading.Event()

    def work() -> None:
        with fleet.host(machine, whole=False):
            begun.set()

    with fleet.host(machine, whole=True):
        thread = threading.Thread(target=work)
        thread.start()
        waited = not begun.wait(WAITS_SECONDS)
    thread.join(BEGINS_SECONDS)
    return waited and begun.is_set()


def killed_as_it_times(two: Cluster, folder: Path, machines: dict[str, str], killed: list[str]) -> None:
    """End the machine on which timing has begun, as a power failure does.

    Args:
        machines: names of the machines by their keys.
        killed: takes the name.
    """
    deadline = time.monotonic() + 2 * BEGINS_SECONDS
    while time.monotonic() < deadline:
        for begun in (folder / "small" / "units").glob(".*-on-*"):
            name = machines[begun.name.rpartition("-on-")[2]]
            if any("assay.bench.fleet.on_machine" in one.cmdline() for one in two.below(name)):
                killed.append(name)
                two.kill(name)
                return
        time.sleep(0.1)


def test_a_study_on_two_raylets_has_each_machine_to_itself_and_outlives_one(
    two: Cluster, fleet: RayFleet, tmp_path: Path
) -> None:
    machines = fleet.machines()
    assert one_after_another(fleet, machines[0])
    by_key, killed = {one.key: one.labels["name"] for one in machines}, list[str]()
    assert sorted(by_key.values()) == ["one", "two"]
    killer = threading.Thread(target=killed_as_it_times, args=(two, tmp_path, by_key, killed))
    killer.start()
    joined, given_up = run_there(tmp_path, fleet, "fleet.machines={k1 = 1}")
    killer.join()
    assert given_up == []
    assert joined is not None
    assert [(one.name, one.machines) for one in joined.kinds] == [("k1", 1)]
    (kept,) = (tmp_path / "small" / "units").glob(f"*/{MANIFEST}")
    (survivor,) = {"one", "two"} - set(killed)
    assert by_key[json.loads(kept.read_text())["facts"]["machine"]] == survivor
    (run,) = joined.runs
    results = read_results(tmp_path / "small" / "runs" / run.name / RESULTS_FILE)
    assert {(one.label, one.batch, one.threads) for one in results.cells} == {(name, 1, 1) for name in RUNTIMES}
    assert all(one.status == "ok" for one in results.cells)
    assert results.environment["kind"]["instance_type"] == "k1"  # type: ignore[index, call-overload]
    two.add(killed[0])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_machine_is_checked_once_before_it_times_and_the_check_decides(
    two: Cluster, fleet: RayFleet, tmp_path: Path
) -> None:
    """The self-check is real, and has the time that it needs: where other work disturbs it, it fails, and the machine
    gets no timing.
    """
    asked = ('fleet.machines=["two"]', "fleet.selfcheck_minutes=4.8")
    joined, given_up = run_there(tmp_path, fleet, *asked)
    (path,) = (two.folder / "two").rglob(f"selfcheck*/{SELFCHECK_FILE}")
    found = SelfCheck.model_validate_json(path.read_text())
    listed = json.loads(assay(tmp_path, "fleet", "list", "--fleet", two.address, "--json").stdout)
    told = {row["machine"]: row["state"] for row in listed["machines"]}
    failed = [one.name for one in found.checks if not one.passed]
    assert found.passed == (not failed)
    if found.passed:
        assert joined is not None
        assert (told["two"], given_up) == ("ready, passed its self-check", [])
        assert joined.runs[0].ruler_passed
    else:
        assert joined is None
        assert told["two"] == "gets no timing: it did not pass its self-check"
        assert len(given_up) == 1
        assert all(name in given_up[0] for name in failed)
    again, _ = run_there(tmp_path, fleet, *asked)
    assert (again is None) == (joined is None)
    (path,) = (two.folder / "two").rglob(f"selfcheck*/{SELFCHECK_FILE}")
    assert SelfCheck.model_validate_json(path.read_text()) == found, "it is not made a second time"
