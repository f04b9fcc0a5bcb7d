"""The models of the zoo: where each comes from, how a person asks for it, and what is right."""

from __future__ import annotations

from functools import partial

from tests.zoo import folders, sklearn_files
from tests.zoo.member import AGREES, NETS, Member
from tests.zoo.strangers import STRANGERS

MAGIKA, RAPID, SILERO = "magika==1.0.3", "rapidocr-onnxruntime==1.4.4", "silero-vad==6.2.1"
SPEECH, PIPECAT, OCR, NUDE, PITCH = (
    "speechmos==0.0.1.1", "pipecat-ai==1.14.0", "ddddocr==1.6.1", "nudenet==3.4.2", "basic-pitch==0.4.0",
)  # fmt: skip
RAPID_MODELS, SILERO_MODELS = "{}/rapidocr_onnxruntime/models/", "{}/silero_vad/data/"
LETTERS = ("--range", "bytes=0:256")
VOICE = ("--dimension", "batch=1", "--dimension", "sequence=576")
SMALL_IMAGE = ("--dimension", "height=64", "--dimension", "width=64")
TOKENS = ("--dimension", "tokens=16")


def _of_sklearn(name: str, file: str, *options: str) -> Member:
    """A pipeline of scikit-learn that `sklearn_files` has under the file's name."""
    made = getattr(sklearn_files, file)
    return Member(f"scikit-learn, {name}", f"{{}}/{file}.onnx", "agrees", AGREES, options, make=made,
                  needs=("skl2onnx",))  # fmt: skip


def _of_folder(name: str, folder: str, *options: str) -> Member:
    """A small model of transformers, from a folder with a configuration alone."""
    return Member(f"transformers, {name}", f"hf:{{}}/{folder}", "agrees", AGREES, options,
                  make=partial(folders.make, folder), needs=("transformers",))  # fmt: skip


