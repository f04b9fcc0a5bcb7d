"""TensorFlow in 16 bits: its own optimiser rewrites the graph, whatever the model's code says of types.

`auto_mixed_precision_onednn_bfloat16` moves to bf16 the operations that are safe in it and leaves the rest in fp32, as
Keras's policy "mixed_bfloat16" does for layers, and takes any graph; `auto_mixed_precision` does the same with fp16, on
a GPU. Variables become constants first, so that oneDNN lays weights out once: with variables resnet18 takes seven times
as long here.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from assay.infer.observing.observed import Observed
from assay.infer.observing.on_tf import observe_rewritten
from assay.infer.runtime import ModelFiles
from assay.infer.runtimes.on_tf import ModelOnDevice, Tensors, TensorSession, load_model
from assay.infer.runtimes.processor import refuse_without_bf16
from assay.infer.runtimes.same_for_all import need_gpu
from assay.runtimes.tf import REWRITE, REWRITE_ON_GPU
from assay.spec import Settings


class RewrittenSession(TensorSession):
    """A graph that TensorFlow rewrites before it computes it; it is observed as it was computed."""

    def __init__(self, model: ModelFiles, loaded: ModelOnDevice, precision: str, rewrite: str) -> None:
        super().__init__(model, loaded, _frozen(loaded))
        self.precision = precision
        self.facts |= {"rewritten by": rewrite}

    def observe(self, native: Tensors) -> Observed:
        """Observe a copy, since a graph is rewritten, and can then be read, only at its first call."""
        running, copy = context.context(), _frozen(self._loaded)
        running.enable_graph_collection()
        try:
            with tf.device(self._device):
                outputs = copy(*native)
            graphs = running.export_run_metadata().function_graphs
        finally:
            running.disable_graph_collection()
        return observe_rewritten([one.post_optimization_graph for one in graphs], outputs)


def load_bf16(model: ModelFiles, settings: Settings) -> RewrittenSession:
    """
    Raises:
        InputError: the processor has no bf16, which TensorFlow then emulates; or as for `tf.function`.
    """
    if settings.device == "cpu":
        refuse_without_bf16("TensorFlow")
    return _rewritten(model, settings, "bf16", REWRITE)


def load_fp16(model: ModelFiles, settings: Settings) -> RewrittenSession:
    """
    Raises:
        InputError: no GPU is asked for; or as for `tf.function`.
    """
    need_gpu(settings, "TensorFlow's optimiser rewrites a graph to fp16 for a GPU alone")
    return _rewritten(model, settings, "fp16", REWRITE_ON_GPU)


def _rewritten(model: ModelFiles, settings: Settings, precision: str, rewrite: str) -> RewrittenSession:
    tf.config.optimizer.set_experimental_options({rewrite: True})  # the process has this one runtime
    return RewrittenSession(model, load_model(model, settings), precision, rewrite)


def _frozen(loaded: ModelOnDevice) -> Callable[..., Tensors]:
    frozen: Callable[..., Tensors] = convert_variables_to_constants_v2(loaded.function().get_concrete_function())
    return frozen
