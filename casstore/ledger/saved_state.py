"""A folded state, kept row by row so that the next command reads what it needs of it (docs/formats/index.md).

A saved state counts only for who saved it: it carries a keyed hash under a secret of this user, which lies in
the user's own cache folder, not in the store. So nobody who can write to a store, or to the index beside it,
can put a state before us that we did not fold ourselves. It also names the code that folded it: other rules
fold again. Whatever does not fit is ignored.

What is sealed is small: the fields of which there are few, and the roots of the tables. Their leaves and nodes
lie beside it by their digests, which are checked when one is read; one that is gone or damaged is made anew, by
folding from the first entry. A save writes what is new; what the state before leaned on and this one does not is
taken away some minutes later, when no command that began with it runs any more.

    fields = load(ledger, store.store_id, sigstore_root, again)      # of a LedgerState, or None
    keep(ledger, state_after, sigstore_root)
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING

import msgpack

import attest
from attest import canonical, digests
from attest.digests import Digest, sha256, to_raw
from attest.errors import CasstoreError
from attest.trust import trust_roots
from casstore.errors import StoreDamaged
from casstore.ledger.book.log import Ledger
from casstore.ledger.entries import Entry
from casstore.ledger.states import row_trie, state_records
from casstore.ledger.states.row_trie import Trie
from casstore.ledger.states.state_records import Fields, Unpacked, packed_of
from casstore.machine import clock, user_secrets

if TYPE_CHECKING:
    from casstore.ledger.states.state import LedgerState

FORMAT = "casstore-state/6"
_BESIDE = ("store/attestations.py", "errors.py")
"""What rules use of casstore beside the ledger's own folder."""
Again = Callable[[int], "LedgerState"]
"""The state after so many entries, folded from the first one."""


_LEFT_FOR, _LEFT_TIMES = 600, 64
"""For so many seconds, and so many saves, rows stay that are not needed any more."""
_Left = tuple[int, Sequence[bytes]]


@dataclass(slots=True)
class Saved:
    """What this handle knows to be saved."""

    sealed: bytes
    """The row as it lies there."""
    count: int
    tries: Mapping[str, list[Trie]] = field(default_factory=dict)
    left: Sequence[_Left] = ()
    """Rows that the state does not lean on any more, but maybe a command that runs."""


def load(ledger: Ledger, store: str, sigstore_root: bytes | None, again: Again) -> Fields | None:
    """What this user folded before of this very ledger. Raises StoreDamaged where the ledger is not what it was."""
    kept = _kept()
    if kept is None:
        return None
    row = _row(kept[0], sigstore_root)
    data = ledger.cache.load_state(row)
    if data is None or (body := user_secrets.unseal(kept[0], data)) is None:
        return None
    mend = partial(ledger.cache.put_rows, row)
    rows = SavedRows(ledger.name, partial(ledger.cache.row, row), entries_of(ledger), again, mend)
    found = decode(body, kept[1], sigstore_root, store, rows)
    if found is None or not ledger.resume(found[0]["count"], found[0]["tip"]):
        return None
    fields, left = found
    ledger.saved[sigstore_root] = Saved(data, fields["count"], _tries(fields), left)
    return fields


def entries_of(ledger: Ledger) -> Callable[[int, int, Digest], Iterator[Entry]]:
    """Reads them by a handle of its own: a state is kept in the handle that it came from, and holds none."""
    opened = ledger.opener()

    def entries(start: int, count: int, tip: Digest) -> Iterator[Entry]:
        book = opened()
        book.resume(count, tip)
        return book.entries(start)

    return entries


def keep(ledger: Ledger, state: LedgerState, sigstore_root: bytes | None) -> None:
    """Save a state in place of the one before."""
    before: Saved | None = ledger.saved.get(sigstore_root)
    if (before is not None and before.count == state.count) or not ledger.cache.keeps:
        return
    kept = _kept()
    if kept is None or not _is_whole(state):
        return
    fields = state.fields()
    tries, olds = _tries(fields), before.tries if before is not None else {}
    new = {_key(name, digest): data for name, digest, data in _fresh(tries, olds)}
    now, known = int(clock.now().timestamp()), before.left if before is not None else ()
    batches = [*known, (now, sorted(_unshared(olds, tries)))]
    batches = [(since, [key for key in keys if key not in new]) for since, keys in batches]
    left = [row for row in batches[-_LEFT_TIMES:] if now - row[0] < _LEFT_FOR]
    gone = [key for row in batches if row not in left for key in row[1]]
    data = user_secrets.seal(kept[0], encode(fields, kept[1], sigstore_root, left))
    if ledger.cache.put_state(
        _row(kept[0], sigstore_root), data, before=before.sealed if before is not None else None, rows=new, gone=gone
    ):
        ledger.saved[sigstore_root] = Saved(data, state.count, tries, left)


def _kept() -> tuple[bytes, str] | None:
    """(this user's secret, the code's version), or None where states are not kept."""
    try:
        return user_secrets.own(), code_version()
    except OSError:
        return None


def _row(secret: bytes, sigstore_root: bytes | None) -> bytes:
    """A name for each user and each sigstore root."""
    return hashlib.blake2b(sigstore_root or b"", key=secret, digest_size=8, person=b"row").digest()


