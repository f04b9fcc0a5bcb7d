"""A model along a dimension: what is asked for, and how a file's checks at several sizes become one record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from assay.bench.brought.sizes import check_sizes, joined, read_sizes
from assay.bench.brought.work import Wanted
from assay.errors import InputError
from assay.train.brought.model import Location
from tests.bench.report.sample_results import sample_results

WANTED = Wanted(Location(path=Path("net.pt"), form="script", kind="torch"))


def test_one_size_fixes_a_dimension_and_several_are_an_axis() -> None:
    assert read_sizes(["tokens=64", "a=b=2"]) == ({"tokens": 64, "a=b": 2}, {})
    assert read_sizes(["tokens=16,64, 128", "width=8"]) == ({"width": 8}, {"tokens": (16, 64, 128)})
    assert read_sizes([]) == ({}, {})


def test_sizes_of_several_dimensions_go_together() -> None:
    sizes = read_sizes(["height=224,384", "width=224,512"])[1]
    assert replace(WANTED, sizes=sizes).points == [{"height": 224, "width": 224}, {"height": 384, "width": 512}]
    assert WANTED.points == [{}]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["tokens"], "does not give a size.*'tokens'"),
        (["tokens=0"], "does not give a size"),
        (["tokens=16,,64"], "does not give a size"),
        (["tokens=16,x"], "does not give a size"),
        (["=16"], "does not give a size"),
        (["tokens=64,16"], "tokens has sizes that do not ascend.*64,16"),
        (["tokens=16,16"], "do not ascend"),
        (["height=1,2", "width=1,2,3"], "height: 2, width: 3"),
    ],
)
def test_what_is_no_size_is_said(texts: list[str], said: str) -> None:
    with pytest.raises(InputError, match=f"(?s){said}"):
        read_sizes(texts)


def test_given_inputs_have_sizes_of_their_own() -> None:
    check_sizes(replace(WANTED, sizes={"tokens": (1, 2)}))
    check_sizes(replace(WANTED, inputs=Path("a.npz")))
    with pytest.raises(InputError, match="--inputs has its own"):
        check_sizes(replace(WANTED, sizes={"tokens": (1, 2)}, inputs=Path("a.npz")))


def test_a_file_that_fails_at_one_size_has_failed_with_the_size_and_the_node() -> None:
    before = next(one for one in sample_results().exports if one.status == "ok" and one.agreement)
    right = before.model_copy(update={"agreement": before.agreement[:1]})
    fine = joined(right, right, "64 tokens", "16 tokens", [])
    assert (fine.status, len(fine.agreement)) == ("ok", 2)
    assert fine.agreement[1].subject == f"{right.agreement[0].subject}, 64 tokens"
    failed = right.model_copy(update={"status": "failed", "reason": "does not run", "agreement": []})
    wrong = joined(right, failed, "64 tokens", "16 tokens", ["Reshape '/r', whose input 's' is the constant [1, 16]"])
    assert wrong.status == "failed"
    assert [one.passed for one in wrong.agreement] == [True, False]
    assert wrong.reason == (
        "at 64 tokens: does not run; made at 16 tokens, it has that size fixed in Reshape '/r', whose input 's' is the "
        "constant [1, 16]"
    )
