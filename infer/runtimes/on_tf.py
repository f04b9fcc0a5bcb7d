"""TensorFlow and Keras: predict, eager, tf.function, and tf.function compiled by XLA, for our architectures and users'
models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from assay.errors import InputError
from assay.infer.observing.observed import Observed
from assay.infer.observing.on_tf import observe
from assay.infer.runtime import ModelFiles, Records, ends_of, signature_of
from assay.infer.runtimes.same_for_all import tensorflow_device
from assay.spec import Settings
from assay.train.brought.arrays import Array
from assay.train.brought.loaders.on_tf import load_forward
from assay.train.brought.model import UserModel
from assay.train.models import on_tf
from assay.train.weights import load_weights

Tensors = Sequence[tf.Tensor]
Forward = Callable[..., Tensors]


class TensorSession:
    """A callable on tensors, one for each input."""

    precision = "fp32"

    def __init__(self, model: ModelFiles, loaded: ModelOnDevice, forward: Forward) -> None:
        self.signature = signature_of(model, "NHWC")
        self.facts = _facts()
        self._ends, self._loaded, self._forward, self._device = ends_of(model), loaded, forward, loaded.device

    def prepare(self, records: Records) -> Tensors:
        with tf.device(self._device):
            return [tf.constant(one) for one in self._ends.arrays(records)]

    def run(self, native: Tensors) -> Tensors:
        with tf.device(self._device):
            outputs = self._forward(*native)
        self.synchronise()
        return outputs

    def synchronise(self) -> None:
        """Wait for the GPU, where the session is on one."""
        if self._device != "/CPU:0":
            tf.test.experimental.sync_devices()

    def most_allocated_bytes(self) -> int | None:
        """See `assay.infer.gpu.parts.Allocates`."""
        return most_allocated_on(self._device)

    def fetch(self, native: Tensors) -> Array:
        return self._ends.rows([one.numpy() for one in native])

    def observe(self, native: Tensors) -> Observed:
        return observe(self._loaded.graph(), self.run(native))

    def close(self) -> None:
        del self._forward, self._loaded


class PredictSession:
    """`keras.Model.predict`, which takes and returns numpy arrays."""

    precision = "fp32"

    def __init__(self, model: ModelFiles, loaded: ModelOnDevice, network: keras.Model) -> None:
        self.signature = signature_of(model, "NHWC")
        self.facts = _facts()
        self._loaded, self._network = loaded, network

    def prepare(self, records: Records) -> Records:
        return records

    def run(self, native: Records) -> Array:
        with tf.device(self._loaded.device):
            return self._network.predict(native, batch_size=len(native), verbose=0)

    def fetch(self, native: Array) -> Array:
        return native

    def most_allocated_bytes(self) -> int | None:
        """See `assay.infer.gpu.parts.Allocates`."""
        return most_allocated_on(self._loaded.device)

    def observe(self, native: Records) -> Observed:
        """Observe the graph, and its variables instead of the result, which is an array on the host."""
        return observe(self._loaded.graph(), [one.value for one in self._network.weights])

    def close(self) -> None:
        del self._loaded, self._network


@dataclass(frozen=True)
class ModelOnDevice:
    """A model on its device.

    Attributes:
        forward: function from tensors by position to tensors, operator by operator.
        signature: signature of its tf.function, for any batch.
        keeps: objects that must live as long as it.
    """

    forward: Forward
    signature: tuple[tf.TensorSpec, ...]
    device: str
    keeps: object

    def function(self, *, xla: bool = False) -> tf.types.experimental.PolymorphicFunction:
        """Return a graph for any batch; XLA compiles for each shape at its first call."""
        return tf.function(self.forward, input_signature=self.signature, jit_compile=xla)

    def graph(self) -> tf.Graph:
        """Return the graph of its operators in a tf.function."""
        return self.function().get_concrete_function().graph


def load_predict(model: ModelFiles, settings: Settings) -> PredictSession:
    """
    Raises:
        InputError: it is a user's model, which may not be a Keras model.
    """
    if model.user is not None:
        raise InputError("keras.Model.predict runs only Keras models of Assay's own architectures")
    device = tensorflow_device(settings)
    network = _network(model, device)
    return PredictSession(model, _built(model, network, device), network)


def load_eager(model: ModelFiles, settings: Settings) -> TensorSession:
    loaded = load_model(model, settings)
    return TensorSession(model, loaded, loaded.forward)


def load_function(model: ModelFiles, settings: Settings) -> TensorSession:
    loaded = load_model(model, settings)
    return TensorSession(model, loaded, loaded.function())


def load_xla(model: ModelFiles, settings: Settings) -> TensorSession:
    loaded = load_model(model, settings)
    return TensorSession(model, loaded, loaded.function(xla=True))


def load_model(model: ModelFiles, settings: Settings) -> ModelOnDevice:
    """Load one of our architectures or a user's model.

    Raises:
        InputError: CUDA is asked for and there is none, there are no weights, or the user's code fails.
    """
    device = tensorflow_device(settings)
    return _brought(model.user, device) if model.user else _built(model, _network(model, device), device)


def _network(model: ModelFiles, device: str) -> keras.Model:
    """
    Raises:
        InputError: there are no weights.
    """
    with tf.device(device):
        return on_tf.load(model.built.spec, load_weights(model.built.file))


def _built(model: ModelFiles, network: keras.Model, device: str) -> ModelOnDevice:
    image = tf.TensorSpec((None, *model.spec.image_shape), tf.float32)
    return ModelOnDevice(lambda images: [network(images, training=False)], (image,), device, network)


def _brought(user: UserModel, device: str) -> ModelOnDevice:
    """
    Raises:
        InputError: the user's code fails.
    """
    with tf.device(device):
        named, keeps = load_forward(user)

    def forward(*tensors: tf.Tensor) -> Tensors:
        return list(named(*tensors).values())

    signature = tuple(tf.TensorSpec(user.any_shape_of(one), np.dtype(one.dtype)) for one in user.inputs)
    return ModelOnDevice(forward, signature, device, keeps)


def most_allocated_on(device: str) -> int | None:
    """Return the most bytes that TensorFlow had given out on a device at a time; it counts none on the CPU."""
    return None if device == "/CPU:0" else int(tf.config.experimental.get_memory_info(device.removeprefix("/"))["peak"])


def _facts() -> dict[str, str]:
    return {
        "tf intra-op threads": str(tf.config.threading.get_intra_op_parallelism_threads()),
        "tf inter-op threads": str(tf.config.threading.get_inter_op_parallelism_threads()),
    }
