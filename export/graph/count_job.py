"""The work of exported files, counted in a process of its own: `python -P -m assay.export.graph.count_job`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from assay.errors import AssayError, DiskError
from assay.export.graph.count import count
from assay.export.graph.inspect import read_model
from assay.files.disk import disk_error_in
from assay.jobs.host import Starter
from assay.jobs.job import Job
from assay.jobs.process import HERE
from assay.jobs.running import run_job
from assay.jobs.serving import serve_job
from assay.records.base import Record
from assay.records.results import Export
from assay.records.roofline import GraphWork
from assay.steps import Limit, load_seconds, size_of, step


class CountedFile(Record):
    """A file, and what its record says it is."""

    path: Path
    architecture: str
    size: int
    exporter: str

    def not_counted(self, batches: Sequence[int], reason: str) -> list[GraphWork]:
        """The record of a failure at each batch size."""
        named = partial(GraphWork, architecture=self.architecture, size=self.size, exporter=self.exporter)
        return [named(batch=batch, reason=reason) for batch in batches]


class CountRequest(Record):
    """Files, and at which batch sizes they are counted."""

    files: list[CountedFile]
    batches: list[int]


class Works(Record):
    """The work of each file at each batch size, in this order."""

    works: list[GraphWork]


COUNT = Job("assay.export.graph.count_job", "count", CountRequest, Works)


def count_files(
    exported: Iterable[tuple[Path, Export]], batches: Sequence[int], *, host: Starter = HERE
) -> list[GraphWork]:
    """Count the work of files at each batch size, in one process; a failure is a record with its reason."""
    files = [
        CountedFile(path=path, architecture=one.architecture, size=one.size, exporter=one.exporter)
        for path, one in exported
    ]
    if not files:
        return []
    limit = Limit(sum(_seconds(one) for one in files), f"Counting the work of {len(files)} file(s)")
    with tempfile.TemporaryDirectory(prefix="assay-count-") as folder:
        try:
            asked = CountRequest(files=files, batches=list(batches))
            return run_job(COUNT, asked, Path(folder) / "log", limit_seconds=limit, host=host).works
        except DiskError:
            raise  # the machine's failure, not this one's
        except AssayError as error:
            return [work for one in files for work in one.not_counted(batches, str(error))]


def work(request: CountRequest) -> Works:
    """Count every file at each batch size. One that cannot be counted, or ends the process, costs itself alone."""
    return Works(works=[one for file in request.files for one in _counted(file, request.batches)])


def _counted(file: CountedFile, batches: Sequence[int]) -> list[GraphWork]:
    try:
        with step(f"Counting the work of {file.exporter} at {file.size}", _seconds(file), apart=True):
            model = read_model(file.path)
            of = partial(count, model, architecture=file.architecture, size=file.size, exporter=file.exporter)
            return [of(batch) for batch in batches]
    except AssayError as error:
        if disk_error_in(error):
            raise
        return file.not_counted(batches, str(error))


def _seconds(file: CountedFile) -> float:
    return load_seconds(size_of(file.path))


if __name__ == "__main__":
    serve_job(COUNT.done_by(work))