@cache
def code_version() -> str:
    """The digest of all sources that judge entries. Raises OSError where there are none."""
    ledger = os.path.dirname(os.path.abspath(__file__))
    above = os.path.dirname(ledger)
    attest_folder = os.path.dirname(os.path.abspath(attest.__file__))
    paths = [*_sources(attest_folder), *_sources(ledger), *(os.path.join(above, name) for name in _BESIDE)]
    hasher = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            hasher.update(hashlib.sha256(file.read()).digest())
    return hasher.hexdigest()


def _sources(folder: str) -> list[str]:
    found = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names if name.endswith(".py")]
    if not found:
        raise FileNotFoundError(folder)
    return sorted(found)


def encode(fields: Fields, code: str, sigstore_root: bytes | None, left: Sequence[_Left] = ()) -> bytes:
    """What is sealed: all of a state but the rows of its tables."""
    binding = _binding(code, sigstore_root, fields["store"], fields["ledger"])
    roots = [canonical.dumps(root.to_json()) for root in fields["trust_roots"]]
    body: bytes = msgpack.packb([*binding, roots, packed_of(fields), list(left)], datetime=True)
    return body


def decode(
    body: bytes, code: str, sigstore_root: bytes | None, store: str, rows: SavedRows
) -> tuple[Fields, Sequence[_Left]] | None:
    """The fields, unless it is another format's, code's, sigstore root's, store's or ledger's; rows left over."""
    try:
        *binding, raws, packed, left = msgpack.unpackb(body, use_list=False, timestamp=3)
        if binding != _binding(code, sigstore_root, store, rows.ledger):
            return None
        roots = tuple(trust_roots.parse(canonical.loads_object(raw, what="trust root")) for raw in raws)
        rows.count, rows.tip = packed["count"], packed["tip"]
        return Unpacked(roots, rows).fields(packed), left
    except (ValueError, TypeError, LookupError, msgpack.UnpackException, CasstoreError):
        return None


def rows_of(state: LedgerState) -> dict[bytes, bytes]:
    """All leaves and nodes of a state's tables, and of those that it leans on, by their keys."""
    return {_key(name, digest): data for name, digest, data in _fresh(_tries(state.fields()), {})}


def _key(name: str, digest: Digest) -> bytes:
    """Where a leaf or node lies: rows of different tables never share one."""
    return hashlib.blake2b(name.encode(), digest_size=4).digest() + to_raw(digest)


def _is_whole(state: LedgerState) -> bool:
    """Whether the states that it leans on have its trust roots, the first ones or all."""
    epoch, sealed = state.epoch, state.tries
    bases = [*([epoch.base()] if epoch is not None else []), *([sealed.of] if sealed is not None else [])]
    return all(state.trust_roots[: len(base.trust_roots)] == base.trust_roots for base in bases)


def _tries(fields: Fields) -> dict[str, list[Trie]]:
    """Every trie that a state leans on, by what it is called: its own, of its epoch's base, of the last seal."""
    found: dict[str, list[Trie]] = {}
    for name, trie in _named(fields):
        known = found.setdefault(name, [])
        if not any(trie.is_same(one) for one in known):
            known.append(trie)
    return found


def _named(fields: Fields) -> Iterator[tuple[str, Trie]]:
    yield from state_records.named_tries(fields)
    if fields["epoch"] is not None:
        yield from _named(fields["epoch"].base().fields())
    if fields["tries"] is not None:
        yield state_records.SEALED, fields["tries"].state
        yield from _named(fields["tries"].of.fields())


def _fresh(tries: Mapping[str, list[Trie]], olds: Mapping[str, list[Trie]]) -> Iterator[tuple[str, Digest, bytes]]:
    for name, ones in tries.items():
        known = list(olds.get(name, ()))
        for trie in ones:
            yield from ((name, digest, data) for digest, data in row_trie.fresh(trie, known).items())
            known.append(trie)


def _unshared(olds: Mapping[str, list[Trie]], news: Mapping[str, list[Trie]]) -> set[bytes]:
    return {
        _key(name, digest)
        for name, ones in olds.items()
        for trie in ones
        for digest in row_trie.unshared(trie, news.get(name, ()))
    }


@dataclass(slots=True)
class SavedRows:
    """Where leaves and nodes are read; what is gone or damaged is folded again."""

    ledger: str
    row: Callable[[bytes], bytes | None]
    entries: Callable[[int, int, Digest], Iterator[Entry]]
    """The ledger's from a number on, known to begin with so many, of which the last has this digest."""
    again: Again
    mend: Callable[[Mapping[bytes, bytes]], None]
    """Keeps rows that were made anew."""
    count: int = 0
    """How many entries the state stands for."""
    tip: Digest = digests.ZERO
    made: dict[bytes, bytes] | None = None

    def read(self, name: str, digest: Digest) -> bytes:
        """Checked bytes."""
        key = _key(name, digest)
        data = self.row(key)
        if data is not None and sha256(data) == digest:
            return data
        if self.made is None:
            self.made = rows_of(self.again(self.count))
            self.mend(self.made)
        if key not in self.made:
            raise StoreDamaged(
                f"ledger {self.ledger}: a saved row of {name} is gone, and folding again gives another state",
                hint="the index beside the store is at fault: casstore fsck",
            )
        return self.made[key]

    def since(self, start: int) -> Iterator[Entry]:
        """See `state_records.Rows`."""
        return self.entries(start, self.count, self.tip)


def _binding(code: str, sigstore_root: bytes | None, store: str, ledger: str) -> list[str]:
    judged_by = "" if sigstore_root is None else hashlib.sha256(sigstore_root).hexdigest()
    return [FORMAT, code, judged_by, store, ledger]
