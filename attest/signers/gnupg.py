"""`gnupg:`: refused with a reason. GPG signs SHA256SUMS for those who need it and is no identity."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from attest.errors import SignerError
from attest.signers import NetworkGuard


def open_uri(
    uri: str,
    *,
    read: Callable[[str], bytes],  # noqa: ARG001 - every backend is called alike
    password: Callable[[], bytes | None],  # noqa: ARG001
    network: NetworkGuard | None,  # noqa: ARG001
) -> NoReturn:
    """Always raises SignerError."""
    raise SignerError(
        f"{uri[:80]}: a GPG key cannot sign attestations, since sigstore bundles have no place for it",
        hint="use a key file, hsm:, a KMS or keyless:; with GPG sign the list: gpg --detach-sign --armor SHA256SUMS",
    )
