"""What the transparency log entry of a bundle proves, whoever signed: that it is logged, and since when.

promised, logged = judge(bundle, signed, instance, stamps)

The entry must be about this very signature before anything of it is believed; one of a log that the instance
does not name proves nothing. Opens no socket.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from attest.core import times
from attest.errors import FormatError, VerificationError
from attest.log import log_bodies, log_entries
from attest.log.log_bodies import Signed
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.sigstore.sigstore_roots import Instance

CLOCK_LEEWAY = timedelta(minutes=5)
"""How far a proven time may lie after the time of judgement, since clocks differ."""


def judge(
    bundle: SigstoreBundle, signed: Signed, instance: Instance, stamps: list[datetime]
) -> tuple[list[datetime], bool]:
    """The time that the log promised (none or one), and whether the signature is proven to be in the log."""
    if len(bundle.logged) > 1:
        raise FormatError(f"sigstore bundle: {len(bundle.logged)} log entries, at most one is taken")
    if not bundle.logged:
        return [], False
    entry = log_entries.parse(bundle.logged[0], promise_is_enough=bundle.promise_is_enough)
    log_bodies.check(entry, signed)
    if not instance.knows_log(entry.log_id):
        return [], False
    claimed = [log_entries.promised_time(entry)] if entry.promise is not None and entry.integrated_time else stamps
    log = instance.log(entry.log_id, claimed)
    promised = log_entries.verify(entry, log.key_id, log.public)
    return ([] if promised is None else [promised]), True


def check_not_after(signed: datetime, at: datetime) -> None:
    """Raises VerificationError for a signature from the future."""
    if signed > at + CLOCK_LEEWAY:
        raise VerificationError(
            f"it was signed at {times.format(signed)}, after the time of judgement {times.format(at)}",
            hint="check this machine's clock",
        )
