"""The command `assay deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay.bench.cli.options import Json, Trust, refuse_idle, say_trust
from assay.bench.words.terminal import print_json, print_line, print_lines
from assay.errors import InputError

if TYPE_CHECKING:
    from assay.bench.deployment.checking.signature import Sign
    from assay.records.deployment import Deployment

DEFAULT_OUT = "deployment"
ONLY_WHOLE = (
    "This shows that it is complete and as Assay writes it, not who wrote it: anyone who can change it can rewrite its "
    "record and checksums. A signature shows that (--sign-with, --signed-by)"
)


def deploy(
    study: Annotated[
        Path | None,
        typer.Argument(
            metavar="[STUDY_FOLDER]", help="The folder of a finished and audited study, or of `assay model`."
        ),
    ] = None,
    cell: Annotated[
        str | None, typer.Option("--cell", help="The cell to deploy; by default the one that `assay choose` chose.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The deployment folder; STUDY_FOLDER/deployment by default.")
    ] = None,
    instances: Annotated[
        int | None,
        typer.Option(
            "--instances",
            min=1,
            help="Copies of the model that the server holds; as many as `assay choose` found when not given.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="The folder of stored data sets; the one next to the study by default."),
    ] = None,
    check: Annotated[Path | None, typer.Option("--check", help="Verify this deployment folder instead.")] = None,
    rollback: Annotated[
        Path | None, typer.Option("--rollback", help="Let this deployment folder serve an older version instead.")
    ] = None,
    to: Annotated[
        int | None,
        typer.Option("--to", min=1, help="With --rollback: the version to serve; the one before when not given."),
    ] = None,
    rerender: Annotated[
        Path | None,
        typer.Option("--rerender", help="Rewrite this deployment's manifests and card instead, and sign it."),
    ] = None,
    sign_with: Annotated[
        Path | None,
        typer.Option("--sign-with", metavar="KEY.pem", help="Sign the deployment with this private key."),
    ] = None,
    signed_by: Annotated[
        Path | None,
        typer.Option(
            "--signed-by", metavar="PUBLIC.pem", help="With --check: the public key that its signature must match."
        ),
    ] = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Write an audited model as a folder that Triton serves; verify one; go back to an older version."""
    from assay.bench.deployment.deploy import render_again, roll_back
    from assay.files.locks import replacing, using

    if sum(one is not None for one in (study, check, rollback, rerender)) != 1:
        raise InputError(
            "assay deploy does one thing at a time",
            expected="a study's folder, or --check, --rollback or --rerender with a FOLDER",
            found="none of them or several",
        )
    of_writing = {"--cell": cell, "--out": out, "--instances": instances, "--data": data}
    if check is not None:
        refuse_idle("with --check", {"--sign-with": sign_with})
    else:
        refuse_idle("without --check", {"--signed-by": signed_by})
    refuse_idle("without a study's folder", of_writing if study is None else {})
    refuse_idle("without --rollback", {"--to": to} if rollback is None else {})
    say_trust(trust)
    sign = _signer(sign_with)
    if check is not None:
        found, said = _check(check, signed_by, trusted=trust)
    elif rollback is not None:
        with replacing(rollback):
            found = roll_back(rollback, to, sign)
        said = f"{rollback}: now serves an older version"
    elif rerender is not None:
        with replacing(rerender):
            found = render_again(rerender, sign)
        said = f"{rerender}: rewritten"
    else:
        assert study is not None
        folder = out or study / DEFAULT_OUT
        with using(study), replacing(folder):
            found = _deploy(study, cell, folder, data, instances, sign, trusted=trust)
        said = f"Deployment: {folder}"
    if as_json:
        print_json(found)
        return
    from assay.bench.words.numbers import counted

    version = found.version(found.serving)
    known = version.quality
    right = f", {version.measure} {known.value:.2%} ({known.low:.2%} to {known.high:.2%})" if known else ""
    served = f"{found.name}, version {version.number} of {len(found.versions)}"
    print_line(f"{served}: {version.cell}, {version.precision}{right}")
    if found.instances > 1:
        print_line(f"{found.instances} instances of {counted(found.threads, 'thread')}, on {found.cores} cores")
    print_lines(said)


def _signer(key: Path | None) -> Sign | None:
    """Return a function that signs with a key, asking for its password if it has one."""
    from assay.bench.deployment.checking.signature import signer

    return signer(key, lambda: str(typer.prompt(f"Password of {key}", hide_input=True))) if key else None


def _check(folder: Path, signed_by: Path | None, *, trusted: bool) -> tuple[Deployment, str]:
    """Return the verified deployment, and a sentence on what that does and does not show."""
    from assay.bench.deployment.checking.signature import is_signed
    from assay.bench.deployment.checking.verify import check_deployment
    from assay.bench.words.progress import Narrator
    from assay.records.deployment import RENDERING

    with Narrator().showing():
        found = check_deployment(folder, signed_by, trusted=trusted)
    said = f"{folder}: every check passed"
    if found.rendering < RENDERING:
        said += (
            "\nIt was written by an older Assay, and everything in it is as that version wrote it. Its "
            "container files are "
            "less strict than today's: `assay deploy --rerender` rewrites them"
        )
    if signed_by:
        return found, f"{said}\nIt is signed by the key of {signed_by}"
    signed = "It has a signature, which was not verified: name the key with --signed-by" if is_signed(folder) else ""
    return found, f"{said}\n{signed or ONLY_WHOLE}"


def _deploy(
    study: Path,
    cell: str | None,
    out: Path,
    data: Path | None,
    instances: int | None,
    sign: Sign | None,
    *,
    trusted: bool,
) -> Deployment:
    from assay.bench.deployment.deploy import write_deployment
    from assay.bench.deployment.subject import read_study
    from assay.bench.words.progress import Narrator

    narrator = Narrator()
    found = read_study(study, data, trusted=trusted)
    name, chosen = _chosen(study, cell)
    with narrator.showing():
        return write_deployment(found, name, out, narrator, instances=instances or chosen, sign=sign)


def _chosen(study: Path, cell: str | None) -> tuple[str, int]:
    """Return the last answer of `assay choose`, and the number of instances with which it gives most.

    Args:
        cell: cell to deploy whatever was chosen; with one instance if it is another.

    Raises:
        ArtifactError: no cell was named or chosen.
        FailedError: no candidate qualified.
    """
    from assay.records.choice import CHOICE_FILE

    if cell and not (study / CHOICE_FILE).exists():
        return cell, 1
    from assay.errors import FailedError
    from assay.records.choice import nearest_in_words, read_choice

    choice = read_choice(study)
    if not (cell or choice.answer):
        raise FailedError(nearest_in_words(choice).rstrip("."))
    name = cell or choice.answer
    instances = [one.instances for one in choice.candidates if one.cell == name == choice.answer]
    return name, instances[0] if instances else 1
