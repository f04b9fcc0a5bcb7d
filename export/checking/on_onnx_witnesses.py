"""A file run by evaluators that share nothing with ONNX Runtime, to tell whether the file or the runtime is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from onnx import ModelProto

from assay.errors import InputError
from assay.export.graph.inspect import read_model
from assay.export.localise.on_onnx_runners import run_in
from assay.export.localise.source import Array
from assay.export.reference.on_onnx_double import evaluate, to_double, widened
from assay.numerics.guilt import EVALUATOR, EVALUATOR_IN_FLOAT64, MAKERS, OPENVINO, Outcome
from assay.steps import MOST_SECONDS, LostStepError, step

Agrees = Callable[[Mapping[str, Array]], bool]


def heard(file: Path, feeds: Mapping[str, Array], agrees: Agrees) -> dict[str, Outcome]:
    """Return the verdicts of OpenVINO in fp32 and onnx's reference evaluator on a file, as far as they are installed.

    Args:
        feeds: one call's inputs by name, in the file's own types.
        agrees: returns whether outputs by name are right.
    """
    model = read_model(file)
    outputs_of = [value.name for value in model.graph.output]
    wide = {name: widened(array) for name, array in feeds.items()}
    runs: dict[str, Callable[[], Mapping[str, Array]]] = {
        OPENVINO: lambda: run_in(OPENVINO, file, feeds),
        EVALUATOR: lambda: evaluate(model, feeds, file.name, outputs_of),
        EVALUATOR_IN_FLOAT64: lambda: evaluate(to_double(model), wide, file.name, outputs_of),
    }
    found: dict[str, Outcome] = {}
    for name, run in runs.items():
        try:
            with step(f"A call of the file in {MAKERS[name]}", MOST_SECONDS, apart=True):
                outputs = run()
        except LostStepError:
            found[name] = "fails"
            continue
        except InputError as error:
            if isinstance(error.__cause__, ModuleNotFoundError):
                continue
            found[name] = "fails"
            continue
        found[name] = "agrees" if _is_whole(model, outputs) and agrees(outputs) else "differs"
    return found


def _is_whole(model: ModelProto, outputs: Mapping[str, Array]) -> bool:
    return all(value.name in outputs for value in model.graph.output)
