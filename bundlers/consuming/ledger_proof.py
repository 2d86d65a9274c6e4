"""From published bytes to ledger entries that are proven: trust root chain, checkpoint, inclusion.

Promises: pure over bytes; an entry is handed out only when the checkpoint that an identity with
the role `ledger` signed includes it, the checkpoint continues the one seen before, and the trust
roots are those that the ledger's own entries brought. Leaves to others: what the entries mean
(`channel_proof`, `verification`).

    ledger = prove(source, at=now, pins_of=state.pins, first_trust_root=None)
    ledger.history.entries[41].kind
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from attest.core import limits, times
from attest.core.values import dataclass
from attest.digests import Digest, from_raw, sha256, to_raw
from attest.errors import BadInput, FormatError, TooNew, TrustError, VerificationError
from attest.log import checkpoints, log_nodes, merkle, tiles
from attest.log.checkpoints import Checkpoint, NoteKey
from attest.statements.predicates.seal import Seal
from attest.trust import trust_roots
from attest.trust.trust_roots import TrustRoot
from bundlers.consuming.state import Pins
from bundlers.errors import Ended
from bundlers.publishing import cosigned
from bundlers.publishing.cosigned import Cosigned
from bundlers.publishing.layout import published_paths, tuf_bond
from bundlers.publishing.layout.records import LedgerProof
from bundlers.publishing.proofs.absence import Against
from bundlers.publishing.proofs.channel_proof import History
from casstore.errors import NoSuchObject, StoreDamaged
from casstore.ledger import checkpoints as ledger_checkpoints
from casstore.ledger import entries as formats
from casstore.ledger.entries import TRUST, Entry, EntryKind
from casstore.ledger.rules import Reader, seals, step
from casstore.ledger.states import state as states
from casstore.ledger.states.state import LedgerState
from casstore.ledger.states.views import Revocation, Sealed, Suspension

_ROOTS = frozenset({EntryKind.GENESIS, EntryKind.TRUST_ROOT})


class Source(Protocol):
    """Published files by name."""

    def read(self, path: str) -> bytes:
        """A target's bytes. Raises NoSuchObject."""

    def pieces(self, path: str) -> Iterator[bytes]:
        """As `read`, piece by piece, to be used only after the last one."""

    def plain(self, path: str, *, max_bytes: int = limits.OBJECT) -> bytes:
        """A plain file's bytes, in no way verified (tiles). Raises NoSuchObject, StorageUnavailable."""


@dataclass(frozen=True, slots=True)
class Objects:
    """Objects by digest, each one checked: what the rules of the ledger read."""

    store_id: str
    known: Mapping[Digest, bytes]

    def read(self, digest: Digest, *, max_bytes: int | None = None) -> bytes:  # noqa: ARG002 - all are small
        """Bytes with this digest. Raises NoSuchObject."""
        if digest not in self.known:
            raise NoSuchObject(f"{digest} is needed and is not published", hint="ask the publisher to publish again")
        return self.known[digest]

    def with_more(self, datas: Mapping[Digest, bytes]) -> Objects:
        """These and more."""
        return Objects(self.store_id, {**self.known, **datas})


@dataclass(frozen=True, slots=True)
class ProvenLedger:
    """What the proof proves."""

    store: str
    ledger: str
    history: History
    objects: Objects
    """The statements of the entries."""
    trust_roots: tuple[TrustRoot, ...]
    revocations: tuple[Revocation, ...]
    """Those whose entries are in the proof; that there are no others only the sealed state shows."""
    suspensions: tuple[Suspension, ...]
    """Likewise."""
    size: int
    root_hash: Digest
    seal: Seal
    """What the ledger adds up to, by the role `ledger`: believed for what is not there."""
    sealed_by: str
    """The identity that signed it."""
    cosigned: Cosigned
    """Which witnesses signed the checkpoint."""

    @property
    def trust_root(self) -> TrustRoot:
        """The one in force now."""
        return self.trust_roots[-1]

    def policies(self, digest: Digest) -> TrustRoot | None:
        """A trust root of the chain by digest."""
        return next((root for root in self.trust_roots if root.digest == digest), None)

    @property
    def newest(self) -> datetime:
        """The time of the newest proven entry."""
        return self.history.entries[max(self.history.entries)].time


