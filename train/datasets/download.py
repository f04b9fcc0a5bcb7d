"""Downloads that start within seconds or not at all, and give a whole, verified file or none."""

from __future__ import annotations

import hashlib
import http.client
import queue
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from assay.files.disk import temporary_prefix
from assay.files.mistakes import mistake_in
from assay.store import reporting_disk_errors
from assay.train.datasets.data import Progress
from assay.train.datasets.sources import UnavailableError

BLOCK = 1 << 18


class Response(Protocol):
    """The part of `urllib`'s answer that is needed."""

    def read(self, amount: int) -> bytes: ...
    def close(self) -> None: ...
    def getheader(self, name: str) -> str | None: ...


def download(url: str, path: Path, md5: str, progress: Progress, start_limit_s: float = 10) -> None:
    """Download `url` (http or https) to `path`, which appears only when its checksum is right.

    Args:
        md5: the published checksum of the file, hex.
        progress: called with the bytes received, with the size in its label if the server tells it.
        start_limit_s: seconds within which the server has to begin to answer; a later pause of that length ends the
            download.

    Raises:
        UnavailableError: there is no answer, it breaks off, or the file has another checksum.
        InputError: the folder cannot be written.
    """
    with reporting_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=temporary_prefix(path), delete=False) as stream:
            work = Path(stream.name)
            try:
                found = _receive(url, path, stream, progress, start_limit_s)
                if found != md5:
                    raise _failure(url, path, f"md5 {md5}", f"md5 {found}: incomplete, or a different file")
                work.chmod(0o644)
                work.replace(path)
            finally:
                work.unlink(missing_ok=True)


def _receive(url: str, path: Path, stream: IO[bytes], progress: Progress, start_limit_s: float) -> str:
    """Write the content that the server sends; return its md5."""
    with _answer(url, path, start_limit_s) as response:
        length = response.getheader("Content-Length") or ""
        total = int(length) if length.isdecimal() else 0
        label = f"downloading {path.name}" + (f" ({total / 1e6:.1f} MB)" if total else "")
        digest = hashlib.md5(usedforsecurity=False)
        done = 0
        while block := _next_block(response, url, path):
            stream.write(block)
            digest.update(block)
            done += len(block)
            progress(label, done, total)
    stream.flush()
    return digest.hexdigest()


def _next_block(response: Response, url: str, path: Path) -> bytes:
    try:
        return response.read(BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise _failure(url, path, "a complete answer", mistake_in(error)) from error


@contextmanager
def _answer(url: str, path: Path, limit_s: float) -> Iterator[Response]:
    """Yield the server's answer, if it comes in time.

    A thread opens it, because the time limit of a socket does not cover the look-up of the name, and starts again with
    each address that is tried.
    """
    answers: queue.SimpleQueue[Response | Exception] = queue.SimpleQueue()
    given_up = threading.Event()

    def fetch() -> None:
        try:
            response: Response = urllib.request.urlopen(url, timeout=limit_s)  # noqa: S310 (http or https)
        except (OSError, http.client.HTTPException, ValueError) as error:
            answers.put(error)
            return
        answers.put(response)
        if given_up.is_set():
            response.close()

    threading.Thread(target=fetch, daemon=True).start()
    try:
        answer = answers.get(timeout=limit_s)
    except queue.Empty:
        given_up.set()
        raise _failure(url, path, f"an answer within {limit_s:g} s", "none") from None
    if isinstance(answer, Exception):
        raise _failure(url, path, f"an answer within {limit_s:g} s", mistake_in(answer)) from answer
    try:
        yield answer
    finally:
        answer.close()


def _failure(url: str, path: Path, expected: str, found: str) -> UnavailableError:
    return UnavailableError(
        f"{path.name} could not be downloaded from {url}",
        expected=expected,
        found=found,
        remedy=f"Download it in another way as {path.name}, and name its folder with --data-root",
    )
