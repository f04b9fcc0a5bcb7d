"""Runs of one study on machines with planted truths: the times of processes, blocks and calls are drawn around them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars

from assay.bench.judging.comparisons import comparisons_of
from assay.bench.judging.races import races_of
from assay.bench.judging.summary import by_cell, timing
from assay.bench.stages.results import write_results
from assay.bench.timing.measurements import Measurements
from assay.files.columns import BURST_COLUMNS, SAMPLE_COLUMNS
from assay.fingerprint import Fingerprint
from assay.fleet.kind import MachineKind
from assay.records.base import Interval
from assay.records.results import Cell, Results
from assay.records.timings import Timing
from tests.bench.report.sample_results import sample_results

PROCESSES, BLOCKS, CALLS = 5, 3, 4
PROCESS_SPREAD, CALL_SPREAD = 0.01, 0.02
NATIVE, ONNX = "torch.compile", "ort.cpu@torch-dynamo"
KEPT = (NATIVE, "torch.eager", ONNX, "ort.cpu@tf2onnx")


def kind(instance_type: str = "small", **changes: object) -> MachineKind:
    """A kind of machine with two cores."""
    processor = Fingerprint(name=f"Processor of {instance_type}", family="6", model=str(len(instance_type)))
    return MachineKind(processor=processor, cores=2, memory_gib=4.0, instance_type=instance_type).model_copy(
        update=changes
    )


@dataclass
class Machine:
    """A machine and what it makes of the study.

    Attributes:
        identity: who it says that it is.
        slower: how many times as long everything takes on it.
        by_label: how many times as long a label takes beside that.
        size: the size of the model's images.
    """

    kind: MachineKind
    identity: str
    slower: float = 1.0
    by_label: dict[str, float] = field(default_factory=dict)
    size: int = 28

    def run(self, seed: int, **changes: object) -> tuple[Results, polars.DataFrame]:
        """The results of a run with its samples."""
        blank = sample_results(sizes=(28,), batches=(1,), architectures=("bloodnet",))
        kept = [one for one in blank.cells if one.label in KEPT and one.host and one.threads == 1]
        cells = [sized(one, self.size) for one in kept]
        samples = _samples(cells, self, seed)
        timed = by_cell(samples)
        said = [_timed(cell, timing(timed[cell.name]["host"])) for cell in cells]
        races = races_of(said, timed)
        environment = {
            "fingerprint": self.kind.processor.model_dump(mode="json"),
            "kind": self.kind.model_dump(mode="json", exclude={"processor"}),
            "identity": {"machine": self.identity, "boot": "b"},
            "processor": self.kind.processor.name,
            "cores": 1,
            "packages": {"torch": "2.13.0"},
        }
        update = {
            "cells": said,
            "races": races,
            "comparisons": comparisons_of(said, races, timed),
            "environment": environment,
            "created": f"2026-11-28T09:{seed % 60:02}:00+00:00",
            "settings": {},
        }
        return blank.model_copy(update=update | changes), samples

    def write(self, folder: Path, seed: int, **changes: object) -> Path:
        """The same in a folder, as a command leaves it."""
        folder.mkdir(parents=True)
        results, samples = self.run(seed, **changes)
        write_results(results, _measured(samples), folder)
        return folder


def sized(cell: Cell, size: int) -> Cell:
    """The same cell with images of another size."""
    name = cell.name.replace(f"/{cell.size}/", f"/{size}/", 1)
    return cell.model_copy(update={"size": size, "name": name})


def rewritten(folder: Path, **changes: object) -> Path:
    """A run's folder with some keys of its results.json changed."""
    path = folder / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def _measured(samples: polars.DataFrame) -> Measurements:
    return Measurements(samples, polars.DataFrame(schema=BURST_COLUMNS), [], {}, {}, 0.0)


def _samples(cells: list[Cell], machine: Machine, seed: int) -> polars.DataFrame:
    """As the conductor writes them: processes differ, and blocks of all cells are interleaved in a process."""
    random = np.random.default_rng(seed)
    own = np.exp(random.normal(0, PROCESS_SPREAD, PROCESSES))
    rows: list[tuple[str, int, int, int, str, int, int]] = []
    for cell in cells:
        assert cell.host is not None
        truth = cell.host.median_ms.value * machine.slower * machine.by_label.get(cell.label, 1.0) * 1e6
        for process in range(PROCESSES):
            mine = truth * own[process] * np.exp(random.normal(0, PROCESS_SPREAD / 4))
            for block in range(BLOCKS):
                times = mine * np.exp(random.normal(0, CALL_SPREAD, CALLS))
                for boundary in ("host", "device"):
                    rows += [(cell.name, process, block, n, boundary, int(t), int(t)) for n, t in enumerate(times)]
    return polars.DataFrame(rows, schema=SAMPLE_COLUMNS, orient="row")


def _timed(cell: Cell, found: Timing) -> Cell:
    timed = cell.model_copy(update={"host": found, "device": found, "invalid": []})
    median = found.median_ms
    rate = Interval(value=1e3 / median.value, low=1e3 / median.high, high=1e3 / median.low)
    return timed.model_copy(update={"throughput": rate})
