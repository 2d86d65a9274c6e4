"""Reads objects, and verifies every one of them; wrong bytes are never served as whole.

A small object is verified before its first byte is handed out. A large one streams: the
last thing that its iterator does is to raise ObjectDamaged, so nobody may use what came
before until it ended well. When the index led to wrong bytes the packs are asked, and
another copy in another pack is taken.

    data = ObjectReader(packs, catalog).read(digest)
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import BinaryIO

from attest.digests import Digest, from_raw, to_raw
from attest.errors import BadInput, CasstoreError, FormatError
from casstore.errors import NoSuchObject, ObjectDamaged
from casstore.index.catalog import Catalog, Located, no_such_object
from casstore.objects.pack_format import FRAME, Piece, piece_at
from casstore.objects.pack_reader import decode_piece, object_chunks, run_of
from casstore.objects.packs import Packs

_CACHED = 16
"""Decoded pieces kept: neighbours in a block are mostly read together."""
_LOOKED_UP = 1000
"""Places looked up together."""


class ObjectReader:
    """Verified reads of one store; may be shared between threads."""

    def __init__(self, packs: Packs, catalog: Catalog) -> None:
        self._packs = packs
        self._catalog = catalog
        self._cache: OrderedDict[tuple[bytes, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def locate(self, digest: Digest) -> Located:
        """Where the object lies. Raises NoSuchObject."""
        raw = to_raw(digest)
        look = self._catalog.locate, self._catalog.locate_given_up, self._catalog.locate
        found = next((there for one in look if (there := one(raw)) is not None), None)
        if found is None:
            raise no_such_object(raw)
        return found

    def read(self, digest: Digest, *, max_bytes: int | None = None) -> bytes:
        """All bytes, verified. Raises NoSuchObject, ObjectDamaged; BadInput above `max_bytes`."""
        located = self.locate(digest)
        size = located.place.length
        if max_bytes is not None and size > max_bytes:
            raise BadInput(f"{digest}: {size} bytes, more than the {max_bytes} that are taken here")
        return b"".join(self._chunks(digest, located))

    def read_many(self, raws: Iterable[bytes], *, max_bytes: int) -> dict[bytes, bytes]:
        """Raw digest -> verified bytes, in the order of the packs. Raises as `read`."""
        places = self._catalog.locate_many(sorted(set(raws)))
        found = {}
        for raw, located in sorted(places.items(), key=lambda item: (item[1].pack, item[1].place.piece)):
            place = located.place
            if place.length > max_bytes:
                raise BadInput(f"{from_raw(raw)}: more than the {max_bytes} bytes that are taken here")
            if len(run_of(located.pieces, place)) > 1:
                found[raw] = b"".join(self._stream(from_raw(raw), located))
                continue
            data = b""
            with contextlib.suppress(FormatError, NoSuchObject):
                block = self.piece(located.pack, place.piece, piece_at(located.pieces, place.piece))
                data = block[place.inner : place.inner + place.length]
            whole = hashlib.sha256(data).digest() == raw
            found[raw] = data if whole else self._small(from_raw(raw), located)
        return found

    def chunks(self, digest: Digest) -> Iterator[bytes]:
        """The bytes in pieces of at most 1 MiB; raises ObjectDamaged at the end when they are not the digest's."""
        return self._chunks(digest, self.locate(digest))

    def chunks_of(self, digests: Iterable[Digest]) -> Iterator[Iterator[bytes]]:
        """As `chunks` of one after the other; their places are looked up many at a time."""
        left = iter(digests)
        while batch := list(islice(left, _LOOKED_UP)):
            raws = [to_raw(digest) for digest in batch]
            places = self._catalog.locate_many(sorted(set(raws)))
            for digest, raw in zip(batch, raws, strict=True):
                yield self._chunks(digest, places[raw])

    def _chunks(self, digest: Digest, located: Located) -> Iterator[bytes]:
        if len(run_of(located.pieces, located.place)) > 1:
            return self._stream(digest, located)
        return iter((self._small(digest, located),))

    def open(self, digest: Digest) -> BinaryIO:
        """A seekable stream over the bytes, all of them verified first."""
        located = self.locate(digest)
        if len(run_of(located.pieces, located.place)) <= 1:
            return io.BytesIO(self._small(digest, located))
        checks = [hashlib.sha256(chunk).digest() for chunk in self._stream(digest, located)]
        return io.BufferedReader(_Frames(self, digest, located, checks), FRAME)

    def _small(self, digest: Digest, located: Located) -> bytes:
        raw = to_raw(digest)
        data = self._attempt(raw, located)
        if data is None:
            for other in self._catalog.locate_in_packs(raw):
                data = self._attempt(raw, other)
                if data is not None:
                    if other.pack == located.pack:
                        self._catalog.heal(f"the index led to other bytes for {digest}")
                    return data
            raise self._missing(digest, located)
        return data

    def _attempt(self, raw: bytes, located: Located) -> bytes | None:
        """The verified bytes at this place, or None."""
        place = located.place
        try:
            data = b""
            for number in run_of(located.pieces, place):  # one at most: this is a small object
                block = self.piece(located.pack, number, piece_at(located.pieces, number))
                data = block[place.inner : place.inner + place.length]
        except (FormatError, NoSuchObject):
            return None
        return data if hashlib.sha256(data).digest() == raw else None

    def _stream(self, digest: Digest, located: Located) -> Iterator[bytes]:
        hasher = hashlib.sha256()
        if not self._starts(located):
            located = next(filter(self._starts, self._catalog.locate_in_packs(to_raw(digest))), located)
        done, tried = 0, {located.pack}
        while True:
            try:
                for chunk in islice(self._pieces(located), done, None):
                    done += 1
                    hasher.update(chunk)
                    yield chunk
                break
            except NoSuchObject as exc:  # its pack was collected while we read: the object lies in another one
                moved = next((other for other in self._places(digest) if other.pack not in tried), None)
                if moved is None:
                    raise self._missing(digest, located) from exc
                located = moved
                tried.add(moved.pack)
            except FormatError as exc:
                raise damaged(digest, located) from exc
        if hasher.digest() != to_raw(digest):
            raise damaged(digest, located)

    def _pieces(self, located: Located) -> Iterator[bytes]:
        return object_chunks(located.pieces, located.place, lambda _, piece: self._load(located.pack, piece))

    def _places(self, digest: Digest) -> Iterator[Located]:
        """Where else to look: what the index says now, then every pack's own table."""
        found = self._catalog.locate(to_raw(digest))
        if found is not None:
            yield found
        yield from self._catalog.locate_in_packs(to_raw(digest))

    def _missing(self, digest: Digest, located: Located) -> CasstoreError:
        """Collected as garbage, or damaged."""
        if self._catalog.doomed().get(located.pack):
            return no_such_object(to_raw(digest))
        return damaged(digest, located)

    def _starts(self, located: Located) -> bool:
        """Whether the first piece can be read here: else another pack is tried."""
        try:
            self.piece(located.pack, located.place.piece, piece_at(located.pieces, located.place.piece))
        except (FormatError, NoSuchObject):
            return False
        return True

    def piece(self, pack: bytes, number: int, piece: Piece) -> bytes:
        """A piece's raw bytes, through the cache."""
        key = (pack, number)
        with self._lock:
            data = self._cache.get(key)
            if data is not None:
                self._cache.move_to_end(key)
                return data
        data = self._load(pack, piece)
        with self._lock:
            self._cache[key] = data
            if len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        return data

    def _load(self, pack: bytes, piece: Piece) -> bytes:
        """The object that it belongs to is verified by whoever asks."""
        stored = self._catalog.staged.read(pack, piece.offset, piece.stored)
        if stored is None:
            stored = self._packs.read(pack, piece.offset, piece.stored)
        return decode_piece(piece, stored, unchecked=True)


