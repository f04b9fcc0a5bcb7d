"""Whether graphs that are served load, run and keep their contract: `python -P -m export.contract_check_job`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from assay.errors import ExportFailedError
from assay.jobs import Channel, Message, serve_job
from assay.served import Records, Tensor, record_type
from export.contract_job import check_answers, run_graph, session_of

if TYPE_CHECKING:
    import onnxruntime

ONNX_NAMES = {"float32": "float", "float64": "double"}


class CheckRequest(BaseModel):
    """Some models of one contract.

    Attributes:
        record: by input, the file with the raw bytes of one record of it.
        most_records: in one call; 0 where a call is one record.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: list[Path]
    inputs: list[Tensor]
    outputs: list[Tensor]
    record: dict[str, Path]
    most_records: int


def work(message: Message, channel: Channel) -> Message:
    """Check each of the models on the record, alone and `most_records` times in one batch.

    Raises:
        ExportFailedError: one does not load or run, or has other inputs or outputs.
    """
    import onnxruntime as ort  # noqa: PLC0415

    del channel
    request = CheckRequest.model_validate(message)
    record = np.zeros(1, record_type(request.inputs))
    for one in request.inputs:
        record[one.name] = np.fromfile(request.record[one.name], one.dtype).reshape(one.shape)
    for path in request.models:
        session = session_of(path, 1, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
        check_types("inputs", session.get_inputs(), request.inputs)
        check_types("outputs", session.get_outputs(), request.outputs)
        for records in (record, np.repeat(record, max(request.most_records, 1))):
            _run(session, records, request)
    return {}


def check_types(kind: str, found: Sequence[onnxruntime.NodeArg], wanted: Sequence[Tensor]) -> None:
    """
    Raises:
        ExportFailedError: the graph has other inputs or outputs, by their names or types.
    """
    expected = {one.name: f"tensor({ONNX_NAMES.get(one.dtype, one.dtype)})" for one in wanted}
    offered = {one.name: str(one.type) for one in found}
    if offered != expected:
        raise ExportFailedError(
            f"A graph's {kind} are not those of the deployment",
            expected=", ".join(f"'{name}' {of}" for name, of in expected.items()),
            found=", ".join(f"'{name}' {of}" for name, of in offered.items()) or "none",
        )


def _run(session: onnxruntime.InferenceSession, records: Records, request: CheckRequest) -> None:
    """The graph answers records in the shape that was agreed; probabilities are ones."""
    found = run_graph(session, records, request.outputs, request.most_records)
    for one in request.outputs:
        if one.index_of:
            check_answers(found[one.index_of], found[one.name])


if __name__ == "__main__":
    serve_job(work)
