"""Arrays are read only after their headers: objects, false sizes and zip bombs are refused before memory is
allocated.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.errors import ArtifactError, InputError
from assay.files import arrays
from assay.files.arrays import check_call, check_inflation, load_array, load_arrays, map_array
from assay.files.texts import read_json

ROOT = Path(__file__).parents[3]
PACKAGES = ("assay", "train", "export", "infer", "bench")
READERS = {"load", "loadtxt", "genfromtxt", "fromregex", "read_array", "open_memmap", "memmap"}
ALLOWED = {
    ("assay/files/arrays.py", "read_array"),
    ("assay/files/arrays.py", "open_memmap"),
    ("bench/auditing/inputs.py", "open_memmap"),  # writes
    ("bench/tasks/classification/served.py", "open_memmap"),  # writes
}


def header(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (118 - len(text) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def npy(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def zip_of(path: Path, members: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as bundle:
        for name, content in members.items():
            bundle.writestr(name, content)
    return path


def saved(array: np.ndarray, folder: Path) -> bytes:
    np.save(folder / "saved.npy", array, allow_pickle=True)
    return (folder / "saved.npy").read_bytes()


@given(shape=st.lists(st.integers(0, 5), max_size=4), dtype=st.sampled_from(["<f4", "<i8", "|u1", "|b1", "<f2"]))
@settings(max_examples=30)
def test_what_numpy_wrote_is_read(tmp_path_factory: pytest.TempPathFactory, shape: list[int], dtype: str) -> None:
    folder = tmp_path_factory.mktemp("arrays")
    array = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    np.save(folder / "one.npy", array)
    np.savez(folder / "two.npz", a=array, b=np.float32(3))
    np.savez_compressed(folder / "three.npz", a=array)
    for found in (
        load_array(folder / "one.npy"),
        map_array(folder / "one.npy"),
        load_arrays(folder / "three.npz")["a"],
    ):
        np.testing.assert_array_equal(found, array)
    assert set(load_arrays(folder / "two.npz")) == {"a", "b"}


def test_records_are_read(tmp_path: Path) -> None:
    records = np.zeros(3, [("x", "<f4", (2,)), ("y", "<i8")])
    np.save(tmp_path / "records.npy", records)
    assert load_array(tmp_path / "records.npy").dtype == records.dtype
    assert map_array(tmp_path / "records.npy").dtype == records.dtype


BROKEN: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "10^10 numbers declared": (lambda _: header((10**10,)) + bytes(40), "40,000,000,000 bytes"),
    "10^30 numbers declared": (
        lambda _: header((10**10, 10**10, 10**10)),
        "does not contain the data that its header declares",
    ),
    "a negative size": (lambda _: header((-1,)) + bytes(4), "a shape of"),
    "more than declared": (lambda _: header((2,)) + bytes(80), "does not contain the data that its header declares"),
    "less than declared": (lambda _: header((20,)) + bytes(8), "does not contain the data that its header declares"),
    "objects": (lambda folder: saved(np.array([print], object), folder), "holds Python objects"),
    "a record with an object": (lambda _: header((1,), "|O") + bytes(8), "holds Python objects"),
    "a header of 1 MB": (lambda _: b"\x93NUMPY\x02\x00" + (1 << 20).to_bytes(4, "little") + b" " * (1 << 20), "cannot"),
    "code in the header": (lambda _: b"\x93NUMPY\x01\x00\x10\x00" + b"__import__('os')", "cannot be read"),
    "an open bracket": (lambda _: b"\x93NUMPY\x01\x00\x10\x00" + b"{'descr': '<f4'\n", "cannot be read"),
    "version 9": (lambda _: b"\x93NUMPY\x09\x00" + bytes(200), "format 9.0"),
    "a pickle": (lambda _: b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07builtins.", "cannot be read"),
    "nothing": (lambda _: b"", "cannot be read"),
}


@pytest.mark.parametrize("damage", BROKEN)
@pytest.mark.parametrize("read", [load_array, map_array])
def test_a_broken_array_is_refused_by_name(read: Callable[[Path], np.ndarray], damage: str, tmp_path: Path) -> None:
    make, words = BROKEN[damage]
    with pytest.raises(ArtifactError, match=r"broken\.npy") as caught:
        read(npy(tmp_path / "broken.npy", make(tmp_path)))
    assert words in str(caught.value)
    with pytest.raises(ArtifactError, match=r"broken\.npz"):
        load_arrays(zip_of(tmp_path / "broken.npz", {"x.npy": make(tmp_path)}))


def test_a_missing_array_is_named(tmp_path: Path) -> None:
    for read in (load_array, map_array, load_arrays):
        with pytest.raises(ArtifactError, match=r"none\.npy cannot be read.*found nothing"):
            read(tmp_path / "none.npy")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.npy")
    for read in (load_array, map_array, load_arrays, read_json):
        with pytest.raises(ArtifactError, match="not a plain file"):
            read(tmp_path / "x.npy")


def test_a_zip_with_something_before_it_is_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "x.npz", {"x.npy": header((1,)) + bytes(4)})
    path.write_bytes(b"\x80\x04" + path.read_bytes())
    with pytest.raises(ArtifactError, match="not a plain zip"):
        load_arrays(path)


def test_zips_of_one_name_twice_or_of_many_members_are_refused(tmp_path: Path) -> None:
    one = header((1,)) + bytes(4)
    path = zip_of(tmp_path / "twice.npz", {"x.npy": one})
    with zipfile.ZipFile(path, "a") as bundle, pytest.warns(UserWarning, match="Duplicate"):
        bundle.writestr("x.npy", one)
    with pytest.raises(ArtifactError, match="2 members under 1 names"):
        load_arrays(path)


def test_a_limit_that_the_caller_sets_holds(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros(1000))
    with zipfile.ZipFile(tmp_path / "x.npz") as bundle:
        check_inflation(tmp_path / "x.npz", bundle, 9000)
        with pytest.raises(ArtifactError, match="more memory"):
            check_inflation(tmp_path / "x.npz", bundle, 5000)


def test_more_than_memory_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "x.npy", np.zeros(1000))
    np.savez(tmp_path / "x.npz", x=np.zeros(1000))
    for most, refused in ((9000, False), (5000, True)):
        monkeypatch.setattr(arrays, "most_bytes", lambda most=most: most)
        for read, name in ((load_array, "x.npy"), (load_arrays, "x.npz")):
            with pytest.raises(ArtifactError, match="more memory") if refused else nullcontext():
                read(tmp_path / name)


def test_a_call_that_memory_cannot_hold_is_refused_with_its_input() -> None:
    check_call({"x": ((2, 3), 4)}, "model.onnx")
    with pytest.raises(InputError, match=r"model\.onnx.*'y'.*10000000000 x 2"):
        check_call({"x": ((2, 3), 4), "y": ((10**10, 2), 4)}, "model.onnx")


PEAK = """
import resource, sys
from pathlib import Path
from assay.files.arrays import load_arrays
from assay.errors import ArtifactError
try:
    load_arrays(Path(sys.argv[1]))
