"""The float64 reference of an ONNX file, by two independent evaluators.

One is onnx's reference evaluator. The other is ONNX Runtime's own kernels for double, without optimisations, where it
has them for every operator of the file. If the two agree, or only one can run the file and agrees with it in fp32, that
is the reference. If they disagree, the one that the file in fp32 agrees with is the reference; if fp32 contradicts the
only evaluator, OpenVINO decides, which has other makers. If nothing decides, there is no reference: the message has the
node at which the two part.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, TensorProto

from assay.errors import InputError
from assay.export.checking.on_onnx_deciders import chooser_of, undefined_outputs
from assay.export.checking.on_onnx_selected import selected_outputs
from assay.export.graph.saved import is_large, save_in_two
from assay.export.localise.on_onnx_runners import NATIVE_LEVEL, called, run_in
from assay.export.localise.on_onnx_runtimes import first_apart
from assay.export.reference.memory import TooLargeError
from assay.export.reference.on_onnx_double import Array, run_double, to_double, widened
from assay.numerics.agreement import CEILING
from assay.numerics.guilt import OPENVINO
from assay.numerics.values import differences, is_whole, settled

EVALUATOR = "onnx's reference evaluator"
KERNELS = "ONNX Runtime's kernels for double"
FURTHEST_APART = 1e-6
"""The relative difference up to which two evaluations in float64 agree, over the largest value: less than any rounding
in fp32.
"""
ROUNDED_OTHERWISE = 0.01
"""The largest share of an output's whole numbers that two correct evaluators may have rounded differently."""
NARROW = {TensorProto.FLOAT16, TensorProto.BFLOAT16}

Outputs = dict[str, Array]


@dataclass(frozen=True)
class Exact:
    """The outputs of a file in float64.

    Attributes:
        by: the program that computed them.
        apart: largest relative difference from the other evaluator; None where there is none.
        note: the other evaluator's different result, in words, or "".
    """

    outputs: Outputs
    by: str
    apart: float | None = None
    note: str = ""


def exact_of(
    model: ModelProto,
    feeds: Mapping[str, Array],
    name: str,
    at_most: int | None = None,
    wide: Callable[[], ModelProto] | None = None,
) -> Exact:
    """
    Args:
        feeds: inputs by name, in the file's own types.
        name: name of the file in messages.
        at_most: limit on the bytes of values; a share of the free memory by default.
        wide: returns the model in float64, where that is made for several calls.

    Raises:
        TooLargeError: memory does not hold them.
        InputError: neither evaluator can run it, or they disagree and nothing decides.
    """
    wide = wide or functools.cache(lambda: to_double(model))
    with tempfile.TemporaryDirectory(prefix="assay-exact-") as text:
        others = _OtherEvaluators(model, feeds, name, Path(text), wide)
        try:
            first = run_double(model, feeds, name, at_most, wide)
        except TooLargeError:  # the other evaluator would take as much
            raise
        except InputError as error:
            return _by_kernels_alone(others, error)
        second = others.in_kernels_for_double()
        if second is None:
            return _by_evaluator_alone(others, first)
        apart = {key: relative_difference(second[key], value) for key, value in first.items()}
        differing = {key for key, one in apart.items() if one > FURTHEST_APART}
        if not differing or differing <= others.undefined:
            return Exact(first, EVALUATOR, max((apart[key] for key in apart.keys() - differing), default=0.0))
        return _decided(others, first, second)


