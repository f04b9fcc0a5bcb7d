"""What can be named in a study file or on the command line, and the code behind each name.

Adding a framework, architecture, runtime, exporter or data set is one file and one line here; the contract
tests run over these tables, so a new line is tested by itself. Targets are text, "module:attribute", so that
knowing a name never imports a framework.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from assay.errors import NotInstalledError, needing, unknown_name


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """Distributions by import package; the scan takes a while, so it is done once in a process."""
    return importlib.metadata.packages_distributions()


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of import packages (tensorflow-cpu provides tensorflow); one that is not installed is left out."""
    wanted = list(packages)
    known = _distributions() if wanted else {}
    return {name: importlib.metadata.version(known[name][0]) for name in wanted if name in known}


@dataclass(frozen=True)
class Entry:
    """One registered name.

    Attributes:
        name: the name users write.
        target: "module:attribute" of the code behind it.
        summary: one line for lists and help texts.
        framework: "torch", "tf", "jax", "onnx" or "" where no framework is involved.
        extra: the extra of this distribution that installs what it needs, or "".
        packages: the import names that must be there for it to work.
        device: that a runtime computes on whatever it is told, "" where it goes by its settings.
    """

    name: str
    target: str
    summary: str
    framework: str = ""
    extra: str = ""
    packages: tuple[str, ...] = ()
    device: str = ""

    def load(self) -> object:
        """Import and return the code behind the name.

        Raises:
            NotInstalledError: a package it needs is missing.
        """
        module, _, attribute = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name and error.name.split(".")[0] in {"assay", "train", "export", "infer", "bench"}:
                raise
            raise NotInstalledError(
                needing(f"'{self.name}'", error),
                remedy=f"Install it with: pip install 'onnx-assay[{self.extra}]'" if self.extra else None,
            ) from error


class Registry(Mapping[str, Entry]):
    """The entries of one kind, by name, in the order in which they are written."""

    def __init__(self, kind: str, entries: list[Entry]) -> None:
        self.kind = kind
        self._entries = {entry.name: entry for entry in entries}

    def __getitem__(self, name: str) -> Entry:
        if name not in self._entries:
            raise unknown_name(self.kind, name, self._entries)
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries


FRAMEWORKS = Registry(
    "framework",
    [
        Entry("torch", "train.on_torch:TorchTrainer", "PyTorch", "torch", "cpu", ("torch",)),
        Entry("tf", "train.on_tf:KerasTrainer", "TensorFlow / Keras", "tf", "cpu", ("tensorflow", "keras")),
        Entry("jax", "train.on_jax:FlaxTrainer", "JAX / Flax NNX", "jax", "cpu", ("jax", "flax", "optax")),
    ],
)

ARCHITECTURES = Registry(
    "architecture",
    [
        Entry("bloodnet", "train.architectures:bloodnet", "compact CNN: three stages of two 3x3 convolutions"),
        Entry("resnet18", "train.architectures:resnet18", "ResNet-18 with the ImageNet stem at every size"),
        Entry("vit-tiny", "train.architectures:vit_tiny", "ViT-Tiny: 12 layers, width 192, average-pooled"),
    ],
)

DATASETS = Registry(
    "data set",
    [
        Entry("bloodmnist", "train.medmnist_sets:load", "BloodMNIST through the medmnist package", extra="cpu"),
        Entry(
            "medmnist",
            "train.medmnist_sets:load",
            "medmnist:<name>, any 2-D single-label MedMNIST set",
            extra="cpu",
        ),
        Entry("pbc", "train.pbc:load", "pbc:<folder or zip>, the original blood-cell images at any resolution"),
        Entry("synthetic", "train.synthetic:load", "procedurally drawn cells of eight kinds, at any resolution"),
        Entry("auto", "train.data:load_auto", "local PBC or npz, else BloodMNIST by download, else synthetic"),
    ],
)

EXPORTERS = Registry(
    "exporter",
    [
        Entry(
            "torch-dynamo",
            "export.from_torch:export",
            "torch.onnx.export(dynamo=True)",
            "torch",
            "cpu",
            ("torch", "onnxscript"),
        ),
        Entry(
            "torch-script",
            "export.from_torchscript:export",
            "torch.onnx.export(dynamo=False)",
            "torch",
            "cpu",
            ("torch",),
        ),
        Entry(
            "tf2onnx",
            "export.from_tf:export",
            "tf2onnx from a tf.function",
            "tf",
            "cpu",
            ("tensorflow", "tf2onnx"),
        ),
        Entry("jax2onnx", "export.from_jax:export", "jax2onnx from Flax NNX", "jax", "cpu", ("jax", "jax2onnx")),
        Entry(
            "jax2tf",
            "export.from_jax2tf:export",
            "jax2tf, then tf2onnx, in a tool environment",
            "jax",
            "cpu",
            (),
        ),
    ],
)

