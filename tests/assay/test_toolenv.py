"""Tool environments are made once, by uv, from pinned lists; here from a wheel made on the spot, offline."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from assay import toolenv
from assay.errors import InputError, NotInstalledError

MAKE = """
import sys
from pathlib import Path
from assay.toolenv import ensure
print(ensure("tiny", Path(sys.argv[1]), lambda *_: None))
"""


@pytest.fixture
def requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pinned list of one package that uv finds in a folder, and an empty cache."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "ANSWER = 42\n")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    path = tmp_path / "tiny.txt"
    path.write_text("# a comment\ntiny==1.0\n")
    return path


class Steps:
    """Remembers what progress was reported."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int]] = []

    def __call__(self, label: str, done: int, total: int) -> None:
        self.seen.append((label, done, total))


def test_it_is_made_once_and_then_reused(requirements: Path) -> None:
    steps = Steps()
    python = toolenv.ensure("tiny", requirements, steps)
    assert [done for _, done, _ in steps.seen] == [0, 1]
    answer = subprocess.run(
        [python, "-P", "-c", "import tiny; print(tiny.ANSWER)"], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "42\n"
    assert toolenv.ensure("tiny", requirements, steps) == python
    assert len(steps.seen) == 2


def test_it_does_not_see_the_packages_of_this_environment(requirements: Path) -> None:
    python = toolenv.ensure("tiny", requirements, Steps())
    assert subprocess.run([python, "-P", "-c", "import numpy"], capture_output=True, check=False).returncode


def test_one_that_was_not_finished_is_made_again(requirements: Path) -> None:
    folder = toolenv.environment_folder("tiny", requirements)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text("half a file")
    python = toolenv.ensure("tiny", requirements, Steps())
    subprocess.run([python, "-P", "-c", "import tiny"], check=True)


def test_two_makers_at_once_make_one(requirements: Path) -> None:
    makers = [
        subprocess.Popen([sys.executable, "-P", "-c", MAKE, requirements], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [maker.communicate(timeout=60)[0] for maker in makers]
    assert [maker.returncode for maker in makers] == [0, 0]
    assert outputs[0] == outputs[1]
    folders = [path for path in (toolenv.cache_folder() / "environments").iterdir() if path.is_dir()]
    assert len(folders) == 1


def test_the_folder_follows_the_pins_and_not_the_comments(requirements: Path) -> None:
    before = toolenv.environment_folder("tiny", requirements)
    requirements.write_text("# another comment\n\ntiny==1.0\n")
    assert toolenv.environment_folder("tiny", requirements) == before
    requirements.write_text("tiny==1.1\n")
    assert toolenv.environment_folder("tiny", requirements) != before


def test_a_package_that_cannot_be_had_is_named_and_nothing_stays(requirements: Path) -> None:
    requirements.write_text("absent==1.0\n")
    with pytest.raises(NotInstalledError, match="absent") as caught:
        toolenv.ensure("tiny", requirements, Steps())
    assert "package index" in str(caught.value)
    assert not toolenv.environment_folder("tiny", requirements).exists()


def test_without_uv_the_message_says_how_to_get_it(
    requirements: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolenv.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(NotInstalledError, match="pip install uv"):
        toolenv.ensure("tiny", requirements, Steps())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("tiny>=1.0\n", "tiny>=1.0"),
        ("# nothing\n", "no packages"),
        ("tiny ; python_version == '3.11'\n", "tiny"),
    ],
)
def test_a_list_that_is_not_pinned_is_refused(requirements: Path, content: str, words: str) -> None:
    requirements.write_text(content)
    with pytest.raises(InputError, match=words):
        toolenv.ensure("tiny", requirements, Steps())


def test_a_missing_list_is_named(requirements: Path) -> None:
    requirements.unlink()
    with pytest.raises(InputError, match=r"tiny\.txt.*No such file"):
        toolenv.ensure("tiny", requirements, Steps())


def test_a_file_in_the_way_of_the_cache_is_named(requirements: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(InputError, match="cache"):
        toolenv.ensure("tiny", requirements, Steps())
