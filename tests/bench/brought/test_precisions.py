"""The option --precision: files in int8 and fp16; int8 needs real inputs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from assay.bench.auditing.localise import may_be_wrong
from assay.bench.brought.compare import compare_model, mixed_minutes_of, precisions_of, refusals_of_numbers
from assay.bench.brought.exports import with_advice
from assay.bench.brought.work import Wanted
from assay.bench.words.agreement import numbers_in_words
from assay.bench.words.progress import Narrator
from assay.errors import InputError
from assay.export.variants.mixed import MIXED_MINUTES
from assay.records.localisation import LayerSearch, Tried
from assay.records.results import Agreement, Export
from assay.train.brought.model import Location
from tests.bench.report.sample_results import sample_results


def test_a_precision_is_asked_for_once_and_a_share_is_its_older_meaning() -> None:
    assert precisions_of(["int8", "fp16", "int8"]) == (("int8", "fp16"), None)
    assert precisions_of(["0.05"]) == ((), 0.05)
    assert precisions_of(["int8", "0"]) == (("int8",), 0.0)
    assert precisions_of([]) == ((), None)


@pytest.mark.parametrize(
    ("text", "words"),
    [("int4", "int8 or fp16"), ("fp32", "int8 or fp16"), ("bf16", "--runtime openvino.bf16"), ("7", "int8 or fp16")],
)
def test_what_no_file_is_made_in_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match="cannot make such a file") as refused:
        precisions_of([text])
    assert words in str(refused.value)


def test_the_search_time_for_layers_is_only_accepted_with_int8() -> None:
    assert mixed_minutes_of(None, []) == mixed_minutes_of(None, ["int8"]) == MIXED_MINUTES
    assert mixed_minutes_of(0.5, ["fp16", "int8"]) == 0.5
    assert mixed_minutes_of(0, ["int8"]) == 0
    with pytest.raises(InputError, match=r"applies to files in int8.*Add --precision int8"):
        mixed_minutes_of(0.5, ["fp16"])
    for wrong in (-1.0, math.nan, math.inf, 2000.0):
        with pytest.raises(InputError, match=r"from 0 to 1440 minutes, found"):
            mixed_minutes_of(wrong, ["int8"])


def test_int8_needs_real_inputs_and_says_so_before_anything_runs(tmp_path: Path) -> None:
    wanted = Wanted(Location(path=tmp_path / "net.onnx", form="onnx", kind="onnx"), reduced=("int8",))
    with pytest.raises(InputError, match="Give them with --inputs"):
        compare_model(wanted, tmp_path / "out", Narrator())
    assert not (tmp_path / "out").exists()


def variant(status: str, reason: str = "", share: str = "1.9%") -> Export:
    agreement = Agreement(
        subject="s", images=8, max_absolute=0.1, max_relative=0.1, tolerance=0.5, largest_moved=0,
        passed=status == "ok",
        derivation=f"a root-mean-square error of at most 10% of what varies; it is {share}", reason=reason,
    )  # fmt: skip
    like = sample_results().exports[0]
    changes = {"exporter": "torch-dynamo+int8", "precision": "int8", "status": status, "reason": reason}
    return like.model_copy(update={**changes, "agreement": [agreement]})


def test_a_variant_is_distinguished_from_agreement_to_rounding() -> None:
    results = sample_results()
    plain = numbers_in_words(results)
    told = numbers_in_words(results.model_copy(update={"exports": [*results.exports, variant("ok")]}))
    assert told[: len(plain)] == plain
    assert told[-1].startswith("torch-dynamo+int8 follows ")
    assert "it is 1.9%" in told[-1]


def test_a_refused_variant_makes_the_answer_no_and_blames_nothing() -> None:
    results = sample_results()
    refused = variant("failed", "the error is 30% of what varies")
    found = refusals_of_numbers(results.model_copy(update={"exports": [*results.exports, refused]}))
    assert "torch-dynamo+int8 may not be used: the error is 30% of what varies" in found
    assert not any("torch-dynamo+int8 is wrong" in one for one in found)
    assert not may_be_wrong(refused)


def test_the_advice_of_a_task_goes_to_files_that_do_not_follow_and_to_their_search_alone() -> None:
    """The search for layers has no comparison of its own; an fp16 file that no kernel runs gets no advice."""
    refused = variant("failed", "the error is 30%")
    refused = refused.model_copy(
        update={"agreement": [refused.agreement[0].model_copy(update={"ground": "not followed"})]}
    )
    search = variant("failed", "no set of layers").model_copy(update={"agreement": []})
    other = search.model_copy(update={"precision": "fp16", "reason": "no kernel"})
    good = variant("ok").model_copy(update={"precision": "bf16"})
    assert [one.reason for one in with_advice([refused, search, other, good], "compare it without NMS")] == [
        "the error is 30%; compare it without NMS",
        "no set of layers; compare it without NMS",
        "no kernel",
        "",
    ]
    assert with_advice([refused], "") == [refused]
    assert with_advice([variant("failed", "numbers differ")], "compare it without NMS")[0].reason == "numbers differ"


def test_an_int8_file_that_passes_with_layers_in_fp32_is_not_refused() -> None:
    results = sample_results()
    refused = variant("failed", "the error is 30% of what varies")
    left = Tried(left=["conv1", "fc"], error=0.02)
    search = LayerSearch(
        why=refused.reason, judged_on="8 records", layers=9, sensitivities={"conv1": 0.3, "fc": 0.2}, steps=[left],
        full=Tried(left=[], error=0), found=left, ended="minimal", tries=5, seconds=9, allowed_seconds=60,
    )  # fmt: skip
    mixed = variant("ok").model_copy(update={"exporter": "torch-dynamo+int8-mixed", "search": search})
    both = results.model_copy(update={"exports": [*results.exports, refused, mixed]})
    assert not any("may not be used" in one for one in refusals_of_numbers(both))
    assert "torch-dynamo+int8-mixed follows float64 with 2 of 9 layers in fp32 (conv1, fc): " in (
        numbers_in_words(both)[-1].replace("the float64", "float64")
    )
    wrong = results.cells[-1].model_copy(
        update={"exporter": refused.exporter, "agreement": refused.agreement[0], "timed_agreement": None}
    )
    decides_wrongly = results.model_copy(update={"exports": [*results.exports, variant("ok")], "cells": [wrong]})
    assert any(refused.reason in one for one in refusals_of_numbers(decides_wrongly))
    mended = decides_wrongly.model_copy(update={"exports": [*decides_wrongly.exports, mixed]})
    assert not any(refused.reason in one for one in refusals_of_numbers(mended))
    failed = mixed.model_copy(update={"status": "failed", "reason": "none was found"})
    both = results.model_copy(update={"exports": [*results.exports, refused, failed]})
    assert sum("may not be used" in one for one in refusals_of_numbers(both)) == 2
