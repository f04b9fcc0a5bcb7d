"""One command at a time in a folder: a refusal names the holder, and a killed holder holds nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from assay.errors import DiskError, InputError
from assay.files.disk import TEMPORARY
from assay.files.locks import LOCK_FILE, holder_of, in_turn, lock_beside, replacing, using, working_in

HOLD = """
import sys
from pathlib import Path
from assay.files import locks
with getattr(locks, sys.argv[1])(Path(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_by_another(how: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a lock until it is told to end."""
    command = [sys.executable, "-P", "-c", HOLD, how, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_second_command_is_told_which_one_is_at_work(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    with held_by_another("working_in", folder) as other:
        with pytest.raises(InputError, match="is in use") as caught, working_in(folder):
            pass
        assert f"process {other.pid}, `assay working_in" in str(caught.value)
        assert "since 2" in str(caught.value)
        assert "--out" in str(caught.value)


def test_nothing_is_left_of_a_lock(tmp_path: Path) -> None:
    with working_in(tmp_path / "study"), replacing(tmp_path / "deployment"):
        assert len(list(tmp_path.rglob(f"{LOCK_FILE}*"))) == 2
    assert list(tmp_path.rglob(f"{LOCK_FILE}*")) == []
    assert not (tmp_path / "deployment").exists()


def test_a_killed_holder_holds_nothing_and_its_half_files_go(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    with held_by_another("working_in", folder) as other:
        (folder / f"{TEMPORARY}half").write_text("half")
        (folder / "units" / f"{TEMPORARY}unit").mkdir(parents=True)
        (folder / "units" / ".hidden").write_text("somebody's own")
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        assert (folder / LOCK_FILE).exists()
        with working_in(folder):
            assert {path.name for path in folder.rglob("*")} == {LOCK_FILE, "units", ".hidden"}


def test_what_another_is_writing_below_stays(tmp_path: Path) -> None:
    with held_by_another("working_in", tmp_path / "artifacts" / "study"):
        half = tmp_path / "artifacts" / "study" / f"{TEMPORARY}half"
        half.write_text("being written")
        with working_in(tmp_path / "artifacts"):
            assert half.exists()


def test_folders_beside_each_other_do_not_disturb(tmp_path: Path) -> None:
    with held_by_another("working_in", tmp_path / "one"), working_in(tmp_path / "two"):
        pass


def test_readers_share_a_folder_and_keep_writers_out(tmp_path: Path) -> None:
    with held_by_another("using", tmp_path), using(tmp_path):
        refused(working_in(tmp_path))
    with held_by_another("working_in", tmp_path):
        refused(using(tmp_path))


def refused(lock: AbstractContextManager[None]) -> None:
    with pytest.raises(InputError, match="is in use"), lock:
        pass


def test_a_folder_that_is_not_there_is_not_made_by_a_reader(tmp_path: Path) -> None:
    with using(tmp_path / "absent"):
        assert not (tmp_path / "absent").exists()


def test_a_command_waits_for_an_artifact_that_is_being_made(tmp_path: Path) -> None:
    path = lock_beside(tmp_path / "environment")
    heard: list[str] = []
    entered = threading.Event()

    def enter() -> None:
        with in_turn(path, heard.append):
            entered.set()

    with held_by_another("in_turn", path) as other:
        waiting = threading.Thread(target=enter)
        waiting.start()
        assert not entered.wait(0.3)
        assert other.stdin
        other.stdin.close()
        other.wait()
    waiting.join(20)
    assert entered.is_set()
    assert f"process {other.pid}" in heard[0]


def test_many_take_turns_and_never_meet(tmp_path: Path) -> None:
    inside, met = [0], []

    def enter() -> None:
        for _ in range(50):
            with in_turn(tmp_path / "lock"):
                inside[0] += 1
                met.append(inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert met == [1] * 200
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff\xfe", b'{"process": "x"}', b"[" * 9000, b'{"process": 1}', b"1" * 20_000]
)
def test_a_lock_file_of_any_content_names_no_process_and_stops_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / LOCK_FILE).write_bytes(content)
    assert holder_of(tmp_path / LOCK_FILE) == "another process"
    with working_in(tmp_path):
        assert json.loads((tmp_path / LOCK_FILE).read_bytes())["process"] == os.getpid()


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / LOCK_FILE).symlink_to(tmp_path / "precious")
    with pytest.raises(DiskError, match="Cannot write"), working_in(tmp_path / "study"):
        pass
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_file_in_the_way_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="Cannot write"), working_in(tmp_path / "file"):
        pass
    with pytest.raises(DiskError, match="Cannot write"), replacing(tmp_path / "file" / "deployment"):
        pass
