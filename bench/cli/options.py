"""Options that several commands have, each said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ARTIFACTS = Path("artifacts")
"""The folder that all is made in, where no other is named."""

Out = Annotated[Path, typer.Option("--out", help="Folder for everything a study makes; one folder below it a study.")]
DataRoot = Annotated[
    Path | None, typer.Option("--data-root", help="A PBC zip or folder, or a folder of MedMNIST .npz files.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
