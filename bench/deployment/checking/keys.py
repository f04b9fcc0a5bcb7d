"""The keys with which deployments are signed, by the package 'cryptography': see `signature.py`. They are of Ed25519,
or of the NIST curves P-256, P-384 and P-521 with SHA-256, as `openssl` writes and reads them.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from assay.errors import InputError

KINDS = "Ed25519, or an elliptic curve of NIST"
CURVES = ("secp256r1", "secp384r1", "secp521r1")
MOST_BYTES = 100_000

PrivateKey: TypeAlias = Any
PublicKey: TypeAlias = Any
"""A key of one of the two kinds; the type checker ignores the package, as it ignores the frameworks."""


def private_key(path: Path, password: Callable[[], str]) -> PrivateKey:
    """Read a private key from a PEM file that nobody but its owner may read; ask for the password if there is one.

    Raises:
        InputError: the file is not such a key, others may read it, or the password is wrong.
    """
    _check_is_private(path)
    content = _content(path)
    encrypted = b"ENCRYPTED" in content
    try:
        key = serialization.load_pem_private_key(content, password().encode() if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        found = "an encrypted key and a wrong or missing password" if encrypted else "not a private key"
        raise InputError(f"Cannot use the key {path}", expected=f"a PEM file, {KINDS}", found=found) from error
    if isinstance(key, Ed25519PrivateKey) or (isinstance(key, EllipticCurvePrivateKey) and key.curve.name in CURVES):
        return key
    raise InputError(f"Cannot sign with the key {path}", expected=KINDS, found=type(key).__name__)


def public_key(path: Path) -> PublicKey:
    """
    Raises:
        InputError: the file has no such key, or a private one.
    """
    content = _content(path)
    if b"PRIVATE KEY" in content:
        raise InputError(
            f"{path} is a private key",
            expected="the public one",
            remedy=f"openssl pkey -in {path} -pubout -out public.pem; the private key stays with its owner",
        )
    try:
        key = serialization.load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(
            f"Cannot use the key {path}", expected=f"a PEM file, {KINDS}", found="not a public key"
        ) from error
    if isinstance(key, Ed25519PublicKey) or (isinstance(key, EllipticCurvePublicKey) and key.curve.name in CURVES):
        return key
    raise InputError(f"Cannot verify with the key {path}", expected=KINDS, found=type(key).__name__)


def signature_of(content: bytes, key: PrivateKey) -> bytes:
    """Sign content by Ed25519, or by ECDSA with SHA-256."""
    return bytes(key.sign(content) if isinstance(key, Ed25519PrivateKey) else key.sign(content, ECDSA(SHA256())))


def is_signature(signature: bytes, content: bytes, key: PublicKey) -> bool:
    """Return whether a signature of this content was made with the private key that belongs to this key."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, content)
        else:
            key.verify(signature, content, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _check_is_private(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise InputError(f"Cannot read the key {path}", found=error.strerror) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InputError(
            f"Other users can read the private key {path}",
            expected="a file that only its owner can read",
            found=stat.filemode(mode),
            remedy=f"chmod 600 {path}, and create a new key if others could have read it",
        )


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(MOST_BYTES)
    except OSError as error:
        raise InputError(f"Cannot read the key {path}", found=error.strerror) from error
