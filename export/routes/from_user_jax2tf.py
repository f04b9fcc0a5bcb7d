"""A user's JAX model to ONNX by jax2tf and tf2onnx, in the tool environment of `assay.export.routes.from_jax2tf`.

The user's file is run there too, so it may import only what that environment has: JAX 0.6, Flax, numpy.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from assay import toolenv
from assay.export.routes.from_jax2tf import REQUIREMENTS, run_script
from assay.export.routes.request import ExportOutcome
from assay.export.routes.user_request import UserExportRequest


def export(request: UserExportRequest) -> ExportOutcome:
    """Write the model at opset 18 at most.

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
