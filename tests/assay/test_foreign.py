"""Exceptions of other libraries as one line: no colour, no paths, and not cut off before the cause."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.foreign import LONGEST, cause_of, cleaned, said_by, shortened

ADVICE = "Failed to export the model. Next steps: modify the model code, or debug it and report the issue. " * 8


def raised(text: str, cause: Exception | None) -> Exception:
    try:
        try:
            if cause:
                raise cause
        except Exception as error:
            raise RuntimeError(text) from error
        raise RuntimeError(text)
    except RuntimeError as error:
        return error


def test_a_long_text_keeps_its_beginning_and_the_cause_it_was_raised_from() -> None:
    said = said_by(raised(ADVICE, TypeError("rsub() of an integer mask")))
    assert said.startswith("Failed to export the model.")
    assert said.endswith("... TypeError: rsub() of an integer mask")
    assert len(said) <= LONGEST


def test_the_beginning_of_a_long_cause_is_reported() -> None:
    said = said_by(raised(ADVICE, RuntimeError("no overload of aten.sub fits. " + ADVICE)))
    assert "RuntimeError: no overload of aten.sub fits. Failed" in said
    assert len(said) <= LONGEST


def test_a_short_text_is_unchanged() -> None:
    assert said_by(raised("no", TypeError("why"))) == "no"


def test_a_long_text_without_a_cause_keeps_its_end() -> None:
    said = said_by(raised(f"{ADVICE} Unsupported: torch.special.bessel_j0", None))
    assert said.endswith("Unsupported: torch.special.bessel_j0")
    assert len(said) <= LONGEST


def test_causes_that_go_round_end() -> None:
    one, other = ValueError("a"), ValueError("b")
    one.__cause__, other.__cause__ = other, one
    assert cause_of(one) is other
    hidden = ValueError("c")
    hidden.__context__, hidden.__suppress_context__ = one, True
    assert cause_of(hidden) is hidden


def test_escape_codes_are_gone() -> None:
    assert cleaned("\x1b[31m\x1b[1mError\x1b[0m: \x1b]8;;http://x\x07here\x1b]8;;\x07") == "Error: here"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'File "{np.__file__}", line 3', 'File "numpy/__init__.py", line 3'),
        (f"in {Path(__file__)}:12", f"in {Path(__file__).name}:12"),
        (f"{Path(sys.prefix)}/lib/thing.so: no", "thing.so: no"),
        ("node '/pool/AveragePool' of /encoder/layer.0/MatMul", "node '/pool/AveragePool' of /encoder/layer.0/MatMul"),
        ("see https://pytorch.org/docs/stable/export.html", "see https://pytorch.org/docs/stable/export.html"),
        ("a / b and 3/4 and ../x/y", "a / b and 3/4 and ../x/y"),
    ],
)
def test_files_are_named_without_the_folders_of_this_machine(text: str, expected: str) -> None:
    assert cleaned(text) == expected


@given(st.text(), st.integers(20, 400))
def test_a_line_is_never_longer_than_asked(text: str, longest: int) -> None:
    line = cleaned(text)
    assert "\x1b[" not in line
    assert "\n" not in line
    assert len(shortened(line, longest)) <= max(longest, 0)
