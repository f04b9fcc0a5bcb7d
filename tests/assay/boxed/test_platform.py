"""Features that only some systems have are requested in one place, and nothing else breaks without them."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from assay.boxed import platform, processes

ROOT = Path(__file__).parents[3]
ONE_PLACE = "assay/boxed/platform.py"
MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "msvcrt", "winreg"}
CALLS = {
    "fork", "getgid", "getuid", "geteuid", "killpg", "O_PATH", "prctl", "renameat2", "sched_getaffinity",
    "sched_setaffinity", "setsid", "sysconf", "wait", "waitpid",
}  # fmt: skip
"""Attributes, of `os` or of the C library."""
SIGNALS = {"SIGBUS", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGSTOP", "SIGXCPU", "SIGXFSZ"}
"""Attributes that Windows lacks."""
FILES = ("/proc/", "/sys/", "/dev/", "proc/", "sys/")
IN_A_JOB = "runs, or is asked for, where `why_no_jobs` says that jobs run"
TRITON = "the Triton server has a binary for Linux on x86-64 alone, and is refused elsewhere"
OF_THE_MACHINE = "what Linux shows of the machine; where no such file is, it is on record as not shown"
ALLOWED = {
    "assay/boxed/box.py": f"a process that becomes another by fork: it {IN_A_JOB}",
    "assay/boxed/boxing.py": "the file of NVIDIA's driver, for what a box has to leave open; there on Linux alone",
    "assay/boxed/confine.py": "the box of Linux; on other systems it gives up what it can and says so",
    "assay/boxed/processes.py": f"it {IN_A_JOB}; where nothing shows what is below a process, its group goes",
    "assay/files/disk.py": "two folders change places in one step on Linux, and in two elsewhere",
    "assay/jobs/killed.py": f"what a signal means: it {IN_A_JOB}",
    "bench/machine/disturbance.py": OF_THE_MACHINE,
    "bench/machine/fingerprint.py": OF_THE_MACHINE,
    "bench/machine/kind.py": OF_THE_MACHINE,
    "bench/machine/machine.py": OF_THE_MACHINE,
    "infer/ceilings/job.py": "the sizes of caches: where they are not shown, memory alone is measured, which is said",
    "infer/runtimes/processor.py": "what a processor can do: where it is not shown, bf16 is refused with that reason",
    "infer/server/front/__main__.py": TRITON,
    "infer/server/front/memory.py": TRITON,
    "infer/server/triton.py": TRITON,
    "infer/server/triton_control.py": TRITON,
    "infer/server/triton_guard.py": TRITON,
}
"""Files that check for themselves, and why that breaks nothing elsewhere; docs/reference/platforms.md has the
consequences.
"""
WITHOUT = """
import asyncio, os, psutil, select, signal, subprocess, sys  # what is not ours asks by itself
sys.modules |= dict.fromkeys({modules!r})
posix = {{"O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "statvfs", "fchmod", "mkfifo", "nice"}}
others = {{"pthread_kill", "pthread_sigmask", "setitimer"}}
for module, names in ((os, {calls!r} | posix), (signal, {signals!r} | others), (select, {{"poll", "epoll"}})):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
signal.Signals = __import__("enum").IntEnum("Signals", {{one.name: one.value for one in signal.Signals
    if one.name in ("SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM")}})
"""


def asked_for(path: Path) -> set[str]:
    """The system-specific names that a file imports, calls or mentions, docstrings excepted."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    said = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    named = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    texts = [node for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    files = {node.value for node in texts if id(node) not in said and f"{node.value}/".startswith(FILES)}
    attributes = [(ast.unparse(node.value), node.attr) for node in nodes if isinstance(node, ast.Attribute)]
    found = {name for owner, name in attributes if name in CALLS - {"wait"} or (owner, name) == ("os", "wait")}
    found |= {name for owner, name in attributes if (owner, name) == ("sys", "platform") or name in SIGNALS}
    return (named & MODULES) | files | found


def without(code: str) -> subprocess.CompletedProcess[str]:
    """Run code as on a system without any of these features."""
    script = WITHOUT.format(modules=MODULES, calls=CALLS, signals=SIGNALS) + code
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


def test_a_group_is_ended_where_child_processes_cannot_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So does a frozen one, which would not notice that nobody talks to it any more."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as process:
        platform.freeze(process.pid)
        monkeypatch.setattr(processes, "PROC", tmp_path)
        processes.end_tree(2**22 + 1, process.pid)  # a root that is there no more
        assert process.wait(60) == -signal.SIGKILL


def test_memory_is_estimated_where_the_system_has_no_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = platform.most_resident_bytes()
    monkeypatch.setattr(platform, "PROC", tmp_path)
    assert platform.own_threads() == ()
    assert platform.resident_bytes() == platform.most_resident_bytes() >= shown * 0.9
    monkeypatch.delattr("os.sysconf")
    assert platform.memory_bytes() == platform.SUPPOSED_BYTES


@pytest.mark.parametrize(("system", "place"), [("darwin", "Caches"), ("win32", "Local"), ("linux", ".cache")])
def test_caches_are_where_each_system_has_them(system: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", system)
    assert platform.user_caches().name == place


@pytest.mark.parametrize(
    "words",
    [["compare", "RUN", "RUN"], pytest.param(["report", "RUN", "--out", "OUT"], marks=pytest.mark.slow)],
    ids=lambda words: words[0],
)
def test_what_reads_results_works_without_them(words: list[str], tmp_path: Path) -> None:
    places = {"RUN": str(ROOT / "artifacts" / "reference" / "quick"), "OUT": str(tmp_path / "report")}
    command = ["assay", *(places.get(word, word) for word in words)]
    done = without(f"sys.argv = {command!r}\nfrom assay.bench.cli.main import main\nmain()")
    assert done.returncode == 0, done.stderr


def test_this_system_lacks_nothing() -> None:
    assert platform.why_no_jobs() == ""
