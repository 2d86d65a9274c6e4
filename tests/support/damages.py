"""What becomes of a file on a disk: one flipped bit, a zeroed block, cut, emptied, appended, removed, swapped.

for damage in DAMAGES:
    damage(path, brother, random.Random(seed))
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path, Path | None, random.Random], None]
"""Of a file, another one of its kind, and chance."""


def flipped(path: Path, _: Path | None, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    rewrite(path, bytes(data))


def zeroed(path: Path, _: Path | None, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    start = chance.randrange(len(data) // 512 + 1) * 512
    data[start : start + 512] = bytes(len(data[start : start + 512]))
    rewrite(path, bytes(data))


def cut(path: Path, _: Path | None, chance: random.Random) -> None:
    data = path.read_bytes()
    rewrite(path, data[: chance.randrange(len(data))] if data else data)


def emptied(path: Path, _: Path | None, _chance: random.Random) -> None:
    rewrite(path, b"")


def appended(path: Path, _: Path | None, chance: random.Random) -> None:
    rewrite(path, path.read_bytes() + chance.choice((b"\n", b"\0" * 512, b"}")))


def removed(path: Path, _: Path | None, _chance: random.Random) -> None:
    path.unlink()


def swapped(path: Path, brother: Path | None, _: random.Random) -> None:
    if brother is not None:
        one, two = path.read_bytes(), brother.read_bytes()
        rewrite(path, two)
        rewrite(brother, one)


DAMAGES: tuple[Damage, ...] = (flipped, zeroed, cut, emptied, appended, removed, swapped)


def rewrite(path: Path, data: bytes) -> None:
    """Other bytes under the name and with the times of before: what a disk does."""
    before = path.stat()
    path.chmod(0o644)
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
