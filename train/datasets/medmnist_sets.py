"""MedMNIST sets: "bloodmnist" and "medmnist:<name>", at 28, 64, 128 and 224 pixels.

Yang et al., "MedMNIST v2: a large-scale lightweight benchmark for 2D and 3D biomedical image classification",
Scientific Data 10:41 (2023). Names, classes, addresses and checksums are those of the medmnist package, read
from its `info.py` without importing it: its classes need torch and torchvision, and this process has neither.

A file is looked for in the folder the user named, in medmnist's own folder and in the cache, and else
downloaded. A file in a folder the user named may be one of their own; its notice says so. Anywhere else only
the official file will do. No file is ever deleted or changed.
"""

from __future__ import annotations

import ast
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue

from assay.errors import DataError, NotInstalledError, installed_by, unknown_name
from assay.files.mistakes import mistake_in
from assay.train.datasets import npz
from assay.train.datasets.data import DataRequest, Progress
from assay.train.datasets.download import download
from assay.train.datasets.sources import Records, Source, UnavailableError, remembered_digest

SIZES = (28, 64, 128, 224)
MULTI_LABEL = "multi-label, binary-class"
ATTRIBUTION = "MedMNIST v2, Yang et al., Scientific Data 2023, doi 10.1038/s41597-022-01721-8"
BLOOD = "; images: Acevedo et al., Data in Brief 2020, doi 10.17632/snkd93bnjr.1"


class SetInfo(BaseModel):
    """The medmnist package's description of one set.

    Attributes:
        label: class name by label, the label as text.
        addresses: address and md5 of the published file, by size.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    python_class: str
    task: str
    label: dict[str, str]
    n_channels: int
    license: str
    addresses: dict[int, tuple[str, str]]

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.label[str(position)] for position in range(len(self.label)))


@dataclass(frozen=True)
class FileLocation:
    """The place where the file of a set is, or will be.

    Attributes:
        chosen: whether the user named the folder, so that the file may be their own.
    """

    path: Path
    chosen: bool


def load(request: DataRequest, argument: str, progress: Progress) -> Source:
    """Return the MedMNIST set that the request names, from a file or, when it is opened, by download.

    Raises:
        DataError: there is no such set or size, the set is of another kind, or its file is missing or not the official
            one.
        NotInstalledError: the medmnist package is missing.
    """
    name = _set_name(request.name, argument)
    info = _usable_set(name, request)
    filename = f"{name}.npz" if request.size == SIZES[0] else f"{name}_{request.size}.npz"
    url, md5 = info.addresses[request.size]
    place = _find_file(filename, url, request)
    if not place.path.exists():
        return _source(name, info, request, place.path, md5, partial(download, url, place.path, md5, progress))
    found = remembered_digest(request.cache, [place.path], "md5")
    if found == md5:
        return _source(name, info, request, place.path, md5)
    return _own_source(name, info, request, place, found)


def read_info() -> dict[str, SetInfo]:
    """Return all sets that the medmnist package knows, by name.

    Raises:
        NotInstalledError: the package is missing, or too old to list the larger sizes.
    """
    remedy = installed_by("train")
    package = importlib.util.find_spec("medmnist")
    if package is None or package.origin is None:
        raise NotInstalledError("MedMNIST sets need the Python package 'medmnist', not installed", remedy=remedy)
    try:
        table = _read_table(Path(package.origin).with_name("info.py"))
        return {name: _read_set(entry) for name, entry in table.items()}
    except (OSError, SyntaxError, ValueError, LookupError) as error:
        raise NotInstalledError(
            "The medmnist package has no table of sets that can be read",
            expected="medmnist 3.0",
            found=mistake_in(error),
            remedy=remedy,
        ) from error


@cache
def _read_table(path: Path) -> dict[str, dict[str, JsonValue]]:
    """Return the value of INFO in medmnist's `info.py`; running the file would make a folder in the user's home."""
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "INFO":
            table: dict[str, dict[str, JsonValue]] = ast.literal_eval(statement.value)
            return table
    raise LookupError("no INFO")


def _read_set(entry: dict[str, JsonValue]) -> SetInfo:
    suffixes = {size: "" if size == SIZES[0] else f"_{size}" for size in SIZES}
    addresses = {
        size: (entry[f"url{suffix}"], entry[f"MD5{suffix}"])
        for size, suffix in suffixes.items()
        if f"url{suffix}" in entry
    }
    return SetInfo.model_validate({**entry, "addresses": addresses})


def _set_name(requested: str, argument: str) -> str:
    """Return the name of the set that "bloodmnist" or "medmnist:<name>" asks for."""
    if not requested.startswith("bloodmnist"):
        return argument
    if argument:
        raise DataError(f"'{requested}' is not a data set", expected="bloodmnist, without more")
    return "bloodmnist"


def _usable_set(name: str, request: DataRequest) -> SetInfo:
    """Return the description of a set, if its images have one label each, two dimensions and the wanted size."""
    known = read_info()
    if name not in known:
        raise unknown_name("MedMNIST set", name, known)
    info = known[name]
    if name.endswith("3d"):
        raise DataError(f"'{name}' cannot be used", expected="a set of 2-D images", found="3-D volumes")
    if info.task == MULTI_LABEL:
        raise DataError(f"'{name}' cannot be used", expected="one label for each image", found="several (multi-label)")
    if request.size not in info.addresses:
        raise UnavailableError(
            f"'{name}' is not published at {request.size} x {request.size}",
            expected=f"a size of {', '.join(map(str, info.addresses))}",
            remedy="For other sizes, use the original images, pbc:<folder or zip>, or synthetic",
        )
    return info


def _find_file(filename: str, url: str, request: DataRequest) -> FileLocation:
    """Return the location of a set's file, which has to be downloaded if it does not exist."""
    if request.root:
        path = request.root.expanduser() / filename
        if not path.is_file():
            raise DataError(
                f"No {filename} in {request.root}",
                expected=f"the file {path}",
                remedy=f"Download it to that path from {url}, or leave out the folder and Assay downloads it",
            )
        return FileLocation(path, chosen=True)
    named = os.environ.get("ASSAY_DATA_ROOT")
    downloaded = FileLocation(request.cache / "medmnist" / filename, chosen=False)
    places = [FileLocation(Path(named).expanduser() / filename, chosen=True)] if named else []
    places += [FileLocation(Path.home() / ".medmnist" / filename, chosen=False)]
    return next((place for place in places if place.path.is_file()), downloaded)


