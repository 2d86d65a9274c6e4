"""Whether two signed checkpoints are of one history; what is not is kept as evidence.

Promises: nobody is accused for wrong tiles: that a smaller checkpoint is of another history is computed from entries
that make the larger one's signed root hash. Leaves to others: which checkpoints are compared (`witness`).

    check_continues(log, small, note, memory, now)        # or VerificationError
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from attest.errors import CasstoreError, VerificationError
from attest.log import merkle
from attest.log.checkpoints import Checkpoint
from bundlers.witnessing.logs import PublishedLog
from bundlers.witnessing.memory import Memory

TWO_HISTORIES = "two histories"


def check_continues(log: PublishedLog, small: Checkpoint, note: bytes, memory: Memory, now: datetime) -> None:
    """The log contains a checkpoint of at most its size, whose signed note is `note`. Raises VerificationError."""
    if small.size == log.size:
        contained = small.root == log.checkpoint.root
    else:
        contained = _is_proven(log, small) or _root_at(log, small.size) == small.root
    if not contained:
        raise two_histories(log, small, note, memory, now)


def two_histories(
    log: PublishedLog, small: Checkpoint, note: bytes, memory: Memory, now: datetime
) -> VerificationError:
    """Keep both notes, and say so."""
    path = memory.accuse(TWO_HISTORIES, (note, log.note), now)
    return VerificationError(
        f"two histories of one ledger are signed: {small.size} entries, and {log.size} at {log.url} that do not go on"
        f" from them; kept as evidence: {path}",
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


def _root_at(log: PublishedLog, size: int) -> bytes:
    """The root hash over its first entries, which are those of its checkpoint. Raises VerificationError."""
    raws = log.entries(0, log.size)
    if len(raws) != log.size or root_of_entries(raws) != log.checkpoint.root:
        raise VerificationError(
            f"{log.url}: its tiles are not those of its checkpoint over {log.size} entries",
            hint="nothing was signed; ask the publisher: casstore publish CHANNEL --to NAME --repair",
        )
    return root_of_entries(raws[:size])
