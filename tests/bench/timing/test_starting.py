"""Parallel imports, and workers that end up on the cores on which they are timed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from assay.bench.machine.host import LOCAL
from assay.bench.machine.machine import usable_cores
from assay.bench.timing.starting import lanes, start_all
from assay.bench.timing.workers import Candidate, Worker
from assay.errors import AssayError, WorkerError
from assay.infer.runtime import ModelFiles
from assay.spec import ModelSpec, Settings
from assay.train.built import BuiltModel

FILES = ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", 12, 3)))


def test_every_lane_is_as_wide_as_the_timing_and_no_core_is_in_two() -> None:
    assert lanes((7,), range(8)) == [(7,), (6,), (5,), (4,)]
    assert lanes((6, 7), range(8)) == [(6, 7), (4, 5), (2, 3), (0, 1)]
    assert lanes((1, 2), (0, 1, 2)) == [(1, 2)], "a thread pool would be smaller where one core is left"
    assert lanes((0,), (0, 1)) == [(0,), (1,)]
    assert lanes((), (0, 1)) == [()], "nothing is pinned, so nothing is side by side"


def begun(folder: Path, names: list[str], all_of_them: list[Worker]) -> Iterator[Worker]:
    for number, name in enumerate(names):
        place = folder / str(number)
        place.mkdir()
        worker = Worker(
            Candidate(name, "", FILES),
            limit_seconds=60,
            log=place / "log",
            answers=place,
            compile_cache=place,
            host=LOCAL,
        )
        all_of_them.append(worker)
        yield worker


def cores_of(worker: Worker) -> set[str]:
    """The cores as the kernel lists them, for every thread of the process."""
    tasks = Path(f"/proc/{worker._process.pid}/task").glob("*/status")
    lines = [line for task in tasks for line in task.read_text().splitlines()]
    return {line.split()[1] for line in lines if line.startswith("Cpus_allowed_list")}


def test_all_are_loaded_on_the_cores_of_the_timing_and_a_failure_costs_one(tmp_path: Path) -> None:
    workers: list[Worker] = []
    failed: list[str] = []

    @contextmanager
    def guard(worker: Worker) -> Iterator[None]:
        try:
            yield
        except AssayError as error:
            failed.append(f"{worker.candidate.label}: {error}")

    cores = usable_cores()[-1:]
    try:
        found = start_all(
            begun(tmp_path, ["null", "ort.cpu", "null"], workers), Settings(1, cores), usable_cores(), guard
        )
        assert [worker for worker, _ in found] == [workers[0], workers[2]], "there is no file for ONNX Runtime to load"
        assert [one.partition(":")[0] for one in failed] == ["ort.cpu"]
        assert {tuple(cores_of(worker)) for worker, _ in found} == {(str(cores[0]),)}
        assert all(loaded.import_seconds > 0 for _, loaded in found)
        np.save(tmp_path / "images.npy", np.zeros((2, 12, 12, 3), np.float32))
        for worker, _ in found:
            with worker.awake():
                assert worker.warm(tmp_path / "images.npy", 1, limit_seconds=1).median_ns > 0
    finally:
        for worker in workers:
            worker.kill()


def test_whichever_is_imported_first_makes_room_for_the_next() -> None:
    told: list[str] = []

    class Told:
        """A worker that records what is done with it; the import of the first takes longer than all others."""

        def __init__(self, name: str) -> None:
            self.name, self.asked = name, 0

        def begin_import(self, cores: tuple[int, ...], device: str) -> None:
            assert device == "cpu"
            told.append(f"{self.name} on {cores[0]}")
            if self.name == "c":
                raise WorkerError("It has ended")

        def has_imported(self, wait_seconds: float) -> bool:
            assert 0 < wait_seconds < 1, "the others are asked too"
            self.asked += 1
            if self.name == "d":
                raise WorkerError("It cannot be imported")
            return self.asked == (10 if self.name == "a" else 2)

        @contextmanager
        def awake(self) -> Iterator[None]:
            yield

        def load(self, settings: Settings) -> str:
            return f"{self.name} on {settings.cores[0]}"

    @contextmanager
    def guard(worker: Worker) -> Iterator[None]:
        try:
            yield
        except AssayError as error:
            told.append(str(error))

    workers = iter([Told(name) for name in "abcdef"])
    found = start_all(workers, Settings(1, (1,)), (0, 1), guard)  # type: ignore[arg-type]
    begun = ["a on 1", "b on 0", "c on 0", "It has ended", "d on 0", "It cannot be imported", "e on 0", "f on 0"]
    assert told == begun
    assert [loaded for _, loaded in found] == ["a on 1", "b on 1", "e on 1", "f on 1"], "in the order of the candidates"


def test_all_threads_of_a_process_are_pinned_and_those_they_start(tmp_path: Path) -> None:
    if len(usable_cores()) < 2:
        pytest.skip("one core")
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys, threading\n"
        "from assay.infer.runtimes.same_for_all import run_on\n"
        "wait, found = threading.Event(), []\n"
        "def look():\n"
        "    wait.wait()\n"
        "    found.append(os.sched_getaffinity(0))\n"
        "threads = [threading.Thread(target=look) for _ in range(3)]\n"
        "[one.start() for one in threads]\n"
        "run_on([int(sys.argv[1])])\n"
        "threads.append(threading.Thread(target=look))\n"
        "threads[-1].start()\n"
        "wait.set()\n"
        "[one.join() for one in threads]\n"
        "print(found == [{int(sys.argv[1])}] * 4)\n",
        encoding="utf-8",
    )
    core = str(usable_cores()[0])
    done = subprocess.run([sys.executable, program, core], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
