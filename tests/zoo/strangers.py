"""Small models of unusual kinds, each with its command and the right answer."""

from __future__ import annotations

from pathlib import Path

from tests.zoo import onnx_strangers
from tests.zoo.member import AGREES, NETS, Member, Right

ROWS = ("x=batch,8",)


def _of_torch(name: str, function: str, *shapes: str, right: Right = "agrees", words: tuple[str, ...] = ()) -> Member:
    return _of_file(f"PyTorch, {name}", "torch", function, shapes or ROWS, right, words)


def _of_keras(name: str, function: str, *shapes: str, right: Right = "agrees", words: tuple[str, ...] = ()) -> Member:
    return _of_file(f"Keras, {name}", "keras", function, shapes, right, words)


def _of_jax(name: str, function: str, *shapes: str, right: Right = "agrees", words: tuple[str, ...] = ()) -> Member:
    return _of_file(f"JAX, {name}", "jax", function, shapes or ROWS, right, words)


def _of_file(
    name: str, framework: str, function: str, shapes: tuple[str, ...], right: Right, words: tuple[str, ...]
) -> Member:
    options = tuple(word for one in shapes for word in (one.split(" ") if one.startswith("--") else ("--shape", one)))
    said = words or (AGREES if right == "agrees" else ())
    return Member(name, f"{NETS}/{framework}_strangers.py:{function}", right, said, options,
                  needs=() if framework == "torch" else (framework,))  # fmt: skip


def _of_onnx(name: str, file: str, *options: str, right: Right = "agrees", words: tuple[str, ...] = ()) -> Member:
    def make(folder: Path) -> None:
        getattr(onnx_strangers, file)(folder / f"{file}.onnx")

    said = words or (AGREES if right == "agrees" else ())
    return Member(f"ONNX, {name}", f"{{}}/{file}.onnx", right, said, options, make=make)


