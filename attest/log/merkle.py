"""Merkle trees of RFC 6962: root, inclusion and consistency, made and verified.

Promises: one tree shape for any way of keeping hashes. Everything that makes a proof asks a
`HashReader` for the hash of a perfect subtree, which may sit in memory (`MemoryTree`) or in tiles
(`tiles.TileReader`). Verifying needs nothing but its arguments and raises. Leaves to others: what a
leaf is, and whether the root hash is signed (`checkpoints`).

    tree = MemoryTree([b"entry 0", b"entry 1"])
    proof = tree.inclusion(1, size=2)
    verify_inclusion(leaf_hash(b"entry 1"), index=1, size=2, proof=proof, root=tree.root(2))

Source: https://www.rfc-editor.org/rfc/rfc6962#section-2.1 and RFC 9162 section 2.1 (verification).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

from attest.errors import BadInput, VerificationError

EMPTY_ROOT = hashlib.sha256(b"").digest()
HASH_SIZE = 32
MAX_PROOF = 64
"""More hashes than any tree below 2**64 leaves can ask for."""

HashReader = Callable[[int, int], bytes]
"""(level, index) -> the hash of the perfect subtree over leaves index * 2**level and the 2**level - 1 after it."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry's bytes."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(read: HashReader, size: int) -> bytes:
    """The root hash over the first `size` leaves."""
    return EMPTY_ROOT if size == 0 else _range_hash(read, 0, size)


def inclusion_proof(read: HashReader, index: int, size: int) -> list[bytes]:
    """PATH(index, D[size]): that leaf `index` is in the tree of `size` leaves. Raises BadInput."""
    if not 0 <= index < size:
        raise BadInput(f"no leaf {index} in a tree of {size}")
    proof: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            proof.append(_range_hash(read, middle, high))
            high = middle
        else:
            proof.append(_range_hash(read, low, middle))
            low = middle
    return proof[::-1]


def consistency_proof(read: HashReader, first: int, second: int) -> list[bytes]:
    """PROOF(first, D[second]): that the tree of `second` leaves begins with that of `first`. Raises BadInput."""
    if not 0 < first <= second:
        raise BadInput(f"no consistency proof from {first} to {second} leaves")
    proof: list[bytes] = []
    low, high, whole = 0, second, True
    while first != high:
        middle = low + _split(high - low)
        if first <= middle:
            proof.append(_range_hash(read, middle, high))
            high = middle
        else:
            proof.append(_range_hash(read, low, middle))
            low, whole = middle, False
    if not whole:
        proof.append(_range_hash(read, low, high))
    return proof[::-1]


def verify_inclusion(leaf: bytes, *, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raises VerificationError unless the leaf hash is number `index` of the tree with this root (RFC 9162 2.1.3.2)."""
    _check_hashes(leaf, root, *proof)
    if not 0 <= index < size:
        raise VerificationError(f"inclusion proof: no leaf {index} in a tree of {size}")
    node, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise VerificationError(f"inclusion proof: longer than a tree of {size} needs")
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    if last or found != root:
        raise VerificationError(
            f"inclusion proof: it does not lead from leaf {index} to the root hash of {size} leaves",
            hint="the entry or the proof was changed, or the proof belongs to another checkpoint",
        )


def verify_consistency(
    *, first: int, second: int, proof: Sequence[bytes], first_root: bytes, second_root: bytes
) -> None:
    """Raises VerificationError unless the second tree only appends to the first (RFC 9162 2.1.4.2)."""
    _check_hashes(first_root, second_root, *proof)
    if not 0 <= first <= second:
        raise VerificationError(f"consistency proof: the log shrank from {first} to {second} entries")
    if first in (0, second):
        _verify_trivial(first, proof, first_root, second_root)
        return
    if _fold_consistency(first, second, proof, first_root) != (first_root, second_root):
        raise VerificationError(
            f"consistency proof: the log of {second} entries does not begin with that of {first}",
            hint="history was rewritten or the proof is not for these two checkpoints: keep both and ask the owners",
        )


def _verify_trivial(first: int, proof: Sequence[bytes], first_root: bytes, second_root: bytes) -> None:
    if proof:
        raise VerificationError("consistency proof: hashes where none are needed")
    expected = EMPTY_ROOT if first == 0 else second_root
    if first_root != expected:
        raise VerificationError(f"consistency proof: two different root hashes for {first} entries")


def _fold_consistency(first: int, second: int, proof: Sequence[bytes], first_root: bytes) -> tuple[bytes, bytes]:
    hashes = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    if not hashes:
        raise VerificationError("consistency proof: it is empty")
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise VerificationError("consistency proof: longer than needed")
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise VerificationError("consistency proof: shorter than needed")
    return old, new


class MemoryTree:
    """A tree whose perfect-subtree hashes are all in memory: 64 bytes a leaf, appended in constant time."""

    __slots__ = ("_levels",)

    def __init__(self, entries: Iterable[bytes] = ()) -> None:
        level = [leaf_hash(entry) for entry in entries]
        self._levels = [level]
        while len(level) > 1:
            level = list(map(node_hash, level[::2], level[1::2]))
            self._levels.append(level)

    def followed_by(self, entries: Iterable[bytes]) -> MemoryTree:
        """Another tree, of these leaves and those of further entries."""
        made = MemoryTree()
        made._levels = [list(level) for level in self._levels]
        for entry in entries:
            made.append(leaf_hash(entry))
        return made

    def __len__(self) -> int:
        return len(self._levels[0])

    def append(self, leaf: bytes) -> int:
        """Append a leaf hash; returns its index."""
        _check_hashes(leaf)
        self._levels[0].append(leaf)
        level = 0
        while len(self._levels[level]) % 2 == 0:
            if level + 1 == len(self._levels):
                self._levels.append([])
            left, right = self._levels[level][-2:]
            level += 1
            self._levels[level].append(node_hash(left, right))
        return len(self) - 1

    def hash_at(self, level: int, index: int) -> bytes:
        """The `HashReader` of this tree."""
        if level >= len(self._levels) or index >= len(self._levels[level]):
            raise BadInput(f"the tree of {len(self)} leaves has no subtree {index} at level {level}")
        return self._levels[level][index]

    def root(self, size: int | None = None) -> bytes:
        """The root hash over the first `size` leaves; of all by default."""
        return root_of(self.hash_at, self._known(size))

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """The proof that leaf `index` is among the first `size`."""
        return inclusion_proof(self.hash_at, index, self._known(size))

    def consistency(self, first: int, second: int | None = None) -> list[bytes]:
        """The proof that the first `second` leaves begin with the first `first`."""
        return consistency_proof(self.hash_at, first, self._known(second))

    def _known(self, size: int | None) -> int:
        size = len(self) if size is None else size
        if not 0 <= size <= len(self):
            raise BadInput(f"the tree has {len(self)} leaves, not {size}")
        return size


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def _range_hash(read: HashReader, low: int, high: int) -> bytes:
    """MTH over leaves low..high-1, where low is a multiple of the largest power of two that fits."""
    count = high - low
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return read(level, low >> level)
    middle = low + _split(count)
    return node_hash(_range_hash(read, low, middle), _range_hash(read, middle, high))


def _check_hashes(*hashes: bytes) -> None:
    if len(hashes) > MAX_PROOF + 2:
        raise VerificationError(f"a proof of {len(hashes)} hashes is longer than any tree needs")
    if any(len(h) != HASH_SIZE for h in hashes):
        raise VerificationError("a hash in the proof has not 32 bytes")
