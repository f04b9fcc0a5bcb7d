"""TensorFlow on a GPU that may round fp32 to TF32 in products and convolutions, as it does by itself."""

from __future__ import annotations

from assay.infer.runtime import ModelFiles
from assay.infer.runtimes import on_tf
from assay.infer.runtimes.on_tf import TensorSession
from assay.infer.runtimes.same_for_all import let_tensorflow_round, on_a_gpu
from assay.spec import Settings


def load_function(model: ModelFiles, settings: Settings) -> TensorSession:
    on_a_gpu(settings)
    return _rounded(on_tf.load_function(model, settings))


def load_xla(model: ModelFiles, settings: Settings) -> TensorSession:
    on_a_gpu(settings)
    return _rounded(on_tf.load_xla(model, settings))


def _rounded(session: TensorSession) -> TensorSession:
    let_tensorflow_round()
    session.precision = "tf32"
    return session
