"""The records that a model of `assay model` was audited on, since the audited file is served as it is. Nothing is put
around the file, and nothing is known of its inputs except how they were drawn or given, so there are no images and no
classes: the only promise is that a server gives the audited answers to the audited records. If the user gave labels,
the card has the audit's findings on them, for all records. A record is a row if the model takes any number of rows,
which the server then puts into batches. If it takes only a fixed number of rows, or rows depend on each other, a record
is a whole call, and so is a request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.bench.deployment.subject import AuditedModel, FinishedStudy, check_hash
from assay.errors import ArtifactError, FailedError, InputError
from assay.export.probing.probe import DESCRIPTION_FILE, LOCATION_FILE, RECORDS_FILE, REFERENCE_FILE
from assay.files.arrays import load_array
from assay.files.texts import read_text
from assay.numerics.agreement import FLOOR_ULPS
from assay.numerics.following import FOLLOWING_POLICY, is_reduced, reason_not_followed
from assay.numerics.served import DATATYPES, Records, ServedTensor, records_of
from assay.numerics.values import EQUALITY, is_whole, settled
from assay.records.audit import ModelAudit
from assay.records.deployment import ServedTolerance
from assay.records.results import Cell, Export
from assay.registry import RUNTIMES
from assay.train.brought import model as user
from assay.train.brought.model import UserModel

REMEDY = "Run `assay model` again"


def audited_records(study: FinishedStudy, cell: Cell, audit: ModelAudit, export: Export | None) -> AuditedModel:
    """
    Raises:
        InputError: the server cannot run the model.
        ArtifactError: a file is missing, damaged, or not the one that was audited.
    """
    del export
    folder = study.folder / "model"
    model = _model(folder, audit)
    if not cell.exporter and not RUNTIMES[cell.runtime].maker:  # its file is made of the user's own
        model = _located(model, folder)
    asked = asked_of(model, _array(folder / RECORDS_FILE), _array(folder / REFERENCE_FILE))
    judged = judge_reduced if is_reduced(cell.asked_precision, model.arithmetic) else judge_outputs
    return AuditedModel(
        name=served_name(model.name),
        unit="record",
        inputs=asked.inputs,
        outputs=asked.outputs,
        classes=[],
        batched=not model.whole and model.batch is None,
        data=study.results.data,
        model=model,
        contract=None,
        warm_up=asked.records[:1],
        records=asked.records,
        labels=None,
        judge=lambda found, spread, _: (judged(found, asked.reference, audit, spread), None),
    )


@dataclass(frozen=True)
class AuditedRecords:
    """The audited records and their answers, one by one in the form in which they are served.

    Attributes:
        inputs, outputs: tensors of a request about one record; see the module's text.
        records: the records that have a reference, (count,).
        reference: float64 (count, *shape), by output.
    """

    inputs: list[ServedTensor]
    outputs: list[ServedTensor]
    records: Records
    reference: dict[str, NDArray[np.float64]]


def served_name(name: str) -> str:
    """Return the server's name of a model: small letters, digits, dashes and underscores."""
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_") or "model"


def _model(folder: Path, audit: ModelAudit) -> UserModel:
    """Return the model as `assay model` found it, after checking that its records are the audited ones."""
    path = folder / DESCRIPTION_FILE
    model = UserModel.read_from(path, expected="a file of `assay model`", remedy=REMEDY)
    if model.fingerprint != audit.models.get("model"):
        raise ArtifactError(
            f"{path} belongs to a different model from the one audited",
            expected=str(audit.models.get("model"))[:12],
            found=model.fingerprint[:12],
            remedy=REMEDY,
        )
    for one in audit.inputs:
        check_hash(folder / RECORDS_FILE, one.sha256)
    return model


def _located(model: UserModel, folder: Path) -> UserModel:
    """Return the model with the place where its file lies, which its description does not have.

    Raises:
        ArtifactError: it is not known, or no longer there.
    """
    if model.location.is_of_library:
        return model
    try:
        path = Path(read_text(folder / LOCATION_FILE))
    except (OSError, ValueError):
        path = Path(model.location.path.name)
    if not path.is_absolute() or not path.exists():
        raise ArtifactError(
            f"The served file is made from {model.location} itself, which is no longer in its place",
            expected=str(path) if path.is_absolute() else "its path, which an older Assay did not record",
            remedy=REMEDY,
        )
    return model.model_copy(update={"location": model.location.model_copy(update={"path": path})})


def _array(path: Path) -> NDArray[Any]:
    try:
        return load_array(path)
    except ArtifactError as error:
        raise ArtifactError(
            f"Cannot read {path}", expected="an array", found=error.found or error.what, remedy=REMEDY
        ) from error


