"""Checkpoints: signed size and root hash of a sealed ledger, immutable (docs/formats/ledger-checkpoint.md).

A checkpoint that someone keeps makes a rewritten, cut or forked ledger show. Publishing them
is left to others; here they are made, kept in the store, and held against the ledger.

    made = make(store, ledger, signer=signer, now=now)
    prove(store, ledger, 12).to_json()
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Protocol

from attest.core.values import dataclass
from attest.digests import Digest, from_raw
from attest.errors import BadInput, CasstoreError
from attest.log import checkpoints, merkle
from attest.log.checkpoints import Checkpoint, NoteKey
from attest.signers import Signer
from attest.trust.trust_roots import TrustRoot
from casstore.errors import NoSuchObject, StoreDamaged
from casstore.ledger import entries as formats
from casstore.ledger import sealing
from casstore.ledger.book.log import Ledger, LedgerStore
from casstore.ledger.entries import Entry
from casstore.ledger.folding import replay, replay_whole
from casstore.ledger.sealing import SealStore
from casstore.ledger.states.state import LedgerState, ObjectReader
from casstore.objects import twins
from casstore.storage import Storage

_SIZE = re.compile(r"[0-9]{20}")


class CheckpointStore(LedgerStore, ObjectReader, Protocol):
    """What is needed of a store."""


@dataclass(frozen=True, slots=True)
class MadeCheckpoint:
    """A signed checkpoint."""

    size: int
    root: Digest
    note: bytes

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"size": self.size, "root": self.root, "note": self.note.decode()}


@dataclass(frozen=True, slots=True)
class EntryProof:
    """That an entry is in the ledger that a checkpoint describes."""

    entry: Entry
    checkpoint: MadeCheckpoint
    hashes: tuple[bytes, ...]

    @property
    def text(self) -> str:
        """For people."""
        lines = [
            f"entry {self.entry.number} {self.entry.digest}",
            f"is in the checkpoint over {self.checkpoint.size} entries, root {self.checkpoint.root}",
            *(f"  {value.hex()}" for value in self.hashes),
        ]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "entry": self.entry.raw.decode(),
            "number": self.entry.number,
            "checkpoint": self.checkpoint.to_json(),
            "inclusion": [value.hex() for value in self.hashes],
        }


def origin(store_id: str, ledger: str) -> str:
    """The ledger's name in checkpoints, under which its key signs."""
    return f"casstore.dev/{store_id}/{ledger}"


def make(
    store: SealStore, ledger: Ledger, *, signer: Signer, now: datetime, sigstore_root: bytes | None = None
) -> MadeCheckpoint:
    """Seal the ledger as it is, sign it and keep the checkpoint. Raises PolicyDenied, BadInput, StoreDamaged."""
    state = replay_whole(ledger, store, sigstore_root=sigstore_root)
    sealing.require_role(state, signer, now)
    name = origin(state.store, state.ledger)
    NoteKey.of_pem(name, signer.public_pem or b"")
    state = sealing.seal(store, ledger, signer=signer, now=now, sigstore_root=sigstore_root)
    root = ledger.all_entries().tree.root(state.count)
    note = checkpoints.sign(Checkpoint(name, state.count, root), name, signer.public_pem, signer.sign_bytes)
    key = _key(ledger.name, state.count)
    if not twins.create(store.storage, key, note):
        return _kept(store.storage, key, state, root)
    return MadeCheckpoint(state.count, from_raw(root), note)


def prove(store: CheckpointStore, ledger: Ledger, number: int) -> EntryProof:
    """An inclusion proof under the newest checkpoint. Raises NoSuchObject, StoreDamaged."""
    state = replay(ledger, store)
    found = verify_all(store, ledger, state)
    if not found or found[-1].size <= number:
        raise NoSuchObject(
            f"no checkpoint of the ledger {ledger.name} includes entry {number}",
            hint="make one: casstore ledger checkpoint --key URI",
        )
    entries = ledger.all_entries()
    return EntryProof(entries[number], found[-1], tuple(entries.tree.inclusion(number, found[-1].size)))


