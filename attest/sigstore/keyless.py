"""Keyless signatures: judged offline, by one instance of a pinned trusted root, at their own time.

Rules, in the order of sigstore's client specification; each must hold:

1. one instance made the certificate, and all the rest is judged by that instance alone;
2. a time is proven: the log's signed promise, or a time stamp over this very signature;
3. the certificate chains to the instance and was valid at every proven time; where the instance names
   certificate logs, one of them promised it; it is for signing code;
4. where the instance names transparency logs, one of them holds an entry about exactly this signature,
   certificate and content (`log_bodies`); an instance without logs (GitHub's for private repositories)
   needs a time stamp;
5. the certificate's key signed DSSE's PAE, or the artifact;
6. every part was inside its `validFor`, a closed interval, when it was used.

Opens no socket, no file and no cache, and needs `cryptography` alone (time stamps: rfc3161-client). Leaves to
others: what the payload means and whether the identity is trusted (`verify`).

    found = verify_keyless(raw, trusted_root_json=root, at=now)
    found.identity        # 'oidc:https://accounts.example#ann@example.com'

Source: https://github.com/sigstore/architecture-docs/blob/main/client-spec.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn

from attest.core.values import dataclass
from attest.errors import CasstoreError, FormatError, NotInstalled, TrustError, VerificationError
from attest.keys import identities, keys
from attest.log.log_bodies import Signed
from attest.sigstore import log_proofs, sigstore_roots, time_stamps
from attest.sigstore.log_proofs import CLOCK_LEEWAY
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.sigstore.sigstore_roots import Instance, SigstoreRoot
from attest.statements.envelopes import pae

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = [
    "CLOCK_LEEWAY",
    "KeylessSignature",
    "issuer_and_subject",
    "signed_statement",
    "stamp_times",
    "verify_keyless",
    "verify_keyless_artifact",
]


@dataclass(frozen=True, slots=True)
class KeylessSignature:
    """What a keyless bundle proves."""

    payload: bytes
    """The DSSE payload; empty for a signature over an artifact itself."""
    payload_type: str
    identity: str
    signed_at: datetime
    """The earliest proven time at which the signature existed."""
    claims: Mapping[str, str] = field(default_factory=dict)
    """What the CI system vouched for (`certificates.CLAIMS`)."""


def verify_keyless(raw: bytes, *, trusted_root_json: bytes, at: datetime) -> KeylessSignature:
    """Verify a bundle with a DSSE envelope; payload type and subjects are the caller's to check.

    Raises FormatError, VerificationError, NotInstalled; TrustError where the trusted root cannot vouch for it.
    """
    bundle = SigstoreBundle.parse(raw)
    return _verify(bundle, signed_statement(bundle), trusted_root_json, at)


def signed_statement(bundle: SigstoreBundle) -> Signed:
    """What a bundle with an envelope and a certificate says was signed, as a log names it. Raises FormatError."""
    envelope = bundle.statement_envelope
    return Signed(
        envelope.signature,
        _leaf_key(bundle),
        hashlib.sha256(pae(envelope.payload_type, envelope.payload)).digest(),
        envelope.payload,
        envelope.payload_type,
        bundle.certificate,
        envelope.keyid,
    )


def verify_keyless_artifact(raw: bytes, artifact: str, *, trusted_root_json: bytes, at: datetime) -> KeylessSignature:
    """Verify a bundle that signs an artifact itself (foreign files only). Raises as `verify_keyless`.

    `artifact` is its digest by the algorithm that the bundle names: `sha256:HEX`, `sha384:HEX` or `sha512:HEX`.
    """
    bundle = SigstoreBundle.parse(raw)
    message = bundle.message_signature
    if message is None:
        raise VerificationError("the bundle signs a statement, not the artifact itself")
    if message.digest not in (None, artifact):
        raise VerificationError("the bundle signs another artifact", hint="its own digest says so")
    algorithm, _, digits = artifact.partition(":")
    signed = Signed(
        message.signature,
        _leaf_key(bundle),
        bytes.fromhex(digits),
        None,
        certificate=bundle.certificate,
        algorithm=algorithm,
    )
    return _verify(bundle, signed, trusted_root_json, at)


def stamp_times(raw: bytes, root_json: bytes) -> list[datetime]:
    """The times of a bundle's stamps that the trusted root vouches for; the signature itself is not judged."""
    bundle, root = SigstoreBundle.parse(raw), sigstore_roots.parse(root_json)
    return [time for instance in root.instances for time in time_stamps.times_of(bundle, instance)]


