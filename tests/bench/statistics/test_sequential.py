"""Wald's sequential test, compared with its own limits."""

from __future__ import annotations

import numpy as np
import pytest

from assay.bench.statistics.sequential import Sequential


def test_the_fewest_trials_that_pass() -> None:
    """log(19) / log(0.95 / 0.85) is 26.5."""
    assert Sequential(0.05, 0.15, 0.05).least == 27
    assert Sequential(0.05, 0.15).answer([False] * 26) == "open"
    assert Sequential(0.05, 0.15).answer([False] * 27) == "good"
    assert Sequential(0.05, 0.25).least == 13


def test_the_first_answer_stands() -> None:
    """Three errors at once are one too many for log(19) / log(3), whatever follows them."""
    assert Sequential(0.05, 0.15).answer([True] * 2) == "open"
    assert Sequential(0.05, 0.15).answer([True] * 3) == "bad"
    assert Sequential(0.05, 0.15).answer([True] * 3 + [False] * 1000) == "bad"
    assert Sequential(0.05, 0.15).answer([False] * 27 + [True] * 1000) == "good"
    assert Sequential(0.05, 0.15).answer([]) == "open"


@pytest.mark.parametrize(("rate", "passes"), [(0.02, 1.0), (0.05, 0.95), (0.25, 0.05), (0.4, 0.0)])
def test_wrong_answers_are_as_rare_as_the_risk(rate: float, passes: float) -> None:
    random = np.random.default_rng(int(rate * 100))
    answers = [Sequential(0.05, 0.25, 0.05).answer(random.random(500) < rate) for _ in range(2000)]
    assert "open" not in answers
    assert answers.count("good") / 2000 == pytest.approx(passes, abs=0.025)


def test_it_says_what_its_answer_is_worth() -> None:
    assert Sequential(0.05, 0.15, 0.1).sentence == (
        "of instruments that err in 5% this passes 90%, of those that err in 15% it passes 10%"
    )
