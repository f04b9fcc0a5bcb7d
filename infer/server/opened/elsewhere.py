"""A model opened in a process of another Python: the stand-in for `open_model.py` on this machine.

The server of the nvidia-pytriton package runs its Python backend with NumPy 1 and no framework. So the deployment's own
`open_model.py` runs in Assay's Python (`in_child.py`), with the packages that were measured, and this file talks to it
through a pipe. It imports nothing of ours. ASSAY_CHILD has the command, as a list in JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

COMMAND = "ASSAY_CHILD"
KEPT = ("PATH", "HOME", "LANG", "PYTHONDONTWRITEBYTECODE")
"""Variables of the server that the child gets; those for the server's own libraries are not among them."""

Told = dict[str, Any]


class OpenedElsewhere:
    """A function from inputs by name to outputs, in a child.

    Attributes:
        inputs, outputs: NumPy's name of each tensor's type, by name.
    """

    def __init__(self, path: str | Path, *told: Mapping[str, str]) -> None:
        command = [*json.loads(os.environ[COMMAND]), str(path), *(json.dumps(dict(one)) for one in told)]
        variables = {name: os.environ[name] for name in KEPT if name in os.environ}
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables)
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._to, self._from = self._child.stdin, self._child.stdout
        try:
            found, _ = self._answer()
        except RuntimeError:
            self.close()
            raise
        self.inputs, self.outputs = found["inputs"], found["outputs"]

    def __call__(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        try:
            send(self._to, {"outputs": list(outputs)}, inputs)
        except BrokenPipeError:
            os._exit(1)  # the child has ended: the server loses its worker, and its supervisor loads the model again
        _, arrays = self._answer()
        return [arrays[name] for name in outputs]

    def close(self) -> None:
        """End the child, which ends when its input closes."""
        self._to.close()
        self._from.close()
        self._child.wait()

    def _answer(self) -> tuple[Told, dict[str, NDArray[Any]]]:
        try:
            told, arrays = receive(self._from)
        except EOFError:
            os._exit(1)
        if "error" in told:
            raise RuntimeError(told["error"])
        return told, arrays


def send(stream: IO[bytes], told: Told, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a message: the length of its head, the head in JSON, and the numbers of each array in turn."""
    whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    shown = [[name, array.dtype.str, array.shape] for name, array in whole.items()]
    head = json.dumps({**told, "arrays": shown}).encode()
    stream.write(len(head).to_bytes(8, "little") + head)
    for array in whole.values():
        stream.write(array.tobytes())
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[Told, dict[str, NDArray[Any]]]:
    """Read a message.

    Raises:
        EOFError: the sender has ended.
    """
    told = json.loads(_exactly(stream, int.from_bytes(_exactly(stream, 8), "little")))
    arrays = {}
    for name, kind, shape in told.pop("arrays"):
        wanted = np.dtype(kind)
        count = int(np.prod(shape, dtype=np.int64))
        content = bytearray(_exactly(stream, count * wanted.itemsize))
        arrays[name] = np.frombuffer(content, wanted).reshape(shape)
    return told, arrays


def _exactly(stream: IO[bytes], count: int) -> bytes:
    found = stream.read(count)
    if len(found) != count:
        raise EOFError
    return found


def open_model(
    path: str | Path, options: Mapping[str, str], inputs: Mapping[str, str], outputs: Mapping[str, str]
) -> OpenedElsewhere:
    """Open the file in a child; RuntimeError with the child's words where it is refused."""
    return OpenedElsewhere(path, options, inputs, outputs)