def issuer_and_subject(certificate: Certificate) -> tuple[str, str]:
    """Issuer and subject as the certificate names them; exactly one of each. Raises VerificationError."""
    from attest.sigstore import certificates

    return certificates.issuer_and_subject(certificate)


def _leaf_key(bundle: SigstoreBundle) -> keys.PublicKey:
    from attest.sigstore import certificates

    if bundle.certificate is None:
        raise VerificationError("it is signed by a key, not keyless", hint="verify it with the key")
    return certificates.public_key(certificates.load(bundle.certificate))


def _verify(bundle: SigstoreBundle, signed: Signed, root_json: bytes, at: datetime) -> KeylessSignature:
    root = sigstore_roots.parse(bytes(root_json))
    try:
        return _judge(bundle, signed, _instance(bundle, root), at)
    except (FormatError, TrustError, NotInstalled):
        raise
    except CasstoreError as exc:
        hint = exc.hint or "the bundle was changed, or belongs to another instance: name that one's trusted_root.json"
        raise VerificationError(f"the keyless signature is refused: {exc.message}", hint=hint) from exc
    except Exception as exc:  # the door: whatever a library raises over bytes that anybody wrote is a refusal
        said = " ".join(str(exc).split())[:160] or type(exc).__name__
        raise VerificationError(f"the keyless signature is refused: {said}", hint="the bundle was changed") from exc


def _instance(bundle: SigstoreBundle, root: SigstoreRoot) -> Instance:
    """The one that made the certificate; the parts of two instances are never mixed."""
    from attest.sigstore import certificates

    if len(root.instances) == 1:
        return root.instances[0]
    found = [item for item in root.instances if certificates.issuers(bundle.certificate or b"", item)]
    if len(found) != 1:
        raise TrustError(
            f"{len(found)} of the {len(root.instances)} instances of the sigstore trusted root made the certificate",
            hint="one of them must be the instance that signed it: name its trusted_root.json",
        )
    return found[0]


def _judge(bundle: SigstoreBundle, signed: Signed, instance: Instance, at: datetime) -> KeylessSignature:
    from attest.sigstore import certificates

    certificates.check_order(bundle.certificates)
    stamps = time_stamps.times_of(bundle, instance)
    promised, logged = log_proofs.judge(bundle, signed, instance, stamps)
    found = sorted([*stamps, *promised])
    if not found:
        _no_time(bundle)
    chain, authority = certificates.issued(bundle.certificate or b"", instance, found)
    if instance.asks_log and not logged:
        raise VerificationError(
            "no entry of a transparency log, which this instance has",
            hint="get the bundle with its log entry, or complete it: casstore attest complete",
        )
    log_proofs.check_not_after(found[-1], at)
    _check_signature(bundle, signed)
    issuer, subject = certificates.issuer_and_subject(chain[0], authority.uri)
    envelope = bundle.envelope
    payload, payload_type = (envelope.payload, envelope.payload_type) if envelope else (b"", "")
    identity, claims = identities.of_oidc(issuer, subject), certificates.claims_of(chain[0])
    return KeylessSignature(payload, payload_type, identity, found[0], claims)


def _no_time(bundle: SigstoreBundle) -> NoReturn:
    if bundle.logged or bundle.timestamps:
        raise VerificationError(
            "no proven signing time: neither a log's promise nor a time stamp that the trusted root vouches for",
            hint="give the trusted_root.json of the instance that signed it",
        )
    raise VerificationError(
        "no proven signing time: it came without its log entry and without a time stamp",
        hint="the log has the entry, ask it or hand it in: casstore attest complete FILE --rekor URL --out BUNDLE",
    )


def _check_signature(bundle: SigstoreBundle, signed: Signed) -> None:
    if bundle.envelope is None:
        keys.verify_artifact(signed.public, signed.signature, signed.digest, None)
    else:
        envelope = bundle.envelope
        keys.verify_signature(signed.public, signed.signature, pae(envelope.payload_type, envelope.payload))
