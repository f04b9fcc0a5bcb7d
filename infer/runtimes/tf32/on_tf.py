"""TensorFlow on a GPU that may round fp32 to TF32 in products and convolutions, as it does by itself."""

from __future__ import annotations

from assay.infer.runtimes import on_tf
from assay.infer.runtimes.same_for_all import in_tf32, let_tensorflow_round

load_function = in_tf32(on_tf.load_function, let_tensorflow_round)
load_xla = in_tf32(on_tf.load_xla, let_tensorflow_round)
