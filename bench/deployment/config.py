"""Triton's `config.pbtxt`, as the typed protobuf that the server itself reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from assay.bench.deployment.serving_limits import QUEUE_SECONDS, most_queued
from assay.errors import ArtifactError, missing
from assay.files.mistakes import mistake_in
from assay.numerics.served import ServedTensor, is_deciding
from assay.records.deployment import CONFIG_FILE, LABELS_FILE, PYTHON_BACKEND, Deployment, Unit, served_by
from assay.records.results import Cell

if TYPE_CHECKING:
    from tritonclient.grpc.model_config_pb2 import (
        ModelConfig,
        ModelInput,
        ModelInstanceGroup,
        ModelOutput,
        ModelQueuePolicy,
        ModelWarmup,
    )


WARM_UP = "warmup"
"""The folder beside the versions in which Triton looks for its warm-up data: the raw inputs of one real record, which
it repeats to the batch size asked for.
"""
LEAST_MOST_RECORDS = 32
QUEUE_DELAY_MICROSECONDS = 0
"""The delay for which a request waits for others: none. Requests that arrived while the model was busy make up the next
batch.
"""


def preferred_batches(curve: Sequence[Cell]) -> list[int]:
    """Return the batch sizes above one that pay: more images a second than every smaller one, beyond the measurement
    error.

    Args:
        curve: valid cells of one runtime at several batch sizes, ascending.
    """
    found = []
    for place, cell in enumerate(curve):
        before = [one.throughput.high for one in curve[:place] if one.throughput]
        if cell.throughput and cell.batch > 1 and before and cell.throughput.low > max(before):
            found.append(cell.batch)
    return found


def most_records(curve: Sequence[Cell]) -> int:
    """Return the most records in one request: the largest measured batch, and at least 32, which every model went
    through.
    """
    return max([LEAST_MOST_RECORDS, *(cell.batch for cell in curve)])


def warm_up_files(deployment: Deployment) -> dict[str, str]:
    """Return the name of each input's file in `WARM_UP`."""
    return files_by_input(deployment.unit, deployment.inputs)


def files_by_input(unit: Unit, inputs: Sequence[ServedTensor]) -> dict[str, str]:
    """Return the name of the file with the raw numbers of one record, by input."""
    numbers = [""] if len(inputs) == 1 else [f"-{place}" for place in range(1, len(inputs) + 1)]
    return {one.name: f"{unit}{number}.raw" for one, number in zip(inputs, numbers, strict=True)}


def config_of(deployment: Deployment) -> ModelConfig:
    """Return the configuration of the version that serves.

    Raises:
        NotInstalledError: tritonclient is missing.
    """
    pb = _schema()
    served = served_by(deployment.version(deployment.serving).runtime)
    config = pb.ModelConfig(name=deployment.name, backend=served.backend, max_batch_size=deployment.most_records)
    config.input.extend(_described(pb.ModelInput(), pb, one) for one in deployment.inputs)
    config.output.extend(_described(pb.ModelOutput(), pb, one) for one in deployment.outputs)
    if deployment.classes:
        config.output[0].label_filename = LABELS_FILE
    config.version_policy.specific.versions.append(deployment.serving)
    config.instance_group.append(_instances(pb, deployment.instances, served.device))
    for name, options in served.accelerators.items():
        accelerators = config.optimization.execution_accelerators.gpu_execution_accelerator
        accelerators.add(name=name, parameters=dict(options))
    if deployment.preferred_batches:
        config.dynamic_batching.preferred_batch_size.extend(deployment.preferred_batches)
        config.dynamic_batching.max_queue_delay_microseconds = QUEUE_DELAY_MICROSECONDS
        if deployment.rendering > 1:
            _bound(config.dynamic_batching.default_queue_policy, deployment)
    for name, value in _parameters(deployment).items():
        config.parameters[name].string_value = value
    for batch in [1, *deployment.preferred_batches]:
        config.model_warmup.append(_warm_up(pb, deployment, batch))
    return config


def _instances(pb: ModuleType, count: int, device: str) -> ModelInstanceGroup:
    """Describe the instances: on the CPU, or on the first GPU that the server sees, where Triton by itself would put as
    many on each GPU.
    """
    if device == "cpu":
        return pb.ModelInstanceGroup(kind=pb.ModelInstanceGroup.KIND_CPU, count=count, name="cpu")
    return pb.ModelInstanceGroup(kind=pb.ModelInstanceGroup.KIND_GPU, count=count, name="gpu", gpus=[0])


def _bound(policy: ModelQueuePolicy, deployment: Deployment) -> None:
    """Refuse requests that would wait too long or among too many."""
    policy.timeout_action = policy.REJECT
    policy.default_timeout_microseconds = QUEUE_SECONDS * 1_000_000
    policy.max_queue_size = most_queued(deployment)


def config_text(config: ModelConfig) -> str:
    """Return the text of `config.pbtxt`, in ASCII: any name stays between its quotes."""
    from google.protobuf import text_format  # noqa: PLC0415

    return str(text_format.MessageToString(config, as_utf8=False))


def read_config(path: Path) -> ModelConfig:
    """
    Raises:
        ArtifactError: missing, or not a configuration; the message has line and column.
        NotInstalledError: tritonclient is missing.
    """
    pb = _schema()
    from google.protobuf import text_format  # noqa: PLC0415

    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), pb.ModelConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ArtifactError(
            f"Cannot read {path}", expected=f"a {CONFIG_FILE} of Triton", found=mistake_in(error)
        ) from error


def _schema() -> ModuleType:
    """Return the protobuf module of the configuration.

    Raises:
        NotInstalledError: tritonclient is missing.
    """
    try:
        from tritonclient.grpc import model_config_pb2  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise missing("A deployment", error, "serve") from error
    schema: ModuleType = model_config_pb2
    return schema


def _type(pb: ModuleType, tensor: ServedTensor) -> int:
    return int(pb.DataType.Value(f"TYPE_{tensor.datatype}"))


def _described(made: ModelInput | ModelOutput, pb: ModuleType, tensor: ServedTensor) -> ModelInput | ModelOutput:
    """Describe an input or output in the configuration. Triton has none without a dimension besides the batch: a single
    number is shown as one of size 1, and reshaped to the graph's shape.
    """
    made.name, made.data_type = tensor.name, _type(pb, tensor)
    made.dims.extend(tensor.wire_shape)
    if not tensor.shape:
        made.reshape.SetInParent()
    return made


def _parameters(deployment: Deployment) -> dict[str, str]:
    """Return the parameters of the backend, by the names that it reads: what was measured is what is served."""
    served = served_by(deployment.version(deployment.serving).runtime)
    program = {"model_file": served.file} if served.backend == PYTHON_BACKEND else {}
    return program | served.options_of(deployment.threads, decides=is_deciding(deployment.outputs))


def _warm_up(pb: ModuleType, deployment: Deployment, batch: int) -> ModelWarmup:
    warm_up = pb.ModelWarmup(name=f"batch {batch}", batch_size=batch, count=1)
    files = warm_up_files(deployment)
    for tensor in deployment.inputs:
        value = warm_up.inputs[tensor.name]
        value.data_type = _type(pb, tensor)
        value.dims.extend(tensor.wire_shape)
        value.input_data_file = files[tensor.name]
    return warm_up
