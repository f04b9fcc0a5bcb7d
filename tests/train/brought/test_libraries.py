"""Models that a library makes by name: the defaults can be changed, and the origin of the weights is reported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from assay.boxed.boxing import Box
from assay.errors import AssayError, InputError, NotInstalledError
from assay.export.probing.probe import PROBE, Probed
from assay.jobs.running import run_job
from assay.registry import LIBRARIES
from assay.train.brought.libraries.made import MadeModel, made, with_weights
from assay.train.brought.loaders.loaded import LoadedModel
from assay.train.brought.model import Declared
from assay.train.brought.sources import locate
from tests.user_models import to_probe

IDS = Declared(name="input_ids", dtype="int64", shape=("batch", "tokens"))
MASK = Declared(name="attention_mask", dtype="int64", shape=("batch", "tokens"))
LIMIT_SECONDS = 600


def loaded(*declared: Declared, usual: tuple[Declared, ...] = (IDS, MASK)) -> LoadedModel:
    return LoadedModel(declared, lambda names, without: pytest.fail("nobody calls it"), made=MadeModel(object(), usual))


def test_a_users_options_replace_a_librarys_defaults() -> None:
    own = Declared(name="ids", dtype="int64", shape=(1, 7))
    assert loaded().usual((), {}) == (IDS, MASK)
    assert loaded().usual((own,), {}) == ()
    assert loaded().usual((), {"input_ids": np.zeros((2, 9))}) == (IDS,)
    assert loaded(own).usual((own,), {}) == (own,)  # a model that declares its inputs itself


def test_weights_are_the_librarys_own_or_said_to_be_random() -> None:
    def fails() -> object:
        raise OSError("no network here")

    assert with_weights(lambda: "stored", lambda: pytest.fail("not needed")) == ("stored", "its library's own")
    model, words = with_weights(fails, lambda: "random")
    assert (model, words) == (
        "random",
        "random, drawn with seed 0; its own are not on this machine (no network here)",
    )
    with pytest.raises(OSError, match="no network"):
        with_weights(fails, fails)


def test_a_library_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay.entries.find_spec", lambda name: None)
    extras = dict.fromkeys(("hf", "hf-prefill", "hf-decode", "timm", "torchvision"), "zoo") | {"keras": "tf"}
    for library, extra in extras.items():
        with pytest.raises(NotInstalledError, match=rf"'{library}:model'|{library}:model") as caught:
            made(locate(f"{library}:model"))
        assert f"onnx-assay[{extra}]" in str(caught.value)
    assert list(LIBRARIES) == list(extras)


def probed(folder: Path, text: str, shapes: tuple[str, ...] = (), **dimensions: int) -> Probed:
    request = to_probe(folder, text, *shapes, dimensions=dimensions)
    return run_job(PROBE, request, folder / "log", limit_seconds=LIMIT_SECONDS, box=Box((folder,)))


SMALL = {
    "bert": {"architectures": ["BertForSequenceClassification"], "intermediate_size": 32},
    "gpt2": {"architectures": ["GPT2LMHeadModel"], "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 16},
    "llama": {"architectures": ["LlamaForCausalLM"], "intermediate_size": 32, "num_key_value_heads": 1},
    "vit": {"architectures": ["ViTForImageClassification"], "image_size": 32, "intermediate_size": 32},
    "whisper": {"architectures": ["WhisperModel"], "d_model": 16, "max_source_positions": 20},
}


def written(folder: Path, kind: str) -> Path:
    """A folder as `save_pretrained` writes one, without weights."""
    folder.mkdir()
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50}
    sizes |= {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    sizes |= {"encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    sizes |= {"decoder_start_token_id": 1} if kind == "whisper" else {}
    (folder / "config.json").write_text(json.dumps(sizes | {"model_type": kind} | SMALL[kind]))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "inputs", "first"),
    [
        ("bert", {"input_ids": (64,), "attention_mask": (64,)}, "logits"),
        ("gpt2", {"input_ids": (16,), "attention_mask": (16,)}, "logits"),
        ("llama", {"input_ids": (64,), "attention_mask": (64,)}, "logits"),
        ("vit", {"pixel_values": (3, 32, 32)}, "logits"),
        ("whisper", {"input_features": (80, 40), "decoder_input_ids": (64,)}, "last_hidden_state"),
    ],
)
def test_a_folder_of_hugging_face_goes_as_it_is(
    kind: str, inputs: dict[str, tuple[int, ...]], first: str, tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    found = probed(tmp_path / "probe", str(written(tmp_path / "model", kind)))
    assert {one.name: one.shape for one in found.model.inputs} == inputs
    assert found.model.outputs[0].name == first
    assert found.model.weights.startswith("random, drawn with seed 0: the folder has no .safetensors")
    assert found.reference == "the PyTorch model in float64"
    sized = probed(tmp_path / "sized", str(tmp_path / "model"), **({"tokens": 8} if "input_ids" in inputs else {}))
    assert sized.model.inputs[0].shape == ((8,) if "input_ids" in inputs else inputs[found.model.inputs[0].name])


@pytest.mark.slow
def test_a_folder_brings_no_code_and_no_pickle(tmp_path: Path) -> None:
    """Code that a configuration names is not run, and a pickle of weights is not read: the weights are random then."""
    pytest.importorskip("transformers")
    folder = written(tmp_path / "model", "bert")
    config = json.loads((folder / "config.json").read_text())
    marker = tmp_path / "model" / "marker"
    (folder / "own.py").write_text(f"open({str(marker)!r}, 'w')")
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR.")
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "own.Own"}}))
    found = probed(tmp_path / "probe", str(folder), tokens=8)
    assert found.model.weights.endswith("the folder has no .safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "mine", "auto_map": {"AutoConfig": "own.Own"}}))
    with pytest.raises(InputError):
        probed(tmp_path / "refused", str(folder))
    assert not marker.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "needs", "shape"),
    [
        ("timm:test_vit", "timm", (3, 160, 160)),
        ("torchvision:squeezenet1_1", "torchvision", (3, 224, 224)),
        ("keras:MobileNetV3Small", "keras", (224, 224, 3)),
    ],
)
def test_a_library_makes_a_model_by_its_name(text: str, needs: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    if needs == "timm":
        pytest.importorskip(needs)
    found = probed(tmp_path, text)
    assert [one.shape for one in found.model.inputs] == [shape]
    assert found.model.weights.startswith("random")
    assert found.model.location.name == text.replace(":", "-")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("timm:no_such_model", "Unknown model"),
        ("hf:distilbrt", "Did you mean 'distilbert'?"),
        ("hf:somebody/something", "is not on this machine"),
        ("torchvision:resnt", "Unknown model"),
        ("keras:VGG61", "Unknown model of keras.applications"),
    ],
)
def test_a_name_that_no_library_knows_is_refused_in_words(text: str, words: str, tmp_path: Path) -> None:
    pytest.importorskip("timm")
    with pytest.raises(AssayError) as caught:
        probed(tmp_path, text)
    assert isinstance(caught.value, InputError)
    assert words in str(caught.value)
