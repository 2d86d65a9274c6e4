"""Trust roots of a ledger: propose the next one, and adopt it when its owners have signed.

payload = propose(change, store_id=store.store_id, previous=None, channels=policies, now=now)
entry = adopt(store, ledger, signed, now=now)

What it pins (`sigstoreRoot`) is put beside it, in the same commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta

from attest.ceremony import ceremony
from attest.core.values import dataclass
from attest.digests import Digest, sha256
from attest.errors import BadInput
from attest.judging.decisions import SigstoreRoots
from attest.keys import identities, keys
from attest.trust import trust_roots
from attest.trust.certificate_conditions import CertificateConditions
from attest.trust.policies import ChannelPolicy
from attest.trust.trust_roots import ROLES, Clock, Role, Settlement, TrustIdentity, TrustRoot
from attest.trust.witnesses import Witness, Witnesses
from casstore.errors import Conflict
from casstore.ledger.book.log import Ledger
from casstore.ledger.commit import commit
from casstore.ledger.entries import Entry, EntryKind
from casstore.ledger.folding import replay
from casstore.objects.kinds import Kind, NewObject
from casstore.store.store import Store


@dataclass(frozen=True, slots=True)
class RoleChange:
    """Who holds a role from now on; a threshold of None keeps the one before, or is 1."""

    names: tuple[str, ...]
    threshold: int | None = None


@dataclass(frozen=True, slots=True)
class TrustChange:
    """What the next trust root says otherwise than the one before."""

    identities: Mapping[str, bytes | str | CertificateConditions] = field(default_factory=dict)
    """Name -> public key (PEM), keyless identity, or what its certificates must say; a known name gets a new key."""
    roles: Mapping[str, RoleChange] = field(default_factory=dict)
    remove: Sequence[str] = ()
    expires_days: int = 365
    valid_from: Mapping[str, datetime] = field(default_factory=dict)
    """Name -> from when on it counts; by default from now on, for a new name or key."""
    valid_until: Mapping[str, datetime] = field(default_factory=dict)
    """Name -> until when it counts (exclusive); by default without end."""
    builders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name -> patterns of the builder ids that are its own; none keep what was said before."""
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name -> patterns of the git sources that it builds from, likewise."""
    sigstore_root: bytes | None = None
    """The trusted_root.json to pin; None keeps the one before."""
    clock_gap: timedelta | None = None
    """How far apart seals may be for the clocks between them to be believed; None keeps what was said before."""
    set_clock: tuple[int, datetime] | None = None
    """A seal whose clock was wrong, and the floor of time in its place."""
    settle: tuple[int, Digest] | None = None
    """A disputed seal, and the state that was true."""
    witnesses: Mapping[str, tuple[str, bytes] | None] = field(default_factory=dict)
    """Name -> kind and public key of a witness; None takes it out."""
    quorum: int | None = None
    """How many witnesses must sign; None keeps what was said before, or asks all."""


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
    named = {name: _identity(name, value, now, known.get(name)) for name, value in change.identities.items()}
    kept = {name: entry for name, entry in {**known, **named}.items() if name not in change.remove}
    entries = _with_windows(kept, change)
    before = previous.sigstore_root if previous else None
    root = TrustRoot(
        version=previous.version + 1 if previous else 1,
        store=store_id,
        created=now,
        expires=now + timedelta(days=change.expires_days),
        identities=tuple(entries[name] for name in sorted(entries)),
        roles=_roles(change, previous),
        channels=channels or (previous.channels if previous else {}),
        sigstore_root=before if change.sigstore_root is None else sha256(change.sigstore_root),
        clock=_clock(change, previous),
        settle=None if change.settle is None else Settlement(*change.settle),
        witnesses=_witnesses(change, previous),
    )
    return ceremony.draft(root)


def _clock(change: TrustChange, previous: TrustRoot | None) -> Clock | None:
    before = previous.clock.gap if previous is not None and previous.clock is not None else None
    gap, wrong = change.clock_gap or before, change.set_clock
    if wrong is None:
        return None if gap is None else Clock(gap)
    return Clock(gap, *wrong)


def _witnesses(change: TrustChange, previous: TrustRoot | None) -> Witnesses | None:
    before = previous.witnesses if previous is not None else None
    known = {one.name: one for one in before.keys} if before else {}
    if unknown := [name for name, value in change.witnesses.items() if value is None and name not in known]:
        raise BadInput(f"{unknown[0]!r} is no witness of the trust root", hint=f"known: {', '.join(known) or 'none'}")
    for name, value in change.witnesses.items():
        if value is None:
            del known[name]
        else:
            known[name] = Witness(name, value[0], keys.public_to_pem(keys.public_from_pem(value[1])))
    if not known:
        if change.quorum is not None:
            raise BadInput("a quorum needs witnesses", hint="--witness NAME=PUBKEY")
        return None
    quorum = change.quorum or (before.quorum if before else len(known))
    return Witnesses(quorum, tuple(known[name] for name in sorted(known)))


def adopt(store: Store, ledger: Ledger, signed: bytes, *, now: datetime, sigstore_root: bytes | None = None) -> Entry:
    """Record a signed trust root: the genesis of a ledger, or its next version.

    `sigstore_root` is the file that it pins, or, where it pins none, what keyless owners are judged
    by. Adopting the one in force again gives Conflict. Raises FormatError, TrustError.
    """
    state = replay(ledger, store, sigstore_root=sigstore_root)
    root = trust_roots.parse_payload(trust_roots.payload_of(signed))
    if state.trust_root is not None and root.digest == state.trust_root.digest:
        raise Conflict(f"trust root version {root.version} is in force already")
    versions = [root] if state.trust_root is None else [state.trust_root, root]
    found = sigstore_roots(store, versions, sigstore_root)
    ceremony.verify_file(
        signed, at=now, previous=state.trust_root, sigstore=found, revoked=state.out(now) | state.limited.keys()
    )
    objects = [NewObject(data, Kind.BLOB, ()) for data in found.pinned.values()]
    store.put_many([*objects, NewObject(signed, Kind.ATTESTATION, (root.digest,))])
    kind = EntryKind.GENESIS if state.trust_root is None else EntryKind.TRUST_ROOT
    entry, _ = commit(ledger, store, state, kind, sha256(signed), now=now, sigstore_root=sigstore_root)
    return entry


def sigstore_roots(store: Store, roots: Sequence[TrustRoot], given: bytes | None) -> SigstoreRoots:
    """What keyless signatures are judged by: what the trust roots pin, from `given` or the store, else `given`.

    Raises TrustError for one that is pinned and nowhere.
    """
    pinned = {}
    for digest in {root.sigstore_root for root in roots if root.sigstore_root is not None}:
        if given is not None and sha256(given) == digest:
            pinned[digest] = given
        elif store.has(digest):
            pinned[digest] = store.read(digest)
        else:
            SigstoreRoots().read(digest)  # raises: it says what is missing
    return SigstoreRoots(given, pinned)


def _identity(
    name: str, value: bytes | str | CertificateConditions, now: datetime, before: TrustIdentity | None
) -> TrustIdentity:
    """A new key of a known name is bound to the same builders and sources."""
    valid_from = now.replace(microsecond=0)
    if isinstance(value, CertificateConditions):
        made = TrustIdentity(name, value.identity, None, valid_from, certificate=value)
    elif isinstance(value, str):
        made = TrustIdentity(name, identities.parse(value), None, valid_from)
    else:
        public = keys.public_from_pem(value)
        made = TrustIdentity(name, keys.identity_of(public), keys.public_to_pem(public), valid_from)
    return replace(made, builders=before.builders, sources=before.sources) if before else made


def _with_windows(entries: Mapping[str, TrustIdentity], change: TrustChange) -> dict[str, TrustIdentity]:
    for name in sorted({*change.valid_from, *change.valid_until, *change.builders, *change.sources}):
        if name not in entries:
            raise BadInput(f"{name!r} is no identity of the trust root", hint=f"known: {', '.join(sorted(entries))}")
        start = change.valid_from.get(name, entries[name].valid_from)
        end = change.valid_until.get(name, entries[name].valid_until)
        if end is not None and end <= start:
            raise BadInput(f"the identity {name} would end before it begins")
        builders = change.builders.get(name, entries[name].builders)
        sources = change.sources.get(name, entries[name].sources)
        changed = replace(entries[name], valid_from=start, valid_until=end, builders=builders, sources=sources)
        entries = {**entries, name: changed}
    return dict(entries)


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
