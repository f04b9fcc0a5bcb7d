"""Run a module of ours in a process of its own: `python -P assay/start.py MODULE ARGUMENTS`.

The module path of a user may hold an `assay.py`, and another environment's interpreter knows no Assay at all or one of
another version: this copy of the package is loaded by its place, and whatever else has its name stays unseen by it.
It imports nothing but the standard library.
"""

from __future__ import annotations

import importlib.util
import runpy
import sys
from pathlib import Path

START = Path(__file__)
"""The path of this file, for a command line."""


def load() -> None:
    """Have `import assay` give the package that this file belongs to."""
    package = START.parent
    specification = importlib.util.spec_from_file_location(
        "assay", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["assay"] = module
    specification.loader.exec_module(module)


if __name__ == "__main__":
    load()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