CheckKeys = Callable[[ProvenLedger, frozenset[str]], None]
"""Judges who published, by the proven ledger and what is revoked in it."""


def prove(
    source: Source,
    *,
    at: datetime,
    pins_of: Callable[[str, str], Pins | None],
    first_trust_root: Digest | None,
    sigstore_root: bytes | None = None,
) -> ProvenLedger:
    """Verify the proof of a published source or kit. Raises VerificationError, TrustError, FormatError."""
    proof = LedgerProof.parse(source.read(published_paths.PROOF))
    pins = pins_of(proof.store, proof.ledger)
    entries = _parse_entries(proof)
    objects = Objects(proof.store, {sha256(item.statement): item.statement for item in proof.entries})
    objects = objects.with_more(_sigstore_roots(source, proof, entries))
    history = History(entries, objects.read)
    trusted = _trusted(proof, history, Reader(objects, sigstore_root))
    roots = trusted.trust_roots
    _check_roots(roots, first_trust_root, pins, at)
    seal, sealed_by = _seal(proof, entries[-1], roots, Reader(objects, sigstore_root))
    checkpoint = _checkpoint(source, proof, roots[-1], seal.time, at)
    root_hash = checkpoint.root
    for entry, item in zip(entries, proof.entries, strict=True):
        leaf = merkle.leaf_hash(item.entry)
        merkle.verify_inclusion(leaf, index=entry.number, size=proof.size, proof=item.inclusion, root=root_hash)
    _check_history(source, proof.size, root_hash, pins)
    return ProvenLedger(
        proof.store,
        proof.ledger,
        history,
        objects,
        roots,
        trusted.revocations,
        trusted.suspensions,
        proof.size,
        from_raw(root_hash),
        seal,
        sealed_by,
        cosigned.look([partial(source.plain, max_bytes=checkpoints.MAX_NOTE)], roots[-1].witnesses, checkpoint),
    )


def pins_after(ledger: ProvenLedger, before: Pins | None) -> Pins:
    """What to remember; channels are added by the caller."""
    return Pins(
        store=ledger.store,
        ledger=ledger.ledger,
        first_trust_root=ledger.trust_roots[0].digest,
        trust_root_version=ledger.trust_root.version,
        trust_root=ledger.trust_root.digest,
        checkpoint_size=ledger.size,
        root_hash=ledger.root_hash,
        channels=before.channels if before else {},
    )


def check_seal(ledger: ProvenLedger, against: Against) -> None:
    """Raises TrustError when who sealed the ledger counts no more."""
    limit = against.limited.get(ledger.sealed_by)
    if ledger.sealed_by in against.revoked or (limit is not None and ledger.seal.size >= limit):
        raise TrustError("the identity that sealed the ledger was revoked", hint="ask the owners for another seal")


def check_seen(channel: str, number: int, digest: Digest, pins: Pins | None) -> None:
    """Raises VerificationError for a move that is older than the one that was pinned, or another one."""
    seen = pins.channels.get(channel) if pins else None
    if seen is None:
        return
    if number < seen.number:
        raise VerificationError(
            f"channel {channel} is at ledger entry {number} here, {seen.number} was seen before",
            hint="an older state is served: do not install from here",
        )
    if number == seen.number and digest != seen.digest:
        raise VerificationError(f"ledger entry {seen.number} is another one than was seen before: two histories")


def _parse_entries(proof: LedgerProof) -> list[Entry]:
    entries: list[Entry] = []
    for item in proof.entries:
        entry = formats.parse(item.entry)
        if entries and entry.number <= entries[-1].number:
            raise FormatError(f"ledger proof: entry {entry.number} does not come in order")
        if sha256(item.statement) != entry.statement:
            raise VerificationError(f"ledger entry {entry.number}: the statement beside it is another one")
        entries.append(entry)
    if not entries or entries[0].kind is not EntryKind.GENESIS or entries[0].number != 0:
        raise VerificationError("ledger proof: entry 0 is missing or no genesis")
    return entries


