"""Judge a sigstore bundle of anybody about one artifact: the way that sigstore's clients do it.

Promises: takes bundles that sign the artifact itself and those whose in-toto statement names it among
its subjects; the signer is one expected certificate identity, or one key. As sigstore's clients do, it
demands a log entry and a proven time. Nothing is trusted but the given root. Leaves to others: our own
attestations, which have a trust root, roles and predicate types (`verify`).

    judged = verify(raw, artifact=digest, content=None, signer=Certificate(identity, issuer), root_json=root, at=now)
    judged.statement          # the payload where it is an in-toto statement, else None

Source: https://github.com/sigstore/architecture-docs/blob/main/client-spec.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from attest.digests import Digest, to_raw
from attest.errors import CasstoreError, VerificationError
from attest.keys import keys
from attest.keys.identities import of_oidc
from attest.keys.keys import PublicKey
from attest.sigstore import keyless, managed_proofs
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.statements import statements
from attest.statements.envelopes import pae
from attest.statements.statements import Statement

_OTHER_ALGORITHMS = {"sha224", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512"}


@dataclass(frozen=True, slots=True)
class Certificate:
    """The identity and issuer that the signing certificate must name, exactly."""

    identity: str
    issuer: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found to hold."""

    identity: str
    signed_at: datetime
    statement: Statement | None


def verify(
    raw: bytes,
    *,
    artifact: Digest,
    content: bytes | None,
    signer: Certificate | bytes,
    root_json: bytes,
    at: datetime,
) -> Judged:
    """`signer` is a certificate identity or a PEM public key; `content` is needed for Ed25519 blob signatures only.

    Raises BadInput, FormatError, VerificationError, TrustError.
    """
    bundle = SigstoreBundle.parse(raw)
    if isinstance(signer, Certificate):
        return _verify_keyless(bundle, artifact, content, signer, root_json, at)
    if bundle.certificate is not None:
        raise VerificationError("it is signed keyless, not by a key", hint="give the certificate's identity and issuer")
    public = keys.public_from_pem(signer)
    statement = _verify_by_key(bundle, public, artifact, content)
    proven = managed_proofs.judge(bundle, public, root_json=root_json, at=at, required=True, artifact=artifact)
    if proven.signed_at is None:
        raise VerificationError("no proven signing time")
    return Judged(keys.identity_of(public), proven.signed_at, statement)


def _verify_keyless(
    bundle: SigstoreBundle, artifact: Digest, content: bytes | None, signer: Certificate, root_json: bytes, at: datetime
) -> Judged:
    if bundle.certificate is None:
        raise VerificationError("it is signed by a key, not keyless", hint="give the public key")
    if bundle.envelope is None:
        found = keyless.verify_keyless_artifact(bundle.raw, artifact, trusted_root_json=root_json, at=at)
        statement = None
    else:
        found = keyless.verify_keyless(bundle.raw, trusted_root_json=root_json, at=at)
        statement = _statement(found.payload_type, found.payload, artifact, content)
    expected = of_oidc(signer.issuer, signer.identity)
    if found.identity != expected:
        raise VerificationError(
            f"it was signed by {found.identity[:200]}, not by {expected[:200]}", hint="another signer was expected"
        )
    return Judged(found.identity, found.signed_at, statement)


def _verify_by_key(
    bundle: SigstoreBundle, public: PublicKey, artifact: Digest, content: bytes | None
) -> Statement | None:
    if bundle.envelope is not None:
        envelope = bundle.envelope
        keys.verify_signature(public, envelope.signature, pae(envelope.payload_type, envelope.payload))
        return _statement(envelope.payload_type, envelope.payload, artifact, content)
    message = bundle.message_signature
    if message is None or message.digest not in (None, artifact):
        raise VerificationError("the signature is of another artifact")
    keys.verify_artifact(public, message.signature, to_raw(artifact), content)
    return None


def _statement(payload_type: str, payload: bytes, artifact: Digest, content: bytes | None) -> Statement:
    if payload_type != statements.PAYLOAD_TYPE:
        raise VerificationError(f"the payload type is {payload_type[:80]!r}, not {statements.PAYLOAD_TYPE}")
    try:
        statement = statements.parse(payload)
    except CasstoreError as exc:
        raise VerificationError(f"the signed payload is no statement: {exc.message}") from exc
    about = [subject for subject in statement.subjects if subject.digest == artifact]
    if not about:
        raise VerificationError(
            f"the statement does not speak of {artifact}", hint="the artifact was changed, or is another one"
        )
    for subject in about if content is not None else ():
        _check_other_digests(subject.other_digests, content or b"")
    return statement


def _check_other_digests(digests: Mapping[str, str], content: bytes) -> None:
    """All digests of a subject must agree; those of algorithms that we do not know say nothing to us."""
    for algorithm in _OTHER_ALGORITHMS & digests.keys():
        if hashlib.new(algorithm, content).hexdigest() != digests[algorithm].lower():
            raise VerificationError(f"the subject's {algorithm} is not the artifact's, though its sha256 is")
