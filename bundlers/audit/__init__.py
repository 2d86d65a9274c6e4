"""Audit: is this release ready, is this channel right, and why? Everything about it is verified anew.

In: a store, its ledger, a channel, release, package or digest, and the time. Out: a report with a verdict, where
bytes come from, evidence as files. Called by `audit`, `affected`, `whence`, `attest export` and `publish`.

Promises: its statements, its move and its bytes are judged again; of the ledger nothing is believed but
what this user folded (with `anew` not even that); every check is told, those that pass too; what
cannot be checked is a blocker. Reads only. Leaves to others: stored
bytes that belong to no release (`fsck`), consumers' own verification (`verify`).

    report = audit(store, ledger, "prod", now=clock.now())
    report.verdict, report.exit_code
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from attest.core import times
from bundlers.audit import evidence, foundations, readiness
from bundlers.audit.case import CHANNEL, Attested, Case, LookAt, open_case
from bundlers.audit.values import ApprovalRow, AuditReport, Check, EvidenceRow, GateRow
from casstore.ledger.book.log import Ledger
from casstore.ledger.folding import replay_all, replay_whole
from casstore.store.store import Store

__all__ = ["AuditReport", "audit"]


def audit(
    store: Store,
    ledger: Ledger,
    ref: str,
    *,
    now: datetime,
    to: str | None = None,
    blockers: Iterable[tuple[str, bytes]] = (),
    anew: bool = False,
    tool: str = "",
    sigstore_root: bytes | None = None,
    look: LookAt | None = None,
) -> AuditReport:
    """A channel (does it hold?) or a release (may it go on, to `to`?). Raises NoSuchObject, StoreDamaged.

    `look` tells what consumers are shown at a destination.
    `blockers`: (path, bytes) of blocker files, whose open records count.
    """
    state = (replay_all if anew else replay_whole)(ledger, store, sigstore_root=sigstore_root)
    case = open_case(store, ledger, state, ref, to=to, now=now, sigstore_root=sigstore_root, look=look)
    closed = [case.attested(digest) for digest in case.closed()]
    others = [case.attested(digest) for digest in case.handed_in()]
    canary = case.canary
    beside = [] if canary is None else [canary.attested(digest) for digest in canary.closed()]
    found = [*closed, *others]
    rows = evidence.gate_rows(case, found)
    checks = (
        *foundations.ledger(case, anew=anew),
        *foundations.trust_root(case),
        *foundations.objects(case),
        *evidence.attestations(case, closed, others),
        *evidence.gates(case, rows, readiness.refused_gates(case)),
        evidence.isolated(case, found),
        *readiness.moved(case),
        *readiness.policy(case),
        *readiness.rollback(case),
        *readiness.published(case),
        *readiness.open_blockers(case, blockers),
        *(() if canary is None else _canary(canary, beside)),
    )
    approvals = evidence.approvals(closed if case.kind == CHANNEL else found)
    rows += evidence.isolation_rows(found)
    return _report(
        case, tool, checks, rows, approvals, tuple({item.digest: item.row for item in (*found, *beside)}.values())
    )


def _canary(case: Case, closed: Sequence[Attested]) -> Iterator[Check]:
    """What a share of an audited channel has: the same questions, under its own names."""
    checks = (
        *readiness.shared(case),
        *foundations.objects(case),
        *evidence.attestations(case, closed, ()),
        *readiness.moved(case),
        *readiness.policy(case),
    )
    yield from (replace(check, id=f"canary.{check.id}") for check in checks)


def _report(
    case: Case,
    tool: str,
    checks: tuple[Check, ...],
    rows: tuple[GateRow, ...],
    approvals: tuple[ApprovalRow, ...],
    seen: tuple[EvidenceRow, ...],
) -> AuditReport:
    root = case.state.require_trust_root()
    return AuditReport(
        kind=case.kind,
        timestamp=case.now,
        tool=tool,
        store=case.state.store,
        ledger={"name": case.state.ledger, "entries": case.state.count, "tip": case.state.tip},
        trust_root={"version": root.version, "digest": root.digest, "expires": times.format(root.expires)},
        subject=_subject(case),
        checks=checks,
        gates=rows,
        approvals=approvals,
        evidence=seen,
    )


def _subject(case: Case) -> dict[str, object]:
    move = case.move
    names = {entry.identity: entry.name for root in case.state.trust_roots for entry in root.identities}
    told = None
    if move is not None:
        told = {
            "entry": move.number,
            "action": move.kind,
            "time": times.format(move.time),
            "by": names.get(move.by, move.by),
            "reason": move.reason,
        }
    return {
        "release": case.info.digest,
        "version": case.info.version,
        "channel": case.channel.name if case.channel else None,
        "move": told,
        "builds": [
            {
                "product": product,
                "build": name,
                "platform": build.platform.told if build.platform else None,
                "archive": build.archive.name,
                "digest": build.archive.digest,
            }
            for product, builds in case.made.products.items()
            for name, build in builds.items()
        ],
        "notes": case.store.read(case.made.notes).decode("utf-8", "replace") if case.made.notes else None,
    }