except ArtifactError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture(scope="module")
def bomb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 MB that declare 3 GB of zeros, as a correct array of 3 GB would."""
    path = tmp_path_factory.mktemp("bomb") / "bomb.npz"
    size, piece = 3 << 30, bytes(64 << 20)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bundle,
        bundle.open("x.npy", "w", force_zip64=True) as stream,
    ):
        stream.write(header((size // 4,)))
        for _ in range(size // len(piece)):
            stream.write(piece)
    return path


@pytest.mark.slow
def test_a_zip_bomb_takes_no_memory(bomb: Path) -> None:
    assert bomb.stat().st_size < 20 << 20
    done = subprocess.run([sys.executable, "-c", PEAK, str(bomb)], capture_output=True, text=True, check=True)
    message, peak_kib = done.stdout.splitlines()
    assert "grows out of proportion" in message
    assert int(peak_kib) < 1 << 20


def _reads(tree: ast.AST) -> list[str]:
    """The numpy readers that a file calls: `np.load` or `np.lib.format.read_array`."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in READERS]
    return [node.attr for node in names if ast.unparse(node).startswith(("np.", "numpy."))]


@pytest.mark.parametrize("package", PACKAGES)
def test_arrays_are_read_in_one_place(package: str) -> None:
    found = {
        (str(path.relative_to(ROOT)), name)
        for path in (ROOT / package).rglob("*.py")
        for name in _reads(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found <= ALLOWED
