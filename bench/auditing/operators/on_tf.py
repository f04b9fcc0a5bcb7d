"""Single operators in TensorFlow, to see how they treat NaN."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from assay.bench.auditing.operators.special_job import FUSED, MEAN, POOL, RELU, SHAPE, Operator, kernel

Function = Callable[[tf.Tensor], tf.Tensor]


def eager(runtime: str) -> dict[str, Operator]:
    """Return the operators, each called by itself."""
    del runtime
    return _operators(lambda function: function)


def graph(runtime: str) -> dict[str, Operator]:
    """Return the operators in a graph, as `keras.Model.predict` also runs them."""
    del runtime
    return _operators(lambda function: _graph(function, xla=False))


def xla(runtime: str) -> dict[str, Operator]:
    """Return the operators, each compiled by XLA."""
    del runtime
    return _operators(lambda function: _graph(function, xla=True))


def _operators(prepared: Callable[[Function], Function]) -> dict[str, Operator]:
    """Return the operators, each prepared as a runtime prepares a model."""
    weights, bias = tf.constant(kernel()), tf.ones(SHAPE[-1])
    return {
        name: _run(prepared(function))
        for name, function in {
            RELU: tf.nn.relu,
            POOL: lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"),
            FUSED: lambda x: tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, weights, 1, "SAME"), bias)),
            MEAN: lambda x: tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(x, weights, 1, "SAME")), [1, 2]),
        }.items()
    }


def _graph(function: Function, *, xla: bool) -> Function:
    image = tf.TensorSpec((None, *SHAPE[1:]), tf.float32)
    plain = tf.autograph.experimental.do_not_convert(function)
    return tf.function(plain, input_signature=[image], jit_compile=xla)


def _run(function: Function) -> Operator:
    def run(images: np.ndarray) -> np.ndarray:
        return function(tf.constant(images)).numpy()

    return run
