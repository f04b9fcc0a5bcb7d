"""ONNX Runtime, at each of its levels of graph optimisation, and on CUDA."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from assay.runtimes.entry import Family, Looks, RuntimeEntry, ServedBy
from assay.spec import CUDA_PROVIDER

FAMILY = Family(
    name="ort",
    words="ONNX Runtime",
    framework="onnx",
    looks=Looks(
        "triangle-up",
        ("#0b5cad", "#2f86d6", "#073a73", "#1b93b8", "#5b84c4"),
        ("#5aacff", "#9bd0ff", "#2f8bf0", "#5cc8ea", "#8fb0ea"),
    ),
    place=3,
    library="onnxruntime",
    probe="assay.infer.probe:onnxruntime",
    needed_for="ort.* runtimes and the check of every export",
    packages=("onnxruntime",),
    licences={"onnxruntime": "MIT"},
    profiler="assay.infer.profile.on_ort:recorder_of",
    ceilings="assay.infer.ceilings.on_ort",
)
OPERATORS = "assay.bench.auditing.operators.on_onnx:operators"
LESS = "it shows what graph optimisations are worth: ort.cpu serves the same file with all of them"
entry = partial(RuntimeEntry, family=FAMILY, formats=("onnx",), operators=OPERATORS)
SERVED = ServedBy(
    backend="onnxruntime",
    file="model.onnx",
    opener="assay.infer.server.opened.on_ort",
    options={
        "intra_op_thread_count": "{threads}",
        "inter_op_thread_count": "1",
        "execution_mode": "0",  # one operator after the other
    },
    otherwise={"optimization": "none"},
)
CPU = entry(
    name="ort.cpu",
    target="assay.infer.runtimes.on_ort:load_cpu",
    summary="ONNX Runtime, CPU execution provider",
    words="ONNX Runtime",
    level="all",
    runner="all",
    served_by=SERVED,
    unasked=("study", "model", "file"),
)
NO_OPTIMISATION = entry(
    name="ort.cpu.no-opt",
    target="assay.infer.runtimes.on_ort:load_without_optimisation",
    summary="ONNX Runtime on the CPU, graph optimisations off",
    words="ONNX Runtime without graph optimisations",
    level="none",
    shape="triangle-left",
    runner="no-opt",
    unasked=("file",),
    unserved=LESS,
)
ENTRIES = (
    CPU,
    NO_OPTIMISATION,
    entry(
        name="ort.cpu.basic",
        target="assay.infer.runtimes.on_ort:load_basic",
        summary="ONNX Runtime on the CPU, basic graph optimisations",
        words="ONNX Runtime with basic graph optimisations",
        level="basic",
        shape="wedge",
        runner="basic",
        unasked=("file",),
        unserved=LESS,
    ),
    entry(
        name="ort.cpu.extended",
        target="assay.infer.runtimes.on_ort:load_extended",
        summary="ONNX Runtime on the CPU, basic and extended graph optimisations",
        words="ONNX Runtime with extended graph optimisations",
        level="extended",
        shape="arrow",
        runner="extended",
        unasked=("file",),
        unserved=LESS,
    ),
    entry(
        name="ort.cuda",
        target="assay.infer.runtimes.on_ort_gpu:load_cuda",
        summary="ONNX Runtime, CUDA execution provider with I/O binding",
        words="ONNX Runtime on CUDA",
        devices=("cuda",),
        shape="triangle-down",
        extra="gpu",
        unasked=("study", "model", "file"),
        served_by=replace(SERVED, accelerators={"cuda": CUDA_PROVIDER}),
    ),
    entry(
        name="ort.cuda.tf32",
        target="assay.infer.runtimes.on_ort_gpu:load_cuda_tf32",
        summary="ONNX Runtime, CUDA execution provider that may round fp32 to TF32",
        words="ONNX Runtime on CUDA in TF32",
        devices=("cuda",),
        precision="tf32",
        reduces="ort.cuda",
        shape="diamond",
        extra="gpu",
        served_by=replace(SERVED, accelerators={"cuda": CUDA_PROVIDER | {"use_tf32": "1"}}),
    ),
    entry(
        name="ort.cuda.graphs",
        target="assay.infer.runtimes.on_ort_gpu:load_cuda_graphs",
        summary="ONNX Runtime, CUDA execution provider, whose kernels are launched as one CUDA graph",
        words="ONNX Runtime on CUDA with CUDA graphs",
        devices=("cuda",),
        shape="triangle-right",
        extra="gpu",
        unserved="a CUDA graph repeats the addresses of its inputs, and those of requests differ: ort.cuda is served",
    ),
    entry(
        name="ort.tensorrt",
        target="assay.infer.runtimes.on_ort_gpu:load_tensorrt",
        summary="ONNX Runtime, TensorRT execution provider, and CUDA for what TensorRT does not take",
        words="ONNX Runtime on TensorRT",
        devices=("cuda",),
        shape="cross",
        compiles=True,
        extra="gpu",
        unserved="no setting of a served model keeps TensorRT from TF32, which it was timed without: ort.cuda and "
        "ort.tensorrt.fp16 are served",
    ),
    entry(
        name="ort.tensorrt.fp16",
        target="assay.infer.runtimes.on_ort_gpu:load_tensorrt_fp16",
        summary="ONNX Runtime, TensorRT execution provider that may compute in fp16, layer by layer as it is faster",
        words="ONNX Runtime on TensorRT in fp16",
        devices=("cuda",),
        precision="fp16",
        reduces="ort.tensorrt",
        shape="square",
        compiles=True,
        extra="gpu",
        served_by=replace(SERVED, accelerators={"tensorrt": {"precision_mode": "FP16"}, "cuda": CUDA_PROVIDER}),
    ),
)
