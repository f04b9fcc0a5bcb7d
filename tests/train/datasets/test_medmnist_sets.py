"""MedMNIST sets: from files of every kind, by download from a local server, and written by Assay."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from assay.errors import DataError, InputError, NotInstalledError
from assay.train.datasets import medmnist_sets
from assay.train.datasets.data import SPLITS, DataRequest, load_dataset, store_dataset
from assay.train.datasets.download import download
from assay.train.datasets.medmnist_sets import read_info
from assay.train.datasets.npz import write_medmnist_npz
from assay.train.datasets.sources import UnavailableError
from tests.train.makers import COUNTS, isolate, npz_arrays, write_cells, write_npz


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path / "home")


class _QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


class _Breaking(BaseHTTPRequestHandler):
    """A server that promises a thousand bytes and sends ten."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"ten bytes.")

    def log_message(self, *_: object) -> None: ...


@contextmanager
def _serving(handler: object) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:  # type: ignore[arg-type]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _publish(monkeypatch: pytest.MonkeyPatch, name: str, url: str, md5: str) -> None:
    """Make the medmnist package name this address and checksum at 28 pixels."""
    known = read_info()
    changed = known[name].model_copy(update={"addresses": {**known[name].addresses, 28: (url, md5)}})
    monkeypatch.setattr(medmnist_sets, "read_info", lambda: {**known, name: changed})


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_the_table_of_sets_is_medmnists_own() -> None:
    known = read_info()
    assert len(known) == 18
    blood = known["bloodmnist"]
    assert blood.classes[:2] == ("basophil", "eosinophil")
    assert set(blood.addresses) == {28, 64, 128, 224}
    assert blood.addresses[64][1] == "2b94928a2ae4916078ca51e05b6b800b"


def test_an_official_file_in_medmnists_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_npz(tmp_path / "home" / ".medmnist" / "bloodmnist.npz", npz_arrays())
    _publish(monkeypatch, "bloodmnist", "http://127.0.0.1:9/none", _md5(path))
    dataset = load_dataset(DataRequest("bloodmnist", 28, cache=tmp_path))
    assert dataset.name == "bloodmnist"
    assert dataset.notice == ""
    assert dataset.licence == "CC BY 4.0"
    assert "Acevedo" in dataset.attribution
    assert len(dataset.train.labels) == COUNTS["train"]
    assert np.array_equal(dataset.test.images, npz_arrays()["test_images"])


@pytest.mark.parametrize("size", [28, 64, 128, 224])
def test_a_file_of_the_users_own_is_taken_and_called_unofficial(size: int, tmp_path: Path) -> None:
    name = "bloodmnist.npz" if size == 28 else f"bloodmnist_{size}.npz"
    write_npz(tmp_path / "own" / name, npz_arrays(size))
    dataset = load_dataset(DataRequest("bloodmnist", size, root=tmp_path / "own", cache=tmp_path))
    assert dataset.train.images.shape == (COUNTS["train"], size, size, 3)
    assert name in dataset.notice
    assert "unofficial" in dataset.notice


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    arrays = npz_arrays(channels=1, classes=2)
    write_npz(tmp_path / "pneumoniamnist.npz", arrays)
    dataset = load_dataset(DataRequest("medmnist:pneumoniamnist", 28, root=tmp_path, cache=tmp_path))
    assert dataset.train.images.shape == (COUNTS["train"], 28, 28, 1)
    assert dataset.classes == ("normal", "pneumonia")
    assert np.array_equal(dataset.train.images[..., 0], arrays["train_images"])


def test_compressed_files_and_limits_read_the_same_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay.train.datasets.npz.PIECE_BYTES", 5 * 28 * 28 * 3)
    arrays = npz_arrays()
    np.savez_compressed(tmp_path / "bloodmnist.npz", **arrays)  # type: ignore[arg-type]
    dataset = load_dataset(DataRequest("bloodmnist", 28, root=tmp_path, limit=12, cache=tmp_path))
    chosen = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert np.array_equal(dataset.train.images, arrays["train_images"][chosen])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("chestmnist", "multi-label"),
        ("organmnist3d", "3-D"),
        ("bloodmnst", "Did you mean 'bloodmnist'"),
        ("", "Unknown MedMNIST set"),
    ],
)
def test_sets_that_cannot_be_used_are_refused_with_a_reason(name: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=reason):
        load_dataset(DataRequest(f"medmnist:{name}", 28, cache=tmp_path))


def test_a_size_that_is_not_published_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"96 x 96.*28, 64, 128, 224.*pbc"):
        load_dataset(DataRequest("bloodmnist", 96, cache=tmp_path))


def test_a_missing_medmnist_package_names_what_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(NotInstalledError, match=r"onnx-assay\[train\]"):
        load_dataset(DataRequest("bloodmnist", 28, cache=tmp_path))


