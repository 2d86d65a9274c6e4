"""The hashes by which a log is shown to go on from each of some sizes: all that is left of its tiles for who saw one.

Promises: exactly the hashes that the consistency proofs from these sizes read, each once, in an order that follows from
the sizes. Leaves to others: that they are true, which the signed root hash shows (docs/formats/kit.md).

    data = to_bytes((42, 57), 90, tree.hash_at)
    merkle.consistency_proof(parse(data, 90), 42, 90)
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

from attest import canonical
from attest.core import limits
from attest.core.fields import Fields
from attest.errors import BadInput, FormatError
from attest.log import merkle
from attest.log.merkle import HASH_SIZE, HashReader
from attest.statements.envelopes import decode_base64

FORMAT = "casstore-log-nodes/1"
MAX_SIZES = 100_000


def to_bytes(sizes: Iterable[int], size: int, read: HashReader) -> bytes:
    """For a log of `size` entries, of which somebody may have seen each of the smaller `sizes`."""
    seen = sorted({one for one in sizes if 0 < one < size})[-MAX_SIZES:]
    hashes = b"".join(read(level, index) for level, index in _needed(seen, size))
    value = {"format": FORMAT, "size": size, "from": seen, "hashes": base64.b64encode(hashes).decode()}
    return canonical.dumps(value)


def parse(data: bytes, size: int) -> HashReader:
    """Reads a hash; raises BadInput for one that is not there. Raises FormatError."""
    what = "log nodes"
    value = canonical.loads_canonical(data, what=what, max_bytes=limits.OBJECT)
    f = Fields(value, what, required=("format", "size", "from", "hashes"))
    if f.text("format") != FORMAT:
        raise FormatError(f"{what}: the format is {f.text('format')[:60]!r}, not {FORMAT}")
    sizes = value["from"]
    if f.integer("size") != size or not _grow(sizes, size):
        raise FormatError(f"{what}: they are not of {size} entries from smaller sizes, in their order")
    hashes, places = decode_base64(f.text("hashes"), what), _needed(sizes, size)
    if len(hashes) != len(places) * HASH_SIZE:
        raise FormatError(f"{what}: {len(hashes)} bytes of hashes, {len(places) * HASH_SIZE} are wanted")
    known = {place: hashes[at * HASH_SIZE : (at + 1) * HASH_SIZE] for at, place in enumerate(places)}

    def read(level: int, index: int) -> bytes:
        if (level, index) not in known:
            raise BadInput(f"the hash {index} of level {level} is not there")
        return known[level, index]

    return read


def _grow(sizes: object, size: int) -> bool:
    """Whether this is a list of sizes, each larger than the one before."""
    if not isinstance(sizes, list) or len(sizes) > MAX_SIZES or not all(type(one) is int for one in sizes):
        return False
    return all(one < two for one, two in zip([0, *sizes], [*sizes, size], strict=True))


def _needed(sizes: Iterable[int], size: int) -> list[tuple[int, int]]:
    found: set[tuple[int, int]] = set()

    def read(level: int, index: int) -> bytes:
        found.add((level, index))
        return bytes(HASH_SIZE)

    for one in sizes:
        merkle.consistency_proof(read, one, size)
    return sorted(found)
