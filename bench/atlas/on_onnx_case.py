"""A case of ONNX's own, run by every runtime here and compared with the outputs that the standard expects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from assay.bench.atlas.attempts import BOUNDS, Attempt, News, OperatorRequest, finding_on
from assay.bench.atlas.record import Verdict
from assay.bench.atlas.suites.suite import NUMPYS_OWN, BackendCase, Suite
from assay.errors import AssayError, ExportFailedError
from assay.export.checking.check import level_names, session_at
from assay.export.graph.inspect import one_line
from assay.numerics.guilt import OPENVINO, UNOPTIMISED, level_of
from assay.numerics.precisions import precision_named
from assay.numerics.rounding import UNITS
from assay.runtimes.openvino import F32
from assay.runtimes.openvino import FAMILY as OPENVINO_RUNTIME

MODEL = "model.onnx"
TEXTS = "OUS"
ROUNDINGS = 16
"""Roundings of the largest number that are no defect: a sum that should be zero, as in a Fourier transform, is not."""
Outcome = tuple[Verdict, str, float]
"""A verdict, its reason, and the largest distance over the tolerance."""


def judged_cases(request: OperatorRequest, suite: Suite) -> Iterator[News]:
    """Judge all cases of an operator in this process, each in every runtime."""
    for case in suite.reader().cases(request.operator):
        told = f"{case.name}: {', '.join(map(_in_words, case.inputs))}"
        for runtime in request.routes:
            attempt = Attempt(sample=case.place, inputs=told, route=runtime)
            if attempt.key in request.done:
                continue
            BOUNDS.begin()
            yield News(begun=attempt)
            folder = request.folder / f"{case.place}-given" / runtime
            verdict, reason, apart = _judged(case, runtime, folder)
            yield News(finding=finding_on(request, attempt, verdict, reason, apart))


def _judged(case: BackendCase, runtime: str, folder: Path) -> Outcome:
    if case.is_random:
        return "not comparable", "It draws random numbers", 0.0
    foreign = [one for one in _arrays([case.inputs, case.outputs]) if one.dtype.isbuiltin != NUMPYS_OWN]
    if foreign and runtime != "evaluator":
        return "not comparable", f"NumPy has no {foreign[0].dtype}, and no other way into a runtime is tried", 0.0
    model = onnx.load_model_from_string(case.model)
    feeds = dict(zip((one.name for one in _inputs(model)), case.inputs, strict=False))
    feeds = {name: value for name, value in feeds.items() if value is not None}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / MODEL
    path.write_bytes(case.model)
    try:
        return RUNNERS[runtime](case, path, feeds)
    except AssayError as error:
        return "not run", str(error), 0.0


def _inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    fixed = {one.name for one in model.graph.initializer}
    return [one for one in model.graph.input if one.name not in fixed]


def _in_onnxruntime(case: BackendCase, path: Path, feeds: Mapping[str, Any]) -> Outcome:
    """Run a file at every level of optimisation.

    Raises:
        ExportFailedError: it runs at none.
    """
    found: dict[str, tuple[str, float]] = {}
    failed: dict[str, ExportFailedError] = {}
    for level in level_names():
        try:
            session = session_at(path, level, case.name)
            outputs = _called(lambda: session.run(None, dict(feeds)), f"{case.name} at level {level}")  # noqa: B023
            found[level_of(level)] = difference(case, outputs)
        except ExportFailedError as error:
            failed[level_of(level)] = error
    if not found:
        raise next(iter(failed.values()))
    wrong = {level: reason for level, (reason, _) in found.items() if reason} | {
        level: str(error) for level, error in failed.items()
    }
    if not wrong:
        return "right", "", max(apart for _, apart in found.values())
    apart = max(apart for _, apart in found.values())
    reason = f"At level {', '.join(wrong)}: {next(iter(wrong.values()))}"
    return ("wrong in the runtime" if UNOPTIMISED in wrong else "only unoptimised"), reason, apart


def _in_openvino(case: BackendCase, path: Path, feeds: Mapping[str, Any]) -> Outcome:
    try:
        import openvino  # noqa: PLC0415  an extra that not everyone has
    except ImportError:
        return "not comparable", "OpenVINO is not installed", 0.0

    def run() -> list[Any]:
        core = openvino.Core()
        model = core.read_model(path)
        names = [next(name for name in one.get_names() if name in feeds) for one in model.inputs]
        compiled = core.compile_model(model, "CPU", F32)
        # By position: compiling may give the input of an identity the name of its output.
        answer = compiled([feeds[name] for name in names])
        return [np.array(answer[output]) for output in compiled.outputs]

    return _compared(case, _called(run, f"{case.name} in {OPENVINO}"))


def _in_evaluator(case: BackendCase, path: Path, feeds: Mapping[str, Any]) -> Outcome:
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415

    return _compared(case, _called(lambda: ReferenceEvaluator(str(path)).run(None, dict(feeds)), case.name))


RUNNERS: dict[str, Callable[[BackendCase, Path, Mapping[str, Any]], Outcome]] = {
    "onnxruntime": _in_onnxruntime,
    OPENVINO_RUNTIME.name: _in_openvino,
    "evaluator": _in_evaluator,
}


def _called(run: Callable[[], Sequence[Any]], what: str) -> list[Any]:
    try:
        return list(run())
    except Exception as error:  # the exceptions of runtimes have no common base
        raise ExportFailedError(f"{what} does not run", found=one_line(error)) from error


def _compared(case: BackendCase, outputs: Sequence[Any]) -> Outcome:
    reason, apart = difference(case, outputs)
    return ("wrong in the runtime" if reason else "right"), reason, apart


def difference(case: BackendCase, outputs: Sequence[Any]) -> tuple[str, float]:
    """Return why outputs are not those that a case expects, or "", and the largest distance over its tolerance."""
    if len(outputs) != len(case.outputs):
        return f"{len(outputs)} outputs, expected {len(case.outputs)}", 0.0
    found = [_difference(case, *pair) for pair in zip(case.outputs, outputs, strict=True)]
    reasons = [f"output {place}: {reason}" for place, (reason, _) in enumerate(found) if reason]
    return next(iter(reasons), ""), max((apart for _, apart in found), default=0.0)


def _difference(case: BackendCase, expected: Any, found: Any) -> tuple[str, float]:
    if expected is None or found is None:
        return ("" if expected is found else "one side has no value"), 0.0
    if isinstance(expected, list):
        if not isinstance(found, list | tuple) or len(found) != len(expected):
            return "another number of elements than expected", 0.0
        some = [_difference(case, *pair) for pair in zip(expected, found, strict=True)]
        return next((reason for reason, _ in some if reason), ""), max((apart for _, apart in some), default=0.0)
    right, mine = np.asarray(expected), np.asarray(found)
    texts = right.dtype.kind in TEXTS and mine.dtype.kind in TEXTS
    kinds = ([*right.shape], right.dtype), ([*mine.shape], right.dtype if texts else mine.dtype)
    if kinds[0] != kinds[1]:
        return f"{kinds[1][1]} {kinds[1][0]}, expected {kinds[0][1]} {kinds[0][0]}", 0.0
    return _apart(case, right, mine) if right.size else ("", 0.0)


def _apart(case: BackendCase, right: np.ndarray, mine: np.ndarray) -> tuple[str, float]:
    if right.dtype.kind in f"biu{TEXTS}":
        plain = str if right.dtype.kind in TEXTS else right.dtype
        differing = int((right.astype(plain) != mine.astype(plain)).sum())
        return (f"{differing} of {right.size} values differ" if differing else ""), 0.0
    if right.dtype.kind == "c":
        right, mine = right.view(right.real.dtype), mine.view(mine.real.dtype)
    unit = UNITS.get(precision_named(right.dtype.name), 0.0)
    right, mine = right.astype(np.float64), mine.astype(np.float64)
    finite = right[np.isfinite(right)]
    same = (right == mine) | (np.isnan(right) & np.isnan(mine))
    if not (np.isfinite(right) & np.isfinite(mine) | same).all():
        return "infinity or NaN on one side and not on the other", 0.0
    right, mine = np.where(same, 0.0, right), np.where(same, 0.0, mine)
    errors, scale = np.abs(mine - right), float(np.abs(finite).max(initial=0.0))
    tolerated = np.maximum(case.absolute, ROUNDINGS * unit * scale) + case.relative * np.abs(right)
    shares = errors / tolerated
    largest = float(shares.max())
    return (f"differs by {errors.flat[shares.argmax()]:.3g}" if largest > 1 else ""), largest


def _arrays(values: Sequence[Any]) -> Iterator[np.ndarray]:
    for one in values:
        if isinstance(one, list | tuple):
            yield from _arrays(one)
        elif one is not None:
            yield np.asarray(one)


def _in_words(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "nothing" if value is None else f"{np.asarray(value).dtype} {list(np.shape(value))}"
