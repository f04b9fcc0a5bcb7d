"""JAX / Flax NNX to ONNX by jax2tf and tf2onnx, in a tool environment of their own.

The newest JAX with which this works is 0.6.2 (see export/envs/jax2tf.txt). This side makes the environment and
hands over by files; `export/routes/jax2tf_script.py` is the other side.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

from assay import toolenv
from assay.errors import ExportFailedError
from assay.export.routes.request import BroughtRequest, ExportOutcome, ExportRequest
from assay.jobs.logs import last_words
from assay.start import START

REQUIREMENTS = Path(__file__).parents[1] / "envs" / "jax2tf.txt"
LIMIT_SECONDS = 840
"""Less than the job that starts it has, so that the reason is told."""


def export(request: ExportRequest) -> ExportOutcome:
    """Write the model with a dynamic batch dimension, in NHWC, at opset 18 at most.

    Raises:
        NotInstalledError: the tool environment cannot be made.
        ExportFailedError: the conversion failed; the message ends with its last words.
    """
    python = toolenv.ensure("jax2tf", REQUIREMENTS, lambda *_: None)
    with tempfile.TemporaryDirectory(prefix="assay-jax2tf-") as name:
        folder = Path(name)
        answer = folder / "answer.json"
        message = {
            "spec": request.spec.to_dict(),
            "weights": str(request.weights.resolve()),
            "output": str(request.output.resolve()),
            "opset": request.opset,
            "answer": str(answer),
        }
        (folder / "request.json").write_text(json.dumps(message), encoding="utf-8")
        run_script(python, folder, "assay.export.routes.jax2tf_script")
        found = json.loads(answer.read_text(encoding="utf-8"))
    return ExportOutcome("NHWC", tuple(found["transforms"]), found["versions"])


def export_brought(request: BroughtRequest) -> ExportOutcome:
    """Write the model at opset 18 at most. The user's file is run in that environment too, so it may import only what
    is there: JAX 0.6, Flax, numpy.

    Raises:
        NotInstalledError: the tool environment cannot be made.
        ExportFailedError: the conversion failed; the message ends with its last words.
    """
    python = toolenv.ensure("jax2tf", REQUIREMENTS, lambda *_: None)
    model = request.model
    with tempfile.TemporaryDirectory(prefix="assay-jax2tf-") as name:
        folder = Path(name)
        answer = folder / "answer.json"
        message = {
            "path": str(model.location.path),
            "function": model.location.function,
            "inputs": [
                [name, one.dtype, model.open_shape_of(one)]
                for name, one in zip(request.inputs, model.inputs, strict=True)
            ],
            "names": [one.name for one in model.inputs],
            "without": list(model.without),
            "outputs": request.outputs,
            "output": str(request.output.resolve()),
            "opset": request.opset,
            "answer": str(answer),
        }
        (folder / "request.json").write_text(json.dumps(message), encoding="utf-8")
        run_script(python, folder, "assay.export.routes.user_jax2tf_script")
        found = json.loads(answer.read_text(encoding="utf-8"))
    return ExportOutcome("", tuple(found["transforms"]), found["versions"])


def run_script(python: Path, folder: Path, module: str) -> None:
    """
    Raises:
        ExportFailedError: the script ended with an error; the message has its last words.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        outcome = subprocess.run(
            [str(python), "-P", str(START), module, str(folder / "request.json")],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
            cwd=folder,
            timeout=LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise ExportFailedError(f"jax2tf did not end within {LIMIT_SECONDS} s and was killed") from error
    print(outcome.stdout)  # noqa: T201  into the job's log
    if outcome.returncode != 0:
        raise ExportFailedError(f"jax2tf ended with status {outcome.returncode}", found=last_words(outcome.stdout))
