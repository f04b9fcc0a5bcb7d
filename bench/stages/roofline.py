"""The roofline stage: count every exported graph's work, measure the machine's ceilings, and bound every cell."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pydantic import JsonValue

from assay.bench.explaining.roofline import bounds_of
from assay.bench.machine.kept import kept_of_machine
from assay.bench.run import Run
from assay.errors import AssayError, DiskError
from assay.export.graph.count_job import count_files
from assay.export.run import usable_model
from assay.infer.ceilings.job import CEILINGS, CeilingsRequest
from assay.jobs.running import run_job
from assay.records.results import Cell, Export
from assay.records.roofline import Bound, Ceilings, GraphWork
from assay.registry import RUNTIMES, installed_versions
from assay.steps import Limit
from assay.store import TRY_AGAIN, may_end_otherwise

LIMIT_SECONDS = 300
CEILINGS_FILE = "ceilings.json"
STEADY_SHARE = 0.8
"""Least share of its best rate that the median of the repetitions has on a quiet machine: 0.88 to 0.99 in the published
study, 0.15 to 0.9 with fifteen other processes on two cores.
"""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def roofline(run: Run, exports: list[Export], cells: list[Cell]) -> tuple[list[GraphWork], list[Ceilings], list[Bound]]:
    """Return works, ceilings and bounds; a missing one is reported, and costs only itself."""
    with run.stage("roofline", "Roofline: work and ceilings"):
        # What is computed in fewer bits is other work.
        counted = [one for one in exports if one.status == "ok" and one.precision == "fp32"]
        files = [(usable_model(one, run.store("onnx")), one) for one in counted]
        works = count_files(files, run.study.bench.batches, host=run.host)
        ceilings = []
        timed = {cell.threads for cell in cells}  # with --group, not all that the study asks for
        on_gpu = run.study.bench.device == "cuda"  # whose ceilings are the same at every number of threads
        for threads in [one for one in run.study.bench.threads if one in timed][: 1 if on_gpu else None]:
            try:
                ceilings.append(ceilings_of(run, threads))
            except DiskError:
                raise  # the machine's failure, not this one's
            except AssayError as error:
                run.narrator.tell(f"the machine's ceilings could not be measured: {error}")
        return works, ceilings, bounds_of(cells, works, ceilings)


def ceilings_of(run: Run, threads: int) -> Ceilings:
    """Measure this machine's ceilings on the cores that cells with so many threads are timed on, or those of its GPU in
    a study on one: once until it is started again, or once for a study where nothing can be kept of a machine.

    Raises:
        AssayError: the measurement failed.
    """
    cores = run.host.cores()[-threads:]
    device = run.study.bench.device
    able = [one for one in RUNTIMES.families if (one.ceilings if device == "cpu" else one.gpu_ceilings)]
    measured = [package for family in able for package in family.packages]
    inputs: dict[str, JsonValue] = {
        "machine": run.host.fingerprint().key,
        "threads": threads,
        "cores": list(cores),
        "versions": dict(installed_versions(["numpy", *measured])),
    }
    if device != "cpu":
        inputs |= {"device": device, "gpus": run.host.environment()["gpus"]}
    what = f"t{threads}" if device == "cpu" else device
    kept = kept_of_machine(run.host)

    def fill(work: Path) -> dict[str, JsonValue]:
        found = measure(threads, cores, run)
        (work / CEILINGS_FILE).write_text(found.model_dump_json(indent=1), encoding="utf-8")
        return {TRY_AGAIN: not _was_quiet(found)} if kept else {}

    if kept is None:
        artifact = run.store("ceilings").kept("ceilings", inputs, fill, name=what, single=True)
    else:
        store, of_this_start = kept
        anew = run.again or may_end_otherwise
        artifact = store.kept("ceilings", inputs | of_this_start, fill, name=f"ceilings-{what}", anew=anew)
    return artifact.record(Ceilings, CEILINGS_FILE)


def _was_quiet(found: Ceilings) -> bool:
    """Check whether all rates were steady; what a busy machine showed is used, and not kept for the next study."""
    rates = [*found.gflop_s.values(), *(one.gb_s for one in found.bandwidths)]
    return all(rate.median >= STEADY_SHARE * rate.best for rate in rates)


def measure(threads: int, cores: tuple[int, ...], run: Run) -> Ceilings:
    """Measure the ceilings in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="assay-ceilings-") as folder:
        return run_job(
            CEILINGS,
            CeilingsRequest(threads=threads, cores=cores, device=run.study.bench.device),
            Path(folder) / "log",
            heard=CEILINGS.heard_by(lambda at: run.narrator.tell(f"ceilings, {threads} thread(s): {at.doing}")),
            limit_seconds=Limit(LIMIT_SECONDS, f"Measuring the ceilings of {threads} thread(s)"),
            environment=dict.fromkeys(THREAD_VARIABLES, str(threads)),
            host=run.host,
        )
