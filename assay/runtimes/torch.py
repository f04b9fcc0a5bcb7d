"""PyTorch's own runtimes."""

from __future__ import annotations

from functools import partial

from assay.runtimes.entry import Family, Looks, RuntimeEntry, ServedBy
from assay.spec import TORCH_PACKAGE_FILE, TORCH_PACKAGE_OF_ONE_FILE

FAMILY = Family(
    name="torch",
    words="PyTorch",
    framework="torch",
    looks=Looks(
        "circle",
        ("#a83200", "#d9540f", "#7a2400", "#c8693f", "#e05a2a"),
        ("#ff7a45", "#ffb08a", "#f2662b", "#ffc9ae", "#e08a66"),
    ),
    place=0,
    library="torch",
    probe="assay.infer.probe:torch",
    needed_for="training, torch.* runtimes, the torch exporters",
    packages=("torch",),
    licences={"torch": "BSD-3-Clause", "torchao": "BSD-3-Clause"},
    extra="torch",
    profiler="assay.infer.profile.on_torch:TorchRecorder",
    ceilings="assay.infer.ceilings.on_torch",
    gpu_ceilings="assay.infer.ceilings.on_torch_cuda:measure",
)
NO_FILE = "it runs Python, operator by operator, and has no file: torch.script has the same model as a file"
NO_GPU_SERVER = "no server with a GPU was available to test it: torch.script is served"
COMPILES = "it compiles in the process that runs it and leaves no file: the same compiler's package is {}"
entry = partial(
    RuntimeEntry,
    family=FAMILY,
    formats=("weights", "torch"),
    operators="assay.bench.auditing.operators.on_torch:operators",
)
FROZEN = entry(
    name="torch.compile.frozen",
    target="assay.infer.runtimes.inductor.on_torch_compiled:load_frozen",
    summary="torch.compile with its weights frozen into the code",
    not_for=("script",),
    devices=("cpu", "cuda"),
    unasked=("model",),
    compiles=True,
    unserved=COMPILES.format("torch.aot"),
)
narrower = partial(entry, reduces=FROZEN.name, compiles=True)
MAKERS = "assay.export.programs.on_torch"
SERVED_PACKAGE = ServedBy(
    backend="python",
    file=TORCH_PACKAGE_FILE,
    beside=(TORCH_PACKAGE_OF_ONE_FILE,),
    opener="assay.infer.server.opened.on_torch_package",
    options={"threads": "{threads}"},
    pixels="NCHW",
    is_code=True,
    packages=("torch", "numpy"),
)
packaged = partial(entry, deploys=True, makes_code=True, served_by=SERVED_PACKAGE)
PACKAGE = packaged(
    name="torch.aot",
    target="assay.infer.runtimes.inductor.on_torch_packages:load_package",
    summary="AOTInductor, a package that is compiled once and loaded without Python",
    words="AOTInductor",
    not_for=("script",),
    devices=("cpu", "cuda"),
    maker=f"{MAKERS}:make_package",
)
ENTRIES = (
    entry(
        name="torch.eager",
        target="assay.infer.runtimes.on_torch:load_eager",
        summary="PyTorch, operator by operator",
        devices=("cpu", "cuda"),
        unasked=("study", "model"),
        unserved=NO_FILE,
    ),
    entry(
        name="torch.channels_last",
        target="assay.infer.runtimes.on_torch:load_channels_last",
        summary="PyTorch eager, NHWC in memory",
        devices=("cpu", "cuda"),
        unasked=("study",),
        unserved=NO_FILE,
    ),
    entry(
        name="torch.script",
        target="assay.infer.runtimes.on_torch:load_script",
        summary="TorchScript, traced and frozen",
        not_for=("program",),
        devices=("cpu", "cuda"),
        served_by=ServedBy(
            backend="python",
            file="model.pt",
            opener="assay.infer.server.opened.on_torch",
            options={"threads": "{threads}"},
            maker="assay.export.served.from_torch:make_script",
            checker="assay.train.brought.files.on_torch_archive:check_script_file",
            packages=("torch", "numpy"),
        ),
        unasked=("study", "model"),
    ),
    entry(
        name="torch.compile",
        target="assay.infer.runtimes.inductor.on_torch_compiled:load_compile",
        summary="torch.compile with Inductor",
        not_for=("script",),
        devices=("cpu", "cuda"),
        compiles=True,
        unserved=COMPILES.format("torch.aot"),
    ),
    entry(
        name="torch.compile.graphs",
        target="assay.infer.runtimes.inductor.on_torch_compiled:load_graphs",
        summary='torch.compile in its mode "reduce-overhead": kernels are launched as one CUDA graph',
        words="torch.compile with CUDA graphs",
        not_for=("script",),
        devices=("cuda",),
        compiles=True,
        unserved=COMPILES.format("torch.aot"),
    ),
    FROZEN,
    RuntimeEntry(
        name="torch.compile.static-cache",
        family=FAMILY,
        formats=("torch-decode",),
        target="assay.infer.runtimes.inductor.on_torch_static_cache:load",
        summary="torch.compile of a decoder's step, on a cache of fixed size that is written in place",
        unasked=("model",),
        compiles=True,
        unserved="its cache lives in the process that runs it, and a server's calls have none",
    ),
    narrower(
        name="torch.compile.autocast",
        target="assay.infer.runtimes.inductor.on_torch_compiled:load_autocast",
        summary="torch.compile with frozen weights, matrix products in bf16 by autocast",
        not_for=("script",),
        devices=("cpu", "cuda"),
        precision="bf16",
        unserved=COMPILES.format("torch.aot.bf16"),
    ),
    narrower(
        name="torch.compile.bf16",
        target="assay.infer.runtimes.inductor.on_torch_compiled:load_bf16",
        summary="torch.compile with frozen weights, which are in bf16",
        not_for=("script", "program"),
        devices=("cpu", "cuda"),
        precision="bf16",
        unserved=COMPILES.format("torch.aot.bf16"),
    ),
    narrower(
        name="torch.compile.fp16",
        target="assay.infer.runtimes.inductor.on_torch_compiled:load_fp16",
        summary="torch.compile with frozen weights, which are in fp16",
        not_for=("script", "program"),
        devices=("cpu", "cuda"),
        precision="fp16",
        unserved=f"{COMPILES.format('torch.aot')}, which has none in fp16",
    ),
    narrower(
        name="torch.compile.int8",
        target="assay.infer.runtimes.inductor.on_torch_quantised:load_int8",
        summary="torch.compile of a program that torchao quantised, int8",
        not_for=("script",),
        precision="int8",
        maker=f"{MAKERS}_int8:make_int8_program",
        calibrated=True,
        extra="torchao",
        needs=("torchao",),
        unserved=COMPILES.format("torch.aot.int8"),
    ),
    PACKAGE,
    packaged(
        name="torch.aot.bf16",
        target="assay.infer.runtimes.inductor.on_torch_packages:load_bf16_package",
        summary="AOTInductor, a package whose weights are in bf16",
        words="AOTInductor in bf16",
        not_for=("script", "program"),
        devices=("cpu", "cuda"),
        precision="bf16",
        reduces=PACKAGE.name,
        maker=f"{MAKERS}:make_bf16_package",
    ),
    packaged(
        name="torch.aot.int8",
        target="assay.infer.runtimes.inductor.on_torch_packages:load_int8_package",
        summary="AOTInductor, a package of a program that torchao quantised, int8",
        words="AOTInductor in int8",
        not_for=("script",),
        precision="int8",
        reduces=PACKAGE.name,
        maker=f"{MAKERS}_int8:make_int8_package",
        calibrated=True,
        extra="torchao",
        needs=("torchao",),
    ),
    *(
        entry(
            name=f"torch.eager.{precision}",
            target=f"assay.infer.runtimes.on_torch_narrow:load_eager_{precision}",
            summary=f"PyTorch, operator by operator, with weights in {precision} on a GPU",
            words=f"torch.eager in {precision}",
            not_for=("script", "program"),
            devices=("cuda",),
            precision=precision,
            reduces="torch.eager",
            unserved=NO_FILE,
        )
        for precision in ("bf16", "fp16")
    ),
    *(
        entry(
            name=f"torch.{name}.tf32",
            target=f"assay.infer.runtimes.tf32.on_torch:load_{name}",
            summary=f"{words} on a GPU that may round fp32 to TF32",
            words=f"torch.{name} in TF32",
            not_for=not_for,
            devices=("cuda",),
            precision="tf32",
            reduces=f"torch.{name}",
            unserved=NO_GPU_SERVER,
        )
        for name, words, not_for in (
            ("eager", "PyTorch, operator by operator,", ()),
            ("channels_last", "PyTorch eager, NHWC in memory,", ()),
            ("script", "TorchScript, traced and frozen,", ("program",)),
            ("compile", "torch.compile with Inductor", ("script",)),
        )
    ),
)
