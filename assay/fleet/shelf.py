"""Where machines put what they share: a folder that all of them see, or a bucket of a cloud through fsspec.

A name either has its whole content or none, on each of them: a folder's files take their names when they are complete,
and so do the objects of a cloud. `create` gives a name to the first who asks for it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from assay.errors import ArtifactError, DiskError, InputError, NotInstalledError, missing
from assay.files.disk import TEMPORARY, disk_error
from assay.files.texts import read_bytes
from assay.foreign import said_by

PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "memory": ""}
"""By a cloud's scheme, what fsspec needs for it; `memory` is this process's own, for tests."""
MOST_BYTES = 64 << 20
"""Greatest size of a file that is read whole, a manifest."""


class Shelf(Protocol):
    """Files by names such as "objects/3f/3fa4...". All of them raise DiskError where the place fails."""

    def read(self, name: str) -> bytes | None:
        """Return a small file, or None where there is none."""

    def fetch(self, name: str, to: Path) -> bool:
        """Copy a file to this machine; False where there is none."""

    def has(self, name: str) -> bool:
        """Check whether there is such a file."""

    def put(self, name: str, file: Path) -> None:
        """Copy a file from this machine, replacing an existing one."""

    def create(self, name: str, content: bytes) -> bool:
        """Write a small file unless there is one, and return whether it was written."""

    def remove(self, name: str) -> None:
        """Remove a file, where there is one."""


class FolderShelf:
    """A folder, such as one on a network's file system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str) -> bytes | None:
        """See `Shelf`."""
        try:
            return read_bytes(self.folder / name, MOST_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_error(self.folder / name, error) from error

    def fetch(self, name: str, to: Path) -> bool:
        """See `Shelf`."""
        try:
            with (self.folder / name).open("rb") as source, to.open("wb") as target:
                _copy(source, target)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise disk_error(self.folder / name, error) from error
        return True

    def has(self, name: str) -> bool:
        """See `Shelf`."""
        return (self.folder / name).is_file()

    def put(self, name: str, file: Path) -> None:
        """See `Shelf`."""
        with self._beside(name) as work:
            with file.open("rb") as source, work.open("wb") as target:
                _copy(source, target)
                os.fsync(target.fileno())
            work.replace(self.folder / name)

    def create(self, name: str, content: bytes) -> bool:
        """See `Shelf`: a link to a finished file is made by one and refused to all others."""
        with self._beside(name) as work:
            work.write_bytes(content)
            try:
                os.link(work, self.folder / name)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP):
                    raise
                return self._created_without_links(name, content)
        return True

    def remove(self, name: str) -> None:
        """See `Shelf`."""
        with contextlib.suppress(FileNotFoundError):
            (self.folder / name).unlink()

    def _created_without_links(self, name: str, content: bytes) -> bool:
        """On a file system without links, where a reader may see a part for a moment and takes it for none."""
        try:
            with (self.folder / name).open("xb") as stream:
                stream.write(content)
        except FileExistsError:
            return False
        return True

    @contextmanager
    def _beside(self, name: str) -> Iterator[Path]:
        """A name of one's own in the folder that a file is to be in."""
        place = (self.folder / name).parent
        work = None
        try:
            place.mkdir(parents=True, exist_ok=True)
            handle, text = tempfile.mkstemp(dir=place, prefix=TEMPORARY)
            os.close(handle)
            work = Path(text)
            work.chmod(0o644)
            yield work
        except OSError as error:
            raise disk_error(self.folder / name, error) from error
        finally:
            if work is not None:
                work.unlink(missing_ok=True)


class CloudShelf:
    """A bucket, or a folder in one.

    Raises:
        NotInstalledError: fsspec, or what it needs for this cloud, is not installed.
    """

    def __init__(self, url: str) -> None:
        scheme = url.partition("://")[0]
        try:
            with _told(url):
                self.system, self.root = import_module("fsspec.core").url_to_fs(url)
        except ImportError as error:
            package = PACKAGES[scheme]
            if error.name == "fsspec" or not package:
                raise missing(f"The store {url}", error, "fleet") from error
            raise NotInstalledError(
                f"The store {url} needs the Python package '{package}', which is not installed",
                remedy=f"Install it with: pip install {package}",
            ) from error
        self.url = url

    def read(self, name: str) -> bytes | None:
        """See `Shelf`."""
        try:
            with _told(self.url):
                content: bytes = self.system.cat_file(self._at(name))
        except FileNotFoundError:
            return None
        return content

    def fetch(self, name: str, to: Path) -> bool:
        """See `Shelf`."""
        try:
            with _told(self.url):
                self.system.get_file(self._at(name), str(to))
        except FileNotFoundError:
            return False
        return True

    def has(self, name: str) -> bool:
        """See `Shelf`."""
        with _told(self.url):
            found: bool = self.system.exists(self._at(name))
        return found

    def put(self, name: str, file: Path) -> None:
        """See `Shelf`."""
        with _told(self.url):
            self.system.put_file(str(file), self._at(name))

    def create(self, name: str, content: bytes) -> bool:
        """See `Shelf`: clouds take an object on the condition that there is none. Where there is one, their packages
        raise several errors (s3fs has had EINVAL), so that this is looked up.
        """
        try:
            with _told(self.url):
                self.system.pipe_file(self._at(name), content, mode="create")
        except FileExistsError:
            return False
        except DiskError:
            if self.has(name):
                return False
            raise
        return True

    def remove(self, name: str) -> None:
        """See `Shelf`."""
        with contextlib.suppress(FileNotFoundError), _told(self.url):
            self.system.rm_file(self._at(name))

    def _at(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"


def shelf_at(url: str) -> Shelf:
    """Return the shelf that a folder's path or a URL names.

    Raises:
        InputError: a URL of another kind.
        NotInstalledError: a package that it needs is not installed.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return FolderShelf(Path(url).absolute())
    if scheme == "file":
        return FolderShelf(Path(rest).absolute())
    if scheme not in PACKAGES:
        raise InputError(
            f"{url} is not a store that machines can share", expected="a folder, or a URL of s3, gs, gcs, az or abfs"
        )
    return CloudShelf(url)


def _copy(source: Any, target: Any) -> None:
    while content := source.read(1 << 20):
        target.write(content)


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Turn the errors of a cloud's package into ours, in one line; existence or absence is an answer.

    Raises:
        DiskError: the cloud cannot be reached, or refuses.
    """
    try:
        yield
    except (FileNotFoundError, FileExistsError, ImportError, ArtifactError):
        raise
    except Exception as error:
        raise DiskError(
            f"The store {url} cannot be used",
            found=said_by(error),
            remedy="Check that it exists and that this machine may read and write it",
        ) from error
