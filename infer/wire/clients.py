"""tritonclient, which has no types: its clients, and its errors."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any, Literal

from pydantic import ValidationError

from assay.errors import missing
from assay.files.mistakes import mistake_in

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OverflowError)
"""Errors raised when an answer does not follow the protocol; tritonclient itself does not catch them."""

CHANNEL = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
]


def text_of(error: BaseException) -> str:
    """Return the text of an error of tritonclient, or of the socket below it."""
    if isinstance(error, ValidationError):
        return f"an answer of another kind, {mistake_in(error)}"
    message = getattr(error, "message", None)
    return " ".join(str(message() if callable(message) else error).split()) or type(error).__name__


def http_client(address: str, limit_seconds: float) -> Any:  # tritonclient has no types
    """Return a client for HTTP, whose connection and answers may take so many seconds each."""
    return package("http").InferenceServerClient(
        address, connection_timeout=limit_seconds, network_timeout=limit_seconds
    )


def grpc_client(address: str) -> Any:  # tritonclient has no types
    """Return a client with a connection of its own. Otherwise gRPC lets the clients of a process share one: eight
    clients are then not eight connections, and after one has failed to connect, the others are refused at once for some
    seconds.
    """
    return package("grpc").InferenceServerClient(address, channel_args=CHANNEL)


def refusal() -> type[Exception]:
    """Return the class of exceptions that tritonclient raises."""
    package("http")
    from tritonclient.utils import InferenceServerException  # noqa: PLC0415  installed with the extra 'serve'

    raised: type[Exception] = InferenceServerException
    return raised


def package(name: Literal["http", "grpc"]) -> ModuleType:
    """
    Raises:
        NotInstalledError: tritonclient is not installed.
    """
    try:
        return importlib.import_module(f"tritonclient.{name}")
    except ImportError as error:
        raise missing("Connecting to an inference server", error, "serve") from error
