"""Signed deployments: who can sign, what a signature covers, and what is refused."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assay.bench.cli.main import app
from assay.bench.deployment.checking.signature import check_signature, signer
from assay.bench.deployment.checking.verify import check_deployment
from assay.bench.deployment.deploy import render_again, roll_back, write_deployment
from assay.bench.deployment.folder import write_checksums
from assay.bench.deployment.subject import read_study
from assay.bench.serving.audited import read_audited
from assay.bench.serving.snapshot import take_snapshot
from assay.bench.words.progress import Narrator
from assay.errors import ArtifactError, InputError
from assay.records.deployment import SIGNATURE_FILE
from tests.bench.compared_model import cell_name, make_comparison

pytest.importorskip("cryptography", reason="The extra 'serve' is older than signatures")

KINDS = {"ed25519": ["-algorithm", "ed25519"], "p256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]}


def no_password() -> str:
    raise AssertionError("asked for a password that no key has")


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def make_key(folder: Path, name: str, *kind: str) -> tuple[Path, Path]:
    """A private and a public key."""
    private, public = folder / f"{name}.pem", folder / f"{name}.public.pem"
    openssl("genpkey", *kind, "-out", str(private))
    private.chmod(0o600)
    openssl("pkey", "-in", str(private), "-pubout", "-out", str(public))
    return private, public


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    if not shutil.which("openssl"):
        pytest.skip("There is no openssl here to make keys with")
    place = tmp_path_factory.mktemp("keys")
    found = {name: make_key(place, name, *kind) for name, kind in KINDS.items()}
    return found | {"another": make_key(place, "another", *KINDS["ed25519"])}


@pytest.fixture(scope="module")
def written(keys: dict[str, tuple[Path, Path]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment of two versions, signed; no test changes it."""
    root = tmp_path_factory.mktemp("signed")
    study = read_study(make_comparison(root / "compared"))
    sign = signer(keys["ed25519"][0], no_password)
    for _ in range(2):
        write_deployment(study, cell_name("rows"), root / "pair", Narrator(), sign=sign)
    return root / "pair"


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "renamed"))


def test_a_signed_folder_passes_and_openssl_agrees(folder: Path, keys: dict[str, tuple[Path, Path]]) -> None:
    public = keys["ed25519"][1]
    assert check_deployment(folder, public).serving == 2
    signature, checksums = (str(folder / name) for name in (SIGNATURE_FILE, "checksums.sha256"))
    openssl("pkeyutl", "-verify", "-pubin", "-inkey", str(public), "-rawin", "-in", checksums, "-sigfile", signature)
    subprocess.run(["sha256sum", "--check", "--quiet", "--strict", "checksums.sha256"], cwd=folder, check=True)
    assert not [path for path in folder.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]


def test_every_key_that_is_offered_signs(folder: Path, keys: dict[str, tuple[Path, Path]]) -> None:
    private, public = keys["p256"]
    render_again(folder, signer(private, no_password))
    check_deployment(folder, public)
    signature, checksums = (str(folder / name) for name in (SIGNATURE_FILE, "checksums.sha256"))
    openssl("dgst", "-sha256", "-verify", str(public), "-signature", signature, checksums)
    with pytest.raises(ArtifactError, match="is not a signature of these checksums"):
        check_signature(folder, keys["ed25519"][1])


def forged(folder: Path) -> None:
    (folder / SIGNATURE_FILE).write_bytes(bytes(64))


def stripped(folder: Path) -> None:
    (folder / SIGNATURE_FILE).unlink()


def rewritten(folder: Path) -> None:
    path = folder / "audited/1/inputs.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    write_checksums(folder)


def of_another_state(folder: Path) -> None:
    signature = (folder / SIGNATURE_FILE).read_bytes()
    roll_back(folder)
    assert not (folder / SIGNATURE_FILE).exists()
    (folder / SIGNATURE_FILE).write_bytes(signature)


def rolled_back(folder: Path) -> None:
    roll_back(folder)


CHANGES: list[tuple[Callable[[Path], None], str]] = [
    (forged, "is not a signature of these checksums"),
    (stripped, "is not signed"),
    (rewritten, "is not a signature of these checksums"),
    (of_another_state, "is not a signature of these checksums"),
    (rolled_back, "is not signed"),
]


@pytest.mark.parametrize(("change", "part"), CHANGES)
def test_a_folder_that_changed_after_signing_is_refused(
    change: Callable[[Path], None], part: str, folder: Path, keys: dict[str, tuple[Path, Path]]
) -> None:
    change(folder)
    with pytest.raises(ArtifactError, match=part):
        check_deployment(folder, keys["ed25519"][1])


