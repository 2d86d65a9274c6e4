"""Revocation: an artifact, an attestation or an identity counts no more, for every reader."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from attest import digests
from attest.core import limits
from attest.digests import Digest
from attest.errors import BadInput, PolicyDenied
from attest.keys import identities
from attest.signers import Signer
from attest.sigstore.signed_files import FORMAT, bundles_of, combine, payload_of
from attest.statements import statements
from attest.statements.predicates import revocation, suspension
from casstore.errors import NoSuchObject
from casstore.ledger.book.log import Ledger
from casstore.ledger.commit import commit
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import replay
from casstore.ledger.rules.reader import judged_at
from casstore.ledger.rules.trust import check_suspendable, has_held_a_role, identity_digest
from casstore.ledger.states.state import LedgerState
from casstore.promotion.reports import RevocationReport, SuspensionReport
from casstore.promotion.services import PromotionStore, keep, require_role
from casstore.store.attestations import id_of
from casstore.store.holders import holding

_ROLES = frozenset({"owner", "auditor"})
EMPTY = digests.sha256(b"")
"""Feeds of hashes have it now and then: to revoke it would take nearly every release away."""


def revoke(
    store: PromotionStore,
    ledger: Ledger,
    what: str,
    *,
    kind: str,
    reason: str,
    signer: Signer,
    now: datetime,
    confirm: bool = True,
    ahead: bool = False,
    from_entry: int | None = None,
    hand_in: bool = True,
    sigstore_root: bytes | None = None,
) -> RevocationReport:
    """Revoke a digest, a release (artifact), an attestation's digest, or an identity (or its name).

    An artifact may be any file or folder inside a component, or packed in a file of one: the trees that hold it
    are revoked with it.
    `ahead`: also one that nothing here holds yet. `from_entry`: what an identity signed stays good, as far as the
    ledger recorded it before this entry. Where several owners must sign, `hand_in=False` gives the file that the
    others `join`. Without `confirm` only what it would touch is reported;
    what is revoked already stays so.
    Raises BadInput, NoSuchObject, PolicyDenied.
    """
    state = replay(ledger, store, sigstore_root=sigstore_root)
    name, subject = _subject(store, state, what, kind)
    if kind == "artifact" and subject == EMPTY:
        raise BadInput("this is the digest of an empty file, which says nothing of who holds one", hint="leave it out")
    holders = _holders(store, state, subject, ahead) if kind == "artifact" else {}
    known = next((row for row in state.revocations if (row.kind, row.subject) == (kind, subject)), None)
    affected = _affected(state, {{"identity": name, "attestation": what}.get(kind, subject), *holders})
    if known is not None or not confirm:
        return RevocationReport(kind, subject, reason, affected, known.entry if known else None)
    owners_only = kind == "identity" and has_held_a_role(state, name)
    require_role(state, signer, frozenset({"owner"}) if owners_only else _ROLES, now)
    predicate = revocation.Revocation(kind, reason, now, tuple(sorted(holders)), from_entry)
    statement = statements.of_digests({name: subject}, revocation.TYPE, predicate.to_json())
    raw = signer.sign_statement(statement.to_bytes())
    if not hand_in:
        return RevocationReport(kind, subject, reason, affected, None, combine(FORMAT, [raw]))
    need = state.require_trust_root().threshold("owner")
    if owners_only and need > 1:
        raise PolicyDenied(
            f"1 of {need} owners signed: whom the trust root gave a role only they revoke",
            hint="write it with --out FILE, and another owner: casstore revoke --join FILE; suspend works at once",
        )
    return RevocationReport(kind, subject, reason, affected, _append(store, ledger, state, raw, now, sigstore_root))


def join(
    store: PromotionStore,
    ledger: Ledger,
    file: bytes,
    *,
    signer: Signer,
    now: datetime,
    hand_in: bool = True,
    sigstore_root: bytes | None = None,
) -> RevocationReport:
    """Add one more owner's signature to a revocation, and append it when enough have signed.

    With `hand_in=False` only the file is made. Raises FormatError, PolicyDenied.
    """
    state = replay(ledger, store, sigstore_root=sigstore_root)
    require_role(state, signer, _ROLES, now)
    payload = payload_of(file, FORMAT, what="signed revocation")
    statement = statements.parse(payload)
    claim, subject = revocation.parse(statement.predicate), statement.subjects[0]
    raw = combine(FORMAT, [*bundles_of(file, FORMAT, what="signed revocation"), signer.sign_statement(payload)])
    affected = _affected(state, {subject.name if claim.kind == "identity" else subject.digest, *claim.holders})
    number = _append(store, ledger, state, raw, now, sigstore_root) if hand_in else None
    return RevocationReport(claim.kind, subject.digest, claim.reason, affected, number, raw)


def suspend(
    store: PromotionStore,
    ledger: Ledger,
    what: str,
    *,
    reason: str,
    signer: Signer,
    now: datetime,
    confirm: bool = True,
    sigstore_root: bytes | None = None,
) -> SuspensionReport:
    """Take an identity out at once, for 72 hours; one owner or auditor is enough. Raises PolicyDenied, Conflict."""
    state = replay(ledger, store, sigstore_root=sigstore_root)
    name, subject = _identity(state, what)
    affected, at = _affected(state, {name}), judged_at(state, now)
    check_suspendable(state, name, at)
    if not confirm:
        return SuspensionReport(name, reason, at + suspension.LASTS, affected)
    require_role(state, signer, _ROLES, now)
    claim = suspension.Suspension(reason, now)
    statement = statements.of_digests({name: subject}, suspension.TYPE, claim.to_json())
    (digest,) = keep(store, [signer.sign_statement(statement.to_bytes())])
    entry, _ = commit(ledger, store, state, EntryKind.SUSPEND, digest, now=now, sigstore_root=sigstore_root)
    return SuspensionReport(name, reason, at + suspension.LASTS, affected, entry.number)


def _append(
    store: PromotionStore, ledger: Ledger, state: LedgerState, raw: bytes, now: datetime, sigstore_root: bytes | None
) -> int:
    (digest,) = keep(store, [raw])
    entry, _ = commit(ledger, store, state, EntryKind.REVOKE, digest, now=now, sigstore_root=sigstore_root)
    return entry.number


def _subject(store: PromotionStore, state: LedgerState, what: str, kind: str) -> tuple[str, Digest]:
    """Name and digest of what is revoked: of an attestation its id, so that no other writing of it counts again."""
    if kind == "identity":
        return _identity(state, what)
    if kind not in revocation.KINDS:
        raise BadInput(f"not a kind of revocation: {kind!r}", hint=f"one of {', '.join(revocation.KINDS)}")
    if kind == "attestation" and digests.is_digest(what):
        return kind, id_of(store.read(digests.parse(what), max_bytes=limits.ATTESTATION))
    if digests.is_digest(what):
        return kind, digests.parse(what)
    if kind == "attestation":
        raise BadInput(f"not an attestation's digest: {what[:80]!r}", hint="see casstore channel log NAME --json")
    return what, state.find_release(what).digest


def _identity(state: LedgerState, what: str) -> tuple[str, Digest]:
    named = [entry.identity for entry in state.require_trust_root().identities if entry.name == what]
    if len(named) > 1:
        raise BadInput(f"{what} has {len(named)} identities", hint="name one: casstore keys list")
    if not named and not what.startswith((identities.KEY_PREFIX, identities.OIDC_PREFIX)):
        raise NoSuchObject(f"the trust root names nobody {what[:80]!r}", hint="casstore keys list")
    identity = named[0] if named else identities.parse(what)
    return identity, identity_digest(identity)


def _holders(store: PromotionStore, state: LedgerState, subject: Digest, ahead: bool) -> set[Digest]:
    """The component trees that hold it below their top, packed or not. Raises NoSuchObject where nothing has it."""
    trees = {
        *state.components.values(),
        *(tree for info in state.releases.values() for tree in info.components.values()),
    }
    known = {*state.releases, *trees, *(one for info in state.releases.values() for one in info.archives.values())}
    holders = set(holding(store, sorted(trees), {subject}))
    if not holders and subject not in known and not ahead:
        raise NoSuchObject(
            f"no release, archive, component or file of one is {subject}",
            hint="to refuse it before anything holds it: --ahead",
        )
    return holders


def _affected(state: LedgerState, revoked: Collection[str]) -> tuple[str, ...]:
    """The releases that hold it or were signed with it, the channels that name them now, and where they are shown."""
    found, gone = [], set()
    for info in state.releases.values():
        touched = {info.digest, *info.archives.values(), *info.components.values(), *info.evidence, info.builder}
        if touched.isdisjoint(revoked):
            continue
        found.append(f"release {info.version}")
        gone.add(info.digest)
        heads = [name for name, channel in state.channels.items() if channel.release == info.digest]
        found.extend(f"channel {name} (now {info.version})" for name in heads)
        canaries = {name: move for name, one in state.channels.items() if (move := one.canary) is not None}
        given = {name: move.share for name, move in canaries.items() if move.release == info.digest}
        found.extend(f"channel {name} ({share}% have {info.version})" for name, share in given.items())
    for destination, rows in state.publications.items():
        newest = {row.channel: row for row in rows}
        shown = [row for row in newest.values() if row.release in gone and not row.withdrawn]
        found.extend(
            f"destination {destination} (shows {state.releases[row.release].version} as {row.channel})" for row in shown
        )
        for name, row in newest.items():
            runs = state.channels[name].canary_moves
            if runs and runs[-1].release in gone and row.entry > runs[0].number:
                found.append(f"destination {destination} (shows {runs[-1].version} to a share of {name})")
    for channel in state.channels.values():
        moves = {move.number: move for move in (channel.history[-1], channel.head) if move is not None}
        if any(not {move.statement, *move.evidence, move.by}.isdisjoint(revoked) for move in moves.values()):
            found.append(f"channel {channel.name}: a move by which it stands leans on it")
    return tuple(found)
