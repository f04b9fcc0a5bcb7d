"""LiteRT, TensorFlow's own runtime for deployment: each precision is a file of its own, made by TensorFlow."""

from __future__ import annotations

from functools import partial

from assay.runtimes.entry import Family, Looks, RuntimeEntry, ServedBy
from assay.spec import LITERT_FILE

FAMILY = Family(
    name="litert",
    words="LiteRT",
    framework="tf",
    looks=Looks(
        "triangle-down",
        ("#145129", "#3f7d1f", "#7a8000", "#2f5c0a", "#6a8440"),
        ("#c8f2a5", "#8fd06a", "#d4e08a", "#9ac72c", "#b0c98a"),
    ),
    place=5,
    library="litert",
    probe="assay.infer.probe:litert",
    needed_for="litert.* runtimes (optional)",
    packages=("ai_edge_litert",),
    licences={"ai_edge_litert": "Apache-2.0"},
    extra="litert",
)
SERVED = ServedBy(
    backend="python",
    file=LITERT_FILE,
    opener="assay.infer.server.opened.on_litert",
    options={"threads": "{threads}"},
    otherwise={"delegate": "none"},
    pixels="NHWC",
    packages=("ai-edge-litert", "numpy"),
)
MAKERS = ("tensorflow",)
"""Packages that make its files."""
OF_ANOTHER_FILE = ("tflite",)
"""A user's own .tflite file is run as it is; nothing makes one in another precision of it."""
entry = partial(RuntimeEntry, family=FAMILY, formats=("weights", "tf"), deploys=True, served_by=SERVED, needs=MAKERS)
FP32 = entry(
    name="litert",
    target="assay.infer.runtimes.on_litert:load_fp32",
    summary="LiteRT on the CPU with XNNPACK, fp32",
    words="LiteRT",
    maker="assay.export.programs.on_litert:make_fp32",
    unasked=("model",),
)
ENTRIES = (
    FP32,
    entry(
        name="litert.fp16",
        not_for=OF_ANOTHER_FILE,
        target="assay.infer.runtimes.on_litert:load_half_weights",
        summary="LiteRT on the CPU, weights stored in fp16, computed in fp32",
        words="LiteRT with weights in fp16",
        precision="fp16",
        reduces=FP32.name,
        shape="triangle-up",
        maker="assay.export.programs.on_litert:make_half_weights",
    ),
    entry(
        name="litert.dynamic",
        not_for=OF_ANOTHER_FILE,
        target="assay.infer.runtimes.on_litert:load_int8",
        summary="LiteRT on the CPU, dynamic-range int8: activation ranges are found in every call",
        words="LiteRT in dynamic-range int8",
        precision="int8",
        reduces=FP32.name,
        shape="triangle-left",
        maker="assay.export.programs.on_litert:make_dynamic",
    ),
    entry(
        name="litert.int8",
        not_for=OF_ANOTHER_FILE,
        target="assay.infer.runtimes.on_litert:load_int8",
        summary="LiteRT on the CPU, int8 throughout",
        words="LiteRT in int8",
        precision="int8",
        reduces=FP32.name,
        shape="wedge",
        maker="assay.export.programs.on_litert:make_int8",
        calibrated=True,
    ),
)
