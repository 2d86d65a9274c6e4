"""Revocation: an artifact, an attestation or an identity counts no more, for every reader."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from attest import digests
from attest.digests import Digest
from attest.errors import BadInput
from attest.keys import identities
from attest.signers import Signer
from attest.statements import statements
from attest.statements.predicates import revocation
from casstore.errors import NoSuchObject
from casstore.ledger.commit import commit
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import replay
from casstore.ledger.log import Ledger
from casstore.ledger.rules.trust import identity_digest
from casstore.ledger.state import LedgerState
from casstore.promotion.reports import RevocationReport
from casstore.promotion.services import PromotionStore, keep, require_role
from casstore.store.attestations import MAX_BYTES, id_of
from casstore.store.holders import holding

_ROLES = frozenset({"owner", "auditor"})


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
    sigstore_root: bytes | None = None,
) -> RevocationReport:
    """Revoke a digest, a release (artifact), an attestation's digest, or an identity (or its name).

    An artifact may be any file or folder inside a component: the trees that hold it are revoked with it.
    `ahead`: also one that nothing here holds yet. Without `confirm` only what it would touch is reported;
    what is revoked already stays so.
    Raises BadInput, NoSuchObject, PolicyDenied.
    """
    state = replay(ledger, store, sigstore_root=sigstore_root)
    name, subject = _subject(store, state, what, kind)
    holders = _holders(store, state, subject, ahead) if kind == "artifact" else {}
    known = next((row for row in state.revocations if (row.kind, row.subject) == (kind, subject)), None)
    affected = _affected(state, {{"identity": name, "attestation": what}.get(kind, subject), *holders})
    if known is not None or not confirm:
        return RevocationReport(kind, subject, reason, affected, known.entry if known else None)
    require_role(state, signer, _ROLES, now)
    predicate = revocation.Revocation(kind, reason, now, tuple(sorted(holders)))
    statement = statements.of_digests({name: subject}, revocation.TYPE, predicate.to_json())
    (digest,) = keep(store, [signer.sign_statement(statement.to_bytes())])
    entry, _ = commit(ledger, store, state, EntryKind.REVOKE, digest, now=now, sigstore_root=sigstore_root)
    return RevocationReport(kind, subject, reason, affected, entry.number)


def _subject(store: PromotionStore, state: LedgerState, what: str, kind: str) -> tuple[str, Digest]:
    """Name and digest of what is revoked: of an attestation its id, so that no other writing of it counts again."""
    if kind == "identity":
        return _identity(state, what)
    if kind not in revocation.KINDS:
        raise BadInput(f"not a kind of revocation: {kind!r}", hint=f"one of {', '.join(revocation.KINDS)}")
    if kind == "attestation" and digests.is_digest(what):
        return kind, id_of(store.read(digests.parse(what), max_bytes=MAX_BYTES))
    if digests.is_digest(what):
        return kind, digests.parse(what)
    if kind == "attestation":
        raise BadInput(f"not an attestation's digest: {what[:80]!r}", hint="see casstore channel NAME --json")
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
    """The component trees that hold it below their top. Raises NoSuchObject where nothing has it at all."""
    trees = {
        *state.components.values(),
        *(tree for info in state.releases.values() for tree in info.components.values()),
    }
    known = {*state.releases, *trees, *(one for info in state.releases.values() for one in info.archives.values())}
    holders = set(holding(store.tree, sorted(trees), {subject}))
    if not holders and subject not in known and not ahead:
        raise NoSuchObject(
            f"no release, archive, component or file of one is {subject}",
            hint="to refuse it before anything holds it: --ahead",
        )
    return holders


def _affected(state: LedgerState, revoked: Collection[str]) -> tuple[str, ...]:
    """The releases that hold it or were signed with it, and the channels that name them now."""
    found = []
    for info in state.releases.values():
        touched = {info.digest, *info.archives.values(), *info.components.values(), *info.evidence, info.builder}
        if touched.isdisjoint(revoked):
            continue
        found.append(f"release {info.version}")
        heads = [name for name, channel in state.channels.items() if channel.release == info.digest]
        found.extend(f"channel {name} (now {info.version})" for name in heads)
    for channel in state.channels.values():
        last = channel.history[-1]
        if not {last.statement, *last.evidence, last.by}.isdisjoint(revoked):
            found.append(f"channel {channel.name}: its last move leans on it")
    return tuple(found)
