"""Which modules a table of entries imports, and when."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from assay.entries import imported_late


def test_a_late_import_happens_when_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "late_example.py").write_text("ANSWER = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    late = imported_late("late_example")
    assert "ANSWER" not in object.__getattribute__(late, "__dict__")
    assert late.ANSWER == 42
    assert "ANSWER" in object.__getattribute__(late, "__dict__")
    assert imported_late("late_example") is late is importlib.import_module("late_example")
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        imported_late("no_such_package")