STRANGERS = (
    _of_torch("a gradient of its own", "OwnGradient"),
    _of_torch("a buffer that counts calls", "CountsCalls"),
    _of_torch("a table made in the first call", "LazyTable", "x=batch,6,8"),
    _of_torch("layers that take their sizes from the first call", "LazyLayers", "image=batch,3,8,8"),
    _of_torch("tied weights", "Tied", "ids=int64:batch,6"),
    _of_torch("a script with loops and branches", "script"),
    _of_torch("a script inside a module", "ScriptInside"),
    _of_torch("complex numbers inside", "Spectrum", "x=batch,16"),
    _of_torch("NaN replaced", "WithoutNan"),
    _of_torch("half inside", "HalfInside"),
    _of_torch("a dataclass, a dictionary, text and keywords", "Answers", "left=batch,8", "right=batch,8"),
    _of_torch("a list and nested dictionaries as inputs", "Several", "parts.0=batch,3", "parts.1=batch,3",
              "batch.image.left=batch,2", "batch.scale=batch,1"),
    _of_torch("large and small numbers", "Large"),
    _of_torch("more than fp32 holds", "Overflows", right="refused", words=("infinite or NaN throughout",)),
    _of_torch("a photo in bytes", "Photo", "photo=uint8:batch,16,16,3"),
    _of_torch("writing to its input", "WritesToInput"),
    _of_torch("returning its input", "ReturnsInput"),
    _of_torch("a function", "plain_function"),
    _of_torch("sums that cancel", "Statistics"),
    _of_torch("sorting", "Sorted"),
    _of_torch("dropout that stays on", "StaysInTraining", right="refused", words=("draws random numbers",)),
    _of_torch("a pair as its state", "Recurrent", "x=batch,4", "state.0=batch,8", "state.1=batch,8"),
    _of_torch("numpy inside", "OfNumpy"),
    _of_torch("torch.compile", "compiled", words=(*AGREES, "torch.compile() is removed")),
    _of_torch("DataParallel", "parallel", words=(*AGREES, "DataParallel is removed")),
    _of_torch("a branch on values", "Gated", "x=4,8", right="differs"),  # a trace has one side of it
    _of_torch("a loss", "Scalar", "x=6,8", "y=6,8"),
    _of_torch("unsigned whole numbers", "Unsigned", "codes=uint16:batch,8"),
    _of_torch("a class that needs arguments", "NotGiven", right="refused", words=("def build(): return NotGiven",)),
    _of_keras("two inputs in a dictionary", "two_inputs"),
    _of_keras("a class", "subclassed", "x=batch,6"),
    _of_keras("a class that takes a dictionary", "parts", "batch.a=batch,3", "batch.b=batch,4"),
    _of_keras("a layer of its own", "own_layer"),
    _of_keras("GRU with a mask, both ways", "masked_gru"),
    _of_keras("an LSTM with a state", "stateful", right="refused", words=("keeps a state",)),
    _of_keras("Lambda, of what tf2onnx lacks", "with_lambda", right="refused", words=("Log1p, which is not part",)),
    _of_keras("photos in bytes, resized", "prepares_images", words=(*AGREES, "in a tf.function differ")),
    _of_keras("Normalization", "normalises"),
    _of_keras("bins and categories", "bins", right="refused", words=("Bucketize, which is not part",)),
    _of_keras("TextVectorization", "vectorises", right="refused", words=("token ids instead of text",)),
    _of_keras("attention", "attends"),
    _of_keras("ConvLSTM", "moves"),
    _of_keras("many layers", "of_everything"),
    _of_keras("a tf.function of a dictionary and a list", "nested"),
    _of_keras("a spectrum", "spectrum"),
    _of_keras("any rank", "any_rank", "x=batch,8"),
    _of_keras("loops and branches", "loops"),
    _of_keras("a table", "table", right="refused", words=("different inputs from the model",)),
    _of_jax("trees in and out", "trees", "batch.image=batch,8", "states.0=batch,16", "states.1=int32:batch"),
    _of_jax("scan", "scanned", "xs=batch,5,8"),
    _of_jax("a gradient of its own", "straight_through"),
    _of_jax("bf16 inside", "narrow", right="refused", words=("lacks an operator",)),
    _of_jax("a table in a closure", "closure", "ids=int32:batch,6"),
    _of_jax("whole numbers", "whole", "codes=int32:batch,8"),
    _of_jax("a key inside", "keyed", right="differs"),  # jax2onnx draws other numbers
    _of_jax("a key as an input", "with_key", "x=4,8", "key=uint32:2", right="refused", words=("lacks an operator",)),
    _of_jax("vmap", "vmapped", "x=batch,8", "y=batch,8"),
    _of_jax("the gradient of an energy", "gradient"),
    _of_jax("a spectrum", "spectrum", "x=batch,16", right="refused", words=("which is not part of ONNX",)),
    _of_jax("sorting", "searches"),
    _of_jax("a loop that ends by its values", "until", "x=4,8"),
    _of_jax("a branch on values", "chosen", "x=4,8"),
    _of_jax("linear equations", "solved", "a=batch,4,4", "b=batch,4", right="refused", words=("no route gave",)),
    _of_jax("a static argument", "with_static"),
    _of_jax("a loss", "loss", "x=6,8", "y=6,8"),
    _of_jax("a partial", "partial", "x=batch,8"),
    _of_onnx("opset 7, initialisers as inputs", "opset_7"),
    _of_onnx("opset 25", "opset_25"),
    _of_onnx("an opset that nobody knows", "opset_of_tomorrow", right="refused"),
    _of_onnx("Loop and If", "if_and_loop"),
    _of_onnx("Scan", "scan"),
    _of_onnx("any rank", "any_rank", "--shape", "x=batch,5"),
    _of_onnx("no shapes", "without_shapes", "--dimension", "x.1=4"),
    _of_onnx("an operator that ONNX Runtime lacks", "swish"),
    _of_onnx("nodes of one name", "same_names", right="refused", words=("two nodes with same node name",)),
    _of_onnx("an operator that nobody has", "own_domain", right="refused", words=("Mystery",)),
    _of_onnx("an operator of the file's own", "own_function"),
    _of_onnx("operators of ONNX Runtime", "contributed"),
    _of_onnx("sparse weights", "sparse"),
    _of_onnx("an unused input", "unused_input"),
    _of_onnx("words", "words"),
    _of_onnx("QLinearMatMul", "qlinear"),
    _of_onnx("an empty output", "empty_output", words=("Output 'none' is left out",)),
    _of_onnx("int64 that overflows", "int64_overflow"),
    _of_onnx("one value as two outputs", "output_twice", "--without", "fixed"),
    _of_onnx("a constant as an output", "output_twice", right="refused", words=("--without fixed",)),
    _of_onnx("an output listed twice", "listed_twice"),
    _of_onnx("an input as an output", "passes_on"),
    _of_onnx("nodes out of order", "unsorted"),
    _of_onnx("float64", "of_doubles"),
    _of_onnx("weights beside it", "beside_it"),
    _of_onnx("made for a batch of one", "of_one_image", right="refused"),
    _of_onnx("a photo in bytes", "normalises_in_place"),
)  # fmt: skip
