"""A model and the conditions under which it runs, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # tool environments read this without pydantic
    from pydantic import JsonValue

INPUT_NAME = "image"
OUTPUT_NAME = "logits"
LITERT_FILE = "model.tflite"
"""The file into which a model is converted for LiteRT."""
OPENVINO_FILE = "model.xml"
"""The file into which a model is converted for OpenVINO, with its weights beside it."""
TORCH_PROGRAM_FILE = "program.pt2"
"""A program of torch.export that is made from a model, to be compiled where it runs."""
TORCH_PACKAGE_FILE, TORCH_PACKAGE_OF_ONE_FILE = "any-batch.pt2", "batch-of-one.pt2"
"""Packages of AOTInductor: one for any batch, and one whose code may rely on a batch of one row."""
CPU_ONLY = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
"""Environment variables of a process in which no framework sees a GPU, whatever it would take by itself."""
AS_THE_DRIVER_NUMBERS = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
"""Environment variables of a process whose GPUs are numbered as the driver's library NVML numbers them."""
ENGINES_VARIABLE = "ASSAY_ENGINES"
"""The variable with the folder for what TensorRT builds from a file, which the processes of a run share."""
CUDA_PROVIDER = {"use_tf32": "0", "cudnn_conv_algo_search": "EXHAUSTIVE"}
"""Settings of ONNX Runtime's provider for CUDA, where it is timed and where it is served."""


@dataclass(frozen=True)
class ModelSpec:
    """An architecture at one resolution: all that is needed to build it in any framework.

    Attributes:
        architecture: a name from `assay.registry.ARCHITECTURES`.
        size: height and width of the square input image, in pixels.
        classes: number of classes, the width of the output.
        channels: 3 for colour, 1 for grey.
        skeleton: whether every width is at its least: the same operators in the same order, with next to no arithmetic.
            The weights mean nothing; a skeleton is timed to learn the cost of the framework itself.
    """

    architecture: str
    size: int
    classes: int
    channels: int = 3
    skeleton: bool = False

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of one image: (height, width, channels)."""
        return (self.size, self.size, self.channels)

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the fields, with `skeleton` only where it is set, so that the keys of whole models stay what they
        were.
        """
        fields = asdict(self)
        return fields if self.skeleton else {name: value for name, value in fields.items() if name != "skeleton"}


@dataclass(frozen=True)
class Signature:
    """The one input and one output every model has, as a runtime presents them.

    Attributes:
        input_name: name of the input tensor.
        input_layout: "NHWC" or "NCHW", the order the runtime wants; `Session.prepare` converts.
        image_shape: (height, width, channels), whatever the layout.
        classes: width of the (batch, classes) float32 output.
        output_name: name of the output tensor.
    """

    image_shape: tuple[int, int, int]
    classes: int
    input_layout: str = "NHWC"
    input_name: str = INPUT_NAME
    output_name: str = OUTPUT_NAME


@dataclass(frozen=True)
class Settings:
    """Conditions under which a runtime works, the same for all compared runtimes.

    Attributes:
        threads: compute threads the runtime may use, at least 1.
        cores: processor cores the process is pinned to; empty leaves it unpinned.
        device: "cpu" or "cuda".
    """

    threads: int = 1
    cores: tuple[int, ...] = ()
    device: str = "cpu"
