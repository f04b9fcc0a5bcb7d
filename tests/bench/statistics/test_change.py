"""Change points: exact for short series, at their level without a change, and at the right place with one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assay.bench.statistics import change
from assay.bench.statistics.change import change_points, clearest_cut, least_values


def test_fewer_than_eight_values_are_never_a_change() -> None:
    assert least_values() == 8
    assert 2 / math.comb(7, 3) > 0.05 >= 2 / math.comb(8, 4)
    for length in range(8):
        assert change_points([0.0] * (length // 2) + [100.0] * (length - length // 2)) == []
        assert clearest_cut([0.0] * length) is None


def test_the_p_value_of_the_clearest_change_of_eight_is_exact() -> None:
    values = [1.0, 1.1, 1.05, 1.02, 2.0, 2.1, 2.04, 2.07]
    cut = clearest_cut(values)
    assert cut is not None
    assert cut[0] == 4
    assert cut[1] == pytest.approx(2 / math.comb(8, 4))
    found = change_points(values)
    assert [one.place for one in found] == [4]
    assert (found[0].before, found[0].after) == (pytest.approx(1.0425), pytest.approx(2.0525))


def test_a_single_value_that_is_off_is_no_change() -> None:
    assert change_points([1.0, 1.01, 1.02, 1.0, 1.01, 1.02, 1.0, 5.0]) == []


def test_several_changes_are_found_at_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change, "ORDERS", 499)
    random = np.random.default_rng(0)
    levels = np.repeat([0.0, 1.0, 0.3], 8)
    found = change_points((levels + random.normal(0, 0.05, 24)).tolist())
    assert [one.place for one in found] == [8, 16]
    assert [round(one.after, 1) for one in found] == [1.0, 0.3]
    assert all(one.p_value <= 0.05 for one in found)


def test_equal_values_are_no_change() -> None:
    assert change_points([1.0] * 8) == []


def test_without_a_change_it_errs_no_more_often_than_its_level() -> None:
    random, repeats = np.random.default_rng(1), 12
    wrong = sum(bool(change_points(random.standard_normal(8).tolist())) for _ in range(repeats))
    assert wrong <= 3  # 5 % of 12 are 0.6; more than 3 have a chance of 0.2 %
