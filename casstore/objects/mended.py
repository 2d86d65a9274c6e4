"""The note that a mending leaves behind: which packs hold what a damaged one held (docs/formats/store.md).

A reader who knows a pack only by an old ledger entry finds its objects through it. It needs no
trust: every object is verified by its digest.

    parse(to_bytes(name, packs), name) == packs
"""

from __future__ import annotations

from collections.abc import Iterable

from attest import canonical, digests
from attest.digests import Digest, from_raw, to_raw
from attest.errors import BadInput, FormatError

FOLDER = "mended"
FORMAT = "casstore-mended/1"


def key_of(name: bytes) -> str:
    """The storage key of the note about a pack."""
    return f"{FOLDER}/{name.hex()}"


def to_bytes(name: bytes, packs: Iterable[bytes]) -> bytes:
    """The note: `packs` hold everything that the pack `name` held."""
    told = sorted(from_raw(pack) for pack in set(packs))
    return canonical.dumps({"format": FORMAT, "pack": from_raw(name), "packs": told})


def parse(raw: bytes, name: bytes) -> tuple[bytes, ...]:
    """The packs, sorted. Raises FormatError."""
    value = canonical.loads_canonical(raw, what="mended note")
    packs = value.get("packs")
    if value.keys() != {"format", "pack", "packs"} or value["format"] != FORMAT or value["pack"] != from_raw(name):
        raise FormatError(f"mended note: not a {FORMAT} about this pack")
    if not isinstance(packs, list) or not all(isinstance(one, str) for one in packs):
        raise FormatError("mended note: packs is no list of digests")
    try:
        found: list[Digest] = [digests.parse(one) for one in packs]
    except BadInput as exc:
        raise FormatError(f"mended note: {exc.message}") from exc
    if packs != sorted(set(packs)) or from_raw(name) in packs:
        raise FormatError("mended note: its packs are not sorted, or one stands twice")
    return tuple(to_raw(one) for one in found)