def asked_of(model: UserModel, records: Records, reference: NDArray[Any]) -> AuditedRecords:
    """
    Args:
        records: all records, of `assay.train.brought.arrays.record_type`.
        reference: outputs for the first records, (count, `model.width`).

    Raises:
        InputError: the server has no such type.
    """
    rows = [] if model.batch is None else [model.batch]
    inputs, outputs = ([_tensor(one, rows, model) for one in some] for some in (model.inputs, model.outputs))
    count = len(reference) if model.batch is None else max(len(reference) // model.batch, 1)
    places = np.arange(count * (model.batch or 1)) % len(reference)
    arrays = {one.name: records[one.name][places].reshape(count, *one.shape) for one in inputs}
    exact = {
        one.name: reference[places][:, part].astype(np.float64, copy=False).reshape(count, *one.shape)
        for one, (_, part) in zip(outputs, model.parts, strict=True)
    }
    return AuditedRecords(inputs, outputs, records_of(arrays, inputs), exact)


def _tensor(one: user.Tensor, rows: list[int], model: UserModel) -> ServedTensor:
    if one.dtype not in DATATYPES:
        raise InputError(
            f"{model.location.name} cannot be served: '{one.name}' is {one.dtype}",
            expected=f"a type that every way of the Open Inference Protocol supports, {', '.join(DATATYPES)}",
        )
    if one.varying:
        raise InputError(
            f"{model.location.name} cannot be served: the size of '{one.name}' depends on the values of the inputs",
            expected="outputs of a fixed size, which a server declares",
        )
    if one.shared:
        raise InputError(
            f"{model.location.name} cannot be served: '{one.name}' has no batch dimension, and the other "
            "inputs have one",
            expected="inputs that are all batched, since Triton joins the rows of several requests",
            remedy="Compare it with a fixed batch size, which is served unchanged: --dimension batch=1",
        )
    if model.whole and not one.shape:
        raise InputError(
            f"{model.location.name} cannot be served: '{one.name}' is a scalar in a call without a batch",
            expected="at least one dimension, since Triton has no scalar tensors",
        )
    return ServedTensor(name=one.name, datatype=DATATYPES[one.dtype], shape=[*rows, *one.shape])


def judge_outputs(
    found: Records, reference: Mapping[str, NDArray[np.float64]], audit: ModelAudit, spread: Mapping[str, float]
) -> dict[str, ServedTolerance]:
    """Compare the answers of a file with the reference, and derive how far a server's may be from them.

    A server's answer may be as far from the reference as the audit tolerates, and so may the file's own: so the two may
    be twice that far apart.

    Args:
        found: the outputs of the file, (count,).
        reference: (count, *shape), by output.
        audit: the audit, with a tolerance for each output.
        spread: largest difference between correct evaluations of the file, by output.

    Raises:
        FailedError: the answers are further from the reference, or correct evaluations from each other, than the audit
            tolerates.
    """
    tolerances = {one.inputs: one for one in audit.tolerances if not one.for_subject and not one.problem}
    allowed: dict[str, ServedTolerance] = {}
    for name, exact in reference.items():
        if name not in tolerances:
            raise FailedError(f"The audit has no tolerance for the output '{name}'")
        tolerance = tolerances[name]
        both = settled(exact, found[name])
        if both.problem:
            raise FailedError(f"The served file's output '{name}' differs from the reference's", found=both.problem)
        largest = both.apart
        value = tolerance.value + largest
        for what, error, most in (
            ("The served file's output '{}' differs from the reference's", largest, tolerance.value),
            ("The output '{}' depends on the number of records in a request", spread[name], value),
        ):
            if not error <= most:
                raise FailedError(what.format(name), expected=f"at most {most:.3g} apart", found=f"{error:.3g}")
        allowed[name] = ServedTolerance(
            value=value,
            derivation=(
                f"{tolerance.value:.2g} from the reference ({tolerance.derivation}), and {largest:.2g} that the "
                "audited answers are from it"
            ),
        )
    return allowed


def judge_reduced(
    found: Records, reference: Mapping[str, NDArray[np.float64]], audit: ModelAudit, spread: Mapping[str, float]
) -> dict[str, ServedTolerance]:
    """Do the same for a file in reduced precision, which has to follow the reference (`assay.numerics.following`).

    Its distance from the reference does not show how far a server may be from it; the distance between correct
    evaluations of the file does. Whole numbers, which the audit has counted, have to be the same in all of them.

    Raises:
        FailedError: an output does not follow the reference.
    """
    allowed: dict[str, ServedTolerance] = {}
    for name, exact in reference.items():
        if is_whole(found.dtype[name].base):
            if spread[name]:
                raise FailedError(f"The output '{name}' depends on the number of records in a request")
            allowed[name] = ServedTolerance(value=0, derivation=f"the audited answers themselves: {EQUALITY}")
            continue
        both = settled(exact.reshape(len(exact), -1), found[name].reshape(len(exact), -1))
        if reason := reason_not_followed(both):
            raise FailedError(f"The served file's output '{name}' does not follow the reference", found=reason)
        rounding = FLOOR_ULPS * float(np.spacing(np.float32(both.scale)))
        allowed[name] = ServedTolerance(
            value=2 * spread[name] + rounding,
            derivation=(
                f"twice {spread[name]:.2g}, the largest difference between correct evaluations of the same file (other "
                f"batches, and without graph optimisations), and {FLOOR_ULPS} ulps; against the reference: "
                f"{FOLLOWING_POLICY}"
            ),
        )
    return allowed
