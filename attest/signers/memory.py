"""A private key in memory: the signer that every other managed-key backend ends in or resembles."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from attest.core.values import dataclass
from attest.keys import keys
from attest.keys.keys import PrivateKey
from attest.sigstore import sigstore_bundles
from attest.statements.envelopes import Envelope, pae
from attest.statements.statements import PAYLOAD_TYPE


@dataclass(frozen=True, slots=True)
class KeySigner:
    """Signs with a key that this process holds."""

    key: PrivateKey = field(repr=False)

    @property
    def identity(self) -> str:
        """`key:sha256:<hex>`."""
        return keys.identity_of(self.key.public_key())

    @property
    def public_pem(self) -> bytes:
        """The public key in PEM."""
        return keys.public_to_pem(self.key.public_key())

    def sign_statement(self, payload: bytes) -> bytes:
        """Statement bytes to bundle bytes."""
        return seal(payload, self.sign_bytes(pae(PAYLOAD_TYPE, payload)), keys.public_to_der(self.key.public_key()))

    def sign_bytes(self, data: bytes) -> bytes:
        """The raw signature."""
        return keys.sign(self.key, data)

    def as_securesystemslib(self) -> Any:
        """A securesystemslib CryptoSigner over the same key."""
        from securesystemslib import signer

        return signer.CryptoSigner(self.key)  # type: ignore[attr-defined]  # exported, but not by name


def seal(payload: bytes, signature: bytes, spki_der: bytes) -> bytes:
    """Payload and signature of a managed key to bundle bytes; `keyid` is empty: each reader computes its own.

    Go's DSSE library skips a signature whose `keyid` differs from the SSH fingerprint that it expects.
    """
    return sigstore_bundles.of_managed_key(Envelope(PAYLOAD_TYPE, payload, signature), spki_der)