def test_another_s_signature_is_refused(folder: Path, keys: dict[str, tuple[Path, Path]]) -> None:
    with pytest.raises(ArtifactError, match="is not a signature of these checksums"):
        check_deployment(folder, keys["another"][1])


def test_going_back_signs_again(folder: Path, keys: dict[str, tuple[Path, Path]]) -> None:
    private, public = keys["ed25519"]
    assert roll_back(folder, sign=signer(private, no_password)).serving == 1
    assert check_deployment(folder, public).serving == 1


def test_nothing_is_served_or_verified_that_is_not_signed_so(
    folder: Path, keys: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    another, public = keys["another"][1], keys["ed25519"][1]
    assert take_snapshot(folder, tmp_path / "models", public).serving == 2
    assert len(read_audited(folder, None, None, tmp_path, signed_by=public).inputs) == 8
    with pytest.raises(ArtifactError, match="is not a signature of these checksums"):
        take_snapshot(folder, tmp_path / "none", another)
    assert not (tmp_path / "none").exists()
    with pytest.raises(ArtifactError, match="is not a signature of these checksums"):
        read_audited(folder, None, None, tmp_path, signed_by=another)
    for command in (["serve", str(folder)], ["verify-server", "127.0.0.1:1", "--deployment", str(folder)]):
        refused = CliRunner().invoke(app, [*command, "--signed-by", str(another)])
        assert "is not a signature of these checksums" in str(refused.exception)


def test_a_key_that_others_may_read_is_refused(keys: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    copy = Path(shutil.copy(keys["ed25519"][0], tmp_path / "key.pem"))
    for mode in (0o640, 0o604, 0o666):
        copy.chmod(mode)
        with pytest.raises(InputError, match="Other users can read the private key"):
            signer(copy, no_password)


def test_a_file_that_is_not_a_key_is_one_message(
    folder: Path, keys: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    junk, missing = tmp_path / "junk.pem", tmp_path / "none.pem"
    junk.write_bytes(b"-----BEGIN PRIVATE" + bytes(100))
    junk.chmod(0o600)
    rsa, rsa_public = make_key(tmp_path, "rsa", "-algorithm", "RSA")
    for path, part in ((junk, "not a private key"), (missing, "No such file"), (rsa, "RSAPrivateKey")):
        with pytest.raises(InputError, match=part):
            signer(path, no_password)
    private = keys["ed25519"][0]
    for path, part in ((private, "is a private key"), (missing, "No such file"), (rsa_public, "RSAPublicKey")):
        with pytest.raises(InputError, match=part):
            check_signature(folder, path)


def test_an_encrypted_key_needs_its_password(folder: Path, keys: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    private, public = keys["ed25519"]
    locked = tmp_path / "locked.pem"
    openssl("pkey", "-in", str(private), "-aes256", "-passout", "pass:open", "-out", str(locked))
    locked.chmod(0o600)
    with pytest.raises(InputError, match="wrong or missing password"):
        signer(locked, lambda: "shut")
    render_again(folder, signer(locked, lambda: "open"))
    check_signature(folder, public)


def test_the_commands_sign_and_verify(folder: Path, keys: dict[str, tuple[Path, Path]]) -> None:
    private, public = map(str, keys["ed25519"])
    runner = CliRunner()
    unverified = runner.invoke(app, ["deploy", "--check", str(folder)])
    assert (unverified.exit_code, "which was not verified" in unverified.output) == (0, True)
    plain = runner.invoke(app, ["deploy", "--rollback", str(folder)])
    assert plain.exit_code == 0, plain.exception
    shown = runner.invoke(app, ["deploy", "--check", str(folder)])
    assert (shown.exit_code, "not who wrote it" in shown.output) == (0, True)
    refused = runner.invoke(app, ["deploy", "--check", str(folder), "--signed-by", public])
    assert isinstance(refused.exception, ArtifactError)
    signed = runner.invoke(app, ["deploy", "--rerender", str(folder), "--sign-with", private])
    assert signed.exit_code == 0, signed.exception
    verified = runner.invoke(app, ["deploy", "--check", str(folder), "--signed-by", public])
    assert (verified.exit_code, "It is signed by the key of" in verified.output) == (0, True)
    idle = runner.invoke(app, ["deploy", "--check", str(folder), "--sign-with", private])
    assert isinstance(idle.exception, InputError)
