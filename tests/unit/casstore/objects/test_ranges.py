"""Parts of packs that were read from a bucket: what is asked for again, and what is not."""

from __future__ import annotations

import random

from casstore.objects import ranges
from casstore.objects.ranges import AHEAD, END, Ranges


class Bucket:
    """Two packs, and what was asked of them."""

    def __init__(self) -> None:
        source = random.Random(3)
        self.packs = {b"large": source.randbytes(3_000_000), b"small": source.randbytes(5000)}
        self.asked: list[tuple[bytes, int, int]] = []
        self.ranges = Ranges(self.end, self.part)

    def end(self, name: bytes, length: int) -> tuple[bytes, int]:
        data = self.packs[name]
        self.asked.append((name, -1, length))
        return data[-length:], len(data)

    def part(self, name: bytes, offset: int, length: int) -> bytes:
        self.asked.append((name, offset, length))
        return self.packs[name][offset : offset + length]


def test_a_small_pack_is_one_request() -> None:
    bucket = Bucket()
    assert bucket.ranges.fetch_end(b"small") == 5000
    for offset in range(0, 4700, 700):
        assert bucket.ranges.read(b"small", offset, 300) == bucket.packs[b"small"][offset : offset + 300]
    assert bucket.asked == [(b"small", -1, END)]


def test_who_reads_on_is_ahead() -> None:
    bucket = Bucket()
    bucket.ranges.fetch_end(b"large")
    for offset in range(0, 3_000_000, 5000):
        assert bucket.ranges.read(b"large", offset, 5000) == bucket.packs[b"large"][offset : offset + 5000]
    assert len(bucket.asked) <= 3_000_000 // AHEAD + 3


def test_one_look_asks_for_no_more_than_it_wants() -> None:
    bucket = Bucket()
    bucket.ranges.fetch_end(b"large")
    bucket.ranges.read(b"large", 100, 50)
    assert bucket.asked[1:] == [(b"large", 100, 50)]
    assert bucket.ranges.read(b"large", 2_999_990, 50) == bucket.packs[b"large"][-10:]


def test_what_was_replaced_is_asked_for_again() -> None:
    bucket = Bucket()
    bucket.ranges.fetch_end(b"small")
    bucket.packs[b"small"] = bytes(5000)
    assert bucket.ranges.read(b"small", 0, 10) != bytes(10)
    bucket.ranges.forget(b"small")
    assert bucket.ranges.read(b"small", 0, 10) == bytes(10)
    bucket.packs[b"small"] = b"1" * 4000
    assert bucket.ranges.fetch_end(b"small") == 4000
    assert bucket.ranges.read(b"small", 0, 10) == b"1" * 10


def test_no_more_is_kept_than_there_is_room_for() -> None:
    bucket = Bucket()
    room, ranges._ROOM = ranges._ROOM, 600_000
    try:
        for offset in range(0, 3_000_000, 200_000):
            bucket.ranges.read(b"large", offset, 200_000)
            assert bucket.ranges._held <= 600_000
    finally:
        ranges._ROOM = room
