"""ONNX files as OpenVINO files in int8, made by NNCF, OpenVINO's own quantiser.

Post-training quantisation with ranges from calibration (Kozlov et al. 2020, "Neural Network Compression Framework for
fast model inference"). With accuracy control, layers whose integers cost the most are put back to fp32 until the
outputs are as close to those of fp32 as requested, or the time is over.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import nncf
import numpy as np
import openvino as ov
from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
from nncf.quantization.range_estimator import RangeEstimatorParametersSet
from numpy.typing import NDArray

from assay.export.programs.request import ProgramRequest, calibration_calls
from assay.export.routes.request import versions_of
from assay.spec import INPUT_NAME, OPENVINO_FILE
from assay.train.brought.arrays import Array
from assay.train.brought.model import UserModel

Feeds = dict[str, Array]
Rows = NDArray[np.floating]
LARGEST_ERROR = 0.02
"""Limit, with accuracy control, of the root-mean-square error of the outputs over that of the fp32 outputs. Plain int8
has 3 to 4 % in the reference study.
"""
CONTROL_SECONDS = 300.0
"""Time for putting layers back: each try computes all inputs once, and there may be as many tries as layers."""


def make_int8(request: ProgramRequest) -> dict[str, str]:
    """
    Raises:
        InputError: there is nothing to calibrate with, or it does not fit the model.
    """
    calls = _calls(request)
    made = nncf.quantize(
        _read(request), nncf.Dataset(calls), subset_size=len(calls), advanced_parameters=_ranges(request)
    )
    return _written(request, made, calls)


def make_int8_with_accuracy_control(request: ProgramRequest) -> dict[str, str]:
    """Make int8 with accuracy control; same errors as `make_int8`."""
    calls = _calls(request)
    control = Control(LARGEST_ERROR, time.monotonic() + CONTROL_SECONDS)
    made = nncf.quantize_with_accuracy_control(
        _read(request),
        calibration_dataset=nncf.Dataset(calls),
        validation_dataset=nncf.Dataset(calls),
        validation_fn=control.likeness,
        max_drop=LARGEST_ERROR,
        subset_size=len(calls),
        advanced_quantization_parameters=_ranges(request),
    )
    return _written(request, made, calls) | control.told


@dataclass
class Control:
    """The likeness of a model's outputs to those in fp32, which NNCF asks about one model after another.

    The first model that it asks about is the one in fp32. When the time is over every model is called good enough, so
    that NNCF stops and keeps its result; the errors on record are those measured.

    Attributes:
        largest_error: the error to reach.
        deadline: end of the time, on the clock of `time.monotonic`.
        errors: error of every model that was asked about, except the first.
    """

    largest_error: float
    deadline: float
    errors: list[float] = field(default_factory=list)
    is_over: bool = False
    _exact: list[list[Rows]] = field(default_factory=list)

    def likeness(self, model: ov.CompiledModel, calls: Iterable[Feeds]) -> tuple[float, list[float]]:
        """Return one less the error of the worst output, as a mean and for each call; 1 for the model in fp32."""
        found = [[one.ravel() for one in model(call).values()] for call in calls]
        is_first = not self._exact
        self._exact = self._exact or found
        errors = [max(relative_errors(*pair)) for pair in zip(found, self._exact, strict=False)]
        if not is_first and len(found) == len(self._exact):
            self.errors.append(float(np.mean(errors)))
        if self.errors and time.monotonic() > self.deadline:
            self.is_over = True
            return 1.0, [1.0] * len(found)
        return 1 - float(np.mean(errors)), [1 - one for one in errors]

    @property
    def told(self) -> dict[str, str]:
        """How the control ended, in words."""
        last = self.errors[-1] if self.errors else 0.0
        ended = "its time was over" if self.is_over else "as accurate as requested"
        if not self.is_over and last > self.largest_error:
            ended = "no further layer could be restored"
        return {
            "accuracy control": f"{ended}: an error of {last:.2%} of the outputs in fp32, {self.largest_error:.0%} was "
            f"requested, after {len(self.errors)} tries"
        }


def relative_errors(found: Sequence[Rows], exact: Sequence[Rows]) -> list[float]:
    """Return the root-mean-square error of each output over the root mean square of the exact one, at most 1."""
    norms = [(np.linalg.norm(one - right), np.linalg.norm(right)) for one, right in zip(found, exact, strict=False)]
    return [min(float(error / size), 1.0) if size else float(bool(error)) for error, size in norms]


def _ranges(request: ProgramRequest) -> AdvancedQuantizationParameters:
    """Return how ranges of activations are taken from the calls.

    NNCF takes the mean of each call's greatest value. A call of images has so many values that this is near the
    greatest of all; one row of a table has few, and a mean cuts off values that most rows have: a network of three
    products had an error of 12 % with it and 2 % without.
    """
    if not isinstance(request.model, UserModel):
        return AdvancedQuantizationParameters()
    return AdvancedQuantizationParameters(activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX)


def _read(request: ProgramRequest) -> ov.Model:
    nncf.set_log_level(logging.ERROR)
    return ov.Core().read_model(request.onnx)


def _calls(request: ProgramRequest) -> list[Feeds]:
    """Return the inputs by name, as the file takes them."""
    model, layout = request.model, request.layout
    if isinstance(model, UserModel):
        names = [one.name for one in model.inputs]
        return [dict(zip(names, call, strict=True)) for call in calibration_calls(request)]
    images = (call[0] for call in calibration_calls(request))
    taken = (one if layout == "NHWC" else np.ascontiguousarray(one.transpose(0, 3, 1, 2)) for one in images)
    return [{INPUT_NAME: one} for one in taken]


def _written(request: ProgramRequest, model: ov.Model, calls: Sequence[Feeds]) -> dict[str, str]:
    ov.save_model(model, request.folder / OPENVINO_FILE, compress_to_fp16=False)
    return versions_of("nncf") | {"calibrated on": f"{len(calls)} calls"}
