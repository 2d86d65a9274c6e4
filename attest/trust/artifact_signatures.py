"""Judge a sigstore bundle of anybody about one artifact: the way that sigstore's clients do it.

Promises: takes bundles that sign the artifact itself and those whose in-toto statement names it among
its subjects; the signer is one expected certificate identity, or one key. As sigstore's clients do, it
demands a log entry and a proven time. Nothing is trusted but the given root. Leaves to others: our own
attestations, which have a trust root, roles and predicate types (`verify`).

    judged = verify(raw, artifact=Artifact.of_digest(digest), signer=Certificate(who, issuer), root_json=root, at=now)
    judged.statement          # the payload where it is an in-toto statement, else None

Source: https://github.com/sigstore/architecture-docs/blob/main/client-spec.md
"""

from __future__ import annotations

from datetime import datetime

from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput, CasstoreError, VerificationError
from attest.keys import keys
from attest.keys.identities import of_oidc
from attest.keys.keys import PublicKey
from attest.sigstore import keyless, managed_proofs
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.statements import statements, subjects
from attest.statements.envelopes import pae
from attest.statements.statements import Statement
from attest.statements.subjects import DigestSet


@dataclass(frozen=True, slots=True)
class Artifact:
    """What is known of the file: digests, and its bytes where it is at hand and small."""

    digests: DigestSet
    content: bytes | None = None
    """Needed for Ed25519 signatures over the file itself only."""

    @staticmethod
    def of_digest(digest: Digest) -> Artifact:
        """An artifact that is named by its sha256."""
        return Artifact(subjects.of_digest(digest))

    def by(self, algorithm: str) -> str:
        """`ALGORITHM:HEX`. Raises BadInput where it is named by another digest."""
        if algorithm not in self.digests:
            raise BadInput(
                f"this signature over the file itself is judged by its {algorithm}",
                hint=f"give the file, or {algorithm}:HEX",
            )
        return f"{algorithm}:{self.digests[algorithm]}"


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


def algorithms(raw: bytes) -> frozenset[str]:
    """Which digests of the artifact this bundle is compared with; nothing is verified. Raises FormatError."""
    bundle = SigstoreBundle.parse(raw)
    envelope, message = bundle.envelope, bundle.message_signature
    if message is not None:
        return frozenset({"sha256", message.algorithm})
    if envelope is None or envelope.payload_type != statements.PAYLOAD_TYPE:
        return frozenset({"sha256"})
    return subjects.algorithms(statements.parse(envelope.payload))


def verify(raw: bytes, *, artifact: Artifact, signer: Certificate | bytes, root_json: bytes, at: datetime) -> Judged:
    """`signer` is a certificate identity or a PEM public key.

    Raises BadInput, FormatError, VerificationError, TrustError.
    """
    bundle = SigstoreBundle.parse(raw)
    if isinstance(signer, Certificate):
        return _verify_keyless(bundle, artifact, signer, root_json, at)
    if bundle.certificate is not None:
        raise VerificationError("it is signed keyless, not by a key", hint="give the certificate's identity and issuer")
    public = keys.public_from_pem(signer)
    statement = _verify_by_key(bundle, public, artifact)
    message = bundle.message_signature
    blob = artifact.by(message.algorithm) if message is not None else None
    proven = managed_proofs.judge(bundle, public, root_json=root_json, at=at, required=True, artifact=blob)
    if proven.signed_at is None:
        raise VerificationError("no proven signing time")
    return Judged(keys.identity_of(public), proven.signed_at, statement)


def _verify_keyless(
    bundle: SigstoreBundle, artifact: Artifact, signer: Certificate, root_json: bytes, at: datetime
) -> Judged:
    if bundle.certificate is None:
        raise VerificationError("it is signed by a key, not keyless", hint="give the public key")
    if bundle.message_signature is not None:
        blob = artifact.by(bundle.message_signature.algorithm)
        found = keyless.verify_keyless_artifact(bundle.raw, blob, trusted_root_json=root_json, at=at)
        statement = None
    else:
        found = keyless.verify_keyless(bundle.raw, trusted_root_json=root_json, at=at)
        statement = _statement(found.payload_type, found.payload, artifact)
    expected = of_oidc(signer.issuer, signer.identity)
    if found.identity != expected:
        raise VerificationError(
            f"it was signed by {found.identity[:200]}, not by {expected[:200]}", hint="another signer was expected"
        )
    return Judged(found.identity, found.signed_at, statement)


def _verify_by_key(bundle: SigstoreBundle, public: PublicKey, artifact: Artifact) -> Statement | None:
    if bundle.envelope is not None:
        envelope = bundle.envelope
        keys.verify_signature(public, envelope.signature, pae(envelope.payload_type, envelope.payload))
        return _statement(envelope.payload_type, envelope.payload, artifact)
    message = bundle.message_signature
    if message is None or message.digest not in (None, artifact.by(message.algorithm)):
        raise VerificationError("the signature is of another artifact")
    digest = bytes.fromhex(artifact.digests[message.algorithm])
    keys.verify_artifact(public, message.signature, digest, artifact.content)
    return None


def _statement(payload_type: str, payload: bytes, artifact: Artifact) -> Statement:
    if payload_type != statements.PAYLOAD_TYPE:
        raise VerificationError(f"the payload type is {payload_type[:80]!r}, not {statements.PAYLOAD_TYPE}")
    try:
        statement = statements.parse(payload)
    except CasstoreError as exc:
        raise VerificationError(f"the signed payload is no statement: {exc.message}") from exc
    subjects.about(statement, artifact.digests)
    return statement
