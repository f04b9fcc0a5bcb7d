"""The outputs of a model's file on many records, and their judgement by the policy of reduced precision.

A study's model is tried on the validation split, whose labels are known: by the rule of the study's task, against the
export in fp32, which has passed its own check against float64. The test split is left for the audit: a choice made by
it could not be judged by it. A user's model is tried on the records that came with it, by whether it follows their
float64; there are no others to judge it by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from assay.errors import ExportFailedError
from assay.export.checking.records import Against
from assay.export.graph.inspect import one_line
from assay.export.variants.quantize import Feeds
from assay.files.arrays import load_array
from assay.numerics.following import reason_against_share, share_of_error
from assay.numerics.numbers import Accumulator, Measured
from assay.numerics.reduced import ReducedRule, rule_of
from assay.numerics.values import settled
from assay.records.localisation import Tried
from assay.spec import INPUT_NAME, OUTPUT_NAME
from assay.train.batches import normalise
from assay.train.brought.agreement import Judge
from assay.train.brought.arrays import Array, feeds_of, repeated, rows_of
from assay.train.brought.judged import JudgedOutput
from assay.train.brought.model import UserModel
from assay.train.datasets.data import Split, open_dataset

if TYPE_CHECKING:
    import onnxruntime

RANKED_BY = 64
"""The number of records on which sensitivities are measured."""
AT_ONCE = 32
MOST_RECORDS = 1024
"""The number of a user's records on which files are judged, where float64 is not known for more."""
FEW = 4
"""The number of records that are judged by themselves; a run of half a minute keeps the outputs of as many timed
calls.
"""
FARTHEST = 1e6
"""Stands for an error that is not a number."""


class Tryout(Protocol):
    """A model, and records to try its files on."""

    def judged(self, file: Path, left: Sequence[str] = ()) -> Tried:
        """Judge a file by the policy.

        Raises:
            ExportFailedError: the file does not load or run.
        """

    def error(self, file: Path) -> float:
        """Return the error of its outputs on the first records, as in `Tried.error`; errors are those of `judged`."""

    def one_call(self) -> Feeds:
        """Return the inputs of one call of one record."""

    @property
    def records(self) -> str:
        """A description of the records."""


@dataclass(frozen=True)
class ImageTrial:
    """One of our architectures on images of its data set.

    Attributes:
        source: the export in fp32.
        layout: layout of its images.
        split: the images and their labels.
    """

    source: Path
    layout: str
    split: Split
    rule: ReducedRule

    @property
    def records(self) -> str:
        by = "" if self.shows_accuracy else ", too few to measure the loss of accuracy: judged by sure classes alone"
        return f"{len(self.split.labels)} images of the validation split{by}"

    @cached_property
    def shows_accuracy(self) -> bool:
        """Return whether a file that changes nothing passes with labels: with too few images accuracy cannot be
        judged.
        """
        return self._by_rule([self.reference], labelled=True)[0] == ""

    @cached_property
    def reference(self) -> NDArray[np.float64]:
        return np.concatenate([*self._logits(self.source, len(self.split.labels))]).astype(np.float64)

    def judged(self, file: Path, left: Sequence[str] = ()) -> Tried:
        logits = [*self._logits(file, len(self.split.labels))]
        reason, found = self._by_rule(logits, labelled=self.shows_accuracy)
        labelled = self._by_rule(logits, labelled=True)[1].classes
        right = labelled.accuracy if labelled else None
        return Tried(
            left=list(left),
            error=_finite(math.inf if found.not_finite or found.lost else found.rms_relative),
            reason=reason,
            quality=right.candidate if right else None,
        )

    def _by_rule(self, pieces: Sequence[NDArray[np.floating]], *, labelled: bool) -> tuple[str, Measured]:
        """Return why logits fail, or "", and the measurements."""
        accumulator, start = self.rule.accumulator(), 0
        for logits in pieces:
            part = slice(start, start := start + len(logits))
            labels = self.split.labels[part].astype(np.int64) if labelled else None
            accumulator.add(self.reference[part], logits, labels)
        found = accumulator.result()
        return self.rule.reason(found), found

    def error(self, file: Path) -> float:
        count = min(RANKED_BY, len(self.split.labels))
        numbers = Accumulator()
        logits = np.concatenate([*self._logits(file, count)])
        numbers.add(self.reference[:count], logits)
        found = numbers.result()
        return _finite(math.inf if found.not_finite else found.rms_relative)

    def one_call(self) -> Feeds:
        return self._feeds(slice(0, 1))

    def _feeds(self, part: slice) -> Feeds:
        images = normalise(self.split.images[part])
        return {INPUT_NAME: np.ascontiguousarray(images.transpose(0, 3, 1, 2) if self.layout == "NCHW" else images)}

    def _logits(self, file: Path, count: int) -> Iterator[NDArray[np.floating]]:
        session = session_of(file)
        for start in range(0, count, AT_ONCE):
            feeds = self._feeds(slice(start, min(start + AT_ONCE, count)))
            yield called(session, [OUTPUT_NAME], feeds)[0].astype(np.float32)


