"""PyTorch's own runtimes."""

from __future__ import annotations

from assay.runtimes.entry import Family, Looks, RuntimeEntry

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
    licences={"torch": "BSD-3-Clause"},
    extra="cpu",
    profiler="assay.infer.profile.on_torch:TorchRecorder",
    ceilings="assay.infer.ceilings.on_torch",
)
ENTRIES = (
    RuntimeEntry(
        name="torch.eager",
        family=FAMILY,
        target="assay.infer.runtimes.on_torch:load_eager",
        summary="PyTorch, operator by operator",
        formats=("weights", "torch"),
        devices=("cpu", "cuda"),
        operators="assay.infer.operators.on_torch:eager",
        unasked=("study", "model"),
    ),
    RuntimeEntry(
        name="torch.channels_last",
        family=FAMILY,
        target="assay.infer.runtimes.on_torch:load_channels_last",
        summary="PyTorch eager, NHWC in memory",
        formats=("weights", "torch"),
        devices=("cpu", "cuda"),
        operators="assay.infer.operators.on_torch:channels_last",
        unasked=("study",),
    ),
    RuntimeEntry(
        name="torch.script",
        family=FAMILY,
        target="assay.infer.runtimes.on_torch:load_script",
        summary="TorchScript, traced and frozen",
        formats=("weights", "torch"),
        not_for=("program",),
        devices=("cpu", "cuda"),
        operators="assay.infer.operators.on_torch:script",
        unasked=("study", "model"),
    ),
    RuntimeEntry(
        name="torch.compile",
        family=FAMILY,
        target="assay.infer.runtimes.on_torch:load_compile",
        summary="torch.compile with Inductor",
        formats=("weights", "torch"),
        not_for=("script",),
        devices=("cpu", "cuda"),
        operators="assay.infer.operators.on_torch:compiled",
        unasked=("model",),
    ),
)
