"""`assay model hf:FOLDER --task causal-lm`, to its end, with a small GPT-2 and a small Llama with grouped-query
attention, of random weights.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.bench.tasks.causal_lm.page import PAGE_FILE
from assay.bench.tasks.causal_lm.record import DECODER_FILE, Decoder
from assay.records.results import RESULTS_FILE, read_results
from tests.bench.cli.test_cli import assay

pytestmark = pytest.mark.slow
pytest.importorskip("transformers")

SIZES, LAYERS = (8, 24), 2
CONFIGS = {
    "gpt2": {
        "architectures": ["GPT2LMHeadModel"], "n_positions": 64, "n_embd": 32, "n_layer": LAYERS, "n_head": 4,
    },
    "llama": {
        "architectures": ["LlamaForCausalLM"], "max_position_embeddings": 64, "hidden_size": 32,
        "intermediate_size": 64, "num_hidden_layers": LAYERS, "num_attention_heads": 4, "num_key_value_heads": 2,
    },
}  # fmt: skip
NATIVE = ("torch.eager", "torch.compile.static-cache")


@pytest.mark.parametrize(("kind", "heads"), [("gpt2", 4), ("llama", 2)])
def test_prefill_and_decode_are_compared_and_the_text_is_followed(kind: str, heads: int, tmp_path: Path) -> None:
    model = tmp_path / f"tiny-{kind}"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"model_type": kind, "vocab_size": 211, **CONFIGS[kind]}))
    runtimes = [word for name in (*NATIVE, "ort.cpu") for word in ("--runtime", name)]
    sizes = ("--dimension", f"tokens={','.join(map(str, SIZES))}", "--minutes", "12", "--interval-width", "0")
    done = assay("model", f"hf:{model}", "--task", "causal-lm", *sizes, *runtimes, folder=tmp_path)
    assert done.returncode in {0, 1}, done.stderr
    (place,) = (tmp_path / "artifacts").glob("model-*")
    for part in ("prefill", "decode"):
        results = read_results(place / part / RESULTS_FILE)
        assert {one.exporter for one in results.exports if one.status == "ok"} >= {"torch-dynamo"}
        assert f"[batch, {heads}, {SIZES[0]}, 8]" in str(results.settings["outputs" if part == "prefill" else "inputs"])
        timed = [cell for cell in results.cells if cell.framework and cell.status == "ok"]
        assert {cell.size for cell in timed} == set(SIZES)
        assert {cell.runtime for cell in timed} == {"torch.eager", "ort.cpu"} | (
            {NATIVE[1]} if part == "decode" else set()
        )
        assert all(cell.agreement and cell.agreement.passed for cell in timed)
        assert all(cell.judgement and cell.judgement.flips.flipped == 0 for cell in timed)
    found = Decoder.read_from(place / DECODER_FILE, expected="a decoder")
    assert (found.prompt, found.steps, found.records) == (SIZES[0], SIZES[1] - SIZES[0], 4)
    assert {one.decode for one in found.texts} >= {*NATIVE, "ort.cpu@torch-dynamo"}
    assert all(one.passed for one in found.texts), [one.reason for one in found.texts]
    assert all(len(one.by_step) == found.steps + 1 for one in found.texts)
    assert {one.part for one in found.paces} <= {"prefill", "decode"}  # on a busy machine none may be ranked
    assert "agree with PyTorch in float64 at every step" in done.stdout
    assert "Every runtime along the text of float64" in (place / PAGE_FILE).read_text(encoding="utf-8")


def test_one_number_of_tokens_is_refused(tmp_path: Path) -> None:
    done = assay("model", "hf:gpt2", "--task", "causal-lm", "--dimension", "tokens=8", folder=tmp_path)
    assert done.returncode == 2
    assert "several numbers of tokens" in done.stderr
