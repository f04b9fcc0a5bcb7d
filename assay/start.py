"""Run a module of ours in a process of its own: `python -P assay/start.py MODULE ARGUMENTS`.

A user's module path may hold an `assay.py`, and another environment's interpreter may have no Assay or another version
of it. So this copy of the package is loaded by its path, and whatever else has its name is not seen. This file imports
nothing but the standard library.
"""

from __future__ import annotations

import importlib.util
import runpy
import sys
from pathlib import Path

START = Path(__file__)
"""The path of this file, for a command line."""


def load() -> None:
    """Make `import assay` load the package that this file belongs to."""
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
