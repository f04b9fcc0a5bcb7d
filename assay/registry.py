"""Names that a study file or the command line may use, and the code behind each.

Adding a framework, architecture, exporter, data set or task takes one file and one line here; a runtime is an entry in
`assay/runtimes/`. The contract tests run over these tables, so a new line is tested by itself. Targets are text,
"module:attribute", so that knowing a name never imports a framework.
"""

from __future__ import annotations

from dataclasses import replace

from assay.entries import Entry, ExporterEntry, Registry, TaskEntry, installed_versions
from assay.runtimes.known import KnownRuntimes

__all__ = [
    "ARCHITECTURES",
    "DATASETS",
    "EXPORTERS",
    "FRAMEWORKS",
    "GIVEN",
    "LIBRARIES",
    "METRICS",
    "PLAIN_TASK",
    "REFERENCES",
    "RUNTIMES",
    "TASKS",
    "TASK_OF_ARCHITECTURES",
    "Entry",
    "Registry",
    "installed_versions",
]

FRAMEWORKS = Registry(
    "framework",
    [
        Entry("torch", "assay.train.trainers.on_torch:TorchTrainer", "PyTorch", "torch", "torch", ("torch",)),
        Entry(
            "tf", "assay.train.trainers.on_tf:KerasTrainer", "TensorFlow / Keras", "tf", "tf", ("tensorflow", "keras")
        ),
        Entry(
            "jax", "assay.train.trainers.on_jax:FlaxTrainer", "JAX / Flax NNX", "jax", "jax", ("jax", "flax", "optax")
        ),
    ],
)

REFERENCES = Registry(
    "reference",
    [
        *(
            replace(FRAMEWORKS[name], target=f"assay.export.reference.on_{name}:forward", summary=words)
            for name, words in (("torch", "PyTorch"), ("jax", "JAX"), ("tf", "TensorFlow"))
        ),
        Entry("numpy", "assay.export.reference.on_numpy:forward", "NumPy"),
    ],
)
"""Whatever computes our architectures in float64: the first that is installed is the reference, and the second, at
last NumPy, checks it.
"""

ARCHITECTURES = Registry(
    "architecture",
    [
        Entry("bloodnet", "assay.train.architectures:bloodnet", "compact CNN: three stages of two 3x3 convolutions"),
        Entry("resnet18", "assay.train.architectures:resnet18", "ResNet-18 with the ImageNet stem at every size"),
        Entry("vit-tiny", "assay.train.architectures:vit_tiny", "ViT-Tiny: 12 layers, width 192, average-pooled"),
    ],
)

DATASETS = Registry(
    "data set",
    [
        Entry(
            "bloodmnist",
            "assay.train.datasets.medmnist_sets:load",
            "BloodMNIST through the medmnist package",
            extra="train",
            packages=("medmnist",),
        ),
        Entry(
            "medmnist",
            "assay.train.datasets.medmnist_sets:load",
            "medmnist:<name>, any 2-D single-label MedMNIST set",
            extra="train",
            packages=("medmnist",),
        ),
        Entry(
            "pbc",
            "assay.train.datasets.pbc:load",
            "pbc:<folder or zip>, the original blood-cell images at any resolution",
            extra="train",
            packages=("PIL",),
        ),
        Entry(
            "synthetic",
            "assay.train.datasets.synthetic:load",
            "procedurally drawn cells of eight classes, at any resolution",
        ),
        Entry(
            "auto",
            "assay.train.datasets.data:load_auto",
            "local PBC or npz, else BloodMNIST by download, else synthetic",
        ),
    ],
)

