"""Signers: one interface over a key in a file, an HSM, a KMS or a sigstore instance.

In: a URI, how files are read and a passphrase had, canonical statement bytes. Out: a bundle with one signature, an
identity. Called by whatever signs in `casstore` and `bundlers`, always with a signer that `cli` has opened.

Promises: `sign_statement` takes canonical statement bytes and returns a sigstore bundle with
exactly one DSSE signature over exactly those bytes. Leaves to others: what the statement
claims, and who may sign it. A backend is one file of this package and one row of `SCHEMES`.

    signer = open_signer("file:release.pem", read=read_bytes, password=lambda: None)
    raw = signer.sign_statement(statement.to_bytes())
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

from attest.errors import BadInput
from attest.keys.keys import PrivateKey

__all__ = ["SCHEMES", "NetworkGuard", "Signer", "from_private_key", "open_signer", "scheme_of"]


class NetworkGuard(Protocol):
    """What a signer asks before it opens a connection; raises where the host is not allowed."""

    def check(self, url_or_host: str, /) -> None:
        """Return, or raise before any socket is opened."""


class Signer(Protocol):
    """One identity that can sign."""

    @property
    def identity(self) -> str:
        """`key:sha256:...` or `oidc:...`."""

    @property
    def public_pem(self) -> bytes | None:
        """The public key; None for a keyless signer."""

    def sign_statement(self, payload: bytes) -> bytes:
        """Canonical statement bytes to the bytes of a sigstore bundle. Raises SignerError."""

    def sign_bytes(self, data: bytes) -> bytes:
        """A raw signature (checkpoints, TUF metadata). Raises SignerError; a keyless signer always does."""

    def as_securesystemslib(self) -> Any:
        """The same key as a securesystemslib Signer, for tuf and in-toto. Raises SignerError."""


SCHEMES = {
    "file": "attest.signers.pem_file",
    "hsm": "attest.signers.uri",
    "awskms": "attest.signers.uri",
    "gcpkms": "attest.signers.uri",
    "azurekms": "attest.signers.uri",
    "hv": "attest.signers.uri",
    "gnupg": "attest.signers.gnupg",
    "keyless": "attest.signers.keyless",
}
"""Scheme -> the module whose `open_uri(uri, read=, password=, network=)` opens it."""


def open_signer(
    uri: str,
    *,
    read: Callable[[str], bytes],
    password: Callable[[], bytes | None],
    network: NetworkGuard | None = None,
) -> Signer:
    """The signer behind a URI; a bare path is a PEM file, and PEM text is the key itself.

    `read` is the only way to a file, `password` is asked only where a passphrase or PIN is
    needed. Raises BadInput for an unknown scheme, SignerError where the key cannot be opened.
    """
    if uri.lstrip().startswith("-----BEGIN"):
        from attest.signers import pem_file

        return pem_file.open_text(uri, password=password)
    scheme = scheme_of(uri)
    if scheme not in SCHEMES:
        raise BadInput(f"unknown key scheme {scheme!r} in {uri[:80]!r}", hint=f"known: {', '.join(SCHEMES)}")
    module = import_module(SCHEMES[scheme])
    signer: Signer = module.open_uri(uri, read=read, password=password, network=network)
    return signer


def from_private_key(key: PrivateKey) -> Signer:
    """A signer over a key in memory."""
    from attest.signers.memory import KeySigner

    return KeySigner(key)


def scheme_of(uri: str) -> str:
    """The scheme of a key URI; `file` for a path (a drive letter is no scheme)."""
    scheme, separator, _ = uri.partition(":")
    if not separator or len(scheme) < 2 or not scheme.isalnum() or not scheme.isascii():
        return "file"
    return scheme.lower()
