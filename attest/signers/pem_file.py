"""`file:PATH` or a bare path: a PKCS#8 PEM private key, with or without a passphrase."""

from __future__ import annotations

from collections.abc import Callable

from attest.errors import SignerError
from attest.keys import keys
from attest.signers import NetworkGuard, Signer, from_private_key


def open_uri(
    uri: str,
    *,
    read: Callable[[str], bytes],
    password: Callable[[], bytes | None],
    network: NetworkGuard | None,  # noqa: ARG001 - every backend is called alike
) -> Signer:
    """Open the key; the passphrase is asked for only when the file is encrypted."""
    path = path_of(uri)
    try:
        pem = read(path)
    except OSError as exc:
        raise SignerError(
            f"the key file {path} cannot be read: {exc.strerror or exc}",
            hint="name an existing key with --key or CASSTORE_KEY, or make one: casstore keys generate",
        ) from exc
    return _opened(pem, path, password)


def open_text(text: str, *, password: Callable[[], bytes | None]) -> Signer:
    """Open a key that was given as PEM text, as secrets of CI systems are; no error shows any of it."""
    return _opened(text.encode(), "the key that was given as text", password)


def _opened(pem: bytes, what: str, password: Callable[[], bytes | None]) -> Signer:
    try:
        return from_private_key(keys.private_from_pem(pem, password() if keys.is_encrypted(pem) else None))
    except SignerError as exc:
        raise SignerError(f"{what}: {exc.message}", hint=exc.hint) from exc


def path_of(uri: str) -> str:
    """The path in `file:PATH`, `file:///PATH` or a bare path."""
    path = uri[5:] if uri[:5].lower() == "file:" else uri
    return path[2:] if path.startswith("///") else path
