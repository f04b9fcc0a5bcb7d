"""Every model of the zoo gets the verdict that is right, or a sentence that says what to do, and never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.zoo.member import Member
from tests.zoo.members import MEMBERS
from tests.zoo.table import PAGE, read_results, table
from tests.zoo.visit import visit


@pytest.mark.slow
@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_a_model_of_the_zoo_gets_the_right_verdict(member: Member, tmp_path: Path) -> None:
    found = visit(member, tmp_path)
    assert "Traceback" not in found.said
    for words in member.words:
        assert words in found.said
    assert ("does NOT agree" in found.said or "is wrong" in found.said) == (member.right == "differs"), found.said
    if member.right == "agrees":  # a busy machine or a short time refuses a ranking, and no numbers
        assert found.code == 0 or "nothing is compared" in found.said or "nothing could be timed" in found.said


def test_the_documentation_has_the_results_and_every_answer_is_right() -> None:
    found = read_results()
    assert table() in PAGE.read_text("utf-8")
    assert {one.name for one in found} <= {one.name for one in MEMBERS}
    assert [one.name for one in found if one.answer != one.right] == []
    assert {one.name: one.right for one in found} == {
        one.name: one.right for one in MEMBERS if one.name in {other.name for other in found}
    }


def test_members_have_names_of_their_own() -> None:
    names = [one.name for one in MEMBERS]
    assert len(set(names)) == len(names)
