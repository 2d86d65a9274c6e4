"""What a log entry and time stamps prove of a managed key's signature: that it existed, and since when.

A managed key needs neither. Where they are there and the sigstore root knows who made them, they
must hold: a false proof is refused, and one by strangers proves nothing. Anybody can strip them from
a bundle, so whoever needs them says so (`required`).

    proven = judge(bundle, public, root_json=root, at=now)
    proven.signed_at          # datetime or None

Promises: opens no socket; needs no sigstore-python (time stamps need rfc3161-client). Leaves to
others: the signature itself and what was signed (`verify`).
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from attest.core.values import dataclass
from attest.errors import FormatError, TrustError
from attest.keys.keys import PublicKey
from attest.log.log_bodies import Signed
from attest.sigstore import log_proofs, sigstore_roots, time_stamps
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.sigstore.sigstore_roots import Instance
from attest.statements.envelopes import pae


@dataclass(frozen=True, slots=True)
class Proven:
    """What was proven; empty where nothing was."""

    signed_at: datetime | None
    """The earliest proven time."""
    logged: bool
    stamped: bool


def judge(
    bundle: SigstoreBundle,
    public: PublicKey,
    *,
    root_json: bytes,
    at: datetime,
    required: bool = False,
    artifact: str | None = None,
) -> Proven:
    """`artifact` is what a bundle without envelope signs; it need not say so itself. `required` asks for a proven
    time, and for a log where the root names one: an instance without logs needs a time stamp alone, as in `keyless`.

    Raises FormatError, VerificationError; TrustError where a proof is required and not there.
    """
    signed = signed_by(bundle, public, artifact)
    instances = sigstore_roots.parse(root_json).instances
    judged = [_judge(bundle, signed, instance) for instance in instances]
    stamps, promised, logged = max(judged, key=lambda one: (one[2], len(one[0])))
    found = sorted([*stamps, *promised])
    if found:
        log_proofs.check_not_after(found[-1], at)
    unlogged = not logged and any(instance.asks_log for instance in instances)
    if required and (unlogged or not found):
        raise TrustError(
            "no proof that the signature was logged" if unlogged else "no proven signing time",
            hint="the sigstore root must name the log and, where the log tells no time, the time stamp authority",
        )
    return Proven(found[0] if found else None, logged, bool(stamps))


def signed_by(bundle: SigstoreBundle, public: PublicKey, artifact: str | None = None) -> Signed:
    """What this bundle says was signed, as a log names it. Raises FormatError."""
    if bundle.envelope is not None:
        envelope = bundle.envelope
        digest = hashlib.sha256(pae(envelope.payload_type, envelope.payload)).digest()
        payload, kind = envelope.payload, envelope.payload_type
        return Signed(envelope.signature, public, digest, payload, kind, keyid=envelope.keyid)
    message = bundle.message_signature
    digest_of = artifact or (message and message.digest)
    if message is None or not digest_of:
        raise FormatError("sigstore bundle: it does not say which artifact it signs")
    algorithm, _, digits = digest_of.partition(":")
    return Signed(message.signature, public, bytes.fromhex(digits), None, algorithm=algorithm)


def _judge(bundle: SigstoreBundle, signed: Signed, instance: Instance) -> tuple[list[datetime], list[datetime], bool]:
    """Times of stamps, the log's promise, whether it is logged: all by one instance."""
    stamps = time_stamps.times_of(bundle, instance)
    promised, logged = log_proofs.judge(bundle, signed, instance, stamps)
    return stamps, promised, logged
