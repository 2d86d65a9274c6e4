"""In-toto attestations as pure functions: make, sign, verify and judge them.

Bytes, keys, trust and time come in as arguments; this package opens no file, reads no
clock and knows no store. Only a signer may use the network (a KMS, a sigstore instance).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attest.core.public import public

if TYPE_CHECKING:
    from attest.errors import CasstoreError, VerificationError
    from attest.signers import open_signer
    from attest.statements.statements import Statement
    from attest.trust.trust_chain import verify_chain
    from attest.trust.trust_roots import TrustRoot
    from attest.trust.verify import VerifiedStatement, verify, verify_with_key

__all__ = [
    "CasstoreError",
    "Statement",
    "TrustRoot",
    "VerificationError",
    "VerifiedStatement",
    "open_signer",
    "verify",
    "verify_chain",
    "verify_with_key",
]

__getattr__ = public(
    __name__,
    CasstoreError="attest.errors",
    Statement="attest.statements.statements",
    TrustRoot="attest.trust.trust_roots",
    VerificationError="attest.errors",
    VerifiedStatement="attest.trust.verify",
    open_signer="attest.signers",
    verify="attest.trust.verify",
    verify_chain="attest.trust.trust_chain",
    verify_with_key="attest.trust.verify",
)
