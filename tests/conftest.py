"""How the suite is spread over processes."""

from __future__ import annotations

import os

import pytest

LONGEST = ("tests/test_end_to_end.py", "tests/contract/", "tests/docs/", "tests/hostile/test_fuzz.py")
"""What takes longest begins first: a file is one process's, and the last one would have the machine to itself."""


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: there are always tests that wait for a process, a limit or a server."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, all else in its order."""
    items.sort(
        key=lambda item: next((n for n, name in enumerate(LONGEST) if item.nodeid.startswith(name)), len(LONGEST))
    )
