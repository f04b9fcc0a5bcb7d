"""A full or read-only disk: every command reports it, loses nothing, and continues when there is room.

The disk is a small tmpfs in a mount namespace (`small_disk.py`), or, where that is not allowed, the system's own limit
on file size.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from assay.errors import DiskError, ExportFailedError, FailedError, InputError, WorkerError
from assay.files.disk import OF_THE_DISK, disk_error_in, instead_of, refusal_of
from assay.jobs.running import error_from
from assay.jobs.serving import told_of
from tests.bench.cli.test_cli import ASSAY
from tests.onnx_files import onnx_model
from tests.small_study import small_study


def limited(command: list[str]) -> list[str]:
    """The command with a limit of 200 KB on the size of a file.

    A shell sets the limit: a `preexec_fn` would fork this process in Python, of which JAX warns if another test has
    loaded it.
    """
    return ["bash", "-c", 'ulimit -f 200 && exec "$@"', "limited", *command]


def test_what_was_finished_stays_and_one_message_says_why(tmp_path: Path) -> None:
    (tmp_path / "cells.npz").write_bytes(b"finished before")
    command = [str(ASSAY), "data", "build", "synthetic", "--size", "28", "--out", "cells.npz"]
    done = subprocess.run(limited(command), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    message = done.stderr.splitlines()[-1]
    assert message.startswith("assay: Cannot write")
    assert "File too large" in message
    assert "Traceback" not in done.stderr
    assert (tmp_path / "cells.npz").read_bytes() == b"finished before"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["cells.npz"]


MAY_MOUNT = (
    os.geteuid() == 0
    and shutil.which("unshare") is not None
    and subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
    ).returncode
    == 0
)
needs_mount = pytest.mark.skipif(not MAY_MOUNT, reason="only root in a mount namespace may make a small disk")

FREE = [0, 40_000, 200_000, 2_000_000, None]
"""Bytes left on the disk; None means a read-only disk."""
REFERENCE = Path(__file__).parents[2] / "artifacts" / "reference"
SAID = ("No space left on device", "Read-only file system")


STUDY = small_study(
    "disk",
    limit=160,
    train={"frameworks": ["torch"], "batch_size": 32, "parity_steps": 0},
    export={"exporters": ["torch-script"]},
    bench={
        "runtimes": ["torch.eager", "ort.cpu", "null"],
        "batches": [1],
        "processes": 2,
        "interval_width": 0,
        "blocks": 3,
        "budget_minutes": 2,
        "weights": "torch",
    },
)


def on_a_small_disk(place: Path, commands: list[list[str]], free: list[int | None], seeds: list[Path]) -> None:
    """Run commands as `small_disk.py` describes: each names the disk if it fails, and loses and leaves nothing.

    With room, each command ends as it would anywhere: with 0, or with 1 if the answer on a busy machine is no.
    """
    plan = {"seeds": [str(seed) for seed in seeds], "commands": commands, "free": free}
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-P", "-m", "tests.hostile.small_disk", str(place)],
        input=json.dumps(plan),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr
    for one in json.loads(done.stdout):
        for found in one["tries"]:
            judge(one["command"], found)
        last = one["last"]
        assert last["status"] in {0, 1}, (one["command"], last["stderr"])
        assert "Traceback" not in last["stderr"]
        assert "No space" not in last["stdout"] + "".join(last["stderr"].splitlines()[-1:])
        assert not [name for name in last["files"] if ".assay-" in name]


def judge(command: list[str], found: dict[str, Any]) -> None:
    said = f"{command}, {found['free']} bytes free: {found['stderr']}"
    assert "Traceback" not in found["stderr"], said
    assert not [name for name in found["files"] if ".assay-" in name], said
    if found["status"] not in {0, 1}:
        assert found["status"] == 2, said
        last = found["stderr"].strip().splitlines()[-1]
        assert last.startswith("assay: "), said
        assert any(words in last for words in SAID), said
    else:
        assert found["free"] not in {0, None}, said
    finished = {name: digest for name, digest in found["before"].items() if "logs/" not in name}
    assert {name: found["files"].get(name) for name in finished} == finished or found["status"] in {0, 1}, said


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A model of one product, 600 kB, a study, and the report of another."""
    place = tmp_path_factory.mktemp("seeds")
    model = onnx_model(
        [helper.make_node("MatMul", ["x", "weights"], ["y"])],
        {"x": ["batch", 4]},
        {"y": ["batch", 40_000]},
        {"weights": np.random.default_rng(0).normal(size=(4, 40_000)).astype(np.float32)},
        ir_version=9,
    )
    onnx.save(model, place / "product.onnx")
    (place / "disk.toml").write_text(STUDY)
    return [place / "product.onnx", place / "disk.toml", REFERENCE / "quick"]


