"""What a server says of itself and of its models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from assay.errors import InputError
from infer.wire.clients import http_client, package, refusal, text_of
from infer.wire.target import LIMIT_SECONDS, Target

BINARY, SHARED_MEMORY = "binary_tensor_data", "system_shared_memory"


def describe(http: str, model: str = "", limit_seconds: float = LIMIT_SECONDS) -> dict[str, Any]:
    """What a server says of itself, or of one of its models.

    Raises:
        InputError: nothing answers there, or it has no such model.
    """
    client = http_client(http, limit_seconds)
    try:
        if not client.is_server_ready():
            raise InputError(f"The server at {http} is not ready")
        found = client.get_model_metadata(model) if model else client.get_server_metadata()
        said = {name: value for name, value in found.items() if value is not None}  # some write null for nothing
    except (OSError, ValueError, AttributeError, refusal()) as error:  # another web server answers no JSON object
        raise InputError(
            f"No answer from {http}" + (f" about the model {model}" if model else ""),
            expected="a server of the Open Inference Protocol",
            found=text_of(error),
        ) from error
    finally:
        client.close()
    return said


def describe_by_grpc(grpc: str, model: str) -> dict[str, Any]:
    """What a server says of one of its models over gRPC, in the shape of the HTTP answer.

    Raises:
        InputError: as `describe`.
    """
    client = package("grpc").InferenceServerClient(grpc)
    try:
        found = client.get_model_metadata(model, as_json=True, client_timeout=LIMIT_SECONDS)
    except refusal() as error:
        raise InputError(
            f"No answer from {grpc} over gRPC about the model {model}",
            expected="the gRPC address of the server",
            found=text_of(error),
            remedy="Name it with --grpc HOST:PORT, or leave gRPC out with --way http",
        ) from error
    finally:
        client.close()
    for tensor in (*found.get("inputs", []), *found.get("outputs", [])):
        tensor["shape"] = [int(size) for size in tensor["shape"]]
    return cast("dict[str, Any]", found)


def agreed(target: Target, server: Mapping[str, Any]) -> Target:
    """The target, asked with no extension but those that the server names of itself (`describe`)."""
    return target.model_copy(update={"binary": BINARY in server.get("extensions", [])})


def statistics(target: Target, version: str) -> dict[str, Any]:
    """Triton's own counters for one version of the model, or nothing where the server keeps none."""
    client = http_client(target.http, LIMIT_SECONDS)
    try:
        found = client.get_inference_statistics(target.model, version)["model_stats"]
    except (OSError, refusal()):
        return {}
    finally:
        client.close()
    return cast("dict[str, Any]", found[0]) if found else {}