def _trusted(proof: LedgerProof, history: History, reader: Reader) -> LedgerState:
    """Trust roots, revocations and suspensions, by the ledger's own rules; an entry that is void there is void here.

    Each seal between them was signed as one.
    """
    state: LedgerState = states.start(proof.store, proof.ledger)
    for number, entry in sorted(history.entries.items()):
        if entry.kind in TRUST:
            state = step(history.at(state, entry), entry, reader)
        elif entry.kind is EntryKind.SEAL and state.trust_roots:
            floor = Sealed(number, history.seal(number).floor)
            seals.signed(replace(state, count=number, tip=entry.prev, sealed=floor, bound=None), entry, reader)
    if not state.trust_roots:
        why = state.void[0][1] if state.void else "there is none"
        raise TrustError(f"no trust root holds: {why}")
    return state


def _seal(proof: LedgerProof, last: Entry, roots: tuple[TrustRoot, ...], reader: Reader) -> tuple[Seal, str]:
    """The checkpoint's last leaf: a seal by the role `ledger`, made at its place under the newest trust root."""
    if last.number != proof.size - 1 or last.kind is not EntryKind.SEAL:
        raise VerificationError(
            "the checkpoint does not end in a seal, so nothing shows what was left out",
            hint="ask the publisher to publish again",
        )
    state = replace(states.start(proof.store, proof.ledger), trust_roots=roots, count=last.number, tip=last.prev)
    claim, identity = seals.signed(state, last, reader)
    if (claim.trust_root, claim.trust_root_version) != (roots[-1].digest, roots[-1].version):
        raise TrustError(
            f"the seal was made under trust root {claim.trust_root_version}, {roots[-1].version} is the newest here",
            hint="the chain is not complete: do not install from here",
        )
    return claim, identity


def _sigstore_roots(source: Source, proof: LedgerProof, entries: list[Entry]) -> dict[Digest, bytes]:
    """The sigstore roots that the trust roots pin; each is checked against its digest."""
    found: dict[Digest, bytes] = {}
    for entry, item in zip(entries, proof.entries, strict=True):
        pinned = _pins(item.statement) if entry.kind in _ROOTS else None
        if pinned is not None and pinned not in found:
            path = published_paths.sigstore_root_path(pinned)
            data = source.read(path)
            if sha256(data) != pinned:
                raise VerificationError(f"{path}: other bytes than the trust root pins")
            found[pinned] = data
    return found


def _pins(signed: bytes) -> Digest | None:
    """What a trust root claims to pin; one that cannot be read is void and pins nothing."""
    try:
        return trust_roots.parse_payload(trust_roots.payload_of(signed)).sigstore_root
    except (FormatError, TooNew):
        return None


_SKEW = timedelta(minutes=10)
"""By how much clocks of honest machines differ."""


def _check_roots(roots: tuple[TrustRoot, ...], given: Digest | None, pins: Pins | None, at: datetime) -> None:
    for wanted, why in ((given, "given"), (pins.first_trust_root if pins else None, "pinned at first use")):
        if wanted is not None and roots[0].digest != wanted:
            raise TrustError(
                f"trust root 1 is {roots[0].digest}, not {wanted} that was {why}",
                hint="do not trust this source; ask the owners for the digest of trust root 1",
            )
    if pins is not None and len(roots) < pins.trust_root_version:
        raise TrustError(
            f"trust root {len(roots)} is the newest here, version {pins.trust_root_version} was seen before",
            hint="an older publication is served: do not install from here",
        )
    if pins is not None and roots[pins.trust_root_version - 1].digest != pins.trust_root:
        raise TrustError(f"trust root {pins.trust_root_version} is another one than was seen before")
    told = times.format(at)
    if at >= roots[-1].expires:
        raise Ended(
            f"trust root {roots[-1].version} expired at {times.format(roots[-1].expires)}",
            hint="the owners must sign the next version and publish it, unless this machine's clock is wrong",
            until=roots[-1].expires,
        )
    if at + _SKEW < roots[-1].created:
        raise TrustError(
            f"this machine's clock says {told}, which is before trust root {roots[-1].version} was made"
            f" ({times.format(roots[-1].created)})",
            hint="set the clock and run it again: what is published was not looked at",
        )