PAIR = ["audit", "--reference", "product.onnx", "--candidate", "product.onnx"]
DATA = ["data", "build", "synthetic", "--out", "cells.npz"]


@needs_mount
@pytest.mark.parametrize(("command", "free"), [(PAIR, 40_000)])
def test_a_full_disk_is_named_and_nothing_is_lost(
    command: list[str], free: int | None, seeds: list[Path], tmp_path: Path
) -> None:
    on_a_small_disk(tmp_path, [command], [free], seeds)


MAKE = """
import sys
from pathlib import Path
from assay import toolenv
from assay.errors import DiskError
try:
    toolenv.ensure("tiny", Path(sys.argv[1]), lambda *_: None)
except DiskError as error:
    print(error, [path.name for path in (toolenv.cache_folder() / "environments").iterdir()])
"""


@needs_mount
@pytest.mark.parametrize("size", ["8k", "100k"])
def test_a_full_cache_is_named_and_no_half_environment_stays(size: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.txt").write_text(f"tiny==1.0 --hash=sha256:{'0' * 64}\n")
    cache, script = tmp_path / "cache", tmp_path / "make.py"
    cache.mkdir()
    script.write_text(MAKE)
    words = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"', str(cache)]
    done = subprocess.run(
        [*words, sys.executable, "-P", str(script), str(tmp_path / "tiny.txt")],
        env={**os.environ, "ASSAY_CACHE": str(cache), "UV_NO_INDEX": "1", "UV_NO_CONFIG": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if size == "8k":
        assert "No space left on device" in done.stdout, done.stderr
        assert done.stdout.endswith("[]\n")
    else:  # room for an environment without packages, of which there is none to be had
        assert "NotInstalledError" in done.stderr


REMOVE = ("onnx", "logs", "units", "")


@pytest.mark.slow
@pytest.mark.parametrize("part", REMOVE)
def test_a_file_removed_during_a_run_is_one_message_or_made_again(part: str, seeds: list[Path], tmp_path: Path) -> None:
    command = ["compare-model", str(seeds[0]), "--minutes", "0.2", "--interval-width", "0", "--out", "out"]
    folder = tmp_path / "out" / "model-product"
    with subprocess.Popen(
        [str(ASSAY), *command], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        while process.poll() is None and not list((folder / "units").glob("*/logs/*.log")):
            time.sleep(0.05)
        shutil.rmtree(folder / part, ignore_errors=True)
        said = process.communicate()[1]
    assert process.returncode in {0, 1, 2}
    assert "Traceback" not in said
    if process.returncode == 2:
        assert said.strip().splitlines()[-1].startswith("assay: ")
    again = subprocess.run([str(ASSAY), *command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode in {0, 1}, again.stderr


@pytest.mark.slow
@needs_mount
@pytest.mark.parametrize(
    "commands",
    [
        [DATA],
        [PAIR],
        [["report", "quick"], ["compare", "quick", "quick", "--markdown", "pull.md", "--junit", "pull.xml"]],
        [["train", "disk.toml"], ["export", "disk.toml"], ["bench", "disk.toml"]],
        [["run", "disk.toml"], ["audit", "disk.toml", "--images", "96"], ["choose", "artifacts/disk"]],
        [["compare-model", "product.onnx", "--minutes", "0.2", "--interval-width", "0", "--runtime", "ort.cpu"]],
    ],
    ids=lambda commands: " ".join(command[0] for command in commands),
)
def test_every_stage_at_every_size(commands: list[list[str]], seeds: list[Path], tmp_path: Path) -> None:
    on_a_small_disk(tmp_path, commands, FREE, seeds)


@pytest.mark.parametrize("number", OF_THE_DISK)
def test_the_disk_is_found_behind_what_a_library_makes_of_it(number: int, tmp_path: Path) -> None:
    system = OSError(number, os.strerror(number), "model.onnx")
    assert "model.onnx" in str(disk_error_in(system))
    try:
        try:
            raise system
        except OSError as error:
            raise RuntimeError("the writer failed") from error
    except RuntimeError as error:
        wrapped = ExportFailedError("The exporter failed", found=str(error))
        wrapped.__cause__ = error
    assert isinstance(disk_error_in(wrapped), DiskError)
    quoted = [f"I/O error: {os.strerror(number)} (os error {number})", f"HDF5: errno = {number}, {os.strerror(number)}"]
    for text in quoted:
        assert isinstance(disk_error_in(RuntimeError(text)), DiskError)
        assert isinstance(instead_of(WorkerError("It ended", found=text), tmp_path), DiskError)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("shape mismatch"),
        OSError(errno.ENOENT, "No such file or directory", "a"),
        OSError(errno.EFBIG, "File too large", "a"),
        MemoryError(),
        ExportFailedError("The exporter failed", found="unsupported operator"),
    ],
)
def test_the_models_own_errors_stay_its_own(error: Exception, tmp_path: Path) -> None:
    assert disk_error_in(error) is None
    if isinstance(error, FailedError):
        assert instead_of(error, tmp_path) is error


def test_what_numpy_says_of_a_file_that_took_a_part_is_a_full_disk() -> None:
    found = disk_error_in(OSError("150528 requested and 8160 written"))
    assert "No space left on device (150528 requested and 8160 written)" in str(found)


def test_no_array_is_written_through_memory() -> None:
    """A page of a mapped file that finds no room ends the process by SIGBUS, which nothing can handle."""
    root = Path(__file__).parents[2]
    sources = [path for name in ("assay", "bench", "export", "infer", "train") for path in (root / name).rglob("*.py")]
    mapped = r"open_memmap\((?!path, mode=\"r\")|mmap_mode=[\"'](r\+|w\+)|np\.memmap"
    assert [str(path) for path in sources if re.search(mapped, path.read_text(encoding="utf-8"))] == []


def test_a_job_tells_of_the_disk_and_the_conductor_hears_it() -> None:
    told = told_of(OSError(errno.ENOSPC, "No space left on device", "weights"))
    assert told is not None
    assert told["exit_code"] == 2
    assert isinstance(error_from(told), DiskError)
    assert told_of(ValueError("a mistake of ours")) is None
    bad = told_of(InputError("a mistake of the user's"))
    assert bad is not None
    assert not isinstance(error_from(bad), DiskError)


def test_a_folder_with_room_is_not_a_full_disk_and_a_missing_one_is_reported(tmp_path: Path) -> None:
    assert refusal_of(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    assert refusal_of(tmp_path / "gone") == "No such file or directory"
    told = instead_of(WorkerError("The worker ended with status 1"), tmp_path / "gone")
    assert isinstance(told, DiskError)
    assert "No such file or directory; this also failed: The worker ended" in str(told)


def test_standard_output_on_a_full_disk_is_one_message() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([str(ASSAY), "--version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("assay: Cannot write to the disk: found No space left on device")
    assert done.stderr.count("\n") == 1
