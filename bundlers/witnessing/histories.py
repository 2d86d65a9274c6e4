"""Whether two signed checkpoints are of one history; what is not is kept as evidence.

Promises: nobody is accused for wrong tiles: that a smaller checkpoint is of another history is computed from entries
that make the larger one's signed root hash. Leaves to others: which checkpoints are compared (`witness`).

    check_continues(log, small, note, memory, now)        # or VerificationError
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from attest.digests import from_raw
from attest.errors import CasstoreError, VerificationError
from attest.log import checkpoints, merkle
from attest.log.checkpoints import Checkpoint
from bundlers.witnessing.logs import PublishedLog
from bundlers.witnessing.memory import Memory, Proof

TWO_HISTORIES = "two histories"


def check_continues(log: PublishedLog, small: Checkpoint, note: bytes, memory: Memory, now: datetime) -> None:
    """The log contains a checkpoint of at most its size, whose signed note is `note`. Raises VerificationError."""
    if small.size == log.size:
        if small.root != log.checkpoint.root:
            raise two_histories(log.url, note, log.note, None, memory, now)
    elif not _is_proven(log, small):
        check_begins(_entries(log), small, log.url, note, log.note, memory, now)


def check_begins(
    raws: Sequence[bytes], small: Checkpoint, url: str, note: bytes, large_note: bytes, memory: Memory, now: datetime
) -> None:
    """Entries, which make the root hash of `large_note`, begin with those of `small`. Raises VerificationError."""
    tree = merkle.MemoryTree(raws)
    root = tree.root(small.size)
    if root != small.root:
        proof = Proof(from_raw(root), tuple(tree.consistency(small.size)))
        raise two_histories(url, note, large_note, proof, memory, now)


def two_histories(
    url: str, note: bytes, large_note: bytes, proof: Proof | None, memory: Memory, now: datetime
) -> VerificationError:
    """Keep both notes, and what shows that they contradict each other."""
    path = memory.accuse(TWO_HISTORIES, (note, large_note), now, proof)
    small, large = (checkpoints.parse(one)[0].size for one in (note, large_note))
    return VerificationError(
        f"two histories of one ledger are signed, as {url} shows: {small} entries, and {large} that do not go on from"
        f" them; kept as evidence: {path}",
        hint="nothing was signed; show it to the owners, and to everyone who follows this ledger",
    )


def root_of_entries(raws: Sequence[bytes]) -> bytes:
    """The root hash over all of these."""
    return merkle.MemoryTree(raws).root()


def _is_proven(log: PublishedLog, small: Checkpoint) -> bool:
    try:
        proof = merkle.consistency_proof(log.hashes, small.size, log.size)
        merkle.verify_consistency(
            first=small.size, second=log.size, proof=proof, first_root=small.root, second_root=log.checkpoint.root
        )
    except CasstoreError:
        return False
    return True


def _entries(log: PublishedLog) -> list[bytes]:
    """Its entries, which are those of its checkpoint. Raises VerificationError."""
    raws = log.entries(0, log.size)
    if len(raws) != log.size or root_of_entries(raws) != log.checkpoint.root:
        raise VerificationError(
            f"{log.url}: its tiles are not those of its checkpoint over {log.size} entries",
            hint="nothing was signed; ask the publisher: casstore publish CHANNEL --to NAME --repair",
        )
    return raws
