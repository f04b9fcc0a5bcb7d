"""JAX's own runtimes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from assay.runtimes.entry import Family, Looks, RuntimeEntry, ServedBy

FAMILY = Family(
    name="jax",
    words="JAX",
    framework="jax",
    looks=Looks(
        "diamond",
        ("#8e2f7f", "#c05aa0", "#66205a", "#a8668f", "#b5509b"),
        ("#e58ad0", "#f3b6e3", "#c765b4", "#f7cdec", "#d39ac6"),
    ),
    place=2,
    library="jax",
    probe="assay.infer.probe:jax",
    needed_for="training, jax.* runtimes, jax2onnx, jax2tf",
    packages=("jax",),
    licences={"jax": "Apache-2.0"},
    extra="jax",
    profiler="assay.infer.profile.on_jax:JaxRecorder",
)
SERVED = ServedBy(
    backend="python",
    file="model.jax",
    opener="assay.infer.server.opened.on_jax",
    options={},
    maker="assay.export.served.from_jax:make_program",
    packages=("jax", "jaxlib", "numpy"),
)
entry = partial(RuntimeEntry, family=FAMILY, formats=("weights", "jax"))
JIT = entry(
    name="jax.jit",
    target="assay.infer.runtimes.on_jax:load_jit",
    summary="JAX, jitted",
    devices=("cpu", "cuda"),
    operators="assay.bench.auditing.operators.on_jax:jitted",
    unasked=("study", "model"),
    served_by=SERVED,
)
ENTRIES = (
    JIT,
    entry(
        name="jax.jit.bf16",
        target="assay.infer.runtimes.on_jax_narrow:load_bf16",
        summary="JAX, jitted, matrix products and convolutions in bf16 where XLA supports it",
        words="jax.jit in bf16",
        devices=("cpu", "cuda"),
        precision="bf16",
        reduces=JIT.name,
        served_by=replace(SERVED, maker="assay.export.served.from_jax:make_bf16_program"),
        operators="assay.bench.auditing.operators.on_jax:jitted",
    ),
    entry(
        name="jax.jit.fp16",
        target="assay.infer.runtimes.on_jax_narrow:load_fp16",
        summary="JAX, jitted, matrix products and convolutions in fp16 on a GPU",
        words="jax.jit in fp16",
        devices=("cuda",),
        precision="fp16",
        reduces=JIT.name,
        operators="assay.bench.auditing.operators.on_jax:jitted",
        unserved="no server with a GPU was available to test it: jax.jit is served",
    ),
    entry(
        name="jax.eager",
        target="assay.infer.runtimes.on_jax:load_eager",
        summary="JAX, operator by operator",
        devices=("cpu", "cuda"),
        operators="assay.bench.auditing.operators.on_jax:eager",
        unasked=("study",),
        unserved="it runs Python, operator by operator, and has no file: jax.jit has the same model as a file",
    ),
    entry(
        name="jax.jit.tf32",
        target="assay.infer.runtimes.tf32.on_jax:load_jit",
        summary="JAX, jitted, on a GPU that may round fp32 to TF32",
        words="jax.jit in TF32",
        devices=("cuda",),
        precision="tf32",
        reduces=JIT.name,
        operators="assay.bench.auditing.operators.on_jax:jitted",
        unserved="no server with a GPU was available to test it: jax.jit is served",
    ),
)
