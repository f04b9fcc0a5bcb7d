"""The models of the zoo: where each comes from, how a person asks for it, and what is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.zoo import sklearn_files

Right = Literal["agrees", "differs", "refused"]
"""What Assay has to say: the numbers agree (exit 0, or 1 where a route fails and is told), they differ, or it cannot
compare the model, in a sentence that says what to do.
"""
NETS = Path(__file__).parent / "nets"


@dataclass(frozen=True)
class Member:
    """
    Attributes:
        name: the row's name in the table.
        model: what a person writes for it; "{}" is the folder of what was fetched.
        right: what is right; `words` are part of what is said then.
        options: further words of the command.
        wheel: package that is fetched, without what it depends on, and unpacked; "" where nothing is.
        make: writes files into the folder instead.
        needs: packages without which the row is skipped.
    """

    name: str
    model: str
    right: Right
    words: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    wheel: str = ""
    make: Callable[[Path], None] | None = None
    needs: tuple[str, ...] = ()


AGREES = ("agree",)
MAGIKA, RAPID, SILERO = "magika==1.0.3", "rapidocr-onnxruntime==1.4.4", "silero-vad==6.2.1"
RAPID_MODELS = "{}/rapidocr_onnxruntime/models/"
LETTERS = ("--range", "bytes=0:256")

MEMBERS = (
    Member("magika, type of a file", "{}/magika/models/standard_v3_3/model.onnx", "agrees", AGREES, LETTERS, MAGIKA),
    Member(
        "rapidocr, detector of text", RAPID_MODELS + "ch_PP-OCRv4_det_infer.onnx", "refused",
        ("was not made for random numbers", "--inputs"),
        ("--dimension", "p2o.DynamicDimension.1=96", "--dimension", "p2o.DynamicDimension.2=96"), RAPID,
    ),
    Member(
        "rapidocr, direction of text", RAPID_MODELS + "ch_ppocr_mobile_v2.0_cls_infer.onnx", "agrees", AGREES,
        ("--dimension", "x.2=48", "--dimension", "x.3=96"), RAPID,
    ),
    Member(
        "rapidocr, reader of text", RAPID_MODELS + "ch_PP-OCRv4_rec_infer.onnx", "agrees", AGREES,
        ("--dimension", "x.2=48", "--dimension", "p2o.DynamicDimension.1=96"), RAPID,
    ),
    Member(
        "silero-vad", "{}/silero_vad/data/silero_vad.onnx", "agrees", AGREES,
        ("--value", "sr=16000", "--dimension", "batch=1", "--dimension", "input.1=576", "--dimension", "state.1=1"),
        SILERO,
    ),
    Member("silero-vad, TorchScript", "{}/silero_vad/data/silero_vad.jit", "refused", ("state",),
           ("--shape", "x=1,512", "--shape", "sr=int64:", "--value", "sr=16000"), SILERO),
    Member("scikit-learn, classifier without ZipMap", "{}/plain.onnx", "agrees", AGREES,
           make=sklearn_files.plain, needs=("skl2onnx",)),
    Member("scikit-learn, classifier with ZipMap", "{}/zipmap.onnx", "refused", ("--without output_probability",),
           make=sklearn_files.zipmap, needs=("skl2onnx",)),
    Member("scikit-learn, classifier with ZipMap, its map left out", "{}/zipmap.onnx", "agrees", AGREES,
           ("--without", "output_probability"), make=sklearn_files.zipmap, needs=("skl2onnx",)),
    Member("scikit-learn, forest", "{}/forest.onnx", "agrees", AGREES,
           make=sklearn_files.forest, needs=("skl2onnx",)),
    Member("scikit-learn, words", "{}/words.onnx", "refused", ("token ids instead of text",),
           make=sklearn_files.words, needs=("skl2onnx",)),
    Member("torchvision, MobileNet V3", "torchvision:mobilenet_v3_small", "agrees", AGREES,
           ("--dimension", "height=64", "--dimension", "width=64"), needs=("torchvision",)),
    Member("timm, MobileViT", "timm:mobilevit_xxs", "agrees", AGREES,
           ("--dimension", "height=64", "--dimension", "width=64"), needs=("timm",)),
    Member("transformers, a small BERT of a folder", "hf:{}/bert", "agrees", AGREES, ("--dimension", "tokens=16"),
           make=sklearn_files.bert, needs=("transformers",)),
    Member("Keras, MobileNetV2", "keras:MobileNetV2", "agrees", AGREES, needs=("keras",)),
    Member("Keras, LSTM with a mask", f"{NETS}/keras_nets.py:masked_lstm", "agrees", AGREES, needs=("keras",)),
    Member("Flax NNX, transformer", f"{NETS}/jax_nets.py:transformer", "agrees", AGREES,
           ("--shape", "ids=int32:batch,12"), needs=("flax",)),
    Member("PyTorch, half", f"{NETS}/torch_nets.py:half", "agrees", AGREES, ("--shape", "x=float16:batch,32")),
    Member("PyTorch, dynamic int8", f"{NETS}/torch_nets.py:dynamic_int8", "refused", ("no route gave",),
           ("--shape", "x=batch,32")),
)  # fmt: skip
