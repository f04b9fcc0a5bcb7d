"""Labels from a file: what each kind gives, and what is wrong with a bad one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.bench.tasks.labels import only_labels, read_labels
from assay.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0\n2\n1\n", np.array([0, 2, 1])),
        ("label\n0\n2\n1\n", np.array([0, 2, 1])),
        ("\ufeffa,b\r\n0,1\r\n\r\n2,3\r\n4,-5\r\n", np.array([[0, 1], [2, 3], [4, -5]])),
        ("price\n0.5\n2\n1e3\n", np.array([0.5, 2.0, 1000.0])),
    ],
)
def test_a_csv_has_a_line_for_each_record(text: str, expected: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "y.csv").write_text(text, encoding="utf-8")
    found = read_labels(tmp_path / "y.csv", 3)
    assert isinstance(found, np.ndarray)
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


def test_an_npz_of_one_array_is_that_array_and_of_several_all_of_them(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", labels=np.arange(3))
    np.savez(tmp_path / "two.npz", boxes=np.zeros((3, 2, 4)), classes=np.zeros((3, 2), int))
    assert np.array_equal(only_labels(read_labels(tmp_path / "one.npz", 3), tmp_path), np.arange(3))
    two = read_labels(tmp_path / "two.npz", 3)
    assert list(two) == ["boxes", "classes"]
    with pytest.raises(InputError, match=r"several arrays.*boxes, classes"):
        only_labels(two, tmp_path / "two.npz")
    with pytest.raises(InputError, match=r"two.npz, boxes.*each of the 4 records.*\(3, 2, 4\)"):
        read_labels(tmp_path / "two.npz", 4)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("y.csv", b"label\n0\ncat\n1\n", "y.csv, line 3 is not a label.*1 number.*'cat'"),
        ("y.csv", b"0,1\n2\n3,4\n", "line 2.*2 numbers.*1 columns"),
        ("y.csv", b"0\n1\n", r"each of the 3 records.*\(2,\)"),
        ("y.csv", b"", r"each of the 3 records.*\(0,\)"),
        ("y.csv", b"\xff\xfe\x00", "not a table of text"),
        ("y.txt", b"0\n1\n2\n", "y.txt.*'.txt'"),
    ],
)
def test_what_is_wrong_is_said(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"(?s){said}"):
        read_labels(tmp_path / name, 3)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no file .*none.npy"):
        read_labels(tmp_path / "none.npy", 3)
