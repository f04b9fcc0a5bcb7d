"""An audit of other weights, files or images than those timed is named, and nothing in it counts as current."""

from __future__ import annotations

import pytest

from assay.records.audit import Audit
from assay.records.results import Results
from assay.records.stale import Stale, current_part, in_words, stale_parts
from tests.bench.report.sample_audit import TIMED, keys_of, sample_audit
from tests.bench.report.sample_results import sample_results

MODEL = "bloodnet/28"


def with_changes(**changes: object) -> Audit:
    """The sample, in which only the jax2onnx export failed, with one model changed."""
    found = sample_audit()
    return found.model_copy(update={"models": [found.models[0].model_copy(update=changes)]})


def test_an_audit_of_what_was_timed_is_current() -> None:
    assert stale_parts(sample_audit(), TIMED) == {}
    assert stale_parts(sample_audit(), sample_results()) == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"keys": keys_of(TIMED) | {"weights": "a" * 64}}, "covers the weights aaaaaaaaaaaa, but "),
        ({"keys": {}}, "does not name its weights"),
        ({"data_hash": "b" * 64}, "covers the images bbbbbbbbbbbb, but 5f0c1e6a5f0c was timed"),
        ({"name": "bloodnet/96"}, "have no such model"),
    ],
)
def test_other_weights_or_images_leave_nothing_of_it(changes: dict[str, object], words: str) -> None:
    found = with_changes(**changes)
    stale = stale_parts(found, TIMED)
    (sentence,) = in_words(stale)
    assert words in sentence
    assert current_part(found, stale).models == []
    assert not current_part(found, stale).passed


@pytest.mark.parametrize(
    ("keys", "results", "words"),
    [
        ({"onnx@jax2onnx": "c" * 64}, TIMED, "covers the file cccccccccccc, but "),
        (
            {},
            TIMED.model_copy(update={"exports": [one for one in TIMED.exports if one.exporter != "jax2onnx"]}),
            "have no such export",
        ),
    ],
)
def test_another_export_takes_what_was_compared_on_it_and_the_verdict_with_it(
    keys: dict[str, str], results: Results, words: str
) -> None:
    found = with_changes(keys=keys_of(TIMED) | keys)
    assert not found.passed
    stale = stale_parts(found, results)
    assert stale[MODEL].reason("torch-dynamo") == stale[MODEL].reason("") == ""
    (sentence,) = in_words(stale)
    assert sentence.startswith("bloodnet/28, the export by jax2onnx: ")
    assert words in sentence
    left = current_part(found, stale)
    assert (left.verdict, left.reasons) == ("passed", [])
    (model,) = left.models
    assert {one.subject for one in model.comparisons} == {"torch.eager", "tf.function", "ort.cpu@torch-dynamo"}
    assert {one.subject for one in model.determinism} == {one.subject for one in model.comparisons}
    assert len(model.flipped) == len(found.models[0].flipped)


def test_an_image_that_only_a_stale_export_changes_is_left_out() -> None:
    found = with_changes(keys=keys_of(TIMED) | {"onnx@torch-dynamo": "d" * 64})
    flipped = [
        one.model_copy(update={"classes": {"ort.cpu@torch-dynamo": 2}, "margins": {"ort.cpu@torch-dynamo": 0.1}})
        for one in found.models[0].flipped[:1]
    ]
    found = with_changes(keys=found.models[0].keys, flipped=[*flipped, *found.models[0].flipped[1:]])
    (model,) = current_part(found, stale_parts(found, TIMED)).models
    assert [list(one.classes) for one in model.flipped] == [["torch.eager"], ["torch.eager"]]


def test_models_that_are_not_named_by_a_size_are_found_by_their_name() -> None:
    """Like a user's models, which have no images to compare."""
    cells = [one.model_copy(update={"architecture": "mine.onnx", "size": 0}) for one in TIMED.cells]
    results = TIMED.model_copy(update={"cells": cells, "exports": []})
    found = sample_audit().models[0].model_copy(update={"name": "mine.onnx", "data_hash": "", "comparisons": []})
    audit = sample_audit().model_copy(update={"models": [found]})
    assert stale_parts(audit, results) == {}
    other = results.model_copy(update={"cells": [one.model_copy(update={"weights": "e" * 64}) for one in cells]})
    assert stale_parts(audit, other)["mine.onnx"] != Stale()