def verify_all(store: CheckpointStore, ledger: Ledger, state: LedgerState) -> list[MadeCheckpoint]:
    """Hold every kept checkpoint against the ledger, smallest first. Raises StoreDamaged, VerificationError."""
    return [
        twins.read(store.storage, key, functools.partial(_verified, key=key, ledger=ledger, state=state))
        for key in keys(store.storage, ledger.name)
    ]


def keys(storage: Storage, ledger: str) -> list[str]:
    """Where the kept checkpoints of a ledger lie, smallest first. A listing."""
    return twins.names(storage, _key(ledger, 0)[:-20], _SIZE)


def faults(store: CheckpointStore, ledger: Ledger, state: LedgerState) -> Iterator[tuple[str, str]]:
    """(key, what is wrong) of every kept checkpoint that is not one of these entries."""
    for key in keys(store.storage, ledger.name):
        if store.storage.size(key) is not None and (what := fault(store.storage.read(key), key, ledger, state)):
            yield key, what


def fault(raw: bytes, key: str, ledger: Ledger, state: LedgerState) -> str | None:
    """What is wrong with the bytes of a checkpoint that lies under a key."""
    try:
        _verified(raw, key, ledger, state)
    except CasstoreError as exc:
        return exc.message
    return None


def root_of(entries: Iterable[Entry]) -> bytes:
    """The root hash over entries from number 0 on."""
    return merkle.MemoryTree(entry.raw for entry in entries).root()


def note_keys(state: LedgerState) -> list[NoteKey]:
    """All Ed25519 keys that hold, or held, the role `ledger`."""
    name = origin(state.store, state.ledger)
    found: dict[bytes, NoteKey] = {}
    for root in state.trust_roots:
        for pem in _ledger_keys(root):
            try:
                found.setdefault(pem, NoteKey.of_pem(name, pem))
            except BadInput:  # a key of another kind cannot sign checkpoints
                continue
    return list(found.values())


def _verified(raw: bytes, key: str, ledger: Ledger, state: LedgerState) -> MadeCheckpoint:
    tree = ledger.all_entries().tree  # each checkpoint is one of its beginnings
    verified = checkpoints.verify(raw, origin=origin(state.store, state.ledger), known=note_keys(state)).checkpoint
    if key != _key(ledger.name, verified.size):
        raise StoreDamaged(f"{key}: the checkpoint is over {verified.size} entries")
    if verified.size > len(tree):
        raise StoreDamaged(
            f"ledger {ledger.name}: a signed checkpoint is over {verified.size} entries, {len(tree)} are there",
            hint="entries were removed: get them back from another copy of the store",
        )
    if tree.root(verified.size) != verified.root:
        raise StoreDamaged(
            f"ledger {ledger.name}: its first {verified.size} entries are not those of the signed checkpoint",
            hint="the ledger was rewritten: compare with another copy of the store",
        )
    return MadeCheckpoint(verified.size, from_raw(verified.root), raw)


def _kept(storage: Storage, key: str, state: LedgerState, root: bytes) -> MadeCheckpoint:
    """The checkpoint of this size that another writer made first."""
    note = storage.read(key)
    name = origin(state.store, state.ledger)
    found = checkpoints.verify(note, origin=name, known=note_keys(state)).checkpoint
    if (found.size, found.root) != (state.count, root):
        raise StoreDamaged(f"{key}: a signed checkpoint has another root hash than the ledger")
    return MadeCheckpoint(found.size, from_raw(found.root), note)


def _ledger_keys(root: TrustRoot) -> list[bytes]:
    names = set(root.holders("ledger"))
    return [entry.public_pem for entry in root.identities if entry.name in names and entry.public_pem]


def _key(ledger: str, size: int) -> str:
    return f"{formats.key(ledger, 0)[:-20]}checkpoints/{size:020d}"
