"""The child of `elsewhere.py`: it runs a deployment's own `open_model.py` in this Python, and answers through a pipe.

python -I -m assay.infer.server.opened.in_child MODEL OPTIONS
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from assay.infer.server.opened.elsewhere import receive, send
from assay.numerics.served import Opened

THERE = "open_model_there.py"
"""Beside the model, where its `open_model.py` is the stand-in."""


def main() -> None:
    """Open the model, say what goes in and comes out, and answer until nobody asks any more."""
    path, options = Path(sys.argv[1]), json.loads(sys.argv[2])
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a framework prints is not an answer
    try:
        program = runpy.run_path(str(path.parent / THERE))
        opened = cast("Callable[[Path, Mapping[str, str]], Opened]", program["open_model"])(path, options)
    except Exception as error:  # noqa: BLE001  whoever asks is told
        send(answers, {"error": f"{type(error).__name__}: {error}"}, {})
        return
    send(answers, {"inputs": opened.inputs, "outputs": opened.outputs}, {})
    while True:
        try:
            told, inputs = receive(questions)
        except EOFError:
            return
        try:
            send(answers, {}, dict(zip(told["outputs"], opened(inputs, told["outputs"]), strict=True)))
        except Exception as error:  # noqa: BLE001  of one request
            send(answers, {"error": f"{type(error).__name__}: {error}"}, {})


if __name__ == "__main__":
    main()
