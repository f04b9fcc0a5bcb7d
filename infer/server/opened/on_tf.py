"""A SavedModel in TensorFlow, on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


class OpenedByTensorFlow:
    """A function from inputs by name to outputs; the file has them by position alone.

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
        self._loaded = tf.saved_model.load(str(Path(path).parent))
        self.inputs, self.outputs = dict(inputs), dict(outputs)

    def __call__(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        answer = self._loaded.call(*(tf.constant(inputs[name]) for name in self.inputs))
        found = [np.asarray(one) for one in answer]
        named = dict(zip(self.outputs, found, strict=True))
        return [named[name] for name in outputs]


def open_model(
    path: str | Path, options: Mapping[str, str], inputs: Mapping[str, str], outputs: Mapping[str, str]
) -> OpenedByTensorFlow:
    """The file's folder, on one thread where the options say nothing; OSError where it is no SavedModel."""
    return OpenedByTensorFlow(path, options, inputs, outputs)
