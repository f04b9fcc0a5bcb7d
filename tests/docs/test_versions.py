"""The page on what a version changes says what the published comparisons say."""

from __future__ import annotations

from assay.bench.comparing.compare import Change, Outcome
from assay.records.results import Interval
from tools.findings.versions import PAGE, page, published, said


def test_the_page_is_that_of_the_published_comparisons() -> None:
    found = published()
    assert {name for outcome in found for name in outcome.versions} >= {"onnxruntime", "jax", "tensorflow-cpu"}
    assert all(outcome.interleaved for outcome in found)
    assert PAGE.read_text(encoding="utf-8") == page(found)


def test_what_changed_is_named_with_both_versions() -> None:
    ratio = Interval(value=1.2, low=1.1, high=1.3)
    slower = Change(name="bloodnet/28/b1/t1/jax.jit", verdict="slower", ratio=ratio, base_ms=1.0, new_ms=1.2)
    same = slower.model_copy(update={"name": "bloodnet/28/b32/t1/jax.jit", "verdict": "same"})
    versions = {"jax": ("0.9.2", "0.10.2"), "jaxlib": ("0.9.2", "0.10.2")}
    one = Outcome(base="a", new="b", interleaved=True, threshold=0.05, versions=versions, changes=[slower, same])
    text = said([one])
    assert text.startswith("Of 2 cells, 1 are the same in both versions, 1 are not, and 0 are undecided")
    assert "- jax.jit, bloodnet 28x28, batch 1: jax 0.10.2 is slower than jax 0.9.2." in text
