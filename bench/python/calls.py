"""`assay.compare`, `assay.audit` and `assay.read`: the commands `model` and `audit`, and the content of their
folders.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from assay.bench.python.findings import AuditFindings, ModelFindings
from assay.bench.python.given import written_inputs, written_labels
from assay.bench.python.live.written import LiveModel, located
from assay.bench.words.progress import Narrator
from assay.bench.words.terminal import Terminal, complain
from assay.errors import ArtifactError, InputError
from assay.records.audit import AUDIT_FILE, read_audit
from assay.records.choice import CHOICE_FILE, read_choice
from assay.records.results import RESULTS_FILE, Results, read_results
from assay.registry import PLAIN_TASK
from assay.start import START

FOLDER = "artifacts"
LIVE = "live"
"""The folder below the results for files of models that lived in the caller's process."""


def compare(
    model: object,
    inputs: object = None,
    *,
    shapes: Mapping[str, str] | None = None,
    dimensions: Mapping[str, int | Sequence[int]] | None = None,
    mixed_sizes: bool = False,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    original: str | Path | None = None,
    batches: Sequence[int] = (1,),
    runtimes: Sequence[str] = (),
    precisions: Sequence[str] = (),
    mixed_minutes: float | None = None,
    threads: int = 1,
    device: str = "cpu",
    minutes: float = 5.0,
    task: str = PLAIN_TASK,
    labels: object = None,
    metric: str | None = None,
    threshold: float | None = None,
    tolerances: Mapping[str, float] | float | None = None,
    without: Sequence[str] = (),
    framework: str = "",
    out: str | Path = FOLDER,
    again: bool = False,
    trust: bool = False,
    quiet: bool = False,
) -> ModelFindings:
    """Time a model natively and through ONNX, and compare its numbers with float64, as `assay model` does.

    Args:
        model: a file or FILE.py:FUNCTION as text, or a `torch.nn.Module`, a Keras model, a `tf.function`, a function
            at the top of a file (PyTorch, TensorFlow, JAX), an `onnx.ModelProto`; see `docs/how-to/python.md`.
        inputs: arrays by the names of the model's inputs, one array, several in order, or a file; drawn where None.
        shapes: shapes of inputs that the model does not declare, {"image": "batch,3,224,224"}.
        dimensions: sizes of dimensions that it leaves open, {"tokens": 64}, or several at which to compare it,
            {"tokens": (16, 64, 256)}.
        mixed_sizes: whether to time calls of all these sizes in random order too.
        ranges: the least and largest number to draw for an input, {"ids": (0, 30521)}.
        original: the model in fp32 that a quantised or narrower one was made of: a file or FILE.py:FUNCTION.
        batches: numbers of rows in a call.
        precisions: precisions in which every correct file is made too, "int8" or "fp16".
        mixed_minutes: minutes of search for the layers that may not be int8, for each int8 file that fails; 0: none.
        device: "cpu" or "cuda"; a runtime without CUDA is timed on the CPU.
        labels: the right answers to the inputs: an array, several by name, or a file.
        metric: FILE.py:FUNCTION of outputs and labels, or a library's metric such as sklearn:f1_macro.
        tolerances: your own tolerances, beside the derived ones: by output, {"logits": 1e-3}, or one for all.
        minutes: minutes that timing may take.
        out: the folder for results.
        trust: whether to run the model outside its box.
        quiet: whether to show nothing while it runs.

    Raises:
        AssayError: with the command's message; `exit_code` is the command's.
    """
    from assay.alone import timing_alone
    from assay.bench.brought.compare import compare_model, mixed_minutes_of, precisions_of
    from assay.bench.brought.sizes import read_sizes
    from assay.bench.brought.work import Wanted, folder_name
    from assay.bench.report.study_report import report_of
    from assay.bench.tasks.metrics.metric import read_metric
    from assay.bench.tasks.task import task as task_by_name
    from assay.files.locks import working_in
    from assay.train.brought.model import read_shapes
    from assay.train.brought.sources import locate

    with _working():
        live = located(model, inputs, Path(out) / LIVE, framework)
        if len(task_by_name(task).parts_of(live.location)) > 1:
            raise InputError(
                f"{live.location} is compared in several parts, and this call compares one model",
                expected=" or ".join(map(str, task_by_name(task).parts_of(live.location).values())),
                remedy=f"Name one, or run: assay model {live.location} --task {task}",
            )
        place = Path(out) / LIVE / live.location.name
        reduced = precisions_of(precisions)[0]
        one_size, sizes = read_sizes([f"{name}={_joined(size)}" for name, size in (dimensions or {}).items()])
        wanted = Wanted(
            location=live.location,
            shapes=read_shapes([f"{name}={shape}" for name, shape in (shapes or {}).items()]),
            dimensions=one_size,
            sizes=sizes,
            mixed_sizes=mixed_sizes,
            ranges=dict(ranges or {}),
            inputs=written_inputs(inputs, live.names, place),
            original=None if original is None else locate(str(original)),
            batches=tuple(batches),
            threads=threads,
            device=device,
            runtimes=tuple(runtimes),
            reduced=reduced,
            mixed_minutes=mixed_minutes_of(mixed_minutes, reduced),
            minutes=minutes,
            task=task,
            labels=written_labels(labels, place),
            metric=read_metric(metric) if metric else None,
            threshold=threshold,
            without=tuple(without),
            tolerances=_tolerances(tolerances),
            trusted=trust,
            again=again,
            command=_as_python(live),
        )
        folder = Path(out) / folder_name(live.location)
        waiting = lambda who: complain(f"assay: waiting for {who}")  # noqa: E731
        with working_in(folder), timing_alone(waiting):
            results = compare_model(wanted, folder, _narrator(quiet=quiet))
            report_of(folder, results, folder / "report")
        return read(folder)


