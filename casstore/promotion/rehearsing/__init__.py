"""Rehearsal: promotion and rollback of a channel, played with the real code on a clone of the ledger.

In: a store, its ledger, a channel, a signer. Out: a signed record of the steps. Called by `rehearse` alone.

Promises: the real ledger and store are only read until the result is signed; on the clone nobody of
the trust root approves or promotes, but keys that are made for this run and forgotten after it, so
that an approval never counts for a rehearsal, nor the other way round; what is played is told step
by step, also where it fails. Leaves to others: whether a channel asks for it (`gate:rollback-capability`).

    report = rehearse(store, ledger, "prod", signer=signer, now=clock.now())
    report.result, report.steps
"""

from casstore.promotion.rehearsing.rehearsing import RehearsalReport, rehearse

__all__ = ["RehearsalReport", "rehearse"]
