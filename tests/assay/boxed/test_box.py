"""The box that somebody else's code runs in: what it prevents, and that nothing is left behind."""

from __future__ import annotations

import os
import socket
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.boxed.boxing import Box, environment_for, is_allowed, settle
from assay.boxed.processes import below, marked
from assay.errors import AssayError, WorkerError
from assay.jobs.job import Message
from assay.jobs.running import run_job
from tests.assay.boxed_job import BOXED, BadDeed

NAMES = (
    "GH_TOKEN", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "OPENAI_API_KEY", "TF_VAR_db_password",
    "TORCH_HUB_TOKEN", "ASSAY_SECRET", "SSH_AUTH_SOCK", "PIP_INDEX_URL", "JAX_CREDENTIALS", "KERAS_API_KEY",
    "GIT_ASKPASS", "KUBECONFIG", "DATABASE_URL", "LC_TOKEN",
)  # fmt: skip
SECRETS = dict.fromkeys(NAMES, "secret")
HELD = ("PATH", "HOME", "LANG", "LC_ALL", "OMP_NUM_THREADS", "TF_CPP_MIN_LOG_LEVEL", "XLA_FLAGS", "LD_LIBRARY_PATH")
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs what Linux has")


@pytest.fixture(autouse=True)
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing that a test starts may remain after it."""
    text = uuid.uuid4().hex
    monkeypatch.setenv("ASSAY_TEST_MARK", text)
    before = below(os.getpid())
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    yield
    assert marked(text) == set()
    assert below(os.getpid()) <= before


def boxed(
    do: str, folder: Path, *writable: Path, trusted: bool = False, limit_seconds: float = 120, **more: object
) -> Message:
    held: dict[str, str] = {}
    box = Box(writable, trusted, held.update)
    asked = BadDeed(do=do, more=more)  # type: ignore[arg-type]
    answer = run_job(BOXED, asked, folder / "log", limit_seconds=limit_seconds, box=box)
    return answer.found | {"held": dict(held)}


def refused(do: str, folder: Path, *writable: Path, **more: object) -> str:
    with pytest.raises(WorkerError) as caught:
        boxed(do, folder, *writable, **more)  # type: ignore[arg-type]
    assert caught.value.exit_code == 1
    return str(caught.value)


@pytest.fixture
def listener() -> Iterator[int]:
    """A server on this machine's loopback, such as a database or a notebook."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_accept, args=(server,), daemon=True).start()
        yield server.getsockname()[1]


def _accept(server: socket.socket) -> None:
    try:
        while True:
            server.accept()[0].close()
    except OSError:
        return


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    for name in HELD:
        monkeypatch.setenv(name, os.environ.get(name, "kept"))


@pytest.mark.usefixtures("secrets")
def test_no_secret_and_all_that_frameworks_need_is_in_its_environment(tmp_path: Path) -> None:
    answer = boxed("tell", tmp_path)
    environment = answer["environment"]
    assert isinstance(environment, dict)
    assert not set(SECRETS) & set(environment)
    assert set(HELD) <= set(environment)
    assert "secret" not in environment.values()
    assert environment["TMPDIR"] == answer["temporary"]
    assert not Path(str(answer["temporary"])).exists()
    assert answer["umask"] == 0o077
    assert answer["core"] == [0, 0]


@pytest.mark.usefixtures("secrets")
def test_trust_passes_the_environment(tmp_path: Path) -> None:
    answer = boxed("tell", tmp_path, trusted=True)
    environment = answer["environment"]
    assert isinstance(environment, dict)
    assert SECRETS.items() <= environment.items()
    assert answer["held"] == {}


@pytest.mark.parametrize("name", ["TOKENIZERS_PARALLELISM", "LC_CTYPE", "TORCHINDUCTOR_FREEZING", "MKL_NUM_THREADS"])
def test_variables_that_only_sound_like_secrets_are_kept(name: str) -> None:
    assert is_allowed(name)


