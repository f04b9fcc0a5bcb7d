"""Single operators in TensorFlow, to see what they do with NaN."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from infer.special_job import FUSED, MEAN, POOL, RELU, SHAPE, Operator, kernel

Function = Callable[[tf.Tensor], tf.Tensor]


def operators(runtime: str) -> dict[str, Operator]:
    """The operators as this runtime runs them; `tf.predict` runs a tf.function."""
    weights, bias = tf.constant(kernel()), tf.ones(SHAPE[-1])
    return {
        name: _as_run_by(runtime, function)
        for name, function in {
            RELU: tf.nn.relu,
            POOL: lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"),
            FUSED: lambda x: tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, weights, 1, "SAME"), bias)),
            MEAN: lambda x: tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(x, weights, 1, "SAME")), [1, 2]),
        }.items()
    }


def _as_run_by(runtime: str, function: Function) -> Operator:
    if runtime != "tf.eager":
        image = tf.TensorSpec((None, *SHAPE[1:]), tf.float32)
        plain = tf.autograph.experimental.do_not_convert(function)
        function = tf.function(plain, input_signature=[image], jit_compile=runtime == "tf.xla")

    def run(images: np.ndarray) -> np.ndarray:
        return function(tf.constant(images)).numpy()

    return run
