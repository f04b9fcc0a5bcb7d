"""One runtime in a process of its own: `python -P -m assay.infer.worker`, commanded by `assay.bench.timing.workers`.

The commands are those of `assay.infer.commands`. Before it imports a framework, the process pins itself to as many
cores as it is timed on, since thread pools take the cores they find; before it loads, it pins itself to those cores
themselves.
"""

from __future__ import annotations

import gc
import os
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np

from assay.boxed.platform import most_resident_bytes, resource
from assay.errors import InputError
from assay.files.arrays import map_array
from assay.infer.commands import (
    BURST,
    IMPORT,
    LOAD,
    LOGITS,
    MEMORY,
    NOT_OBSERVED,
    OBSERVE,
    TIMED,
    TOGETHER,
    WARM,
    Burst,
    CalledTogether,
    OutputsKept,
    PeakMemory,
    SessionLoaded,
    SessionObserved,
    ToBurst,
    ToCallTogether,
    ToImport,
    ToKeep,
    ToLoad,
    ToPredict,
    ToWarm,
    Warmed,
    kept_names,
)
from assay.infer.gpu.nvml import first_gpu
from assay.infer.gpu.parts import parts_of, rotated_inputs
from assay.infer.gpu.steady import ReadsState, during, spin
from assay.infer.observing.observed import Observed
from assay.infer.rounds import Drawn, drawn_rounds, timed_round
from assay.infer.runtime import Images, Load, Logits, Session, device_calls, predict
from assay.infer.runtimes.same_for_all import begin, told
from assay.jobs.job import Nothing
from assay.jobs.serving import serve_commands
from assay.registry import RUNTIMES
from assay.train.brought.arrays import Array

WINDOW_SECONDS, STEADY_CHANGE = 0.05, 0.03
SLOW_CALL_SECONDS = 0.25


