"""ONNX Runtime, at each of its levels of graph optimisation, and on CUDA."""

from __future__ import annotations

from assay.runtimes.entry import Family, Looks, RuntimeEntry, ServedBy

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
    profiler="assay.infer.profile.on_ort:OrtRecorder",
    ceilings="assay.infer.ceilings.on_ort",
)
OPERATORS = "assay.infer.operators.on_onnx:operators"
LESS = "it shows what the optimisations of a graph are worth: ort.cpu serves the same file with all of them"
CPU = RuntimeEntry(
    name="ort.cpu",
    family=FAMILY,
    target="assay.infer.runtimes.on_ort:load_cpu",
    summary="ONNX Runtime, CPU execution provider",
    words="ONNX Runtime",
    formats=("onnx",),
    level="all",
    operators=OPERATORS,
    runner="all",
    served_by=ServedBy(
        backend="onnxruntime",
        file="model.onnx",
        opener="assay.infer.server.opened.on_ort",
        options={
            "intra_op_thread_count": "{threads}",
            "inter_op_thread_count": "1",
            "execution_mode": "0",  # one operator after the other
        },
        otherwise={"optimization": "none"},
    ),
    unasked=("study", "model", "file"),
)
NO_OPTIMISATION = RuntimeEntry(
    name="ort.cpu.no-opt",
    family=FAMILY,
    target="assay.infer.runtimes.on_ort:load_without_optimisation",
    summary="ONNX Runtime on the CPU, graph optimisations off",
    words="ONNX Runtime without graph optimisations",
    formats=("onnx",),
    level="none",
    shape="triangle-left",
    operators=OPERATORS,
    runner="no-opt",
    unasked=("file",),
    unserved=LESS,
)
ENTRIES = (
    CPU,
    NO_OPTIMISATION,
    RuntimeEntry(
        name="ort.cpu.basic",
        family=FAMILY,
        target="assay.infer.runtimes.on_ort:load_basic",
        summary="ONNX Runtime on the CPU, basic graph optimisations",
        words="ONNX Runtime with basic graph optimisations",
        formats=("onnx",),
        level="basic",
        shape="wedge",
        operators=OPERATORS,
        runner="basic",
        unasked=("file",),
        unserved=LESS,
    ),
    RuntimeEntry(
        name="ort.cpu.extended",
        family=FAMILY,
        target="assay.infer.runtimes.on_ort:load_extended",
        summary="ONNX Runtime on the CPU, basic and extended graph optimisations",
        words="ONNX Runtime with extended graph optimisations",
        formats=("onnx",),
        level="extended",
        shape="arrow",
        operators=OPERATORS,
        runner="extended",
        unasked=("file",),
        unserved=LESS,
    ),
    RuntimeEntry(
        name="ort.cuda",
        family=FAMILY,
        target="assay.infer.runtimes.on_ort:load_cuda",
        summary="ONNX Runtime, CUDA execution provider with I/O binding",
        words="ONNX Runtime on CUDA",
        formats=("onnx",),
        devices=("cuda",),
        shape="triangle-down",
        operators=OPERATORS,
        extra="gpu",
        unserved="no server with a GPU was at hand to try it with: ort.cpu is served",
    ),
    RuntimeEntry(
        name="ort.cuda.tf32",
        family=FAMILY,
        target="assay.infer.runtimes.on_ort:load_cuda_tf32",
        summary="ONNX Runtime, CUDA execution provider that may round fp32 to TF32",
        words="ONNX Runtime on CUDA in TF32",
        formats=("onnx",),
        devices=("cuda",),
        precision="tf32",
        reduces="ort.cuda",
        shape="diamond",
        operators=OPERATORS,
        extra="gpu",
        unserved="no server with a GPU was at hand to try it with: ort.cpu is served",
    ),
)
