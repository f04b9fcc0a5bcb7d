"""The author of a deployment, shown by a signature of its checksums with a plain key. Checksums show damage, but
anybody who changes a file can rewrite them. A signature cannot be made without the private key. It signs
checksums.sha256, in which every other file of the closed list appears exactly once, so it covers the whole folder in
one state: when another version serves, the signature is another. docs/how-to/serving.md says how `openssl` verifies it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from assay.errors import ArtifactError, missing
from assay.records.deployment import CHECKSUMS_FILE, SIGNATURE_FILE

MOST_BYTES = 1000
Sign = Callable[[Path], None]


def is_signed(folder: Path) -> bool:
    """Return whether a deployment has a signature, by any maker."""
    return (folder / SIGNATURE_FILE).is_file()


def signer(key: Path, password: Callable[[], str]) -> Sign:
    """Return a function that signs a deployment's checksums, given its folder; the key is read now, before any work.

    Raises:
        InputError: see `assay.bench.deployment.checking.keys.private_key`.
        NotInstalledError: the package 'cryptography' is missing.
    """
    used = _keys()
    private = used.private_key(key, password)

    def sign(folder: Path) -> None:
        content = (folder / CHECKSUMS_FILE).read_bytes()
        (folder / SIGNATURE_FILE).write_bytes(used.signature_of(content, private))

    return sign


def check_signature(folder: Path, key: Path) -> None:
    """Check that a deployment's checksums are signed; `check.py` compares its files with them.

    Args:
        key: a PEM file of the public key.

    Raises:
        ArtifactError: there is no signature, or it was made with another key or for other checksums.
        InputError: `key` is not a public key.
        NotInstalledError: the package 'cryptography' is missing.
    """
    used = _keys()
    public = used.public_key(key)
    if not is_signed(folder):
        raise ArtifactError(
            f"{folder} is not signed",
            expected=f"{SIGNATURE_FILE}, made with the private key of {key}",
            remedy="Ask its maker to sign it with `assay deploy --sign-with`; do not serve it as theirs",
        )
    path = folder / SIGNATURE_FILE
    with path.open("rb") as stream:
        signature = stream.read(MOST_BYTES)
    if not used.is_signature(signature, (folder / CHECKSUMS_FILE).read_bytes(), public):
        raise ArtifactError(
            f"{path} is not a signature of these checksums",
            expected=f"a signature made with the private key of {key}, after the last change of the folder",
            found="one by a different key, of a different state of the folder, or none",
            remedy="Do not serve it; ask its maker to sign the current folder",
        )


def _keys() -> ModuleType:
    """
    Raises:
        NotInstalledError: the package 'cryptography' is missing.
    """
    try:
        from assay.bench.deployment.checking import keys  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise missing("A signature", error, "serve") from error
    return keys
