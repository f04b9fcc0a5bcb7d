"""A SavedModel in TensorFlow, on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2


class OpenedByTensorFlow:
    """A function from inputs by name to outputs; the file has them by position alone.

    With the option "rewrite" its variables become constants, and TensorFlow's graph optimiser rewrites it so. With
    "pixels" the file takes normalised images and gives logits, and is asked about decoded pixels.

    Attributes:
        inputs, outputs: by name, NumPy's name of their types, as they are expected.
    """

    def __init__(
        self, path: str | Path, options: Mapping[str, str], inputs: Mapping[str, str], outputs: Mapping[str, str]
    ) -> None:
        threads = int(options.get("threads", 1))
        if threads != tf.config.threading.get_intra_op_parallelism_threads():
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        loaded = tf.saved_model.load(str(Path(path).parent))
        self._call: Callable[..., Any] = loaded.call
        if "rewrite" in options:
            tf.config.optimizer.set_experimental_options({options["rewrite"]: True})
            self._call = convert_variables_to_constants_v2(loaded.call.get_concrete_function())
        self._pixels = "pixels" in options
        self._loaded = loaded  # whose variables live as long
        self.inputs, self.outputs = dict(inputs), dict(outputs)

    def __call__(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        taken = [tf.constant(inputs[name]) for name in self.inputs]
        answer = _decided(self._call(_normalised(taken[0]))[0]) if self._pixels else self._call(*taken)
        found = [np.asarray(one) for one in answer]
        named = dict(zip(self.outputs, found, strict=True))
        return [named[name] for name in outputs]


def _normalised(images: tf.Tensor) -> tf.Tensor:
    """Decoded pixels from -1 to 1, each operation rounded to float32."""
    return tf.cast(images, tf.float32) / 127.5 - 1.0


def _decided(logits: tf.Tensor) -> list[tf.Tensor]:
    """Probabilities, and the most probable class."""
    return [tf.nn.softmax(logits), tf.argmax(logits, axis=1)]


def open_model(
    path: str | Path, options: Mapping[str, str], inputs: Mapping[str, str], outputs: Mapping[str, str]
) -> OpenedByTensorFlow:
    """The file's folder, on one thread where the options say nothing; OSError where it is no SavedModel."""
    return OpenedByTensorFlow(path, options, inputs, outputs)
