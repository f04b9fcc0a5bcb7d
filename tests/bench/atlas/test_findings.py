"""Findings become squares, counts, sentences and a page; nothing is run here."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.bench.atlas.attempts import Attempt, OperatorRequest, finding_on
from assay.bench.atlas.exported import _apart, is_near, verdict_of
from assay.bench.atlas.page import render_atlas
from assay.bench.atlas.record import DEFECTS, MEANINGS, Atlas, Finding, OperatorFindings, Verdict
from assay.bench.atlas.run import FOUND, KIND, keep
from assay.bench.atlas.suites.suite import Sample, with_further_numbers
from assay.bench.atlas.summary import WORST_FIRST, squares, table_of
from assay.bench.atlas.words import spoken
from assay.export.record import Judged
from assay.numerics.agreement import NOT_COMPARED
from assay.records.results import Agreement
from assay.store import Store, may_end_otherwise

LOST = Agreement(
    subject="",
    images=1,
    max_absolute=NOT_COMPARED,
    max_relative=NOT_COMPARED,
    tolerance=0.5,
    derivation="",
    largest_moved=0,
    passed=False,
    reason="11 of 20 outputs are not finite",
)
VERDICTS = st.sampled_from(WORST_FIRST)


def finding(verdict: Verdict, *, operator: str = "relu", route: str = "torch-dynamo", sample: int = 0) -> Finding:
    return Finding(
        suite="opinfo",
        operator=operator,
        dtype="float32",
        sample=sample,
        inputs="float32 [2]",
        route=route,
        verdict=verdict,
        reason="" if verdict == "right" else "differs by 1 <b>",
        apart=3.0 if verdict in DEFECTS else 0.0,
    )


def atlas_of(*findings: Finding) -> Atlas:
    return Atlas(
        created="2026-11-28T12:00:00+00:00",
        assay_version="0.1.0",
        versions={"torch": "2.13.0"},
        operators={"opinfo": len({one.operator for one in findings})},
        findings=list(findings),
    )


def test_every_verdict_has_a_meaning_and_a_rank() -> None:
    assert set(MEANINGS) == set(WORST_FIRST) == set(get_args(Verdict))


def test_one_wrong_sample_makes_the_operator_wrong() -> None:
    found = squares(atlas_of(finding("right"), finding("wrong", sample=1), finding("not exported", sample=2)))
    dynamo = next(one for one in found if one.route == "torch-dynamo")
    assert (dynamo.verdict, dynamo.right, dynamo.of) == ("wrong", 1, 3)


def test_an_uninformative_sample_does_not_hide_an_informative_one() -> None:
    """An operator's empty sample cannot be compared; the others can, and they are right."""
    found = squares(atlas_of(finding("not comparable", route=""), finding("right", sample=1)))
    assert {one.route: one.verdict for one in found} == {"torch-dynamo": "right", "torch-script": "not comparable"}


@given(st.lists(VERDICTS, min_size=1, max_size=6))
def test_a_defect_is_never_hidden(verdicts: list[Verdict]) -> None:
    found = squares(atlas_of(*(finding(one, sample=place) for place, one in enumerate(verdicts))))
    dynamo = next(one for one in found if one.route == "torch-dynamo")
    assert (dynamo.verdict in DEFECTS) == any(one in DEFECTS for one in verdicts)
    assert dynamo.of == len(verdicts)


def test_the_terminal_names_what_may_not_be_trusted() -> None:
    told = list(spoken(atlas_of(finding("right"), finding("wrong", operator="log1p"))))
    assert told[0] == "torch-dynamo: 2 operators: 1 right, 1 wrong."
    assert told[1] == "  Not to be trusted: log1p."


def test_the_page_escapes_what_exporters_said_and_runs_its_own_script_alone() -> None:
    page = render_atlas(atlas_of(finding("wrong", operator="log1p<script>")))
    assert "log1p<script>" not in page
    assert "log1p&lt;script&gt;" in page
    assert "1 &lt;b&gt;" in page
    assert page.count("sha256-") == 1
    assert page.count("<script>") == 1


def test_the_page_has_the_routes_of_each_suite_above_its_own_operators() -> None:
    of_keras = finding("wrong", operator="GRU", route="tf2onnx").model_copy(update={"suite": "keras"})
    page = render_atlas(atlas_of(finding("right"), of_keras))
    groups = [one.split("</div>")[0] for one in page.split('<div class="lanes"')[1:]]
    heads = [one.split("head")[1].split("</p>")[0] for one in groups]
    assert ["torch-script" in one for one in heads] == [True, False]  # the suites are in their order
    assert ["tf2onnx" in one for one in heads] == [False, True]
    assert 'data-verdicts="|opinfo/torch-dynamo=right|opinfo/torch-script=not judged|"' in groups[0]
    assert 'data-verdicts="|keras/tf2onnx=wrong|"' in groups[1]