RUNTIMES = Registry(
    "runtime",
    [
        Entry(
            "torch.eager",
            "infer.on_torch:load_eager",
            "PyTorch, operator by operator",
            "torch",
            "cpu",
            ("torch",),
        ),
        Entry(
            "torch.channels_last",
            "infer.on_torch:load_channels_last",
            "PyTorch eager, NHWC in memory",
            "torch",
            "cpu",
            ("torch",),
        ),
        Entry(
            "torch.script",
            "infer.on_torch:load_script",
            "TorchScript, traced and frozen",
            "torch",
            "cpu",
            ("torch",),
        ),
        Entry(
            "torch.compile",
            "infer.on_torch:load_compile",
            "torch.compile with Inductor",
            "torch",
            "cpu",
            ("torch",),
        ),
        Entry("tf.predict", "infer.on_tf:load_predict", "keras.Model.predict", "tf", "cpu", ("tensorflow",)),
        Entry(
            "tf.eager",
            "infer.on_tf:load_eager",
            "TensorFlow, operator by operator",
            "tf",
            "cpu",
            ("tensorflow",),
        ),
        Entry(
            "tf.function",
            "infer.on_tf:load_function",
            "tf.function, a graph without XLA",
            "tf",
            "cpu",
            ("tensorflow",),
        ),
        Entry("tf.xla", "infer.on_tf:load_xla", "tf.function compiled by XLA", "tf", "cpu", ("tensorflow",)),
        Entry("jax.jit", "infer.on_jax:load_jit", "JAX, jitted", "jax", "cpu", ("jax",)),
        Entry("jax.eager", "infer.on_jax:load_eager", "JAX, operator by operator", "jax", "cpu", ("jax",)),
        Entry(
            "ort.cpu",
            "infer.on_ort:load_cpu",
            "ONNX Runtime, CPU execution provider",
            "onnx",
            "cpu",
            ("onnxruntime",),
            device="cpu",
        ),
        Entry(
            "ort.cpu.no-opt",
            "infer.on_ort:load_without_optimisation",
            "ONNX Runtime on the CPU, graph optimisations off",
            "onnx",
            "cpu",
            ("onnxruntime",),
            device="cpu",
        ),
        Entry(
            "ort.cpu.basic",
            "infer.on_ort:load_basic",
            "ONNX Runtime on the CPU, basic graph optimisations",
            "onnx",
            "cpu",
            ("onnxruntime",),
            device="cpu",
        ),
        Entry(
            "ort.cpu.extended",
            "infer.on_ort:load_extended",
            "ONNX Runtime on the CPU, basic and extended graph optimisations",
            "onnx",
            "cpu",
            ("onnxruntime",),
            device="cpu",
        ),
        Entry(
            "ort.cuda",
            "infer.on_ort:load_cuda",
            "ONNX Runtime, CUDA execution provider with I/O binding",
            "onnx",
            "gpu",
            ("onnxruntime",),
            device="cuda",
        ),
        Entry(
            "openvino",
            "infer.on_openvino:load",
            "OpenVINO on the CPU, fp32 inference precision",
            "onnx",
            "openvino",
            ("openvino",),
            device="cpu",
        ),
        Entry(
            "user.torch.eager",
            "infer.on_user_torch:load_eager",
            "your PyTorch model, operator by operator",
            "torch",
            "cpu",
            ("torch",),
        ),
        Entry(
            "user.torch.script",
            "infer.on_user_torch:load_script",
            "your PyTorch model as TorchScript, frozen",
            "torch",
            "cpu",
            ("torch",),
        ),
        Entry(
            "user.torch.compile",
            "infer.on_user_torch:load_compile",
            "your PyTorch model by torch.compile",
            "torch",
            "cpu",
            ("torch",),
        ),
        Entry(
            "user.tf.function",
            "infer.on_user_tf:load_function",
            "your TensorFlow model as a graph without XLA",
            "tf",
            "cpu",
            ("tensorflow",),
        ),
        Entry(
            "user.tf.xla",
            "infer.on_user_tf:load_xla",
            "your TensorFlow model compiled by XLA",
            "tf",
            "cpu",
            ("tensorflow",),
        ),
        Entry(
            "user.jax.jit",
            "infer.on_user_jax:load_jit",
            "your JAX model, jitted",
            "jax",
            "cpu",
            ("jax",),
        ),
        Entry(
            "openvino.bf16",
            "infer.on_openvino:load_bf16",
            "OpenVINO on the CPU, bf16 inference precision",
            "onnx",
            "openvino",
            ("openvino",),
            device="cpu",
        ),
        Entry("null", "infer.null:load", "does nothing: the ruler's own zero"),
        Entry("calibrated", "infer.calibrated:load", "does work of known length, for assay selfcheck"),
        Entry("calibrated.slower3", "infer.calibrated:load_slower_3", "the same and 3 % more of it"),
        Entry("calibrated.slower10", "infer.calibrated:load_slower_10", "the same and 10 % more of it"),
        Entry("calibrated.split", "infer.calibrated:load_split", "known overhead, then a known kernel"),
        Entry("calibrated.skeleton", "infer.calibrated:load_skeleton", "the same overhead without the kernel"),
    ],
)

# Routes to ONNX for models that users bring, by the names of the routes for ours.
USER_EXPORTERS = Registry(
    "exporter of your own models",
    [
        Entry(
            "torch-dynamo",
            "export.from_user_torch:export_dynamo",
            "torch.onnx.export(dynamo=True)",
            "torch",
            "cpu",
            ("torch", "onnxscript"),
        ),
        Entry(
            "torch-script",
            "export.from_user_torch:export_script",
            "torch.onnx.export(dynamo=False)",
            "torch",
            "cpu",
            ("torch",),
        ),
        Entry(
            "tf2onnx",
            "export.from_user_tf:export",
            "tf2onnx from a tf.function",
            "tf",
            "cpu",
            ("tensorflow", "tf2onnx"),
        ),
        Entry("jax2onnx", "export.from_user_jax:export", "jax2onnx from a function", "jax", "cpu", ("jax", "jax2onnx")),
        Entry(
            "jax2tf",
            "export.from_user_jax2tf:export",
            "jax2tf, then tf2onnx, in a tool environment",
            "jax",
            "cpu",
            (),
        ),
    ],
)
