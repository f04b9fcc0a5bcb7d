"""A user's own tolerance stands beside the derived one, and neither replaces the other."""

from __future__ import annotations

import pytest

from assay.errors import InputError
from assay.train.brought.own import own_tolerances, read_tolerances, reason_by_own


def test_the_name_of_an_output_may_have_an_equals_sign_and_none_means_all() -> None:
    assert read_tolerances(["a=b=1e-3", "0.5"]) == {"a=b": 1e-3, "": 0.5}
    assert own_tolerances({"b": 1.0, "": 2.0}, ["a", "b"]) == {"a": 2.0, "b": 1.0}
    assert own_tolerances({"b": 1.0}, ["a", "b"]) == {"b": 1.0}
    assert own_tolerances({"b": 0.0}, ["b"]) == {"b": 0.0}


@pytest.mark.parametrize("text", ["", "logits", "logits=", "logits=-1", "logits=nan", "inf", "logits=1e-3x"])
def test_what_is_no_tolerance_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--tolerance cannot be read"):
        read_tolerances([text])


def test_twice_is_once_too_often_and_an_unknown_output_is_named_with_the_known() -> None:
    with pytest.raises(InputError, match="each once"):
        read_tolerances(["a=1", "a=2"])
    with pytest.raises(InputError, match=r"output in --tolerance 'logit'.*logits, scores.*Did you mean 'logits'"):
        own_tolerances({"logit": 1.0}, ["scores", "logits"])


@pytest.mark.parametrize(
    ("reason", "largest", "own", "said"),
    [
        ("", 0.5, None, ""),
        ("", 0.5, 0.5, ""),
        ("", 0.6, 0.5, "differs by 0.6, where 0.5 is your own tolerance and 1 was derived"),
        ("wrong", 0.6, 0.5, "wrong; your own tolerance of 0.5 is exceeded too"),
        ("wrong", 0.4, 0.5, "wrong; your own tolerance of 0.5 is kept"),
        ("not compared", -1.0, 0.5, "not compared"),
    ],
)
def test_both_are_asked(reason: str, largest: float, own: float | None, said: str) -> None:
    assert reason_by_own(reason, largest, own, "1 was derived") == said
