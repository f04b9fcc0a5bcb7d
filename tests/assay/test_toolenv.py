"""uv makes tool environments once from pinned lists; here offline, from a wheel made on the spot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pytest

from assay import toolenv
from assay.errors import InputError, NotInstalledError
from assay.pins import Pin, read_pins
from assay.store import file_sha256

ROOT = Path(__file__).parents[2]
LISTS = sorted(path for folder in ("export", "infer") for path in (ROOT / folder).rglob("envs/*.txt"))
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
    digest = file_sha256(wheels / "tiny-1.0-py3-none-any.whl")
    path.write_text(f"# a comment\ntiny==1.0 \\\n    --hash=sha256:{digest}\n")
    return path


NOBODYS = "0" * 64


class Steps:
    """Remember the reported progress."""

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


def write_wheel(folder: Path, name: str, version: str, needs: str = "") -> None:
    """Write a wheel of a module that says its version."""
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        info = f"{name}-{version}.dist-info"
        wheel.writestr(f"{name}.py", f"__version__ = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def test_one_beside_this_has_other_versions_and_everything_else_as_here(requirements: Path) -> None:
    """Packages that are installed here are found here, behind the other versions; missing ones come with them."""
    write_wheel(requirements.parent / "wheels", "leaning", "2.0", "Requires-Dist: numpy\nRequires-Dist: tiny\n")
    write_wheel(requirements.parent / "wheels", "numpy", "0.1")
    tell = "import json, numpy, tiny, leaning as one; print(json.dumps([one.__version__, numpy.__version__]))"
    steps, found = Steps(), []
    for pins in ((Pin("leaning", "2.0"),), (Pin("leaning", "2.0"), Pin("numpy", "0.1"))):
        python = toolenv.ensure_beside(pins, steps)
        assert toolenv.ensure_beside(pins, steps) == python
        answer = subprocess.run([python, "-P", "-c", tell], capture_output=True, text=True, check=True)
        found.append(json.loads(answer.stdout))
    assert len(steps.seen) == 4
    assert found == [["2.0", np.__version__], ["2.0", "0.1"]]


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
    text = requirements.read_text()
    on_one_line = " ".join(text.replace("\\", "").splitlines()[1:])
    requirements.write_text(f"# another comment\n\n{on_one_line}\n")
    assert toolenv.environment_folder("tiny", requirements) == before
    requirements.write_text(text.replace("1.0", "1.1"))
    assert toolenv.environment_folder("tiny", requirements) != before
    requirements.write_text(f"tiny==1.0 --hash=sha256:{NOBODYS}")
    assert toolenv.environment_folder("tiny", requirements) != before


def test_a_package_that_cannot_be_had_is_named_and_nothing_stays(requirements: Path) -> None:
    requirements.write_text(f"absent==1.0 --hash=sha256:{NOBODYS}\n")
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
    with pytest.raises(NotInstalledError, match=r"onnx-assay\[tools\]"):
        toolenv.ensure("tiny", requirements, Steps())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("tiny>=1.0\n", "tiny>=1.0"),
        ("# nothing\n", "no packages"),
        ("tiny ; python_version == '3.11'\n", "tiny"),
        ("tiny==1.*\n", "tiny==1"),
        ("tiny===1.0\n", "tiny===1.0"),
        ("tiny==1.0,!=1.1\n", "tiny==1.0"),
        ("tiny @ https://example.invalid/tiny==1.0.whl\n", "example.invalid"),
        ("-e ./folder==1.0\n", "-e ./folder"),
        ("./folder==1.0\n", "folder"),
        ("--index-url https://example.invalid/==\ntiny==1.0\n", "index-url"),
        ("-r other==1.txt\n", "-r other"),
        ("tiny==1.0 --global-option=--x==1\n", "global-option"),
        ("tiny==1.0 --hash=md5:d41d8cd98f00b204e9800998ecf8427e\n", "md5"),
        ("tiny==1.0 --hash=sha256:abc\n", "sha256:abc"),
        ("tiny==1.0\n", "without a hash"),
        (f"tiny==1.0 --hash=sha256:{'0' * 64}\nother==1.0\n", "other==1.0"),
        ("\0\n", "not a pinned list"),
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


def test_a_wheel_with_another_hash_is_refused_and_nothing_stays(requirements: Path) -> None:
    wheel = requirements.parent / "wheels" / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "a") as changed:
        changed.writestr("more.py", "")
    with pytest.raises(NotInstalledError, match=r"[Hh]ash"):
        toolenv.ensure("tiny", requirements, Steps())
    assert not toolenv.environment_folder("tiny", requirements).exists()


def test_a_source_archive_is_not_installed_and_its_code_does_not_run(requirements: Path, tmp_path: Path) -> None:
    archive, ran = tmp_path / "wheels" / "built-1.0.tar.gz", tmp_path / "ran"
    setup = tmp_path / "setup.py"
    setup.write_text(f"open({str(ran)!r}, 'w')\nfrom setuptools import setup\nsetup(name='built', version='1.0')\n")
    with tarfile.open(archive, "w:gz") as bundle:
        bundle.add(setup, "built-1.0/setup.py")
    requirements.write_text(f"built==1.0 --hash=sha256:{file_sha256(archive)}\n")
    with pytest.raises(NotInstalledError, match="built"):
        toolenv.ensure("built", requirements, Steps())
    assert not ran.exists()


def test_a_list_of_the_users_own_may_have_no_hashes(requirements: Path) -> None:
    requirements.write_text("tiny==1.0\n")
    python = toolenv.ensure("tiny", requirements, Steps(), hashed=False)
    subprocess.run([python, "-P", "-c", "import tiny"], check=True)


def test_uv_that_never_ends_is_stopped_with_what_it_started(
    requirements: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv, started = tmp_path / "uv", tmp_path / "started"
    uv.write_text(f"#!/bin/sh\nsleep 1000 &\necho $! > {started}\nwait\n")
    uv.chmod(0o755)
    monkeypatch.setattr(toolenv, "find_uv", lambda: uv)
    monkeypatch.setattr(toolenv, "VENV_SECONDS", 1.0)
    with pytest.raises(NotInstalledError, match="uv venv used almost no processor time"):
        toolenv.ensure("tiny", requirements, Steps())
    grandchild = int(started.read_text())
    assert not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE
    assert not toolenv.environment_folder("tiny", requirements).exists()


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_our_own_lists_have_a_hash_for_everything(path: Path) -> None:
    pins = read_pins(path)
    assert all(pin.hashes for pin in pins)
    assert len({str(pin) for pin in pins}) == len(pins)
    assert read_pins(path) == [read_pins_of(pin.line()) for pin in pins]


def read_pins_of(line: str) -> Pin:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as stream:
        stream.write(line)
        stream.flush()
        (pin,) = read_pins(Path(stream.name))
    return pin
