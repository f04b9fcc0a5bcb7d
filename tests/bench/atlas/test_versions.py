"""Other versions: which routes they matter to, and what they mend and break, over the samples judged with both."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.bench.atlas.page import render_atlas
from assay.bench.atlas.record import Atlas, Finding, Verdict
from assay.bench.atlas.run import Asked, in_others, make_atlas, together
from assay.bench.atlas.suites.entries import SUITES
from assay.bench.atlas.summary import squares, table_of
from assay.bench.atlas.versions.changes import changes_of
from assay.bench.atlas.versions.others import pins_of, routes_with
from assay.bench.atlas.versions.section import versions_section
from assay.bench.atlas.words import spoken
from assay.bench.words.progress import Narrator
from assay.errors import InputError
from tests.bench.atlas.test_findings import atlas_of, finding

OLD, NEW = "torch 2.12.1", "torch 2.14.0"


def judged(*verdicts: Verdict, operator: str = "relu", words: str = OLD) -> list[Finding]:
    """Findings on the samples 0, 1, ..., with another version."""
    found = [finding(one, operator=operator, sample=place) for place, one in enumerate(verdicts)]
    return [one.model_copy(update={"other_versions": words}) for one in found]


def atlas(*findings: Finding) -> Atlas:
    return atlas_of(finding("right"), finding("wrong", sample=1), finding("right", operator="tanh"), *findings)


@pytest.mark.parametrize(
    ("words", "there", "kind"),
    [
        (OLD, ["right", "wrong"], "wrong in both"),
        (OLD, ["right", "right"], "broke"),
        (NEW, ["right", "right"], "mended"),
        (OLD, ["right"], "right in both"),
        (OLD, ["wrong"], "mended"),
        (NEW, ["wrong"], "broke"),
        (OLD, ["not exported", "not exported"], "other"),
        (OLD, ["not exported"], "gained"),
        (NEW, ["not run"], "lost"),
        (OLD, ["undecided"], "other"),
    ],
)
def test_a_change_is_over_the_samples_judged_with_both(words: str, there: list[Verdict], kind: str) -> None:
    (change,) = changes_of(atlas(*judged(*there, words=words)))
    assert (change.kind, change.samples, change.operator) == (kind, len(there), "relu")


def test_samples_that_only_one_has_say_nothing() -> None:
    (other,) = judged("wrong")
    others = [other.model_copy(update=one) for one in ({"inputs": "float32 [9]"}, {"sample": 7}, {"route": ""})]
    assert changes_of(atlas(*others, other.model_copy(update={"verdict": "not judged"}))) == []


def test_other_versions_change_nothing_about_the_atlas_itself() -> None:
    both = atlas(*judged("crashed", "crashed"))
    assert squares(both) == squares(atlas())
    assert "2 operators of PyTorch&#39;s OpInfo, 3 findings" in render_atlas(both)
    assert table_of(both)["other_versions"].to_list() == ["", "", "", OLD, OLD]


def test_what_was_mended_and_what_broke_is_on_the_page_and_the_terminal_with_denominators() -> None:
    made = atlas(*judged("wrong", "wrong"), *judged("wrong", operator="tanh"))
    assert versions_section(atlas()) is None
    section = versions_section(made)
    assert section is not None
    lines = list(spoken(made))
    assert "torch-dynamo with torch 2.12.1: 2 operators of PyTorch's OpInfo: 1 wrong in both, 1 mended." in lines
    assert "  mended: torch-dynamo, torch 2.12.1: tanh" in lines
    page = render_atlas(made)
    assert "2 of 2" in page
    assert "torch-dynamo with torch 2.12.1: wrong in 2 samples." in page
    assert page.count('id="versions"') == 1


def test_only_the_routes_that_use_a_package_are_judged_with_it() -> None:
    assert routes_with(pins_of(["onnxscript==0.6.2"]), SUITES["opinfo"]) == ("torch-dynamo",)
    assert routes_with(pins_of(["onnxruntime==1.28.0"]), SUITES["opinfo"]) == SUITES["opinfo"].routes
    assert routes_with(pins_of(["onnxruntime==1.28.0"]), SUITES["onnx"]) == ("onnxruntime",)
    assert routes_with(pins_of(["jax2onnx==0.16.1"]), SUITES["jax"]) == ("jax2onnx",)


@pytest.mark.parametrize("text", ["torch", "torch>=2", "torch==2.*", "torch[x]==2.1", "torch @ file:///x", "", "-e ."])
def test_a_package_that_is_not_pinned_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--with"):
        pins_of([text])


def test_a_package_that_the_suite_does_not_use_is_refused_before_anything_is_installed() -> None:
    with pytest.raises(InputError, match="PyTorch's OpInfo") as caught:
        in_others([Asked("opinfo")], ["tf2onnx==1.16.1"], Narrator())
    assert "onnxscript" in str(caught.value)


@pytest.mark.slow
def test_an_older_runtime_is_judged_beside_the_installed_one(tmp_path: Path) -> None:
    asked = [Asked("onnx", ("Relu", "MaxUnpool"))]
    others = in_others(asked, ["onnxruntime==1.28.0"], Narrator())
    made = together([make_atlas(one, tmp_path, Narrator()) for one in (*asked, *others)])
    changes = {one.operator: one for one in changes_of(made)}
    assert set(changes) == {"Relu", "MaxUnpool"}
    assert {one.route for one in made.findings if one.other_versions} == {"onnxruntime"}
    assert changes["Relu"].kind == "right in both"
