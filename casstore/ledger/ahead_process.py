"""A worker that reads ahead of a fold, as a process of its own; `ahead` shares the work out."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

from attest.core.remembered import keep
from attest.digests import Digest, is_digest, to_raw
from attest.errors import CasstoreError, FormatError
from attest.keys import keys
from attest.sigstore.sigstore_bundles import hint_of
from attest.statements.predicates import promotion
from attest.statements.predicates import release as releases
from casstore.errors import NoSuchObject
from casstore.index.attach import attach_spots
from casstore.index.rows import IndexDoubt
from casstore.ledger import facts, release_objects
from casstore.machine.workers import serve
from casstore.objects.pack_format import FRAME, piece_at
from casstore.objects.pack_reader import decode_piece
from casstore.objects.packs import LocalPacks

MAX_BYTES = 16 * 1024
"""What is larger is read by the fold itself."""


def main() -> int:
    """Batches of statements; answers each with their bytes, those of what they name, and the facts in them."""
    return serve(lambda setup: _Looking(setup).answer)


class _Looking:
    def __init__(self, setup: Any) -> None:
        self._packs = LocalPacks(setup["store"])
        self._find = self._spots(setup["index"])
        self._pems = dict(_hinted(setup["pems"]))
        self._told: OrderedDict[bytes, bool] = OrderedDict()
        self._block: tuple[bytes, int, bytes] | None = None

    @staticmethod
    def _spots(index: str) -> Any:
        """Where objects lie; nowhere when the index was replaced meanwhile: then the fold reads them itself."""
        try:
            return attach_spots(index)
        except IndexDoubt:
            return lambda _: None

    def answer(self, task: Any) -> list[Any]:
        found: list[Any] = []
        for raw in task[1]:
            self._tell(raw, found, release=False)
        return found

    def _tell(self, raw: bytes, found: list[Any], *, release: bool) -> None:
        """One object, once, and what it names."""
        if raw in self._told:
            return
        keep(self._told, raw, True)
        data = self._read(raw)
        if data is None:
            return
        row = None if release else facts.told(data, self._pems)
        found.append([raw, data, row])
        if release:
            for name in _of_release(data):
                self._tell(name, found, release=False)
        elif row is not None and row[-1] is not None:
            subjects, kind, predicate = row[-1]
            if kind == releases.TYPE:
                for name, digest, _ in subjects:
                    if name == "release" and digest:
                        self._tell(to_raw(digest), found, release=True)
            elif kind == promotion.TYPE:
                for one in _digests(predicate.get("evidence")):
                    self._tell(one, found, release=False)

    def _read(self, raw: bytes) -> bytes | None:
        """The bytes of a small object, checked."""
        spot = self._find(raw)
        if spot is None or not 0 < spot[4] <= min(MAX_BYTES, FRAME):
            return None
        pack, pieces, number, inner, length = spot
        try:
            data = self._piece(pack, pieces, number)[inner : inner + length]
        except (FormatError, NoSuchObject):
            return None
        return data if hashlib.sha256(data).digest() == raw else None

    def _piece(self, pack: bytes, pieces: bytes, number: int) -> bytes:
        block = self._block
        if block is None or block[:2] != (pack, number):
            piece = piece_at(pieces, number)
            stored = self._packs.read(pack, piece.offset, piece.stored)
            self._block = block = pack, number, decode_piece(piece, stored, unchecked=True)
        return block[2]


def _hinted(pems: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    for pem in pems:
        try:
            yield hint_of(keys.public_to_der(keys.public_from_pem(pem))), pem
        except CasstoreError:
            continue


def _of_release(data: bytes) -> list[bytes]:
    """What decisions about a release read: the evidence that it closes, and the trees that are compared."""
    try:
        made = release_objects.parse(data)
    except CasstoreError:
        return []
    return [to_raw(digest) for digest in (*made.evidence, *made.components.values())]


def _digests(value: object) -> Iterator[bytes]:
    yield from (to_raw(Digest(one)) for one in (value if isinstance(value, list) else []) if is_digest(one))
