"""Control of the server, over its socket in a folder that only its owner may enter: no port leads to it."""

from __future__ import annotations

import http.client
import os
import socket
from pathlib import Path
from typing import Literal

from assay.errors import FailedError
from assay.files.mistakes import mistake_in
from assay.infer.server.front.places import HTTP


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket, whose path may be longer than the 107 bytes that an address can hold."""

    def __init__(self, folder: Path, limit_seconds: float) -> None:
        super().__init__("triton", timeout=limit_seconds)
        self._folder = folder

    def connect(self) -> None:
        folder = os.open(self._folder, os.O_PATH | os.O_DIRECTORY)
        try:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            self.sock.connect(f"/proc/self/fd/{folder}/{HTTP}")
        finally:
            os.close(folder)


def change(folder: Path, model: str, action: Literal["load", "unload"], what: str, limit_seconds: float) -> None:
    """Make the server load or unload a model; it answers when that is done or refused.

    Args:
        folder: the folder of the server's sockets.
        what: description of the model, for an error.

    Raises:
        FailedError: the server did not do it.
    """
    connection = _Connection(folder, limit_seconds)
    try:
        connection.request(
            "POST", f"/v2/repository/models/{model}/{action}", b"{}", {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise FailedError(f"The server did not {action} {what}", found=mistake_in(error)) from error
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise FailedError(
            f"The server refused to {action} {what}",
            found=" ".join(content.decode(errors="replace").split())[:1500],
        )