def _source(
    name: str,
    info: SetInfo,
    request: DataRequest,
    path: Path,
    md5: str,
    prepare: Callable[[], None] = lambda: None,
) -> Source:
    """Return a set as published; `prepare` gets its file when it is opened."""

    def open_records() -> dict[str, Records]:
        prepare()
        return npz.read_records(path, request.size, info.n_channels)

    return Source(
        name=name,
        classes=info.classes,
        attribution=f"{ATTRIBUTION} ({info.python_class})" + (BLOOD if name == "bloodmnist" else ""),
        licence=info.license,
        notice="",
        synthetic=False,
        origin=str(path),
        size=request.size,
        channels=info.n_channels,
        identity={"md5": md5},
        open=open_records,
    )


def _own_source(name: str, info: SetInfo, request: DataRequest, place: FileLocation, md5: str) -> Source:
    """Return a source for a file that is not the published one: made by Assay, or the user's own."""
    published = info.addresses[request.size][1]
    source = _source(name, info, request, place.path, md5)
    made = npz.read_origin(place.path)
    if made:
        return replace(
            source,
            name=made.name,
            classes=made.classes,
            attribution=made.attribution,
            licence=made.licence,
            notice=f"{place.path.name} is not MedMNIST's file; `assay data build` made it. {made.notice}".strip(),
            synthetic=made.synthetic,
        )
    if not place.chosen:
        raise DataError(
            f"{place.path} is not the file MedMNIST published",
            expected=f"md5 {published}",
            found=f"md5 {md5}",
            remedy="It is damaged or a different file: move it away to have it downloaded, or name its folder "
            "with --data-root if it is yours",
        )
    notice = (
        f"{place.path.name} is not MedMNIST's published file (md5 {md5}, published {published}): its images and "
        "its split are unofficial."
    )
    return replace(source, notice=notice)
