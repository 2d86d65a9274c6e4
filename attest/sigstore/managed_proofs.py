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
from dataclasses import dataclass
from datetime import datetime, timedelta

from attest.core import times
from attest.digests import Digest, to_raw
from attest.errors import FormatError, TrustError, VerificationError
from attest.keys.keys import PublicKey
from attest.log import log_entries
from attest.log.log_entries import Signed
from attest.sigstore import sigstore_roots, time_stamps
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.sigstore.sigstore_roots import SigstoreRoot
from attest.statements.envelopes import pae

CLOCK_LEEWAY = timedelta(minutes=5)
"""How far a proven time may lie after the time of judgement, since clocks differ."""


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
    artifact: Digest | None = None,
) -> Proven:
    """`artifact` is what a bundle without envelope signs; it need not say so itself.

    Raises FormatError, VerificationError; TrustError where a proof is required and not there.
    """
    root = sigstore_roots.parse(root_json)
    signed = signed_by(bundle, public, artifact)
    stamps = _stamp_times(bundle, root)
    promised, logged = _judge_log(bundle, signed, root, stamps)
    found = sorted([*stamps, *promised])
    if found and found[-1] > at + CLOCK_LEEWAY:
        raise VerificationError(
            f"it was signed at {times.format(found[-1])}, after the time of judgement {times.format(at)}",
            hint="check this machine's clock",
        )
    if required and not (logged and found):
        raise TrustError(
            "no proof that the signature was logged" if not logged else "no proven signing time",
            hint="the sigstore root must name the log and, where the log tells no time, the time stamp authority",
        )
    return Proven(found[0] if found else None, logged, bool(stamps))


def signed_by(bundle: SigstoreBundle, public: PublicKey, artifact: Digest | None = None) -> Signed:
    """What this bundle says was signed, as a log names it. Raises FormatError."""
    if bundle.envelope is not None:
        envelope = bundle.envelope
        digest = hashlib.sha256(pae(envelope.payload_type, envelope.payload)).digest()
        return Signed(envelope.signature, public, digest, envelope.payload)
    message = bundle.message_signature
    digest_of = artifact or (message and message.digest)
    if message is None or not digest_of:
        raise FormatError("sigstore bundle: it does not say which artifact it signs")
    return Signed(message.signature, public, to_raw(digest_of), None)


def _stamp_times(bundle: SigstoreBundle, root: SigstoreRoot) -> list[datetime]:
    stamps = bundle.stamps
    if len(stamps) > time_stamps.MAX_STAMPS:
        raise FormatError(f"{len(stamps)} time stamps, more than the limit of {time_stamps.MAX_STAMPS}")
    found = [time_stamps.proven(stamp, bundle.signature, root.stamp_authorities) for stamp in stamps]
    return [time for time in found if time is not None]


def _judge_log(
    bundle: SigstoreBundle, signed: Signed, root: SigstoreRoot, stamps: list[datetime]
) -> tuple[list[datetime], bool]:
    """The time that the log promised (none or one), and whether the signature is proven to be in the log."""
    if len(bundle.logged) > 1:
        raise FormatError(f"sigstore bundle: {len(bundle.logged)} log entries, at most one is taken")
    if not bundle.logged:
        return [], False
    entry = log_entries.parse(bundle.logged[0])
    log_entries.check_body(entry, signed)
    if not root.knows_log(entry.log_id):
        return [], False
    claimed = [log_entries.promised_time(entry)] if entry.promise is not None and entry.integrated_time else stamps
    log = root.log(entry.log_id, claimed)
    promised = log_entries.verify(entry, log.key_id, log.public)
    return ([] if promised is None else [promised]), True
