"""Fold the whole ledger of a published source: nothing that a seal says is believed, all of it is computed anew.

Promises: every entry under the proven checkpoint, from the first one on, by the ledger's own rules; the seals are held
against that fold, so whoever holds the ledger's key and a promoter's hides nothing. Leaves to others: the
checkpoint and the channel (`verification`), what is published for it (`publishing.feed`).

    replayed = replay(source, found)
    replayed.entries, replayed.void
"""

from __future__ import annotations

from attest.core.values import dataclass
from attest.digests import Digest, sha256
from attest.errors import VerificationError
from attest.log import merkle, tiles
from bundlers.consuming.ledger_proof import as_verification
from bundlers.consuming.published_objects import tar_of
from bundlers.consuming.sources import OpenSource
from bundlers.consuming.verified import VerifiedChannel
from bundlers.publishing import feed
from casstore.errors import NoSuchObject, StoreDamaged
from casstore.ledger import entries as formats
from casstore.ledger import folding
from casstore.ledger.entries import Entry
from casstore.ledger.states import state as states
from casstore.ledger.states.state import LedgerState

_DO_NOT = "do not install from here; tell the owners of the release line"


@dataclass(frozen=True, slots=True)
class Replayed:
    """A whole ledger that adds up to what was sealed."""

    entries: int
    void: int


class _Objects:
    """The feed's objects, each checked by its digest."""

    def __init__(self, source: OpenSource, store_id: str) -> None:
        self.store_id = store_id
        self._source = source
        self._known: dict[Digest, bytes] = {}
        for path in feed.read_index(source.plain(feed.INDEX)):
            self._known |= tar_of(path, source.plain(path))

    def read(self, digest: Digest, *, max_bytes: int | None = None) -> bytes:  # noqa: ARG002 - a plain file has a limit
        """Bytes with this digest. Raises NoSuchObject, VerificationError."""
        if digest not in self._known:
            data = self._source.plain(feed.object_path(digest))
            if sha256(data) != digest:
                raise StoreDamaged(f"{feed.object_path(digest)}: has other bytes than its name says")
            return data
        return self._known[digest]


def replay(source: OpenSource, found: VerifiedChannel, *, sigstore_root: bytes | None = None) -> Replayed:
    """Raises VerificationError where the fold is not what was sealed, or something of it is not published."""
    try:
        entries = _entries(source, found)
        start = states.start(found.store, found.ledger)
        state = folding.fold(start, entries, _Objects(source, found.store), sigstore_root=sigstore_root)
    except (NoSuchObject, StoreDamaged) as exc:
        raise as_verification(exc) from exc
    _compare(state, found)
    return Replayed(len(entries), len(state.void))


def _entries(source: OpenSource, found: VerifiedChannel) -> list[Entry]:
    """All entries under the checkpoint; their root hash is the one that was signed."""
    raws: list[bytes] = []
    for tile in tiles.grown_entries(0, found.checkpoint_size):
        raws += tiles.parse_entries(source.plain(f"ledger/{tile.path}"), width=tile.width)
    if merkle.MemoryTree(raws).root() != bytes.fromhex(found.root_hash.removeprefix("sha256:")):
        raise VerificationError("the published entries are not those of the signed checkpoint", hint=_DO_NOT)
    return [formats.parse(raw) for raw in raws]


def _compare(state: LedgerState, found: VerifiedChannel) -> None:
    if state.disputed is not None:
        raise VerificationError(state.disputed.error().message, hint=_DO_NOT)
    if state.sealed is None or state.sealed.number != found.checkpoint_size - 1:
        raise VerificationError(
            "the seal that the checkpoint ends in does not hold in a fold of the ledger", hint=_DO_NOT
        )
    channel = state.channel(found.channel)
    runs, canary = channel.canary_moves, found.canary
    beside = None if not runs else (runs[-1].release, runs[-1].share, runs[0].entry)
    said = None if canary is None else (canary.channel.release_digest, canary.share, canary.began)
    other = beside != said and not found.canary_withdrawn
    if (channel.move, channel.release) != (found.move.digest, found.release_digest) or other:
        raise VerificationError(
            f"a fold of the ledger has {found.channel} at {channel.version or 'nothing'}, not at {found.version}",
            hint=_DO_NOT,
        )
