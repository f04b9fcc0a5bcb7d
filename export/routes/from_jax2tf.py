"""JAX to ONNX by jax2tf and tf2onnx, in a tool environment of their own.

The newest JAX with which this works is 0.6.2 (see export/envs/jax2tf.txt). This side makes the environment and
exchanges files; `export/routes/jax2tf_script.py` is the other side. A user's file is also run there, so it may import
only what that environment has: JAX 0.6, Flax, numpy.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from pydantic import JsonValue

from assay import toolenv
from assay.errors import ExportFailedError
from assay.export.routes.request import ExportOutcome, ExportRequest
from assay.jobs.logs import last_words
from assay.jobs.programs import Standing
from assay.start import START
from assay.train.brought.model import UserModel
from assay.train.built import BuiltModel

REQUIREMENTS = Path(__file__).parents[1] / "envs" / "jax2tf.txt"
SCRIPT = "assay.export.routes.jax2tf_script"
_serving: list[Standing] = []
"""The process that converts in forks of itself, where `serve_conversions` has begun one."""


def export(request: ExportRequest) -> ExportOutcome:
    """Write the model at opset 18 at most, with images in NHWC.

    Raises:
        NotInstalledError: the tool environment cannot be made.
        ExportFailedError: the conversion failed; the message ends with its last words.
    """
    python = toolenv.ensure("jax2tf", REQUIREMENTS, lambda *_: None)
    with tempfile.TemporaryDirectory(prefix="assay-jax2tf-") as name:
        folder = Path(name)
        answer = folder / "answer.json"
        message = {
            "model": _described(request.model),
            "inputs": [(one.name, one.dtype, one.without_words) for one in request.inputs()],
            "shapes": [[size or "batch" for size in one.shape] for one in request.inputs()],
            "outputs": request.outputs,
            "output": str(request.output.resolve()),
            "opset": request.opset,
            "answer": str(answer),
        }
        (folder / "request.json").write_text(json.dumps(message), encoding="utf-8")
        _run_script(python, folder)
        found = json.loads(answer.read_text(encoding="utf-8"))
    return ExportOutcome("NHWC", tuple(found["transforms"]), found["versions"])


def _described(model: BuiltModel | UserModel) -> dict[str, JsonValue]:
    """Return what the other side needs to load the model."""
    if isinstance(model, BuiltModel):
        return {"spec": model.spec.to_dict(), "weights": str(model.file.resolve())}
    return {
        "path": str(model.location.path),
        "function": model.location.function,
        "module": model.location.module,
        "inputs": [one.name for one in model.inputs],
        "without": list(model.without),
        "narrow": list(model.narrow),
    }


def serve_conversions() -> None:
    """Have one process do all conversions of this process and of its forks, each in a fork of its own: importing JAX
    and TensorFlow takes it longer than most conversions of a single operator.

    Raises:
        NotInstalledError: the tool environment cannot be made.
    """
    python = toolenv.ensure("jax2tf", REQUIREMENTS, lambda *_: None)
    command = [*_command(python), "--serve"]
    _serving[:] = [Standing(command, _environment())]


def _command(python: Path) -> list[str]:
    return [str(python), "-P", str(START), SCRIPT]


def _environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return inherited | {"PYTHONDONTWRITEBYTECODE": "1"}


def _run_script(python: Path, folder: Path) -> None:
    """Run the script to its end; it is killed with this job if that is given up.

    Raises:
        ExportFailedError: the script ended with an error; the message has its last words.
    """
    request = folder / "request.json"
    if _serving:
        status, said = _served(request)
    else:
        words = folder / "printed.log"
        with words.open("wb") as log:
            status = Standing([*_command(python), str(request)], _environment(), prints_to=log, folder=folder).ended()
        said = words.read_text(encoding="utf-8", errors="replace")
    print(said)  # noqa: T201  into the job's log
    if status != 0:
        raise ExportFailedError(f"jax2tf ended with status {status}", found=last_words(said))


def _served(request: Path) -> tuple[int, str]:
    """Return the status and the words of a conversion by the process that serves; answers to a fork that has ended
    since are passed over.
    """
    _serving[0].order(str(request))
    while line := _serving[0].line():
        path, _, status = line.rstrip("\n").rpartition("\t")
        if path == str(request):
            return int(status), request.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
    return 1, "the process that converts has ended"
