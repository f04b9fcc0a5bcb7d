"""The child of `elsewhere.py`: it runs a deployment's own `open_model.py` in this Python, and answers through a pipe.

python -I -m assay.infer.server.opened.in_child MODEL OPTIONS INPUTS OUTPUTS
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path

from assay.infer.server.opened.elsewhere import receive, send
from assay.runtimes.entry import OpenModel

THERE = "open_model_there.py"
"""The model's own opener, where its `open_model.py` is the stand-in."""


def _opener_above(path: Path) -> Path:
    """Find the opener beside a model, or beside the folder that is the model."""
    return next((folder / THERE for folder in path.parents if (folder / THERE).is_file()), path.parent / THERE)


def main() -> None:
    """Open the model, report its inputs and outputs, and answer until the input closes."""
    path, told = Path(sys.argv[1]), [json.loads(one) for one in sys.argv[2:5]]
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output of a framework is not an answer
    try:
        program = runpy.run_path(str(_opener_above(path)))
        open_model: OpenModel = program["open_model"]
        opened = open_model(path, *told)
    except Exception as error:  # noqa: BLE001  reported to the other side
        send(answers, {"error": f"{type(error).__name__}: {error}"}, {})
        return
    send(answers, {"inputs": opened.inputs, "outputs": opened.outputs}, {})
    while True:
        try:
            asked, inputs = receive(questions)
        except EOFError:
            return
        try:
            send(answers, {}, dict(zip(asked["outputs"], opened(inputs, asked["outputs"]), strict=True)))
        except Exception as error:  # noqa: BLE001  belongs to one request
            send(answers, {"error": f"{type(error).__name__}: {error}"}, {})


if __name__ == "__main__":
    main()
