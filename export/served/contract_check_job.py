"""A check of whether served graphs load, run and keep their contract, in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from assay.boxed.boxing import is_trusted
from assay.errors import ExportFailedError
from assay.export.graph.inspect import one_line
from assay.export.served.acting_job import check_cannot_act
from assay.export.served.contract_job import BATCH, check_answers, open_served, run_graph
from assay.files.arrays import map_array
from assay.jobs.job import Job, Nothing
from assay.jobs.serving import serve_job
from assay.numerics.served import Opened, Records, ServedTensor, as_records, errors_of, is_deciding, record_type
from assay.records.base import Record
from assay.records.deployment import INPUTS_FILE, OUTPUTS_FILE, served_by


class ModelToCheck(Record):
    """One model and its audited answers.

    Attributes:
        runtime: the runtime that serves it.
        audited: folder of its audited inputs and outputs; None where a deployment has no inputs.
        allowed: how far an answer may be from the audited one, by output.
    """

    path: Path
    runtime: str
    audited: Path | None
    allowed: dict[str, float]


class CheckRequest(Record):
    """Some models of one contract.

    Attributes:
        record: file with the raw bytes of one record, by input.
        most_records: most records in one call; 0 where a call is one record.
    """

    models: list[ModelToCheck]
    inputs: list[ServedTensor]
    outputs: list[ServedTensor]
    record: dict[str, Path]
    most_records: int


CHECK_SERVED = Job("assay.export.served.contract_check_job", "check", CheckRequest, Nothing)


def work(request: CheckRequest) -> Nothing:
    """Check each model on the record, alone and `most_records` times in one batch, and on the audited records.

    All run on the CPU. The audited answers of a model that is served on a GPU are those of the GPU, from which the
    CPU's may differ: they are left to `assay verify-server`.

    Raises:
        ExportFailedError: a model does not load or run, has other inputs or outputs, needs other files, or gives other
            answers than before.
    """
    record = np.zeros(1, record_type(request.inputs))
    for one in request.inputs:
        record[one.name] = np.fromfile(request.record[one.name], one.dtype).reshape(one.shape)
    for model in request.models:
        if model.path.suffix == ".onnx":
            _check_is_whole(model.path)
        if not is_trusted():
            check_cannot_act(model.path, model.runtime)
        served = served_by(model.runtime)
        options = served.options_of(1, decides=is_deciding(request.outputs))
        opened = open_served(model.runtime, model.path, options, request.inputs, request.outputs, "cpu")
        _check_types("inputs", opened.inputs, request.inputs)
        _check_types("outputs", opened.outputs, request.outputs)
        for records in (record, np.repeat(record, max(request.most_records, 1))):
            _run(opened, records, request)
        if model.audited is not None and served.device == "cpu":
            _check_answers(opened, model, model.audited, request)
    return Nothing()


def _check_is_whole(path: Path) -> None:
    """
    Raises:
        ExportFailedError: the graph's weights lie in other files, which nobody checked.
    """
    import onnx  # noqa: PLC0415
    from onnx.external_data_helper import _get_all_tensors, uses_external_data  # noqa: PLC0415

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's exceptions share no base but this
        raise ExportFailedError(f"{path} is not an ONNX file", found=one_line(error)) from error
    for tensor in _get_all_tensors(model):
        if uses_external_data(tensor):
            places = {entry.key: entry.value for entry in tensor.external_data}
            raise ExportFailedError(
                f"{path} takes weights from another file", expected="none", found=ascii(places.get("location"))[:200]
            )


def _check_types(kind: str, found: Mapping[str, str], wanted: Sequence[ServedTensor]) -> None:
    """
    Raises:
        ExportFailedError: the graph has other inputs or outputs, by their names or types.
    """
    expected, offered = {one.name: one.dtype for one in wanted}, dict(found)
    if offered != expected:
        raise ExportFailedError(
            f"A graph's {kind} are not those of the deployment",
            expected=", ".join(f"'{name}' {of}" for name, of in expected.items()),
            found=", ".join(f"'{name}' {of}" for name, of in offered.items()) or "none",
        )


def _run(opened: Opened, records: Records, request: CheckRequest) -> None:
    """Check that the graph answers records in the agreed shape, and that probabilities are probabilities."""
    found = run_graph(opened, records, request.outputs, request.most_records)
    for one in request.outputs:
        if one.index_of:
            check_answers(found[one.index_of], found[one.name])


def _check_answers(opened: Opened, model: ModelToCheck, audited: Path, request: CheckRequest) -> None:
    """Check that the graph still gives the answers that were audited."""
    inputs = as_records(map_array(audited / INPUTS_FILE), request.inputs)
    outputs = as_records(map_array(audited / OUTPUTS_FILE), request.outputs)
    found = run_graph(opened, inputs, request.outputs, BATCH if request.most_records else 0)
    for one in request.outputs:
        largest, allowed = float(errors_of(found, outputs, one).max()), model.allowed[one.name]
        if not largest <= allowed:
            raise ExportFailedError(
                f"{model.path} does not answer '{one.name}' as {audited / OUTPUTS_FILE} says that it did",
                expected=f"at most {allowed:.3g} apart",
                found=f"{largest:.3g}",
            )


if __name__ == "__main__":
    serve_job(CHECK_SERVED.done_by(work))
