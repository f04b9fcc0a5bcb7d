"""Environments that cannot be used are refused with words, before any training or timing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from assay.bench.comparing.environments import environment_of
from assay.bench.words.progress import Narrator
from assay.errors import InputError, NotInstalledError


def test_this_environment_is_one_and_has_all_that_its_workers_need() -> None:
    found = environment_of(Path(sys.executable), Narrator(), ["torch.eager", "ort.cpu"])
    assert found.python == Path(sys.executable).absolute()
    assert {"numpy", "pydantic", "safetensors", "onnx", "python"} <= set(found.versions)
    assert not [name for name in found.versions if {*name} & {*"_."}], "names are normalised, as in tensorflow-cpu"


def test_a_file_that_is_not_an_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not an environment"):
        environment_of(tmp_path, Narrator())
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho no version\n")
    program.chmod(0o755)
    with pytest.raises(InputError, match="does not respond"):
        environment_of(program, Narrator())


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        (["pydantic", "safetensors"], "cannot run a worker: .* no pydantic, safetensors. .* pip install"),
        (
            ["onnx"],
            r"cannot run ort.cpu: .* no onnx\. .* install onnx; or leave out .*bench.runtimes=\[torch.eager\]'$",
        ),
        (["numpy"], r"cannot run a worker: .* no numpy\. .* install numpy$"),
        (
            ["torch", "onnxruntime"],
            r"cannot run torch.eager, ort.cpu: .* no torch, onnxruntime\. .* torch onnxruntime$",
        ),
    ],
)
def test_an_environment_without_what_its_workers_need_says_what_installs_it(
    lacking: list[str], said: str, tmp_path: Path
) -> None:
    """The environment is this one, from which packages are hidden."""
    program = tmp_path / "python"
    hidden = f"import sys; sys.modules.update(dict.fromkeys({lacking}))"
    program.write_text(f"""#!/bin/sh\nasked="$3"; shift 3; exec {sys.executable} -I -c "{hidden}; $asked" "$@"\n""")
    program.chmod(0o755)
    with pytest.raises(NotInstalledError, match=f"The environment {program} {said}"):
        environment_of(program, Narrator(), ["torch.eager", "ort.cpu"])
