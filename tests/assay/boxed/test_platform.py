"""What only some systems have is asked for in one place, and without it nothing of ours breaks where it need not."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from assay.boxed import platform

ROOT = Path(__file__).parents[3]
ONE_PLACE = "assay/boxed/platform.py"
MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "msvcrt"}
CALLS = {"sched_getaffinity", "sched_setaffinity", "getuid", "geteuid", "getgid", "fork"}
ALLOWED = {
    "assay/boxed/box.py": "a process that becomes another by fork: it starts where `why_no_jobs` says that it can",
    "assay/boxed/confine.py": "the box of Linux; on other systems it gives up what it can and says so",
    "infer/server/triton_guard.py": "the Triton server has a binary for Linux alone",
    "infer/server/front/__main__.py": "the filter in front of that server",
    "infer/server/front/memory.py": "the same",
}
WITHOUT = """
import os, sys
sys.modules |= dict.fromkeys({modules!r})
for name in {calls!r} | {{"killpg", "setsid", "sched_getaffinity", "O_NOFOLLOW", "O_NONBLOCK"}}:
    if hasattr(os, name):
        delattr(os, name)
"""


def asked_for(path: Path) -> set[str]:
    """What of these a file imports or calls."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    named = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    called = {
        f"os.{node.attr}"
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
    }
    return (named & MODULES) | (called & {f"os.{name}" for name in CALLS})


def without(code: str) -> subprocess.CompletedProcess[str]:
    """Run code as on a system that has none of these."""
    script = WITHOUT.format(modules=MODULES, calls=CALLS) + code
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)


def test_they_are_asked_for_in_one_place() -> None:
    paths = [path for top in ("assay", "train", "export", "infer", "bench") for path in (ROOT / top).rglob("*.py")]
    found = {str(path.relative_to(ROOT)): asked for path in paths if (asked := asked_for(path))}
    assert set(found) == {ONE_PLACE, *ALLOWED}, found


def test_the_command_says_its_help_without_them() -> None:
    done = without("sys.argv = ['assay', '--help']\nfrom assay.bench.cli.main import main\nmain()")
    assert done.returncode == 0, done.stderr
    assert "Usage: assay" in done.stdout


def test_a_model_is_refused_with_the_reason_without_them(tmp_path: Path) -> None:
    command = ["assay", "export", "--inspect", str(tmp_path / "model.onnx")]
    (tmp_path / "model.onnx").write_bytes(b"\x08\x08")
    done = without(f"sys.argv = {command!r}\nfrom assay.bench.cli.main import main\nmain()")
    assert done.returncode == 2, done.stderr
    assert "No model can be run on this system" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_is_pinned_where_nothing_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.delattr("os.sched_setaffinity")
    assert not platform.can_pin()
    assert platform.usable_cores()[0] == 0


def test_this_system_lacks_nothing() -> None:
    assert platform.why_no_jobs() == ""
