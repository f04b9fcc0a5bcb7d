"""TensorFlow's own runtimes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from assay.runtimes.entry import Family, Looks, RuntimeEntry, ServedBy

FAMILY = Family(
    name="tf",
    words="TensorFlow",
    framework="tf",
    looks=Looks(
        "square",
        ("#b08600", "#7d5a00", "#8a8400", "#5c4300", "#998142"),
        ("#ffd54a", "#e0ac1f", "#ffe89a", "#c79a2c", "#d9c27a"),
    ),
    place=1,
    library="tf",
    probe="assay.infer.probe:tf",
    needed_for="training, tf.* runtimes, tf2onnx",
    packages=("tensorflow",),
    does_without=("jax", "sklearn"),  # a quarter of the import, for Keras's wrappers and a converter of JAX's models
    licences={"tensorflow": "Apache-2.0", "keras": "Apache-2.0"},
    extra="tf",
    profiler="assay.infer.profile.on_tf:TensorFlowRecorder",
)
NO_FILE = "it is a Python loop around the model, which has no file: tf.function has the same model as a file"
REWRITE = "auto_mixed_precision_onednn_bfloat16"
"""The rewrite to bf16 in TensorFlow's graph optimiser, on the CPU."""
REWRITE_ON_GPU = "auto_mixed_precision"
"""Its rewrite to fp16, on a GPU of compute capability 7.0 or higher."""

WITH_CUDA = {"cuda": "tf-cuda"}
"""It wants CUDA 12, where PyTorch, JAX and ONNX Runtime have 13, and both put cuDNN into the same folder."""


def _served_as_saved_model(maker: str, options: Mapping[str, str] = MappingProxyType({})) -> ServedBy:
    """Return how a function is served that this maker writes as a SavedModel."""
    return ServedBy(
        backend="python",
        file="model.savedmodel/saved_model.pb",
        opener="assay.infer.server.opened.on_tf",
        options={"threads": "{threads}", **options},
        maker=f"assay.export.served.from_tf:{maker}",
        checker="assay.train.brought.files.on_saved_model:check_graph_file",
        packages=("tensorflow-cpu", "tensorflow", "keras", "numpy"),
    )


entry = partial(RuntimeEntry, family=FAMILY, formats=("weights", "tf"), not_for=("tflite",))
FUNCTION = entry(
    name="tf.function",
    target="assay.infer.runtimes.on_tf:load_function",
    summary="tf.function, a graph without XLA",
    devices=("cpu", "cuda"),
    environments=WITH_CUDA,
    operators="assay.bench.auditing.operators.on_tf:graph",
    unasked=("study", "model"),
    served_by=_served_as_saved_model("make_function"),
)


ENTRIES = (
    entry(
        name="tf.predict",
        target="assay.infer.runtimes.on_tf:load_predict",
        summary="keras.Model.predict",
        formats=("weights",),
        devices=("cpu", "cuda"),
        environments=WITH_CUDA,
        operators="assay.bench.auditing.operators.on_tf:graph",
        unasked=("study",),
        unserved=NO_FILE,
        waits="reads every batch through a tf.data pipeline, whose threads wait for one another",
    ),
    entry(
        name="tf.eager",
        target="assay.infer.runtimes.on_tf:load_eager",
        summary="TensorFlow, operator by operator",
        devices=("cpu", "cuda"),
        environments=WITH_CUDA,
        operators="assay.bench.auditing.operators.on_tf:eager",
        unasked=("study",),
        unserved=NO_FILE,
    ),
    FUNCTION,
    entry(
        name="tf.xla",
        target="assay.infer.runtimes.on_tf:load_xla",
        summary="tf.function compiled by XLA",
        devices=("cpu", "cuda"),
        environments=WITH_CUDA,
        operators="assay.bench.auditing.operators.on_tf:xla",
        unasked=("study", "model"),
        served_by=_served_as_saved_model("make_xla"),
    ),
    entry(
        name="tf.function.bf16",
        target="assay.infer.runtimes.on_tf_narrow:load_bf16",
        summary="tf.function, frozen, rewritten to bf16 by TensorFlow's graph optimiser",
        words="tf.function in bf16",
        precision="bf16",
        reduces=FUNCTION.name,
        operators="assay.bench.auditing.operators.on_tf:graph",
        served_by=replace(_served_as_saved_model("make_network", {"rewrite": REWRITE}), pixels="NHWC"),
    ),
    entry(
        name="tf.function.fp16",
        target="assay.infer.runtimes.on_tf_narrow:load_fp16",
        summary="tf.function, frozen, rewritten to fp16 by TensorFlow's graph optimiser on a GPU",
        words="tf.function in fp16",
        devices=("cuda",),
        environments=WITH_CUDA,
        precision="fp16",
        reduces=FUNCTION.name,
        operators="assay.bench.auditing.operators.on_tf:graph",
        unserved="no server with a GPU was available to test it: tf.function is served",
    ),
    *(
        entry(
            name=f"{name}.tf32",
            target=f"assay.infer.runtimes.tf32.on_tf:load_{loader}",
            summary=f"{words} on a GPU that may round fp32 to TF32",
            words=f"{name} in TF32",
            devices=("cuda",),
            environments=WITH_CUDA,
            precision="tf32",
            reduces=name,
            operators=f"assay.bench.auditing.operators.on_tf:{operators}",
            unserved="no server with a GPU was available to test it: tf.function is served",
        )
        for name, loader, words, operators in (
            ("tf.function", "function", "tf.function, a graph without XLA,", "graph"),
            ("tf.xla", "xla", "tf.function compiled by XLA", "xla"),
        )
    ),
)