@dataclass(frozen=True)
class RecordTrial:
    """A user's model on the records that came with it.

    Attributes:
        inputs: the records, at most `MOST_RECORDS`.
        judge: judge by their float64, which may be known for the first ones only; the audit uses the same.
        wider: judge by all of them, with the model's own fp32 in place of an unknown float64; the cost of int8 is far
            more than the difference of the two.
        precision: precision of the files.
        by_task: returns why outputs fail their task's rule, or "", and the share of decisions that are right where
            labels say so; None for a task without decisions.
    """

    model: UserModel
    inputs: NDArray[np.void]
    judge: Judge
    wider: Judge
    precision: str = "int8"
    by_task: Callable[[Array], tuple[str, float | None]] | None = None

    @property
    def records(self) -> str:
        return f"the {len(self.inputs)} records that were given, on which the file is then audited as well"

    def judged(self, file: Path, left: Sequence[str] = ()) -> Tried:
        rows = self._rows(file, len(self.inputs))
        by_task, right = self.by_task(rows) if self.by_task else ("", None)
        return Tried(left=list(left), error=self._error_of(rows), reason=self.reason_of(rows) or by_task, quality=right)

    def reason_of(self, rows: Array) -> str:
        """Return why outputs do not pass, or "": for all records together, and for those that are furthest off."""
        judges = (self.judge, self.wider)
        reasons = [one.compare("", rows, np.arange(len(rows)), self.precision).reason for one in judges]
        return next(filter(None, [*reasons, *(self._furthest(one, rows) for one in judges)]), "")

    def error(self, file: Path) -> float:
        return self._error_of(self._rows(file, min(RANKED_BY, len(self.inputs))))

    def one_call(self) -> Feeds:
        return self._feeds(0, self._rows_of_a_call(1))

    def _error_of(self, rows: Array) -> float:
        """Return the share of the error of the output that is furthest off, or of its whole numbers that differ."""
        return _finite(max(self._share(output, rows[:, part]) for output, part in self.wider.outputs))

    def _furthest(self, judge: Judge, rows: Array) -> str:
        """Return why the records that are furthest off fail by themselves, or "": timed calls are judged by the same
        policy, on as few records.
        """
        rows = rows[: len(judge.reference)]
        for output, part in judge.outputs:
            if output.whole:
                continue
            mine = settled(output.reference[: len(rows)], rows[:, part])
            off = np.argsort(np.square(mine.errors).mean(axis=1))[-FEW:]
            if reason := reason_against_share(share_of_error(mine.errors[off], output.deviation)):
                return f"on the {len(off)} records that are furthest off, {reason}"
        return ""

    @staticmethod
    def _share(output: JudgedOutput, rows: Array) -> float:
        expected = output.reference[: len(rows)]
        if output.whole:
            return float(np.mean(expected != rows)) if rows.size else 0.0
        mine = settled(expected, rows)
        return math.inf if mine.problem else share_of_error(mine.errors, output.deviation)

    def _rows_of_a_call(self, wanted: int) -> int:
        return 1 if self.model.whole else self.model.batch or min(wanted, len(self.inputs))

    def _feeds(self, start: int, count: int) -> Feeds:
        return feeds_of(self.model, repeated(self.inputs[start : start + count], count))

    def _rows(self, file: Path, count: int) -> Array:
        session, at_once = session_of(file), self._rows_of_a_call(AT_ONCE)
        names = [one.name for one in self.model.outputs]
        found = [
            rows_of(self.model, called(session, names, self._feeds(start, at_once)))[: count - start]
            for start in range(0, count, at_once)
        ]
        return np.concatenate(found)


def image_trial(source: Path, layout: str, dataset: Path, task: str) -> ImageTrial:
    """
    Args:
        dataset: folder of a stored data set.

    Raises:
        ArtifactError: the folder is not a data set.
    """
    return ImageTrial(source, layout, open_dataset(dataset).validation, rule_of(task))


def record_trial(model: UserModel, against: Against, most: int = MOST_RECORDS) -> RecordTrial:
    """
    Args:
        most: the number of records, where float64 is not known for more.

    Raises:
        ArtifactError: its reference data cannot be read.
    """
    records, native, judge = load_array(against.records), load_array(against.native), against.judge(model)
    reference = judge.reference
    if judge.deciders:  # known for the same records as float64
        return RecordTrial(model, records[: len(reference)], judge, judge)
    more = native[len(reference) : max(most, len(reference))]
    wider = replace(judge, reference=np.concatenate([reference, more.astype(reference.dtype)]))
    return RecordTrial(model, records[: len(wider.reference)], judge, wider)


def session_of(file: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    """
    Args:
        threads: number of threads; 0 for as many as there are cores.

    Raises:
        ExportFailedError: ONNX Runtime does not load the file.
    """
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base but this
        raise ExportFailedError("onnxruntime does not load an int8 file", found=one_line(error)) from error


def called(session: onnxruntime.InferenceSession, names: Sequence[str], feeds: Feeds) -> list[Array]:
    """
    Raises:
        ExportFailedError: ONNX Runtime does not run the file.
    """
    try:
        return [np.asarray(one) for one in session.run(list(names), dict(feeds))]
    except Exception as error:  # onnxruntime's exceptions share no base but this
        raise ExportFailedError("onnxruntime does not run an int8 file", found=one_line(error)) from error


def _finite(error: float) -> float:
    return min(error, FARTHEST) if not math.isnan(error) else FARTHEST
