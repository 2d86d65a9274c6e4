"""A kit's container: a plain tar of named bytes, written one way only, read strictly.

Promises: the same members give the same bytes; reading extracts nothing and refuses what we do
not write (docs/formats/kit.md); it is done in a cell (`kit_reading`). Leaves to others: what the members mean (`kits`).

    with open("kit.tar", "wb") as file:
        write(file, {"casstore-kit.json": Member(len(head), lambda: (head,))}, mtime=epoch)
    kit = KitFile("kit.tar")
    kit.read("casstore-kit.json")
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO

from attest.core import limits
from attest.core.values import dataclass
from attest.errors import BadInput, FormatError, VerificationError
from bundlers.errors import HostileArchive
from bundlers.publishing.layout.published_paths import check_path
from casstore.errors import NoSuchObject, ObjectDamaged, OverBudget
from casstore.hostile import Budget, Door
from casstore.storage.base import os_error

HEAD = "casstore-kit.json"
_PIECE = 1024 * 1024
_DOOR = Door("bundlers.publishing.layout.kit_reading")


@dataclass(frozen=True, slots=True)
class Member:
    """One file to write: its size, and its bytes when asked."""

    size: int
    chunks: Callable[[], Iterable[bytes]]


def write(out: BinaryIO, members: Mapping[str, Member], *, mtime: int) -> None:
    """Write all members, `casstore-kit.json` first, the others by name. Raises ObjectDamaged."""
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(members, key=lambda name: (name != HEAD, name.encode())):
            info = tarfile.TarInfo(check_path(name))
            info.size, info.mode, info.mtime = members[name].size, 0o644, mtime
            tar.addfile(info, _Chunks(name, members[name]))


class _Chunks:
    """`tarfile` reads a member from here; a member that is shorter or longer than told raises."""

    def __init__(self, name: str, member: Member) -> None:
        self._name, self._left = name, member.size
        self._chunks = iter(member.chunks())
        self._buffer = b""

    def read(self, count: int = -1, /) -> bytes:
        while len(self._buffer) < count and (chunk := next(self._chunks, None)) is not None:
            self._buffer += chunk
        piece, self._buffer = self._buffer[:count], self._buffer[count:]
        self._left -= len(piece)
        if len(piece) < count or (self._left == 0 and (self._buffer or next(self._chunks, b""))):
            raise ObjectDamaged(f"{self._name}: its length is not the recorded one; no kit was written")
        return piece


class KitFile:
    """A kit on disk: names, and bytes by name. `head=False` for a tar of objects, which has no head."""

    def __init__(self, path: str, *, head: bool = True, data: bytes | None = None) -> None:
        self.path = path
        self._open: Callable[[], BinaryIO] = (lambda: open(path, "rb")) if data is None else (lambda: io.BytesIO(data))  # noqa: SIM115
        self._places = self._scan()
        if head and HEAD not in self._places:
            raise HostileArchive(f"{path}: is no kit: {HEAD} is missing", hint="make one with: casstore export")

    @property
    def names(self) -> frozenset[str]:
        """All members."""
        return frozenset(self._places)

    def size(self, name: str) -> int:
        """A member's length. Raises NoSuchObject."""
        return self._place(name)[1]

    def read(self, name: str) -> bytes:
        """A small member. Raises NoSuchObject, VerificationError."""
        return b"".join(self.pieces(name))

    def pieces(self, name: str) -> Iterator[bytes]:
        """As `read`, piece by piece."""
        if self.size(name) > limits.OBJECT:
            raise VerificationError(f"{self.path}: {name} has {self.size(name)} bytes, more than {limits.OBJECT}")
        return self.chunks(name)

    def chunks(self, name: str) -> Iterator[bytes]:
        """A member's bytes in pieces."""
        offset, left = self._place(name)
        try:
            with self._open() as file:
                file.seek(offset)
                while left:
                    piece = file.read(min(left, _PIECE))
                    if not piece:
                        raise VerificationError(f"{self.path}: {name} is cut off")
                    left -= len(piece)
                    yield piece
        except OSError as exc:
            raise os_error(exc, self.path, writing=False) from exc

    def _place(self, name: str) -> tuple[int, int]:
        if name not in self._places:
            raise NoSuchObject(f"{self.path}: holds no {name}")
        return self._places[name]

    def _scan(self) -> dict[str, tuple[int, int]]:
        try:
            with self._open() as file:
                size = file.seek(0, io.SEEK_END)
                file.seek(0)
                told = list(_DOOR.ask("places", file, size, None, Budget()))
        except (FileNotFoundError, IsADirectoryError) as exc:
            raise BadInput(f"{self.path}: no such kit") from exc
        except OSError as exc:
            raise os_error(exc, self.path, writing=False) from exc
        except (FormatError, OverBudget) as exc:
            raise HostileArchive(f"{self.path}: {exc.message}", hint=exc.hint) from exc
        return {name: (offset, size) for part in told for name, offset, size in part}
