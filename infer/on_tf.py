"""TensorFlow and Keras: predict, eager, tf.function, and tf.function compiled by XLA."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from assay.errors import InputError
from assay.spec import Settings
from infer.observed import Observed
from infer.on_tf_observed import observe
from infer.runtime import Images, Logits, ModelFiles, signature_of
from train.models import on_tf
from train.weights import load_weights

Graph = Callable[[], tf.Graph]


class TensorSession:
    """A callable on tf tensors."""

    precision = "fp32"

    def __init__(self, model: ModelFiles, forward: Callable[[tf.Tensor], tf.Tensor], device: str, graph: Graph) -> None:
        self.signature = signature_of(model, "NHWC")
        self.facts = _facts()
        self._forward, self._device, self._graph = forward, device, graph

    def prepare(self, images: Images) -> tf.Tensor:
        with tf.device(self._device):
            return tf.constant(images)

    def run(self, native: tf.Tensor) -> tf.Tensor:
        with tf.device(self._device):
            output = self._forward(native)
        if self._device != "/CPU:0":
            tf.test.experimental.sync_devices()
        return output

    def fetch(self, native: tf.Tensor) -> Logits:
        return native.numpy()

    def observe(self, native: tf.Tensor) -> Observed:
        return observe(self._graph(), [self.run(native)])

    def close(self) -> None:
        del self._forward


class PredictSession:
    """`keras.Model.predict`, which takes and gives numpy arrays."""

    precision = "fp32"

    def __init__(self, model: ModelFiles, network: keras.Model, device: str) -> None:
        self.signature = signature_of(model, "NHWC")
        self.facts = _facts()
        self._network, self._device = network, device

    def prepare(self, images: Images) -> Images:
        return images

    def run(self, native: Images) -> Logits:
        with tf.device(self._device):
            return self._network.predict(native, batch_size=len(native), verbose=0)

    def fetch(self, native: Logits) -> Logits:
        return native

    def observe(self, native: Images) -> Observed:
        """Its result is an array of the host; where its variables lie, it computes."""
        return observe(_graph_of(self._network, native.shape[1:]), [one.value for one in self._network.weights])

    def close(self) -> None:
        del self._network


def load_predict(model: ModelFiles, settings: Settings) -> PredictSession:
    network, device = _network(model, settings)
    return PredictSession(model, network, device)


def load_eager(model: ModelFiles, settings: Settings) -> TensorSession:
    network, device = _network(model, settings)
    graph = functools.partial(_graph_of, network, model.spec.image_shape)
    return TensorSession(model, lambda images: network(images, training=False), device, graph)


def load_function(model: ModelFiles, settings: Settings) -> TensorSession:
    return _graph(model, settings, xla=False)


def load_xla(model: ModelFiles, settings: Settings) -> TensorSession:
    return _graph(model, settings, xla=True)


def _graph(model: ModelFiles, settings: Settings, *, xla: bool) -> TensorSession:
    """A tf.function of any batch; XLA compiles for each shape at its first call."""
    network, device = _network(model, settings)
    image = tf.TensorSpec((None, *model.spec.image_shape), tf.float32)
    function = tf.function(lambda images: network(images, training=False), input_signature=[image], jit_compile=xla)
    return TensorSession(model, function, device, lambda: function.get_concrete_function().graph)


def _graph_of(network: keras.Model, image_shape: Sequence[int]) -> tf.Graph:
    """The graph that a network's operators would be in a tf.function."""
    function = tf.function(lambda images: network(images, training=False))
    return function.get_concrete_function(tf.TensorSpec((None, *image_shape), tf.float32)).graph


def _network(model: ModelFiles, settings: Settings) -> tuple[keras.Model, str]:
    """The model and its device, after TensorFlow has been told its threads.

    Raises:
        InputError: CUDA is asked for and there is none.
    """
    tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if settings.device == "cuda" and not tf.config.list_physical_devices("GPU"):
        raise InputError("TensorFlow finds no CUDA device", remedy='Set bench.device = "cpu" in the study file')
    if settings.device == "cuda":  # fp32 means fp32
        tf.config.experimental.enable_tensor_float_32_execution(False)
    if model.weights is None:
        raise InputError("A TensorFlow runtime needs neutral weights", found="an ONNX file alone")
    device = "/GPU:0" if settings.device == "cuda" else "/CPU:0"
    with tf.device(device):
        return on_tf.load(model.spec, load_weights(model.weights)), device


def _facts() -> dict[str, str]:
    return {
        "tf intra-op threads": str(tf.config.threading.get_intra_op_parallelism_threads()),
        "tf inter-op threads": str(tf.config.threading.get_inter_op_parallelism_threads()),
    }
