"""Environments that cannot be used are refused with words, before any training or timing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from assay.bench.comparing.environments import environment_of
from assay.bench.words.progress import Narrator
from assay.errors import InputError, NotInstalledError


def test_this_environment_is_one(tmp_path: Path) -> None:
    found = environment_of(Path(sys.executable), Narrator())
    assert found.python == Path(sys.executable).absolute()
    assert {"numpy", "pydantic", "safetensors", "python"} <= set(found.versions)
    assert not [name for name in found.versions if {*name} & {*"_."}], "names are normalised, as in tensorflow-cpu"


def test_a_file_that_is_not_an_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not an environment"):
        environment_of(tmp_path, Narrator())
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho no version\n")
    program.chmod(0o755)
    with pytest.raises(InputError, match="does not respond"):
        environment_of(program, Narrator())


def test_an_environment_without_what_a_worker_needs_says_what_installs_it(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("""#!/bin/sh\necho '{"python": "3.11.0", "numpy": "2.0.0"}'\n""")
    program.chmod(0o755)
    with pytest.raises(NotInstalledError, match=r"no pydantic, safetensors.*pip install pydantic safetensors"):
        environment_of(program, Narrator())
