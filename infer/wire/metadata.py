"""The descriptions that a server gives of itself and of its models."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from assay.errors import InputError
from assay.infer.wire.clients import UNREADABLE, grpc_client, http_client, refusal, text_of
from assay.infer.wire.target import LIMIT_SECONDS, Target

BINARY, SHARED_MEMORY = "binary_tensor_data", "system_shared_memory"


class DescribedTensor(BaseModel):
    """An input or output of a model, whose shape includes the batch, as -1, where there is one."""

    model_config = ConfigDict(frozen=True)

    name: str
    datatype: str
    shape: tuple[int, ...]


class Description(BaseModel):
    """A server's description of itself, or of one of its models; the protocol does not say whether an empty field is
    null or left out. Other fields are ignored.
    """

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)

    name: str = ""
    version: str = ""
    extensions: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    inputs: tuple[DescribedTensor, ...] = ()
    outputs: tuple[DescribedTensor, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, said: object) -> object:
        return {name: value for name, value in said.items() if value is not None} if isinstance(said, dict) else said


def describe(http: str, model: str = "", limit_seconds: float = LIMIT_SECONDS) -> Description:
    """Return a server's description of itself, or of one of its models.

    Raises:
        InputError: nothing answers there, or it has no such model.
    """
    client = http_client(http, limit_seconds)
    try:
        if not client.is_server_ready():
            raise InputError(f"The server at {http} is not ready")
        said = client.get_model_metadata(model) if model else client.get_server_metadata()
        return Description.model_validate(said)
    except (OSError, *UNREADABLE, refusal()) as error:
        raise InputError(
            f"No answer from {http}" + (f" about the model {model}" if model else ""),
            expected="a server of the Open Inference Protocol",
            found=text_of(error),
        ) from error
    finally:
        client.close()


def describe_by_grpc(grpc: str, model: str) -> Description:
    """Return a server's description of one of its models, over gRPC.

    Raises:
        InputError: as for `describe`.
    """
    client = grpc_client(grpc)
    try:
        said = client.get_model_metadata(model, as_json=True, client_timeout=LIMIT_SECONDS)
        return Description.model_validate(said)
    except (ValidationError, refusal()) as error:
        raise InputError(
            f"No answer from {grpc} over gRPC about the model {model}",
            expected="the gRPC address of the server",
            found=text_of(error),
            remedy="Name it with --grpc HOST:PORT, or leave gRPC out with --way http",
        ) from error
    finally:
        client.close()


def agreed(target: Target, server: Description) -> Target:
    """Return the target, used with no extensions but those that the server names."""
    return target.model_copy(update={"binary": BINARY in server.extensions})


def statistics(target: Target, version: str) -> dict[str, Any]:
    """Return Triton's own counters for one version of the model, or nothing where the server keeps none."""
    client = http_client(target.http, LIMIT_SECONDS)
    try:
        found: list[dict[str, Any]] = client.get_inference_statistics(target.model, version)["model_stats"]
    except (OSError, *UNREADABLE, refusal()):
        return {}
    finally:
        client.close()
    return found[0] if found else {}
