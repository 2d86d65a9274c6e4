"""Trust roots of a ledger: propose the next one, and adopt it when its owners have signed.

payload = propose(change, store_id=store.store_id, previous=None, channels=policies, now=now)
entry = adopt(store, ledger, signed, now=now)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from attest import ceremony, identities, keys, trust_roots
from attest.errors import BadInput
from attest.policies import ChannelPolicy
from attest.trust_roots import ROLES, Role, TrustIdentity, TrustRoot
from casstore.errors import Conflict
from casstore.ledger.commit import commit
from casstore.ledger.entries import Entry, EntryKind
from casstore.ledger.log import Ledger
from casstore.ledger.state import replay
from casstore.objects.kinds import Kind, NewObject
from casstore.store import Store


@dataclass(frozen=True, slots=True)
class RoleChange:
    """Who holds a role from now on; a threshold of None keeps the one before, or is 1."""

    names: tuple[str, ...]
    threshold: int | None = None


@dataclass(frozen=True, slots=True)
class TrustChange:
    """What the next trust root says otherwise than the one before."""

    identities: Mapping[str, bytes | str] = field(default_factory=dict)
    """Name -> public key (PEM) or keyless identity; a known name gets a new key."""
    roles: Mapping[str, RoleChange] = field(default_factory=dict)
    remove: Sequence[str] = ()
    expires_days: int = 365


def propose(
    change: TrustChange,
    *,
    store_id: str,
    previous: TrustRoot | None,
    channels: Mapping[str, ChannelPolicy],
    now: datetime,
) -> bytes:
    """The draft that the owners sign. Raises BadInput, FormatError."""
    if previous is None and not channels:
        raise BadInput(
            "no channel policy is proposed", hint="write [channels.NAME] with approvals = N in casstore.toml"
        )
    known = {entry.name: entry for entry in previous.identities} if previous else {}
    unknown = [name for name in change.remove if name not in known]
    if unknown:
        raise BadInput(f"{unknown[0]!r} is no identity of the trust root", hint=f"known: {', '.join(known) or 'none'}")
    named = {name: _identity(name, value, now) for name, value in change.identities.items()}
    entries = {name: entry for name, entry in {**known, **named}.items() if name not in change.remove}
    root = TrustRoot(
        version=previous.version + 1 if previous else 1,
        store=store_id,
        created=now,
        expires=now + timedelta(days=change.expires_days),
        identities=tuple(entries[name] for name in sorted(entries)),
        roles=_roles(change, previous),
        channels=channels or (previous.channels if previous else {}),
    )
    return ceremony.draft(root)


def adopt(store: Store, ledger: Ledger, signed: bytes, *, now: datetime) -> Entry:
    """Record a signed trust root: the genesis of a ledger, or its next version.

    Adopting the one in force again gives Conflict. Raises FormatError, TrustError.
    """
    state = replay(ledger, store)
    if state.trust_root is None:
        root, kind = trust_roots.verify_first(signed, at=now), EntryKind.GENESIS
    else:
        root = trust_roots.parse_payload(trust_roots.payload_of(signed))
        if root.digest == state.trust_root.digest:
            raise Conflict(f"trust root version {root.version} is in force already")
        root = trust_roots.verify_next(signed, previous=state.trust_root, at=now, revoked=state.revoked)
        kind = EntryKind.TRUST_ROOT
    statement = store.put_many([NewObject(signed, Kind.ATTESTATION, (root.digest,))])[0]
    entry, _ = commit(ledger, store, state, kind, statement, now=now)
    return entry


def _identity(name: str, value: bytes | str, now: datetime) -> TrustIdentity:
    valid_from = now.replace(microsecond=0)
    if isinstance(value, str):
        return TrustIdentity(name, identities.parse(value), None, valid_from)
    public = keys.public_from_pem(value)
    return TrustIdentity(name, keys.identity_of(public), keys.public_to_pem(public), valid_from)


def _roles(change: TrustChange, previous: TrustRoot | None) -> dict[str, Role]:
    before = dict(previous.roles) if previous else {}
    unknown = sorted(set(change.roles) - set(ROLES))
    if unknown:
        raise BadInput(f"there is no role {unknown[0]!r}", hint=f"known: {', '.join(ROLES)}")
    for name, wanted in change.roles.items():
        old = before.get(name)
        threshold = wanted.threshold or (old.threshold if old else 1)
        before[name] = Role(name, wanted.names, threshold)
    kept = {
        name: Role(name, tuple(n for n in role.identities if n not in change.remove), role.threshold)
        for name, role in before.items()
    }
    return {name: role for name, role in sorted(kept.items()) if role.identities}