def _set_apart() -> None:
    """Exclude the objects that are alive now from later garbage collections.

    A collection looks at every object: 0.13 s for PyTorch's and 0.19 s for TensorFlow's before every burst, which
    itself takes 0.12 s. The objects of frameworks live until the process ends anyway.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def _as_if_missing(packages: Iterable[str]) -> Iterator[None]:
    """Let nothing import these packages inside the block, as where they are not installed; see `Family`."""
    hidden = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type] # None refuses an import
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


class WorkerState:
    """The state of the process: one session, and the inputs of the present batch size, of one size or of several."""

    def __init__(self) -> None:
        self._load: Load | None = None
        self._import_seconds = 0.0
        self._session: Session[object] | None = None
        self._inputs: list[Images] = []
        self._drawn: list[Drawn] = []
        self._sizes = 1
        self._turn = 0
        self._timed: list[tuple[int, Logits]] = []
        self._gpu: ReadsState | None = None

    @property
    def session(self) -> Session[object]:
        if self._session is None:
            raise InputError("The worker has no model yet", expected="the command 'load' first")
        return self._session

    def imports(self, asked: ToImport) -> Nothing:
        """Pin and import a runtime with its framework; the next collection then has less to look at."""
        begin(asked.cores, _device_of(asked.runtime, asked.device))
        self._import(asked.runtime)
        _set_apart()
        return Nothing()

    def load(self, asked: ToLoad) -> SessionLoaded:
        """Pin, import if nothing has been imported yet, and load."""
        device = _device_of(asked.runtime, asked.settings.device)
        begin(asked.settings.cores, device)
        load = self._load or self._import(asked.runtime)
        begun = time.perf_counter()
        self._session = load(asked.model, asked.settings)
        loaded = time.perf_counter()
        self._gpu = first_gpu() if device == "cuda" else None
        return SessionLoaded(
            import_seconds=self._import_seconds,
            load_seconds=loaded - begun,
            precision=self._session.precision,
            facts=self._session.facts | told(device) | RUNTIMES[asked.runtime].versions(),
            pid=os.getpid(),
        )

    def _import(self, runtime: str) -> Load:
        entry = RUNTIMES[runtime]
        begun = time.perf_counter()
        with _as_if_missing(entry.family.does_without):
            load: Load = entry.load()
        self._load, self._import_seconds = load, time.perf_counter() - begun
        return load

    def warm(self, asked: ToWarm) -> Warmed:
        """Take up a batch size and call until the times are steady, or for `limit_seconds`.

        They are steady when a window of calls is not faster than the one before by more than 3 %. Where sizes are
        mixed, the first calls are one at each size.
        """
        files = [map_array(one) for one in (asked.images, *asked.others)]
        self._sizes, self._turn = len(files), 0
        rotated = rotated_inputs(asked.batch * files[0][:1].nbytes) if self._gpu else 1
        self._drawn = drawn_rounds([len(one) for one in files], asked.batch, rotated)
        self._inputs = [np.ascontiguousarray(files[file][places]) for file, places in self._drawn]
        self._timed = []
        deadline = time.perf_counter() + asked.limit_seconds
        calls = self._first_calls()
        last = self._window()
        calls += last
        while last[-1] / 1e9 < SLOW_CALL_SECONDS and time.perf_counter() < deadline:
            before, last = statistics.median(last), self._window()
            calls += last
            if statistics.median(last) > before * (1 - STEADY_CHANGE):
                break
        _set_apart()
        return Warmed(calls_ns=calls, median_ns=int(statistics.median(last)))

    def burst(self, asked: ToBurst) -> Burst:
        """Time calls at each boundary after some untimed ones.

        Garbage collection is off meanwhile, as in the standard library's timeit, and runs once before.
        The output of one timed call is kept, so that what was timed can be audited. On a GPU, calls are made before
        until its clock is steady.
        """
        calls, drop = self._as_rounds(asked.calls), self._as_rounds(asked.drop)
        kept = random.randrange(calls)  # noqa: S311  a sample, not a secret
        native = [self.session.prepare(images) for images in self._inputs]
        gc.collect()
        gc.disable()
        try:
            spun = spin(self._gpu, lambda: self._host_calls(1)) if self._gpu else (0.0, False)
            dropped = self._host_calls(drop)
            before = self._gpu.state() if self._gpu else None
            switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
            wall, processor = time.perf_counter_ns(), time.process_time_ns()
            host = self._host_calls(calls, kept)
            device = self._device_calls(native, calls)
            processor = time.process_time_ns() - processor
            wall = time.perf_counter_ns() - wall
            switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - switches
            after = self._gpu.state() if self._gpu else None
        finally:
            gc.enable()
        return Burst(
            host_ns=host,
            device_ns=device,
            dropped_ns=dropped,
            wall_ns=wall,
            processor_ns=processor,
            involuntary_switches=switches,
            gpu=during(before, after, spun, parts_of(self.session, self._inputs[0])) if before and after else None,
        )

    def together(self, asked: ToCallTogether) -> CalledTogether:
        """Call at the host boundary without a pause until the seconds are over, and at least once."""
        session, inputs, clock = self.session, self._inputs, time.monotonic_ns
        stamps: list[tuple[int, int]] = []
        gc.collect()
        gc.disable()
        try:
            switches, processor = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw, time.process_time_ns()
            begun = now = clock()
            until = begun + int(asked.seconds * 1e9)
            while now < until or not stamps:
                start = clock()
                session.fetch(session.run(session.prepare(inputs[len(stamps) % len(inputs)])))
                now = clock()
                stamps.append((start, now))
            processor = time.process_time_ns() - processor
            switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - switches
        finally:
            gc.enable()
        np.save(asked.out, np.array(stamps, np.int64))
        return CalledTogether(wall_ns=now - begun, processor_ns=processor, involuntary_switches=switches)

    def logits(self, asked: ToPredict) -> Nothing:
        """Compute the logits of the first images, and write them."""
        images = map_array(asked.images)[: asked.count]
        self._inputs = self._inputs or [np.ascontiguousarray(images[: asked.batch])]
        np.save(asked.out, predict(self.session, images, asked.batch))
        return Nothing()

    def timed(self, asked: ToKeep) -> OutputsKept:
        """Write the kept outputs of timed calls."""
        found: dict[str, list[Array]] = defaultdict(list)
        for which, logits in self._timed:
            file, records = self._drawn[which]
            of_places, of_logits = kept_names(file)
            found[of_places].append(records)
            found[of_logits].append(logits)
        arrays: dict[str, Any] = {name: np.concatenate(parts) for name, parts in found.items()}
        np.savez(asked.out, **arrays)
        return OutputsKept(calls=len(self._timed))

    def memory(self, _: Nothing) -> PeakMemory:
        """Return the highest resident memory so far."""
        return PeakMemory(peak_mib=peak_memory_mib())

    def observe(self, _: Nothing) -> SessionObserved:
        """Observe the device and precision of one more call, on inputs that it had; a failure to see them is reported,
        and is not an error.
        """
        try:
            found = self.session.observe(self.session.prepare(self._inputs[0]))
        except Exception as error:  # noqa: BLE001  a framework's or a user's, in a call that is not measured
            found = Observed(facts={NOT_OBSERVED: f"{type(error).__name__}: {error}"[:300]})
        return SessionObserved.model_validate(asdict(found))

    def _window(self) -> list[int]:
        """Make calls for 50 ms, at least one, at most 200; return nanoseconds of each."""
        found = self._host_calls(1)
        while sum(found) < WINDOW_SECONDS * 1e9 and len(found) < 200:
            found += self._host_calls(1)
        return found

    def _host_calls(self, calls: int, kept: int = -1) -> list[int]:
        """Return nanoseconds of each call; the output of call number `kept` is kept."""
        if self._sizes > 1:
            return self._host_rounds(calls, kept)
        session, inputs, clock = self.session, self._inputs, time.perf_counter_ns
        found = []
        for call in range(calls):
            images = inputs[call % len(inputs)]
            start = clock()
            logits = session.fetch(session.run(session.prepare(images)))
            found.append(clock() - start)
            if call == kept:
                self._timed.append((call % len(inputs), np.array(logits)))
        return found

    def _first_calls(self) -> list[int]:
        """Return nanoseconds of the first call at each size, in the order of the files."""
        if self._sizes == 1:
            return self._host_calls(1)
        firsts = [next(place for place, one in enumerate(self._drawn) if one[0] == file) for file in range(self._sizes)]
        return [timed_round(self._host_call, place, 1, len(self._inputs)) for place in firsts]

    def _host_call(self, place: int) -> Array:
        session = self.session
        return session.fetch(session.run(session.prepare(self._inputs[place])))

    def _host_rounds(self, rounds: int, kept: int) -> list[int]:
        """Return nanoseconds of each round, a call; all outputs of round number `kept` are kept."""
        found: list[int] = []
        outputs: dict[int, Array] = {}

        def call(place: int) -> None:
            outputs[place] = self._host_call(place)

        for number in range(rounds):
            outputs.clear()
            found.append(timed_round(call, self._turn, self._sizes, len(self._inputs)))
            self._turn += 1
            if number == kept:
                self._timed += [(place, np.array(logits)) for place, logits in outputs.items()]
        return found

    def _device_calls(self, native: Sequence[object], calls: int) -> list[int]:
        """Return nanoseconds of each call or round at the device boundary."""
        if self._sizes == 1:
            return device_calls(self.session, native, calls)
        run, first = self.session.run, self._turn - calls
        return [
            timed_round(lambda place: run(native[place]), first + number, self._sizes, len(native))
            for number in range(calls)
        ]

    def _as_rounds(self, calls: int) -> int:
        """Return the number of rounds that make about so many calls, at least one of each."""
        return max(round(calls / self._sizes), min(calls, 1))


def _device_of(runtime: str, wanted: str) -> str:
    """Return the device that a runtime computes on in a study that wants this one."""
    return RUNTIMES[runtime].asked_device(wanted)


def peak_memory_mib() -> float:
    """Return the process's own peak resident memory."""
    return most_resident_bytes() / 2**20


def serve() -> None:
    """Answer commands until standard input ends."""
    worker = WorkerState()
    serve_commands(
        IMPORT.done_by(worker.imports),
        LOAD.done_by(worker.load),
        WARM.done_by(worker.warm),
        BURST.done_by(worker.burst),
        TOGETHER.done_by(worker.together),
        LOGITS.done_by(worker.logits),
        TIMED.done_by(worker.timed),
        MEMORY.done_by(worker.memory),
        OBSERVE.done_by(worker.observe),
    )


if __name__ == "__main__":
    serve()
