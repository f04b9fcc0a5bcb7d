"""An export of a user's model compared with the model: on its records and at their edges, at every level."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from assay.errors import ExportFailedError, InputError
from assay.export.checking.check import level_names, session_at
from assay.export.checking.edges import Edges, compare_edges, not_run, read_edges
from assay.export.checking.evidence import others_on
from assay.export.checking.lacking import lacks_operator
from assay.export.checking.levels import Levels, Sentence, judged_at_levels, sentence_on
from assay.export.checking.second_shape import second_shape
from assay.export.graph.inspect import one_line, read_model
from assay.export.probing.undecided import doubt_of, furthest_from, undecided, within_steps
from assay.export.record import Judged, judged_by
from assay.export.reference.memory import FittingBatches
from assay.files.arrays import load_array
from assay.numerics.following import is_variant
from assay.numerics.guilt import Guilt
from assay.numerics.judgement import TaskName
from assay.numerics.precisions import is_quantised
from assay.numerics.ties.saved import read_deciders
from assay.records.base import Record
from assay.records.results import Agreement
from assay.registry import TASK_OF_ARCHITECTURES
from assay.steps import call_seconds, step
from assay.train.brought.agreement import Judge
from assay.train.brought.arrays import Array, Records, feeds_of, repeated, rows_of
from assay.train.brought.model import UserModel

if TYPE_CHECKING:
    import onnxruntime

CHECKED_BATCHES = (1, 3, 32)


class OtherOutputsError(ExportFailedError):
    """A file runs, and its outputs have other sizes than the model's, or there is another number of them."""


class Against(Record):
    """The files that an export is compared with, all .npy.

    Attributes:
        records: the inputs: images as the model takes them, or a user's records.
        native: the model's own outputs for them, in fp32.
        reference: the same in float64, at least for the first records.
        exact: whether the reference is float64, and not the model's own output.
        deciders: deciding values of outputs of whole numbers, where they were looked for; the file need not exist.
        task: the task whose rule judges our models' logits in less than fp32; a user's outputs must follow their
            reference.
    """

    records: Path
    native: Path
    reference: Path
    exact: bool = True
    deciders: Path | None = None
    task: TaskName = TASK_OF_ARCHITECTURES

    def judge(self, model: UserModel) -> Judge:
        """Return the judge of a model's outputs.

        Raises:
            ArtifactError: the files cannot be read.
        """
        reference, native = load_array(self.reference), load_array(self.native)
        deciders = read_deciders(self.deciders) if self.deciders else {}
        return Judge(model, reference, {model.kind: native[: len(reference)]}, self.exact, deciders)


def check_records(file: Path, model: UserModel, against: Against, exporter: str, precision: str = "fp32") -> Judged:
    """Compare a file with the float64 outputs, for a few batch sizes.

    Args:
        precision: precision of the file. In less than the model's it is run on the ordinary records alone: at the edges
            of a model's input the ranges of integers end, and the witnesses cannot judge another precision.

    Raises:
        ExportFailedError: ONNX Runtime does not load or run it at any level, or its inputs are not the model's.
    """
    records, native, judge = load_array(against.records), load_array(against.native), against.judge(model)
    reference = judge.reference
    reduced = is_variant(precision, model.arithmetic)
    records, edges = records[: len(reference)], None if reduced else read_edges(against.records.parent)
    calls, second = FittingBatches(_batches(model, len(reference))), second_shape(file, model, records)
    furthest: list[float] = []

    def judge_at(level: str) -> list[Agreement]:
        session, name = session_at(file, level, exporter), f"{exporter} at level {level}"
        found = []
        for batch in calls.that_fit():
            rows = _rows(session, model, records, batch, f"{name}, batch {batch}")
            furthest.append(furthest_from(model, native[: len(rows)], rows))
            found.append(judge.compare(f"{name}, batch {batch}", rows, np.arange(len(rows)), precision))
        if reduced:
            return found
        found += second.judged(session, name)
        most = calls.largest
        return found if edges is None else [*found, _at_the_edges(session, model, edges, reference, (name, most))]

    try:
        levels = judged_at_levels(level_names(), judge_at)
    except ExportFailedError as error:
        return _heard_of_others(file, error, records, judge)
    if reduced:
        problems = [f"{one.subject}: {one.reason}" for one in levels.agreements if not one.passed]
        reason = next(iter([*problems, *map(str, levels.failures.values())]), "")
        return judged_by(levels.agreements, Sentence(reason, Guilt("undecided", "")))
    found = _open(levels) or sentence_on(levels, lambda: others_on(file, levels, records, judge, edges))
    doubt = 0.0 if against.exact else doubt_of(against.records.parent)
    why = undecided(max(furthest, default=0.0), doubt, _narrow(file)) if found.reason else ""
    if found.reason and not why and is_quantised(model.arithmetic) and not levels.failures:
        why = within_steps(model, native)
    if why:
        found = Sentence(why, Guilt("undecided", why))
    return judged_by(levels.agreements, found)


