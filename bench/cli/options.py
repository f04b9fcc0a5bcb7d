"""Options that several commands share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from assay.store import SharingTier

ARTIFACTS = Path("artifacts")
"""The default folder for everything that is made."""

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key of the study: bench.batches=[1,8]."),
]
Out = Annotated[Path, typer.Option("--out", help="Folder for everything that studies make; each gets a folder in it.")]
DataRoot = Annotated[
    Path | None, typer.Option("--data-root", help="A PBC zip or folder, or a folder of MedMNIST .npz files.")
]
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Run the model outside its box: with your variables, network and files, unlimited."),
]
SharedStore = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="A folder or bucket (s3://, gs://, az://) where machines share weights and files; trust its writers.",
    ),
]
Again = Annotated[
    bool, typer.Option("--again", help="Time everything once more, whatever an earlier run has finished.")
]
CallLimit = Annotated[
    float | None,
    typer.Option(
        "--call-limit",
        metavar="SECONDS",
        min=1,
        help="Give up a call of the model after this; when not given, 60 s, and more for large files and slow models.",
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option("--without", metavar="OUTPUT", help="Leave this output out; can be repeated."),
]
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
        typer.echo("assay: --trust: the model's code runs with your variables, network, files and no limits", err=True)


def as_words(changes: list[str] | None) -> list[str]:
    """Return the --set options as they were written, for the command in a record."""
    return [word for change in changes or () for word in ("--set", change)]