MEMBERS = (
    Member("magika, type of a file", "{}/magika/models/standard_v3_3/model.onnx", "agrees", AGREES, LETTERS, MAGIKA),
    Member("rapidocr, detector of text", RAPID_MODELS + "ch_PP-OCRv4_det_infer.onnx", "agrees", AGREES,
           ("--inputs", "{made}/text.npz"), RAPID, make=folders.pictures_of_text, needs=("PIL",)),
    Member(
        "rapidocr, direction of text", RAPID_MODELS + "ch_ppocr_mobile_v2.0_cls_infer.onnx", "agrees", AGREES,
        ("--dimension", "x.2=48", "--dimension", "x.3=96"), RAPID,
    ),
    Member(
        "rapidocr, reader of text", RAPID_MODELS + "ch_PP-OCRv4_rec_infer.onnx", "agrees", AGREES,
        ("--dimension", "x.2=48", "--dimension", "p2o.DynamicDimension.1=96"), RAPID,
    ),
    Member(
        "silero-vad", SILERO_MODELS + "silero_vad.onnx", "agrees", AGREES,
        ("--value", "sr=16000", "--dimension", "batch=1", "--dimension", "input.1=576", "--dimension", "state.1=1"),
        SILERO,
    ),
    Member("silero-vad, opset 15", SILERO_MODELS + "silero_vad_16k_op15.onnx", "agrees", AGREES,
           ("--value", "sr=16000", *VOICE), SILERO),
    Member("silero-vad, without If", SILERO_MODELS + "silero_vad_op18_ifless.onnx", "agrees", AGREES,
           ("--value", "sr=16000", *VOICE), SILERO),
    Member("silero-vad, weights in half", SILERO_MODELS + "silero_vad_half.onnx", "agrees", AGREES, VOICE, SILERO),
    Member("silero-vad, TorchScript", SILERO_MODELS + "silero_vad.jit", "refused", ("state",),
           ("--shape", "x=1,512", "--shape", "sr=int64:", "--value", "sr=16000"), SILERO),
    Member("speechmos, DNSMOS", "{}/speechmos/dnsmos_models/model_v8.onnx", "agrees", AGREES, wheel=SPEECH),
    Member("speechmos, AECMOS", "{}/speechmos/aecmos_models/Run_1663829550_Stage_0.onnx", "agrees", AGREES,
           ("--dimension", "batch_size=1", "--dimension", "frames=32"), SPEECH),
    Member("speechmos, PLCMOS", "{}/speechmos/plcmos_models/plcmos_v2.onnx", "agrees", AGREES,
           ("--dimension", "batch_size=1", "--dimension", "frames=32"), SPEECH),
    # ONNX Runtime's own optimiser, without Assay: on these voices its answers are off by 21 % of their variation, and
    # some cross 0.5 (0.44 becomes 0.56); without optimisations the file agrees.
    Member("pipecat, smart-turn in int8",
           "{}/pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx", "refused", ("the file is right",),
           ("--inputs", "{made}/voices.npz"), PIPECAT, make=folders.voices),
    Member("ddddocr, reader of captchas", "{}/ddddocr/common_old.onnx", "agrees", AGREES,
           ("--dimension", "image_width=64"), OCR),
    Member("nudenet, detector", "{}/nudenet/320n.onnx", "agrees", AGREES, SMALL_IMAGE, NUDE),
    Member("basic-pitch, notes of music", "{}/basic_pitch/saved_models/icassp_2022/nmp.onnx", "agrees", AGREES,
           wheel=PITCH),
    _of_sklearn("classifier without ZipMap", "plain"),
    _of_sklearn("classifier with ZipMap", "zipmap"),
    _of_sklearn("classifier whose classes are words", "named_classes"),
    _of_sklearn("forest", "forest"),
    _of_sklearn("gradient boosting", "boosted"),
    _of_sklearn("perceptron", "perceptron"),
    _of_sklearn("support vectors", "support_vectors"),
    _of_sklearn("nearest neighbours", "neighbours"),
    _of_sklearn("ridge regression", "regression"),
    _of_sklearn("forest for regression", "forest_regression"),
    _of_sklearn("k-means", "clusters"),
    _of_sklearn("principal components", "components"),
    _of_sklearn("a column of words", "words"),
    _of_sklearn("two columns of words, others refused", "several_words"),
    _of_sklearn("words of texts", "sentences"),
    Member("torchvision, MobileNet V3", "torchvision:mobilenet_v3_small", "agrees", AGREES, SMALL_IMAGE,
           needs=("torchvision",)),
    Member("torchvision, EfficientNet B0", "torchvision:efficientnet_b0", "agrees", AGREES, SMALL_IMAGE,
           needs=("torchvision",)),
    Member("timm, a small ViT", "timm:test_vit", "agrees", AGREES, needs=("timm",)),
    Member("timm, MobileViT", "timm:mobilevit_xxs", "agrees", AGREES, SMALL_IMAGE, needs=("timm",)),
    _of_folder("BERT", "bert", *TOKENS),
    _of_folder("DistilBERT", "distilbert", *TOKENS),
    _of_folder("GPT-2", "gpt2", *TOKENS),
    _of_folder("Llama", "llama", *TOKENS),
    _of_folder("ViT", "vit"),
    _of_folder("Whisper", "whisper"),
    Member("Keras, MobileNetV2", "keras:MobileNetV2", "agrees", AGREES, needs=("keras",)),
    Member("Keras, LSTM with a mask", f"{NETS}/keras_nets.py:masked_lstm", "agrees", AGREES, needs=("keras",)),
    Member("Flax NNX, transformer", f"{NETS}/jax_nets.py:transformer", "agrees", AGREES,
           ("--shape", "ids=int32:batch,12"), needs=("flax",)),
    Member("PyTorch, half", f"{NETS}/torch_nets.py:half", "agrees", AGREES, ("--shape", "x=float16:batch,32")),
    Member("PyTorch, boxes that are found", f"{NETS}/torch_nets.py:boxes", "agrees", AGREES, ("--shape", "x=1,8")),
    Member("PyTorch, complex numbers beside real ones", f"{NETS}/torch_nets.py:spectrum", "agrees",
           ("agree", "Output 'spectrum' is left out"), ("--shape", "x=batch,32")),
    Member("PyTorch, dynamic int8", f"{NETS}/torch_nets.py:dynamic_int8", "refused", ("no route gave",),
           ("--shape", "x=batch,32")),
    *STRANGERS,
)  # fmt: skip