def _open(levels: Levels) -> Sentence | None:
    """Return the verdict on a file that differs only where nobody can say whether it is wrong; None for all others."""
    failed = [one for one in levels.agreements if not one.passed]
    if levels.failures or not failed or not all(one.ground == "open" for one in failed):
        return None
    why = f"not judged: {failed[0].subject}: {failed[0].reason}"
    return Sentence(why, Guilt("undecided", why))


def _heard_of_others(file: Path, error: ExportFailedError, records: Records, judge: Judge) -> Judged:
    """Return the result for a file with an operator that ONNX Runtime lacks: others may run it, and be right.

    Raises:
        ExportFailedError: the error itself, where ONNX Runtime does not run the file for another reason, or no other
            witness tells.
    """
    if not lacks_operator(str(error)):
        raise error
    levels = Levels({}, dict.fromkeys(level_names(), error))
    found = sentence_on(levels, lambda: others_on(file, levels, records, judge))
    if found.guilt.file == "undecided":
        raise error
    return judged_by([], found)


def _narrow(file: Path) -> str:
    from assay.export.graph.on_onnx_narrow import narrow_arithmetic  # noqa: PLC0415

    return narrow_arithmetic(read_model(file))


def _at_the_edges(
    session: onnxruntime.InferenceSession,
    model: UserModel,
    edges: Edges,
    ordinary: Array,
    asked: tuple[str, int],
) -> Agreement:
    """
    Args:
        asked: name of the compared file, and the most rows of a call.
    """
    subject, most = asked
    batch = min(_batches(model, len(edges))[-1], most)
    try:
        rows = _rows(session, model, edges.records, batch, subject)
    except ExportFailedError as error:
        return not_run(subject, edges, error.found or str(error))
    return compare_edges(model, subject, edges, rows, ordinary)


def _batches(model: UserModel, rows: int) -> tuple[int, ...]:
    if model.whole:
        return (1,)
    return (model.batch,) if model.batch else tuple(dict.fromkeys(min(batch, rows) for batch in CHECKED_BATCHES))


def _rows(session: onnxruntime.InferenceSession, model: UserModel, records: Records, batch: int, subject: str) -> Array:
    """Return the outputs of all records, in calls of `batch`; records repeat where they do not fill the last one."""
    found = []
    for start in range(0, len(records), batch):
        part = records[start : start + batch]
        try:
            feeds = feeds_of(model, repeated(part, batch))
            with step(f"A call of the export by {subject},", call_seconds(), apart=True):
                outputs = session.run([one.name for one in model.outputs], feeds)
        except Exception as error:  # its exceptions have no common base
            raise ExportFailedError(f"{subject} does not run", found=one_line(error)) from error
        try:
            rows = rows_of(model, [np.asarray(one) for one in outputs])[: len(part)]
        except InputError as error:
            raise OtherOutputsError(f"{subject} gives other outputs than the model", found=str(error)) from error
        if rows.shape[1:] != (model.width,):
            raise OtherOutputsError(
                f"{subject} gives outputs of another size than the model",
                expected=", ".join(f"{one.name} {list(model.shape_of(one, batch))}" for one in model.outputs),
                found=", ".join(str(list(np.shape(one))) for one in outputs),
            )
        found.append(rows)
    return np.concatenate(found)