@linux
class TestNetwork:
    def test_a_server_outside_cannot_be_reached(self, tmp_path: Path, listener: int) -> None:
        assert "give --trust" in refused("connect", tmp_path, port=listener)

    def test_loopback_inside_can(self, tmp_path: Path) -> None:
        assert boxed("talk_to_itself", tmp_path)["held"]["network"].startswith("none")  # type: ignore[index,call-overload,union-attr]

    def test_trust_lets_it_out(self, tmp_path: Path, listener: int) -> None:
        boxed("connect", tmp_path, trusted=True, port=listener)


@linux
class TestFiles:
    @pytest.fixture(autouse=True)
    def landlock(self, tmp_path: Path) -> None:
        held = boxed("tell", tmp_path)["held"]
        assert isinstance(held, dict)
        if "Landlock" not in str(held["writing"]):
            pytest.skip("this kernel has no Landlock")

    def test_it_writes_where_its_answers_go(self, tmp_path: Path) -> None:
        (tmp_path / "answers").mkdir()
        boxed("write", tmp_path, tmp_path / "answers", path=str(tmp_path / "answers" / "one"))
        assert (tmp_path / "answers" / "one").read_text() == "written"
        mask = os.umask(0)
        os.umask(mask)
        assert (tmp_path / "answers" / "one").stat().st_mode & 0o777 == 0o666 & ~mask

    def test_it_writes_nowhere_else(self, tmp_path: Path) -> None:
        (tmp_path / "kept").write_text("mine")
        assert "give --trust" in refused("write", tmp_path, path=str(tmp_path / "kept"))
        refused("write", tmp_path, path=str(tmp_path / "new"))
        refused("write", tmp_path, path=str(Path.home() / f".{uuid.uuid4().hex}"))
        refused("move_away", tmp_path, path=str(tmp_path / "kept"))
        assert (tmp_path / "kept").read_text() == "mine"
        assert not (tmp_path / "new").exists()

    def test_it_looks_into_no_process_outside_and_signals_none(self, tmp_path: Path) -> None:
        assert "PermissionError" in refused("look", tmp_path, pid=os.getpid())
        assert "PermissionError" in refused("kill", tmp_path, pid=os.getpid())


class TestAppetite:
    @pytest.mark.slow
    def test_ten_thousand_processes(self, tmp_path: Path) -> None:
        found = refused("fork", tmp_path)
        assert "more than 1024 processes" in found or "BlockingIOError" in found
        assert "give --trust" in found

    @linux
    def test_a_hundred_gigabytes_of_memory(self, tmp_path: Path) -> None:
        assert "MemoryError" in refused("allocate", tmp_path)

    def test_a_file_of_fifty_gigabytes(self, tmp_path: Path) -> None:
        assert "File too large" in refused("fill_disk", tmp_path)

    def test_limits_that_are_raised(self, tmp_path: Path) -> None:
        assert "not allowed to raise maximum limit" in refused("raise_limits", tmp_path)


def test_its_leftovers_are_not_a_trap(tmp_path: Path) -> None:
    answers = tmp_path / "answers"
    answers.mkdir()
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "mine").chmod(0o600)
    boxed("leave_links", tmp_path, answers, place=str(answers), path=str(tmp_path / "mine"))
    assert sorted(path.name for path in answers.iterdir()) == ["answer", "inner"]
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o600
    assert os.access(answers / "inner", os.W_OK | os.X_OK)


def test_a_hard_link_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "answers").mkdir()
    (tmp_path / "mine").write_text("mine")
    os.link(tmp_path / "mine", tmp_path / "answers" / "linked")
    settle(tmp_path / "answers")
    assert list((tmp_path / "answers").iterdir()) == []
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_job_that_is_refused_without_a_box_speaks_of_none(tmp_path: Path) -> None:
    with pytest.raises(AssayError) as caught:
        run_job(BOXED, BadDeed(do="write", more={"path": "/none/none"}), tmp_path / "log", limit_seconds=60)
    assert "--trust" not in str(caught.value)


def test_only_trust_itself_tells_a_job_that_it_is_trusted(tmp_path: Path) -> None:
    given = {"ASSAY_TRUSTED": "1", "PATH": "/bin"}
    for box in (None, Box()):
        assert "ASSAY_TRUSTED" not in environment_for(box, given, {}, tmp_path)
    assert environment_for(Box(trusted=True), {}, {}, tmp_path)["ASSAY_TRUSTED"] == "1"
