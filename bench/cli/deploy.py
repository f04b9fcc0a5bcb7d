"""The command `assay deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import Json
from bench.terminal import print_json, print_line

if TYPE_CHECKING:
    from assay.deployment import Deployment

DEFAULT_OUT = "deployment"


def deploy(
    study: Annotated[
        Path | None,
        typer.Argument(
            metavar="[STUDY_FOLDER]", help="The folder of a finished and audited study, or of compare-model."
        ),
    ] = None,
    cell: Annotated[
        str | None, typer.Option("--cell", help="The cell to deploy; what `assay choose` chose when not given.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The deployment folder; STUDY_FOLDER/deployment by default.")
    ] = None,
    instances: Annotated[int, typer.Option("--instances", min=1, help="Of the model, that the server holds.")] = 1,
    data: Annotated[
        Path | None, typer.Option("--data", help="The folder of stored data sets; the one beside the study by default.")
    ] = None,
    check: Annotated[Path | None, typer.Option("--check", help="Instead: verify this deployment folder.")] = None,
    rollback: Annotated[
        Path | None, typer.Option("--rollback", help="Instead: let this deployment folder serve an older version.")
    ] = None,
    to: Annotated[
        int | None, typer.Option("--to", min=1, help="With --rollback: which; the one before when not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write an audited model as a folder that Triton serves; verify one; go back to an older version."""
    from assay.locks import replacing, using
    from bench.deploy import roll_back
    from bench.deployment.verify import check_deployment

    if sum(one is not None for one in (study, check, rollback)) != 1:
        raise typer.BadParameter("name a study's folder, or --check FOLDER, or --rollback FOLDER")
    if check is not None:
        found, said = check_deployment(check), f"{check}: every check passed"
    elif rollback is not None:
        with replacing(rollback):
            found = roll_back(rollback, to)
        said = f"{rollback}: an older version serves"
    else:
        assert study is not None
        folder = out or study / DEFAULT_OUT
        with using(study), replacing(folder):
            found = _deploy(study, cell, folder, data, instances)
        said = f"Deployment: {folder}"
    if as_json:
        print_json(found)
        return
    version = found.version(found.serving)
    accuracy = version.accuracy
    right = f", accuracy {accuracy.value:.2%} ({accuracy.low:.2%} to {accuracy.high:.2%})" if accuracy else ""
    served = f"{found.name}, version {version.number} of {len(found.versions)}"
    print_line(f"{served}: {version.cell}, {version.precision}{right}")
    print_line(said)


def _deploy(study: Path, cell: str | None, out: Path, data: Path | None, instances: int) -> Deployment:
    from bench.deploy import write_deployment
    from bench.deployment.subject import read_study
    from bench.progress import Narrator

    narrator = Narrator()
    found = read_study(study, data)
    name = cell or _chosen(study)
    with narrator.showing():
        return write_deployment(found, name, out, narrator, instances=instances)


def _chosen(study: Path) -> str:
    """What `assay choose` answered last.

    Raises:
        ArtifactError: it was not asked.
        FailedError: no candidate qualified.
    """
    from assay.choice import nearest_in_words, read_choice
    from assay.errors import FailedError

    choice = read_choice(study)
    if not choice.answer:
        raise FailedError(nearest_in_words(choice).rstrip("."))
    return choice.answer