class _Frames(io.RawIOBase):
    """A large object as a seekable stream; each frame is compared with what was verified at opening."""

    def __init__(self, reader: ObjectReader, digest: Digest, located: Located, checks: list[bytes]) -> None:
        self._reader = reader
        self._digest = digest
        self._located = located
        self._checks = checks
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = (0, self._at, self._located.place.length)[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        number, inner = divmod(self._at, FRAME)
        if number >= len(self._checks):
            return 0
        frame = self._frame(number)
        part = frame[inner : inner + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def _frame(self, number: int) -> bytes:
        located, piece = self._located, self._located.place.piece + number
        try:
            data = self._reader.piece(located.pack, piece, piece_at(located.pieces, piece))
        except FormatError as exc:
            raise damaged(self._digest, located) from exc
        if hashlib.sha256(data).digest() != self._checks[number]:
            raise damaged(self._digest, located)
        return data


def damaged(digest: Digest, located: Located) -> ObjectDamaged:
    """The error that names digest, pack and place."""
    try:
        offset = piece_at(located.pieces, located.place.piece).offset
    except FormatError:
        offset = 0
    return ObjectDamaged(
        f"{digest}: damaged in pack {located.pack.hex()} at byte {offset}; its bytes were not served",
        hint="mend it from another copy of the store: casstore fsck --repair --from STORE",
    )
