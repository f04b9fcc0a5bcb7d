"""A user's TensorFlow model: tf.function, and tf.function compiled by XLA."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from assay.errors import InputError
from assay.spec import Settings
from assay.user.arrays import Array, Records, inputs_of, rows_of
from assay.user.on_tf import load_forward
from infer.observed import Observed
from infer.on_tf_observed import observe
from infer.runtime import ModelFiles, signature_of

Tensors = Sequence[tf.Tensor]


class UserTensorSession:
    """A tf.function of tensors that gives tensors."""

    precision = "fp32"

    def __init__(
        self, model: ModelFiles, forward: tf.types.experimental.PolymorphicFunction, device: str, keeps: object
    ) -> None:
        self.signature = signature_of(model, "NHWC")
        self.facts = {
            "tf intra-op threads": str(tf.config.threading.get_intra_op_parallelism_threads()),
            "tf inter-op threads": str(tf.config.threading.get_inter_op_parallelism_threads()),
        }
        self._model, self._forward, self._device, self._keeps = model.users, forward, device, keeps

    def prepare(self, images: Records) -> Tensors:
        with tf.device(self._device):
            return [tf.constant(one) for one in inputs_of(self._model, images)]

    def run(self, native: Tensors) -> Tensors:
        with tf.device(self._device):
            outputs = self._forward(*native)
        if self._device != "/CPU:0":
            tf.test.experimental.sync_devices()
        return outputs

    def fetch(self, native: Tensors) -> Array:
        return rows_of(self._model, [one.numpy() for one in native])

    def observe(self, native: Tensors) -> Observed:
        return observe(self._forward.get_concrete_function().graph, self.run(native))

    def close(self) -> None:
        del self._forward, self._keeps


def load_function(model: ModelFiles, settings: Settings) -> UserTensorSession:
    return _graph(model, settings, xla=False)


def load_xla(model: ModelFiles, settings: Settings) -> UserTensorSession:
    return _graph(model, settings, xla=True)


def _graph(model: ModelFiles, settings: Settings, *, xla: bool) -> UserTensorSession:
    """
    Raises:
        InputError: CUDA is asked for and there is none; or the user's code fails.
    """
    tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if settings.device == "cuda" and not tf.config.list_physical_devices("GPU"):
        raise InputError("TensorFlow finds no CUDA device", remedy="Leave --device cuda out")
    device = "/GPU:0" if settings.device == "cuda" else "/CPU:0"
    user = model.users
    with tf.device(device):
        named, keeps = load_forward(user)

    def forward(*tensors: tf.Tensor) -> Tensors:
        return list(named(*tensors).values())

    signature = [tf.TensorSpec(user.open_shape_of(one), np.dtype(one.dtype)) for one in user.inputs]
    function = tf.function(forward, input_signature=signature, jit_compile=xla)
    return UserTensorSession(model, function, device, keeps)