def test_the_table_has_every_finding() -> None:
    table = table_of(atlas_of(finding("right"), finding("wrong", sample=1)))
    assert table.select("sample", "verdict").rows() == [(0, "right"), (1, "wrong")]


@pytest.mark.parametrize(("verdict", "again"), [("right", False), ("wrong", False), ("crashed", True)])
def test_the_kept_findings_of_an_operator_are_read_again(verdict: Verdict, again: bool, tmp_path: Path) -> None:
    found = OperatorFindings(findings=[finding(verdict)])
    artifact = Store(tmp_path).kept(KIND, {"operator": "relu"}, lambda place: keep(found, place))
    assert artifact.record(OperatorFindings, FOUND) == found
    assert may_end_otherwise(artifact) is again


@pytest.mark.parametrize(
    ("ran", "reason", "is_right", "undecided", "right_in", "verdict"),
    [
        (True, "", False, False, "", "right"),
        (True, "differs", False, False, "", "wrong"),
        (True, "differs", False, True, "", "undecided"),
        (True, "differs", True, False, "no optimisation", "wrong in the runtime"),
        (False, "ONNX Runtime lacks an operator", True, False, "", "not run"),
    ],
)
def test_a_check_becomes_a_verdict(
    ran: bool, reason: str, is_right: bool, undecided: bool, right_in: str, verdict: str
) -> None:
    judged = Judged(
        agreement=[LOST] if ran else [],
        reason=reason,
        file_is_right=is_right,
        undecided=undecided,
        wrong_in=[],
        right_in=right_in,
    )
    assert verdict_of(judged) == verdict


def test_a_distance_that_cannot_be_measured_is_read_again(tmp_path: Path) -> None:
    """JSON has no infinity."""
    judged = Judged(agreement=[LOST], reason="", file_is_right=False, undecided=False, wrong_in=[], right_in="")
    found = OperatorFindings(findings=[finding("wrong").model_copy(update={"apart": _apart(judged)})])
    keep(found, tmp_path)
    assert OperatorFindings.model_validate_json((tmp_path / FOUND).read_text()) == found


@pytest.mark.parametrize(
    ("reasons", "near"),
    [
        (("column 9 of 12 differs by 4.14e-05, where 3.19e-05 is tolerated on its own scale of 30.5",), True),
        (("differs by 4.14e-05, where 3.19e-05 is tolerated", "differs by 1, where 0.1 is tolerated"), False),
        (("differs by 1, where 0.6 is tolerated", "11 of 20 outputs are not finite"), False),
        ((), False),
    ],
)
def test_less_than_twice_a_tolerance_is_near(reasons: tuple[str, ...], near: bool) -> None:
    some = [
        Agreement(
            subject="",
            images=1,
            max_absolute=1.0,
            max_relative=1.0,
            tolerance=0.5,
            derivation="",
            largest_moved=0,
            passed=False,
            reason=reason,
        )
        for reason in reasons
    ]
    judged = Judged(agreement=some, reason="", file_is_right=False, undecided=False, wrong_in=[], right_in="")
    assert is_near(judged) is near


def test_the_first_sample_of_numbers_is_also_tried_far_from_one() -> None:
    whole = Sample(0, {"model.py": b""}, {"x0": np.array([1, 2])})
    one = Sample(1, {"model.py": b""}, {"x0": np.array([1, 2], np.float32), "x1": np.array([3])})
    two = Sample(2, {"model.py": b""}, {"x0": np.array([5], np.float32)})
    found = list(with_further_numbers(iter([whole, one, two])))
    assert [one.name for one in found] == ["0-given", "1-given", "1-tiny", "1-large", "2-given"]
    np.testing.assert_allclose(found[2].inputs["x0"].astype(np.float64), np.array([1e-6, 2e-6]))
    assert found[2].inputs["x0"].dtype == np.float32
    assert found[3].inputs["x1"].tolist() == [3]


def test_a_reason_says_nothing_of_scratch_files(tmp_path: Path) -> None:
    request = OperatorRequest(
        suite="opinfo", operator="fill", dtype="float32", most=1, routes=(), opset=18, folder=tmp_path
    )
    found = finding_on(request, Attempt(sample=0), "not exported", f"No ONNX file: found {tmp_path}/0-given/model.onnx")
    assert found.reason == "No ONNX file: found 0-given/model.onnx"