@dataclass(frozen=True)
class _OtherEvaluators:
    model: ModelProto
    feeds: Mapping[str, Array]
    name: str
    folder: Path
    wide: Callable[[], ModelProto]

    def in_kernels_for_double(self) -> Outputs | None:
        wide = {key: widened(array) for key, array in self.feeds.items()}
        found = self._run(self.wide(), NATIVE_LEVEL, wide)
        whole = found is not None and all(is_whole(one.dtype) or one.dtype == np.float64 for one in found.values())
        return found if whole else None

    def in_runtime(self, runtime: str) -> Outputs | None:
        return self._run(self.model, runtime, self.feeds)

    def agrees(self, outputs: Outputs, other: Outputs | None) -> bool:
        """Return whether outputs agree to rounding in fp32; indices may choose differently where values tie, and so may
        what selects entries, which is judged elsewhere.
        """
        if other is None:
            return False
        chosen = {key for key in outputs if chooser_of(self.model, key) is not None}
        chosen |= {key for key in selected_outputs(self.model) if outputs[key].shape != other[key].shape}
        compared = outputs.keys() - chosen
        differing = {key for key in compared if relative_difference(other[key], outputs[key]) > CEILING}
        return not differing or differing <= self.undefined

    @functools.cached_property
    def undefined(self) -> set[str]:
        """The outputs for whose numbers ONNX defines no result, so that evaluators may differ in them."""
        return undefined_outputs(self.wide(), {key: widened(array) for key, array in self.feeds.items()}, self.name)

    @property
    def is_narrow(self) -> bool:
        """Whether the file computes in less than fp32, so that it decides nothing."""
        tensors = (*self.model.graph.input, *self.model.graph.output, *self.model.graph.value_info)
        kinds = {one.type.tensor_type.elem_type for one in tensors} | {
            one.data_type for one in self.model.graph.initializer
        }
        return bool(kinds & NARROW)

    def parting(self) -> str:
        if is_large(self.model):
            return ""
        path = self.folder / "model.onnx"
        onnx.save(self.model, path)
        return first_apart(NATIVE_LEVEL, path, self.feeds)

    def _run(self, model: ModelProto, runtime: str, feeds: Mapping[str, Array]) -> Outputs | None:
        path = self.folder / "asked.onnx"
        if is_large(model):  # its copy on disk would take the memory that its weights leave
            return None
        try:
            save_in_two(model, path)
            found = run_in(runtime, path, feeds)
            return {output.name: found[output.name] for output in model.graph.output}
        except (InputError, KeyError, ValueError):  # no kernel for an operator, or more than a file of 2 GiB
            return None


def _by_kernels_alone(others: _OtherEvaluators, error: InputError) -> Exact:
    second = others.in_kernels_for_double()
    if second is None or not (others.is_narrow or others.agrees(second, others.in_runtime(NATIVE_LEVEL))):
        raise error
    return Exact(second, KERNELS, note=str(error))


def _by_evaluator_alone(others: _OtherEvaluators, first: Outputs) -> Exact:
    native = others.in_runtime(NATIVE_LEVEL)
    if native is None or others.is_narrow or others.agrees(first, native):
        return Exact(first, EVALUATOR)
    third = others.in_runtime(OPENVINO)
    if others.agrees(first, third):
        return Exact(
            first, EVALUATOR, note=f"{called(NATIVE_LEVEL)} differs from it{others.parting()}; OpenVINO does not"
        )
    sides = f"{EVALUATOR} and {called(NATIVE_LEVEL)} differ{others.parting()}"
    if third is not None and others.agrees(native, third):
        raise InputError(
            f"{others.name} has no reference in float64",
            found=f"{sides}; OpenVINO agrees with ONNX Runtime, so the evaluator is wrong",
            remedy="Name another reference, or a file without that operator",
        )
    raise InputError(
        f"{others.name} has no reference in float64",
        found=f"{sides}, and no third evaluation decides between them",
        remedy="Name another reference, or a file without that operator",
    )


def _decided(others: _OtherEvaluators, first: Outputs, second: Outputs) -> Exact:
    native = others.in_runtime(NATIVE_LEVEL)
    right = [others.agrees(one, native) for one in (first, second)]
    if right == [True, False]:
        return Exact(first, EVALUATOR, note=f"{KERNELS} give a different result, and fp32 does not agree with them")
    if right == [False, True]:
        return Exact(second, KERNELS, note=f"{EVALUATOR} is wrong{others.parting()}")
    raise InputError(
        f"{others.name} has no reference in float64",
        found=f"{EVALUATOR} and {KERNELS} disagree{others.parting()}, and fp32 does not decide between them",
        remedy="Name another reference, or a file without that operator",
    )


def relative_difference(found: Array, exact: Array) -> float:
    """Return the largest difference over the largest value; infinite where shapes or infinities differ, or more whole
    numbers than the rounding of values near a half explains.
    """
    if found.shape != exact.shape:
        return float("inf")
    if is_whole(exact.dtype):
        return 0.0 if differences(exact, found).differing <= ROUNDED_OTHERWISE * exact.size else float("inf")
    if not exact.size:
        return 0.0
    both = settled(exact, found)
    if both.problem:
        return float("inf")
    return both.apart / (both.scale or 1.0)