def _checkpoint(source: Source, proof: LedgerProof, root: TrustRoot, sealed_at: datetime, at: datetime) -> Checkpoint:
    """What an identity signed which had the role `ledger` when it was sealed."""
    origin = ledger_checkpoints.origin(proof.store, proof.ledger)
    known = note_keys(root, origin, sealed_at)
    found = checkpoints.verify(source.read(published_paths.CHECKPOINT), origin=origin, known=known)
    _check_ends(root, found.identities, at)
    if found.checkpoint.size != proof.size:
        raise VerificationError(f"the checkpoint is over {found.checkpoint.size} entries, the proof over {proof.size}")
    return found.checkpoint


def _check_ends(root: TrustRoot, signers: Collection[str], at: datetime) -> None:
    """Raises Ended when the window of all who signed ended over 30 days ago: what they sealed before that counts on."""
    ends = [entry.valid_until for entry in root.identities if entry.identity in signers]
    if any(end is None or at < end + tuf_bond.AFTER_END for end in ends):
        return
    last = max(end for end in ends if end is not None)
    raise Ended(
        f"who sealed the ledger may do so no more since {times.format(last)}, over 30 days ago",
        hint="the publisher must publish again, unless this machine's clock is wrong",
        until=last + tuf_bond.AFTER_END,
    )


def note_keys(root: TrustRoot, origin: str, at: datetime) -> list[NoteKey]:
    """Keys that have the role `ledger` at a time; those that cannot sign checkpoints (not Ed25519) are left out."""
    found = []
    for identity in root.identities:
        if identity.public_pem is not None and "ledger" in root.roles_of(identity.identity, at):
            try:
                found.append(NoteKey.of_pem(origin, identity.public_pem))
            except BadInput:
                continue
    return found


def _check_history(source: Source, size: int, root_hash: bytes, pins: Pins | None) -> None:
    """The ledger only grew since it was seen; tiles are untrusted, the signed root hash decides."""
    if pins is None:
        return
    if size < pins.checkpoint_size:
        raise VerificationError(
            f"the ledger has {size} entries here, {pins.checkpoint_size} were seen before",
            hint="an older state is served: do not install from here",
        )
    path = _growth(source, pins.checkpoint_size, size) if size > pins.checkpoint_size else []
    merkle.verify_consistency(
        first=pins.checkpoint_size, second=size, proof=path, first_root=to_raw(pins.root_hash), second_root=root_hash
    )


def _growth(source: Source, seen: int, size: int) -> list[bytes]:
    """The consistency proof, by the tiles that are published, or by what a kit has instead."""
    try:
        return merkle.consistency_proof(tiles.tile_reader(lambda tile: _tile(source, tile), size), seen, size)
    except NoSuchObject as exc:
        try:
            return merkle.consistency_proof(log_nodes.parse(source.plain(published_paths.NODES), size), seen, size)
        except (NoSuchObject, BadInput):
            raise VerificationError(
                f"{exc.message}: it cannot be shown that the ledger only grew since it had {seen} entries",
                hint="ask the publisher to publish again, or for a newer kit",
            ) from exc


def _tile(source: Source, tile: tiles.Tile) -> bytes:
    try:
        return source.plain(f"ledger/{tile.path}")
    except NoSuchObject as exc:
        raise NoSuchObject(f"ledger/{tile.path} is missing") from exc


def as_verification(exc: NoSuchObject | StoreDamaged) -> VerificationError:
    """A store's missing bytes are, for a consumer, evidence that is missing."""
    return VerificationError(exc.message, hint="the evidence is not complete: ask the publisher to publish again")
