"""The verdicts of runtimes other than ONNX Runtime on an export, for the records that it gets wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from assay.errors import ExportFailedError
from assay.export.checking.check import level_names, session_at
from assay.export.checking.edges import Edges, compare_edges, is_wrong_at_edges_alone
from assay.export.checking.levels import Levels
from assay.numerics.guilt import Outcome
from assay.numerics.values import settled
from assay.train.brought.agreement import Judge
from assay.train.brought.arrays import Array, Records, feeds_of, rows_of
from assay.train.brought.model import UserModel

if TYPE_CHECKING:
    import onnxruntime

MOST_RECORDS = 8


def others_on(
    file: Path, levels: Levels, records: Records, judge: Judge, edges: Edges | None = None
) -> dict[str, Outcome]:
    """Return whether each witness gives the right numbers; see `assay.numerics.guilt`.

    Args:
        levels: the results of the file in ONNX Runtime, which show the records on which it is wrong.
    """
    from assay.export.checking.on_onnx_witnesses import heard  # noqa: PLC0415

    model, at_edges = judge.model, edges is not None and is_wrong_at_edges_alone(levels.agreements)
    tried, right = (edges.records, edges.reference) if edges is not None and at_edges else (records, judge.reference)
    most = model.batch or (1 if model.whole else MOST_RECORDS)
    places = np.array(worst_records(file, model, tried, right)[:most])

    def agrees(outputs: Mapping[str, Array]) -> bool:
        rows = rows_of(model, [np.asarray(outputs[one.name]) for one in model.outputs])[: len(places)]
        if edges is not None and at_edges:
            return compare_edges(model, "", edges.at(places), rows, judge.reference).passed
        return judge.compare("", rows, places).passed

    return heard(file, feeds_of(model, tried[places]), agrees)


def rows_in(session: onnxruntime.InferenceSession, model: UserModel, records: Records) -> Array:
    """Return the outputs of one call of a file, (records, `model.width`)."""
    outputs = session.run([one.name for one in model.outputs], feeds_of(model, records))
    return rows_of(model, [np.asarray(one) for one in outputs])[: len(records)]


def worst_records(file: Path, model: UserModel, records: Records, right: Array) -> list[int]:
    """Return the places of all records with right rows, the one on which the file is furthest off first.

    They keep their order if the file does not run at all.
    """
    count = min(len(records), len(right))
    step = 1 if model.whole else model.batch or count
    try:
        session = session_at(file, level_names()[0], file.name)
        found = [rows_in(session, model, records[start : start + step]) for start in range(0, count, step)]
    except ExportFailedError:
        return list(range(count))
    except Exception as error:  # noqa: BLE001  ONNX Runtime's exceptions have no common base
        del error
        return list(range(count))
    rows = np.concatenate(found)[:count]
    return [int(place) for place in np.argsort(-_distances(model, rows, right[:count]), kind="stable")]


def _distances(model: UserModel, rows: Array, right: Array) -> np.ndarray:
    """Return the largest difference of each record over the largest number of its output."""
    found = np.zeros(len(rows))
    for _, part in model.parts:
        both = settled(right[:, part], rows[:, part])
        scale = both.scale or 1.0
        error = np.nan_to_num(both.errors, nan=np.inf)
        found = np.maximum(found, error.max(axis=1, initial=0.0) / scale)
    return found
