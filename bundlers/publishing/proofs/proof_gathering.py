"""Gathers what shows that nothing speaks against a channel, and the proof of the entries that it is judged by.

Promises: the rows of the sealed state that a consumer asks, and each entry's place under one checkpoint. Leaves to
others: the channel's own files (`gathering`), what the rows mean (`absence`).

    gather_absence(gathered, store, state, history, "prod", 41, size)
    gather_ledger(gathered, store, state, history, numbers, checkpoint)
"""

from __future__ import annotations

from collections.abc import Iterable

from attest.errors import VerificationError
from attest.log import checkpoints
from attest.log.merkle import MemoryTree
from attest.statements.predicates import seal as seals
from attest.statements.predicates.seal import Seal
from bundlers.publishing.layout import published_paths
from bundlers.publishing.layout.records import LedgerProof, ProvenEntry
from bundlers.publishing.proofs import absence, channel_proof
from bundlers.publishing.proofs.channel_proof import History
from bundlers.publishing.proofs.gathering import Gathered, ReadStore, Recording, objects_tar, recorder
from bundlers.publishing.proofs.ways import way
from casstore.ledger import release_objects
from casstore.ledger.book.all_entries import AllEntries
from casstore.ledger.entries import Entry, EntryKind
from casstore.ledger.states.state import LedgerState


def gather_absence(
    into: Gathered, store: ReadStore, state: LedgerState, history: History, channel: str, head: int, size: int
) -> None:
    """Add what the seal before `size` says of a channel, and what it does not. Raises VerificationError.

    Also of a canary that was withdrawn: who reads asks for less.
    """
    found = way(history, channel, head)
    given = [history.release_of(moves[0]) for moves in absence.by_release(found) if moves]
    releases = [release_objects.parse(store.read(digest)) for digest in given]
    roots = state.trust_roots[: sum(number < size for number in state.trust_root_entries)]
    chosen = channel_proof.select(history, channel, head, {root.digest: root for root in roots}.get, recorder(state))
    question = absence.ask(history, channel, head, releases, roots, store.read, chosen)
    add_rows(into, store, history, channel, question.names, size)


def add_rows(into: Gathered, store: ReadStore, history: History, channel: str, names: Iterable[str], size: int) -> None:
    """Add the leaves and nodes that answer for these rows."""
    reading = Recording(store)
    absence.answer(seal_before(history, size).state, reading.read, names)
    into.add(published_paths.state_path(channel), objects_tar(reading.seen))


def seal_before(history: History, size: int) -> Seal:
    """The seal that a checkpoint over `size` entries ends in. Raises VerificationError."""
    last = history.number(size - 1)
    if last.kind is not EntryKind.SEAL:
        raise VerificationError(
            f"the checkpoint over {size} entries does not end in a seal", hint="publish again, it is made anew"
        )
    return seals.parse(history.statement(last).predicate)


def gather_ledger(
    into: Gathered, store: ReadStore, state: LedgerState, history: History, numbers: set[int], checkpoint: bytes
) -> None:
    """Add trust roots, checkpoint and the proof of these entries, all under one checkpoint."""
    size = checkpoints.parse(checkpoint)[0].size
    numbers = numbers | {number for number in history.trust() if number < size}
    wanted = sorted(numbers | {size - 1} | history.around(numbers))
    tree = tree_of(history, size)
    proven = tuple(_proven(store, history.entries[number], tree, size) for number in wanted)
    into.add(published_paths.PROOF, LedgerProof(state.store, state.ledger, size, proven).to_bytes())
    into.add(published_paths.CHECKPOINT, checkpoint)
    for version, digest in enumerate(state.trust_root_files, start=1):
        into.refer(published_paths.trust_root_path(version), digest, store)
    for root in state.trust_roots:
        if root.sigstore_root is not None:
            into.refer(published_paths.sigstore_root_path(root.sigstore_root), root.sigstore_root, store)


def tree_of(history: History, size: int) -> MemoryTree:
    """The Merkle tree over the first entries, and maybe more."""
    if isinstance(history.entries, AllEntries):
        return history.entries.tree
    return MemoryTree(history.entries[number].raw for number in range(size))


def _proven(store: ReadStore, entry: Entry, tree: MemoryTree, size: int) -> ProvenEntry:
    return ProvenEntry(entry.raw, store.read(entry.statement), tuple(tree.inclusion(entry.number, size)))