EXPORTERS = Registry(
    "exporter",
    [
        ExporterEntry(
            "torch-dynamo",
            "assay.export.routes.from_torch:export",
            "torch.onnx.export(dynamo=True)",
            "torch",
            "torch",
            ("torch", "onnxscript"),
            not_for=("script",),
        ),
        ExporterEntry(
            "torch-script",
            "assay.export.routes.from_torchscript:export",
            "torch.onnx.export(dynamo=False)",
            "torch",
            "torch",
            ("torch",),
            not_for=("program",),
        ),
        ExporterEntry(
            "tf2onnx",
            "assay.export.routes.from_tf:export",
            "tf2onnx from a tf.function",
            "tf",
            "tf",
            ("tensorflow", "tf2onnx"),
        ),
        ExporterEntry(
            "jax2onnx",
            "assay.export.routes.from_jax:export",
            "jax2onnx from Flax NNX or a function",
            "jax",
            "jax",
            ("jax", "jax2onnx"),
        ),
        ExporterEntry(
            "jax2tf",
            "assay.export.routes.from_jax2tf:export",
            "jax2tf, then tf2onnx, in a tool environment",
            "jax",
            "jax",
            (),
        ),
    ],
)

LIBRARIES = Registry(
    "library of models",
    [
        Entry(
            "hf",
            "assay.train.brought.libraries.from_transformers:make",
            "Hugging Face transformers: a folder, a name on the hub or a type of model",
            "torch",
            "zoo",
            ("transformers", "torch"),
        ),
        Entry(
            "hf-prefill",
            "assay.train.brought.libraries.from_decoders:make_prefill",
            "a causal language model of transformers: from a prompt to the next token's logits and a cache",
            "torch",
            "zoo",
            ("transformers", "torch"),
        ),
        Entry(
            "hf-decode",
            "assay.train.brought.libraries.from_decoders:make_decode",
            "the same: from one more token and the cache to the next token's logits",
            "torch",
            "zoo",
            ("transformers", "torch"),
        ),
        Entry("timm", "assay.train.brought.libraries.from_timm:make", "timm", "torch", "zoo", ("timm", "torch")),
        Entry(
            "torchvision",
            "assay.train.brought.libraries.from_torchvision:make",
            "torchvision",
            "torch",
            "zoo",
            ("torchvision", "torch"),
        ),
        Entry("keras", "assay.train.brought.libraries.from_keras:make", "keras.applications", "tf", "tf", ("keras",)),
    ],
)
"""Libraries that make a model by its name there: `hf:distilbert`, `timm:convnext_atto`."""

METRICS = Registry(
    "library of metrics",
    [
        Entry(
            "sklearn",
            "assay.bench.tasks.metrics.from_sklearn:make",
            "scikit-learn's, such as f1_macro or accuracy_score",
            packages=("sklearn",),
        ),
        Entry(
            "torchmetrics",
            "assay.bench.tasks.metrics.from_torchmetrics:make",
            "torchmetrics', such as MulticlassF1Score",
            "torch",
            packages=("torchmetrics", "torch"),
        ),
    ],
)
"""Libraries that have a metric by its name: `--metric sklearn:f1_macro`."""

GIVEN = "given"
"""The name that replaces an exporter's for an ONNX file that the user brings: it is inspected and checked like an
export.
"""

RUNTIMES = KnownRuntimes()

TASKS = Registry(
    "task",
    [
        TaskEntry(
            "classification",
            "assay.bench.tasks.classification.task:TASK",
            "one class for each record: accuracy, flips",
            reduced="assay.numerics.classification.reduced:BY_CLASSES",
            hub="image-classification",
        ),
        TaskEntry(
            "segmentation",
            "assay.bench.tasks.segmentation:TASK",
            "one class for each pixel: pixel accuracy, mean IoU, flips",
            reduced="assay.numerics.segmentation:BY_PIXELS",
            hub="image-segmentation",
        ),
        TaskEntry(
            "detection",
            "assay.bench.tasks.detection:TASK",
            "boxes: those without a partner of their class, matched by IoU",
            reduced="assay.numerics.reduced:BY_BOXES",
            hub="object-detection",
        ),
        TaskEntry(
            "causal-lm",
            "assay.bench.tasks.causal_lm.task:TASK",
            "the next token: prefill and decode with a cache, greedy text, flips",
            hub="text-generation",
        ),
        TaskEntry("numerical", "assay.bench.tasks.numerical:TASK", "plain numbers, only compared with float64"),
    ],
)

PLAIN_TASK = "numerical"
"""The task of a model whose answers nobody has described."""
TASK_OF_ARCHITECTURES = "classification"
