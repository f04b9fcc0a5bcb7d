"""Options that several commands share, each declared once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay.bench.words.terminal import complain
from assay.errors import InputError

if TYPE_CHECKING:
    from assay.store import SharingTier

ARTIFACTS = Path("artifacts")
"""The default folder for everything that is made."""

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="A different value for a key of the study, such as bench.batches=[1,8]."
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results of studies; each gets a folder in it.")]
DataRoot = Annotated[
    Path | None, typer.Option("--data-root", help="A PBC zip or folder, or a folder of MedMNIST .npz files.")
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Run the model outside its box: with your environment variables, network and files, without limits.",
    ),
]
SharedStore = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="A folder or bucket (s3://, gs://, az://) where machines share weights and files; everyone who "
        "can write to it must be trusted.",
    ),
]
Again = Annotated[bool, typer.Option("--again", help="Time everything again, even what an earlier run finished.")]
CallLimit = Annotated[
    float | None,
    typer.Option(
        "--call-limit",
        metavar="SECONDS",
        min=1,
        help="Time limit of one call of the model; by default 60 s, and more for large files and slow models.",
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option("--without", metavar="OUTPUT", help="Leave this output out; can be repeated."),
]
Shape = Annotated[
    list[str] | None,
    typer.Option(
        "--shape",
        metavar="NAME=SHAPE",
        help="An input by its name in the model: image=batch,3,224,224 or ids=int64:batch,128. A word makes a "
        "dimension dynamic.",
    ),
]
Dimension = Annotated[
    list[str] | None, typer.Option("--dimension", metavar="NAME=SIZE", help="The size of a dynamic dimension.")
]
Inputs = Annotated[
    Path | None,
    typer.Option(
        "--inputs", help="An .npz or a folder of .npy, one array for each input; random inputs when not given."
    ),
]
DrawnRange = Annotated[
    list[str] | None,
    typer.Option("--range", metavar="NAME=LEAST:MOST", help="Draw the numbers of this input between two: ids=0:30521."),
]
DrawnValue = Annotated[
    list[str] | None,
    typer.Option("--value", metavar="NAME=NUMBER", help="The one number that this input has: sampling_rate=16000."),
]
Framework = Annotated[
    str,
    typer.Option("--framework", help="The framework of a function, if its result does not show it: torch, tf or jax."),
]
Batch = Annotated[
    list[int] | None, typer.Option("--batch", min=1, help="Batch size (1 if not given); can be repeated.")
]
Runtime = Annotated[list[str] | None, typer.Option("--runtime", help="Time only this runtime; can be repeated.")]
Threads = Annotated[int, typer.Option("--threads", min=1, help="Compute threads of every runtime.")]
Minutes = Annotated[float, typer.Option("--minutes", min=0.1, help="The wall time that timing may take.")]
Opset = Annotated[int, typer.Option("--opset", min=13, max=24, help="The requested ONNX opset.")]
IntervalWidth = Annotated[
    float,
    typer.Option(
        "--interval-width",
        min=0,
        max=1,
        help="Add processes until the interval of every ratio is no wider than this share of it; 0 adds none.",
    ),
]
SlowdownThreshold = Annotated[
    float, typer.Option("--threshold", min=0, help="The slowdown, in percent, beyond which a cell is a regression.")
]
Markdown = Annotated[Path | None, typer.Option("--markdown", help="Write a pull request comment to this file.")]
JUnit = Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML to this file.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]


def tier_at(url: str | None) -> SharingTier | None:
    """Return the shared tier of the store that `--store` names."""
    if url is None:
        return None
    from assay.fleet.shelf import shelf_at
    from assay.fleet.tier import SharedTier

    return SharedTier(shelf_at(url))


def say_trust(trusted: bool) -> None:
    """Print one line when something is about to run outside its box."""
    if trusted:
        complain("assay: --trust: the model's code runs with your environment variables, network and files, unlimited")


def refuse_idle(where: str, given: Mapping[str, object]) -> None:
    """Refuse options that would be read and then change nothing.

    Args:
        where: "with a study", what the command is asked to do.
        given: by its name, what each option that means nothing there holds; None, False or nothing where it was not
            given.

    Raises:
        InputError: one was given.
    """
    idle = [name for name, value in given.items() if not (value is None or value is False or value in ([], (), ""))]
    if idle:
        raise InputError(f"{' and '.join(idle)} would have no effect {where}", remedy="Leave it out")


def as_words(changes: list[str] | None) -> list[str]:
    """Return the --set options as they were written, for the command in a record."""
    return [word for change in changes or () for word in ("--set", change)]