def test_a_download_is_shown_verified_kept_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_npz(tmp_path / "site" / "bloodmnist.npz", npz_arrays())
    told: list[tuple[str, int, int]] = []
    request = DataRequest("bloodmnist", 28, cache=tmp_path / "cache")
    with _serving(partial(_QuietFiles, directory=str(path.parent))) as address:
        _publish(monkeypatch, "bloodmnist", f"{address}/bloodmnist.npz", _md5(path))
        first = load_dataset(request, lambda *progress: told.append(progress))
    assert load_dataset(request).content_hash == first.content_hash
    assert first.notice == ""
    downloading = [entry for entry in told if "downloading" in entry[0]]
    assert "0.1 MB" in downloading[0][0]
    assert downloading[-1][1] == downloading[-1][2] == path.stat().st_size


def test_a_stored_official_set_needs_its_file_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_npz(tmp_path / "home" / ".medmnist" / "bloodmnist.npz", npz_arrays())
    _publish(monkeypatch, "bloodmnist", "http://127.0.0.1:9/none", _md5(path))
    request = DataRequest("bloodmnist", 28, cache=tmp_path / "cache")
    first = store_dataset(request)
    path.unlink()
    assert store_dataset(request) == first


def test_a_download_of_another_file_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "file.npz").write_bytes(b"other")
    with (
        _serving(partial(_QuietFiles, directory=str(tmp_path / "site"))) as address,
        pytest.raises(UnavailableError, match="md5"),
    ):
        download(f"{address}/file.npz", tmp_path / "cache" / "file.npz", "0" * 32, lambda *_: None)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("handler", [_Breaking, partial(_QuietFiles, directory="/nonexistent")])
def test_a_download_that_breaks_off_or_is_not_there(handler: object, tmp_path: Path) -> None:
    with _serving(handler) as address, pytest.raises(UnavailableError, match=r"file.npz.*--data-root"):
        download(f"{address}/file.npz", tmp_path / "file.npz", "0" * 32, lambda *_: None)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_never_answers_is_given_up_in_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.perf_counter()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file.npz"
        with pytest.raises(UnavailableError, match=r"within 0.2 s"):
            download(url, tmp_path / "file.npz", "0" * 32, lambda *_: None, start_limit_s=0.2)
        assert time.perf_counter() - began < 2


def test_no_server_at_all_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="refused"):
        download("http://127.0.0.1:9/file.npz", tmp_path / "file.npz", "0" * 32, lambda *_: None)


def test_what_assay_writes_is_read_by_numpy_and_by_assay(tmp_path: Path) -> None:
    cells = write_cells(tmp_path / "cells")
    built = load_dataset(DataRequest(f"pbc:{cells}", 28, cache=tmp_path / "cache"))
    path = tmp_path / "built" / "bloodmnist.npz"
    write_medmnist_npz(built, path)
    with np.load(path) as arrays:
        for split, member in zip(SPLITS, ("train", "val", "test"), strict=True):
            assert np.array_equal(arrays[f"{member}_images"], getattr(built, split).images)
            labels = arrays[f"{member}_labels"]
            assert labels.dtype == np.uint8
            assert np.array_equal(labels, getattr(built, split).labels[:, None])
    again = load_dataset(DataRequest("bloodmnist", 28, root=path.parent, cache=tmp_path / "cache"))
    assert again.content_hash == built.content_hash
    assert again.name == "pbc"
    assert again.classes == built.classes
    assert "not MedMNIST's file" in again.notice
    assert "Unofficial split" in again.notice


def test_the_same_data_set_is_written_as_the_same_bytes(tmp_path: Path) -> None:
    dataset = load_dataset(DataRequest("synthetic", 28, limit=16))
    write_medmnist_npz(dataset, tmp_path / "a.npz")
    write_medmnist_npz(dataset, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_drawn_cells_in_a_real_sets_file_stay_labelled_synthetic(tmp_path: Path) -> None:
    drawn = load_dataset(DataRequest("synthetic", 28, limit=16))
    write_medmnist_npz(drawn, tmp_path / "bloodmnist.npz")
    dataset = load_dataset(DataRequest("bloodmnist", 28, root=tmp_path, cache=tmp_path))
    assert dataset.synthetic
    assert dataset.name == "synthetic"
    assert "SYNTHETIC" in dataset.notice


def test_a_failed_write_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    path.write_bytes(b"before")
    dataset = load_dataset(DataRequest("synthetic", 28, limit=16))
    broken = replace(dataset, test=replace(dataset.test, labels=None))  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        write_medmnist_npz(broken, path)
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["set.npz"]


def test_members_beyond_the_format_are_ignored(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "bloodmnist.npz", npz_arrays())
    with zipfile.ZipFile(path, "a") as bundle:
        bundle.writestr("README", "more")
    assert load_dataset(DataRequest("bloodmnist", 28, root=tmp_path, cache=tmp_path)).train.images.size
