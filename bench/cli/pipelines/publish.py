"""The command `assay publish`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated

import typer

from assay.bench.cli.options import Json, refuse_idle
from assay.bench.words.terminal import print_json, print_line

CARD = "huggingface-card"
TRACKERS = {"mlflow": "assay.bench.publishing.on_mlflow", "wandb": "assay.bench.publishing.on_wandb"}
"""By name, what tells it; the extra that brings it has the same name."""
CARD_FILE = "model-card.md"


def publish(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder of a finished study, or of `assay model`.")
    ],
    to: Annotated[
        str, typer.Option("--to", help=f"{', '.join(TRACKERS)} or {CARD}, which is a file and is not sent anywhere.")
    ],
    place: Annotated[
        str,
        typer.Option(
            "--place",
            help="MLflow's tracking URI, or the folder where Weights & Biases keeps runs; their default "
            "when not given.",
        ),
    ] = "",
    project: Annotated[str, typer.Option("--project", help="The experiment or project there.")] = "assay",
    cell: Annotated[
        str,
        typer.Option(
            "--cell", help=f"For {CARD}: the cell whose numbers it shows; by default the one that `assay choose` chose."
        ),
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", help=f"For {CARD}: the file to write; FOLDER/{CARD_FILE} when not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell an experiment tracker what a run found, or write a model card with the verdict."""
    from assay.errors import missing, unknown_name

    if to not in {*TRACKERS, CARD}:
        raise unknown_name("place to publish to", to, {*TRACKERS, CARD})
    refuse_idle(
        *(("with a model card", {"--place": place}) if to == CARD else (f"with {to}", {"--cell": cell, "--out": out}))
    )
    from assay.bench.publishing.publication import publication_of

    found = publication_of(folder)
    if to == CARD:
        from assay.bench.publishing.card import card_of
        from assay.store import write_atomically

        file = out or folder / CARD_FILE
        write_atomically(file, card_of(found, cell).encode())
        where = str(file)
    else:
        try:
            tracker = importlib.import_module(TRACKERS[to])
        except ImportError as error:
            raise missing(f"assay publish --to {to}", error, to) from error
        where = tracker.publish(found, place, project)
    if as_json:
        print_json({"to": to, "where": where, "passed": found.passed})
    else:
        print_line(f"Published to {to}: {where}" if to != CARD else f"Model card: {where}")
