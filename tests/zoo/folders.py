"""Folders as Hugging Face has them, with a configuration alone, pictures for a reader of text, and voices for a
listener.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

WORDS, WIDTH = 300, 32
SMALL = {"vocab_size": WORDS, "hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4,
         "intermediate_size": 64, "max_position_embeddings": 64}  # fmt: skip
CONFIGURATIONS: dict[str, dict[str, object]] = {
    "bert": {**SMALL, "architectures": ["BertForSequenceClassification"]},
    "distilbert": {
        "architectures": ["DistilBertForTokenClassification"], "vocab_size": WORDS, "dim": WIDTH, "hidden_dim": 64,
        "n_layers": 2, "n_heads": 4, "max_position_embeddings": 64,
    },
    "gpt2": {
        "architectures": ["GPT2LMHeadModel"], "vocab_size": WORDS, "n_embd": WIDTH, "n_layer": 2, "n_head": 4,
        "n_positions": 64,
    },
    "llama": {**SMALL, "architectures": ["LlamaForCausalLM"], "num_key_value_heads": 2},
    "vit": {
        "architectures": ["ViTForImageClassification"], "hidden_size": WIDTH, "num_hidden_layers": 2,
        "num_attention_heads": 4, "intermediate_size": 64, "image_size": 32, "patch_size": 8,
    },
    "whisper": {
        "architectures": ["WhisperForConditionalGeneration"], "vocab_size": WORDS, "d_model": WIDTH,
        "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
        "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_source_positions": 50, "max_target_positions": 32,
        "num_mel_bins": 16, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3,
    },
}  # fmt: skip
SIZE = 96
SECONDS, RATE = 8, 16_000
TEXTS = ("Hello 123", "Assay", "ONNX 42", "text here", "a b c", "Model", "River 7", "Stone")


def make(name: str, folder: Path) -> None:
    """Write the folder of a small model."""
    place = folder / name
    place.mkdir()
    (place / "config.json").write_text(json.dumps({"model_type": name, **CONFIGURATIONS[name]}))


def pictures_of_text(folder: Path) -> None:
    """Write pictures (8, 3, 96, 96) of dark text on light paper, as rapidocr prepares them: on random numbers its
    detector gives nothing but rounding error.
    """
    from PIL import Image, ImageDraw  # noqa: PLC0415

    found = []
    for place, text in enumerate(TEXTS):
        picture = Image.new("RGB", (SIZE, SIZE), (235, 235, 225 + place))
        pen = ImageDraw.Draw(picture)
        pen.text((8, 20 + 4 * place), text, fill=(20, 20, 40))
        pen.text((20, 60), text[::-1], fill=(120, 10, 10))
        found.append(((np.asarray(picture, np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1))
    np.savez(folder / "text.npz", x=np.stack(found))


def voices(folder: Path) -> None:
    """Write log-mel features (32, 80, 800), as Whisper's processor makes them, of 32 voices of harmonics that speak
    and stop: for noise, smart-turn's answers differ by a few steps of its quantisation alone.
    """
    np.savez(folder / "voices.npz", input_features=np.stack([_log_mel(_voice(seed)) for seed in range(32)]))


def _voice(seed: int) -> np.ndarray:
    random, times = np.random.default_rng(seed), np.arange(SECONDS * RATE) / RATE
    syllables = random.random(25) * (random.random(25) > 0.3)
    loudness = np.interp(times, np.linspace(0, SECONDS, 25), syllables)
    pitch = (80 + 120 * random.random()) * (1 + 0.1 * np.sin(2 * np.pi * random.random() * 3 * times))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    sound = loudness * sum(np.sin(place * phase) / place * (1 + random.random()) for place in range(1, 20))
    sound[int((3 + 5 * random.random()) * RATE) :] = 0
    return 0.1 * (sound + 0.003 * random.standard_normal(len(times)))


def _log_mel(sound: np.ndarray) -> np.ndarray:
    """Return the logarithms of 80 bands of mel, for each hop of 10 ms, from 8 decades below the loudest on."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(sound, 200), 400)[::160][: SECONDS * 100]
    power = np.abs(np.fft.rfft(windows * np.hanning(400))) ** 2
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + RATE / 1400), 82) / 2595) - 1)
    low, middle, high = (edges[at : at + 80, np.newaxis] for at in range(3))
    hertz = np.fft.rfftfreq(400, 1 / RATE)
    bands = np.maximum(0, np.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle)))
    decades = np.log10(np.maximum(power @ bands.T, 1e-10)).T
    return ((np.maximum(decades, decades.max() - 8) + 4) / 4).astype(np.float32)
