"""A file is wrong where ONNX Runtime without optimisations gives other numbers, not where only the optimiser does."""

from __future__ import annotations

from assay.results import Agreement
from export.user_guilt import guilt_of

LEVELS = ("disable_all", "enable_basic", "enable_extended", "enable_all")


def found(level: str, *, passed: bool) -> Agreement:
    return Agreement(
        subject=f"it at level {level}, batch 3",
        images=3,
        max_absolute=0.0 if passed else 1.8,
        max_relative=0.0,
        tolerance=1e-6,
        derivation="",
        top1_flips=0,
        passed=passed,
        reason="" if passed else "differs by 1.8",
    )


def by_level(*wrong: str) -> dict[str, list[Agreement]]:
    return {level: [found(level, passed=True), found(level, passed=level not in wrong)] for level in LEVELS}


def test_a_file_that_agrees_everywhere_has_no_reason() -> None:
    assert guilt_of(by_level()).reason == ""


def test_a_file_that_is_wrong_without_optimisations_is_wrong() -> None:
    one = guilt_of(by_level(*LEVELS))
    assert not one.file_is_right
    assert one.reason == "it at level disable_all, batch 3: differs by 1.8 (and 3 more)"


def test_a_file_that_only_the_optimiser_gets_wrong_is_right() -> None:
    one = guilt_of(by_level("enable_extended", "enable_all"))
    assert one.file_is_right
    assert one.levels == ("enable_extended", "enable_all")
    assert "the file is right (it agrees at level disable_all, enable_basic)" in one.reason
    assert "ONNX Runtime's optimiser is wrong at level enable_extended, enable_all" in one.reason
