"""The text of a runtime against float64's, tokens a second, and what a causal language model is compared as."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.bench.tasks.causal_lm.page import in_words, refusals, sections_of, sentences, write_page
from assay.bench.tasks.causal_lm.record import DECODER_FILE, Decoder, FollowedText, TokenPace
from assay.bench.tasks.causal_lm.task import TASK
from assay.bench.tasks.causal_lm.text import text_of
from assay.bench.tasks.task import Answers
from assay.errors import InputError
from assay.numerics.agreement import Tolerance
from assay.records.base import Interval
from assay.train.brought.model import Location, Tensor

TOLERANCE = Tolerance(1e-3, "given")
RIGHT = np.array(
    [[[1.0, 0.0, 0.5], [0.0, 2.0, 1.9995], [3.0, 0.0, 0.0]], [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0, 0]]]
)
"""Logits of two records: after the prompt, and after each of two tokens."""
TOKENS = RIGHT[:, :2].argmax(axis=2)


def followed(changed: np.ndarray) -> FollowedText:
    return text_of("torch.eager", "ort.cpu@torch-dynamo", changed, RIGHT, TOKENS, TOLERANCE)


def test_a_text_that_is_float64s_own_agrees_and_never_parts() -> None:
    found = followed((RIGHT + 1e-4).astype(np.float32))
    assert found.passed
    assert found.partings == []
    assert found.by_step == pytest.approx([1e-4] * 3, rel=1e-2)


def test_a_text_parts_at_its_first_other_token_and_a_small_margin_is_a_tie() -> None:
    changed = RIGHT.copy()
    changed[0, 1, 2] += 0.0009  # above the 2.0 beside it, whose margin is 0.0005
    found = followed(changed)
    (parting,) = found.partings
    assert (parting.record, parting.step, parting.expected, parting.found, parting.tie) == (0, 1, 1, 2, True)
    assert parting.margin == pytest.approx(0.0005)
    assert found.passed
    assert found.by_step == pytest.approx([0, 0.0009, 0])


def test_a_text_that_parts_where_float64_is_sure_is_wrong() -> None:
    changed = RIGHT.copy()
    changed[1, 0] = [2.0, 0.0, 1.0]
    changed[1, 1] = [2.0, 0.0, 1.0]  # the first counts: later steps were given the right token
    found = followed(changed)
    (parting,) = found.partings
    assert (parting.record, parting.step, parting.margin, parting.tie) == (1, 0, 1.0, False)
    assert not found.passed
    assert "differs by 2" in found.reason


def test_less_than_fp32_is_judged_by_its_own_rule() -> None:
    changed = RIGHT.copy()
    changed[0, 1, 2] += 0.05
    assert not followed(changed).passed
    narrow = text_of("torch.eager", "torch.compile.bf16", changed, RIGHT, TOKENS, TOLERANCE, "bf16")
    assert narrow.passed
    assert narrow.partings[0].tie


def test_logits_after_the_last_token_are_compared_and_part_nothing() -> None:
    changed = RIGHT.copy()
    changed[0, 2] = [0.0, 5.0, 0.0]
    found = followed(changed)
    assert (found.partings, found.passed) == ([], False)


def test_logits_that_are_not_finite_or_of_another_shape_are_wrong() -> None:
    changed = RIGHT.copy()
    changed[0, 0, 0] = np.nan
    found = followed(changed)
    assert not found.passed
    assert (found.partings[0].found, found.partings[0].tie, found.by_step[0]) == (-1, False, -1.0)
    assert "expected (2, 3, 3)" in followed(RIGHT[:, :2]).reason
    assert not followed(RIGHT[:, :2]).passed


def test_tokens_a_second_are_those_of_a_whole_call() -> None:
    found = Interval(value=2.0, low=1.0, high=4.0).per_second(8)
    assert (found.value, found.low, found.high) == (4000.0, 2000.0, 8000.0)


def decoder(*texts: FollowedText) -> Decoder:
    time = Interval(value=2.0, low=1.9, high=2.1)
    common = {"label": "PyTorch", "tokens": 16, "batch": 1, "threads": 1, "milliseconds": time}
    return Decoder(
        model="hf:tiny", created="2026-01-01T00:00:00+00:00", assay_version="1", command="assay model hf:tiny",
        parts={"prefill": "prefill", "decode": "decode"}, prompt=16, records=2, steps=2, reference="PyTorch in float64",
        paces=[
            TokenPace.model_validate({"part": "prefill", "tokens_a_second": time.per_second(16), **common}),
            TokenPace.model_validate({"part": "decode", "tokens_a_second": time.per_second(1), **common}),
        ],
        texts=list(texts),
    )  # fmt: skip


def test_the_page_and_the_terminal_say_how_fast_and_how_right(tmp_path: Path) -> None:
    changed = RIGHT.copy()
    changed[0, 1, 2] += 0.0009
    tied, wrong = followed(changed), followed(RIGHT + 1)
    lost = FollowedText(prefill="torch.eager", decode="openvino", reason="it does not run")
    found = decoder(tied, wrong, lost)
    said = " ".join(sentences(found))
    assert "is first to the next token, in" in said
    assert "500" in said  # tokens a second
    assert "a tie where the texts part" in said
    assert "openvino could not be followed: it does not run" in said
    assert refusals(found) == [f"{wrong.decode}: {wrong.reason}"]
    assert in_words(tied, found).startswith("the same in 1 of 2 records; parts first at token 2 of record 1")
    assert [one.identifier for one in sections_of(found)] == [
        "found",
        "speed-prefill",
        "speed-decode",
        "texts",
        "parts",
    ]
    text = write_page(found, tmp_path).read_text(encoding="utf-8")
    assert "Every runtime along the text of float64" in text
    (tmp_path / DECODER_FILE).write_text(found.model_dump_json(), encoding="utf-8")
    assert Decoder.read_from(tmp_path / DECODER_FILE, expected="a decoder") == found


def test_a_model_of_transformers_is_compared_as_two_and_any_other_as_itself() -> None:
    model = Location(path=Path("/tiny"), form="named", kind="torch", library="hf")
    parts = TASK.parts_of(model)
    assert {name: one.library for name, one in parts.items()} == {"prefill": "hf-prefill", "decode": "hf-decode"}
    assert TASK.parts_of(parts["decode"]) == {"": parts["decode"]}
    assert TASK.sizes_of({}, {}) == {"tokens": (16, 64, 128)}
    assert TASK.sizes_of({}, {"tokens": (8, 32)}) == {"tokens": (8, 32)}
    for given in (({"tokens": 64}, {}), ({}, {"height": (8, 16)})):
        with pytest.raises(InputError, match="several numbers of tokens"):
            TASK.sizes_of(*given)


def test_the_next_token_is_the_largest_of_the_logits_and_ties_are_excused() -> None:
    logits = Tensor(name="logits", dtype="float32", shape=(1, 3))
    cache = [Tensor(name=f"present_{one}", dtype="float32", shape=(2, 17, 8)) for one in range(2)]
    assert TASK.output_of([logits, *cache], None) == logits
    for outputs in ([logits], [cache[0], logits, cache[1]]):
        with pytest.raises(InputError, match="logits of one token"):
            TASK.output_of(outputs, None)
    with pytest.raises(InputError, match="no right or wrong answers"):
        TASK.output_of([logits, *cache], np.zeros(2))
    base = np.array([[1.0, 2.0, 0.0], [1.0, 0.0, 0.999]])
    found = np.array([[3.0, 2.0, 0.0], [1.0, 0.0, 1.001]])
    judged = TASK.judge(Answers(logits, base, found, "float64", 1e-3))
    assert (judged.flips.flipped, judged.flips.excused, judged.flips.decisions) == (1, 1, 2)