def audit(
    reference: object,
    candidate: object = None,
    inputs: object = None,
    *,
    dimensions: Mapping[str, int] | None = None,
    runtimes: Sequence[str] = (),
    without: Sequence[str] = (),
    out: str | Path = FOLDER,
    trust: bool = False,
    quiet: bool = False,
) -> AuditFindings:
    """Compare an ONNX file, and the runtimes that run it, with a reference file in float64, as `assay audit
    --reference` does.

    Args:
        reference, candidate: files, or `onnx.ModelProto`; without a candidate, the reference itself.
        inputs, dimensions, without, out, trust, quiet: as for `compare`.
        runtimes: runtimes for both files; by default, ONNX Runtime at every level of optimisation.

    Raises:
        AssayError: the command's error.
    """
    from assay.bench.auditing.localise import RUNNERS
    from assay.bench.auditing.pairs.pair import ORT_LEVELS, PairRequest, audit_pair
    from assay.bench.auditing.record import write_audit
    from assay.errors import unknown_name
    from assay.files.disk import short_name
    from assay.files.locks import working_in

    for name in runtimes:
        if name not in RUNNERS:
            raise unknown_name("runtime of ONNX files", name, RUNNERS)
    with _working():
        first = located(reference, inputs, Path(out) / LIVE)
        second = first if candidate is None else located(candidate, inputs, Path(out) / LIVE / "candidate")
        for one in (first, second):
            if one.location.form != "onnx":
                raise InputError(f"{one.location} is not an ONNX file", remedy="assay.compare audits other models")
        folder = Path(out) / f"audit-{short_name(second.location.path.stem)}"
        with working_in(folder), (narrator := _narrator(quiet=quiet)).showing():
            del narrator
            request = PairRequest(
                reference=first.location.path,
                candidate=second.location.path,
                inputs=written_inputs(inputs, second.names or first.names, folder / "given"),
                dimensions=dict(dimensions or {}),
                runtimes=tuple(RUNNERS[name] for name in dict.fromkeys(runtimes)) or ORT_LEVELS,
                repro=(folder / "repro").resolve(),
                trusted=trust,
                without=tuple(without),
            )
            found = audit_pair(request)
            write_audit(found, folder)
        return AuditFindings(found, folder)


def read(folder: str | Path) -> ModelFindings:
    """Read the content of a folder of `assay run` or `assay model`.

    Raises:
        ArtifactError: there are no results, or they are damaged.
    """
    from assay.bench.report.study_report import as_audited

    folder = Path(folder)
    if not folder.is_dir():
        raise ArtifactError(f"There is no folder {folder}", expected="one that `assay run` or `assay model` wrote")
    results = as_audited(folder, read_results(folder / RESULTS_FILE))
    audited = folder / AUDIT_FILE
    chosen = folder / CHOICE_FILE
    lines, refused = _said(results)
    return ModelFindings(
        results,
        folder,
        AuditFindings(read_audit(audited), folder) if audited.is_file() else None,
        read_choice(folder) if chosen.is_file() else None,
        lines,
        refused,
    )


def _said(results: Results) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what the command prints, and why the answer is no."""
    from assay.bench.brought.compare import refusals_of_numbers
    from assay.bench.judging.answers import unanswered
    from assay.bench.tasks.task import task_of
    from assay.bench.words.agreement import numbers_in_words
    from assay.bench.words.explanation import spoken

    of_model = results.kind == "model"
    numbers = [*numbers_in_words(results), *task_of(results).told(results)] if of_model else []
    refused = (refusals_of_numbers(results) if of_model else []) or unanswered(results)
    return (*numbers, *spoken(results), *(f"Refused: {one}" for one in refused)), tuple(refused)


@contextmanager
def _working() -> Iterator[None]:
    """Make sure that nothing which was started here is left running, however the block ends.

    Raises:
        InputError: this is called while the model's own file is read in another process, which would never end.
    """
    from assay.files.scratch import private_temporary_folder
    from assay.jobs.process import end_all

    if str(START) in sys.orig_argv:
        raise InputError(
            "assay was called from a file that is itself being read as a model",
            remedy="Put the call under: if __name__ == '__main__':",
        )
    with private_temporary_folder():
        try:
            yield
        finally:
            end_all()


def _narrator(*, quiet: bool) -> Narrator:
    return Narrator(Terminal(file=io.StringIO())) if quiet else Narrator()


def _joined(size: int | Sequence[int]) -> str:
    return str(size) if isinstance(size, int) else ",".join(map(str, size))


def _tolerances(given: Mapping[str, float] | float | None) -> dict[str, float]:
    from assay.train.brought.own import read_tolerances

    each = given if isinstance(given, Mapping) else {} if given is None else {"": given}
    return read_tolerances([f"{name}={value}" if name else str(value) for name, value in each.items()])


def _as_python(live: LiveModel) -> str:
    return f"assay.compare({str(live.location)!r})"
