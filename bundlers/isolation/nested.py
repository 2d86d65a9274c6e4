"""What is inside a file that is itself an archive: members by digest, as deep as the caps allow.

tar (plain, gz, bz2, xz) and zip (jar, wheel, ...) are opened by the standard library, which only
reads here: nothing is extracted, names are labels. What looks like an archive and cannot be
opened, or lies beyond a cap, is listed as unopened.
"""

from __future__ import annotations

import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, BinaryIO, cast

from attest import digests
from attest.digests import Digest

_PIECE = 1024 * 1024
_MAX_MEMBERS = 200_000
_MAX_RATIO = 1000
_ERRORS = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error, lzma.LZMAError)
_BROKEN = (*_ERRORS, tarfile.TarError, zipfile.BadZipFile)
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")


@dataclass(frozen=True, slots=True)
class Member:
    """One file inside."""

    path: str
    digest: Digest
    size: int


@dataclass
class Inside:
    """All that was found in one file."""

    members: list[Member] = field(default_factory=list)
    unopened: list[str] = field(default_factory=list)


Visit = Callable[[str, bytes], None]


def look_inside(blob: BinaryIO, max_depth: int, max_member: int, visit: Visit | None = None) -> Inside:
    """Members of an archive, and of archives in it; an ordinary file has none. `visit` sees each one's bytes."""
    inside = Inside()
    _look(blob, "", max_depth, max_member, inside, visit)
    return inside


def _look(blob: IO[bytes], prefix: str, depth: int, max_member: int, inside: Inside, visit: Visit | None) -> None:
    kind = _kind(blob)
    if not kind:
        return
    if depth == 0:
        inside.unopened.append(prefix)
        return
    try:
        for path, size, stream in _members(blob, kind):
            place = f"{prefix}!{path}" if prefix else path
            if size > max_member or len(inside.members) >= _MAX_MEMBERS:
                inside.unopened.append(f"!{place}")
                continue
            data = _read(stream, max_member)
            inside.members.append(Member(place, digests.sha256(data), len(data)))
            if visit is not None:
                visit(place, data)
            _look(io.BytesIO(data), place, depth - 1, max_member, inside, visit)
    except _BROKEN:
        inside.unopened.append(f"!{prefix}" if prefix else "")


def _kind(blob: IO[bytes]) -> str:
    blob.seek(0)
    head = blob.read(512)
    blob.seek(0)
    if head[257:262] == b"ustar":
        return "tar"
    if head.startswith(_PACKED):
        return "packed"
    if head.startswith((b"PK\3\4", b"PK\5\6")) or _ends_as_zip(blob):
        return "zip"
    return ""


def _ends_as_zip(blob: IO[bytes]) -> bool:
    """A zip may follow other bytes: a self-extracting program."""
    try:
        return zipfile.is_zipfile(blob)
    except _ERRORS:
        return False
    finally:
        blob.seek(0)


def _members(blob: IO[bytes], kind: str) -> Iterator[tuple[str, int, IO[bytes]]]:
    if kind == "zip":
        yield from _zip_members(blob)
        return
    try:
        with tarfile.open(fileobj=blob, mode="r:*") as tar:
            for info in tar:
                stream = tar.extractfile(info) if info.isreg() else None
                if stream is not None:
                    yield info.name, info.size, stream
        return
    except tarfile.ReadError:
        if kind == "tar":
            raise
    blob.seek(0)
    yield "content", 0, _single(blob)


def _zip_members(blob: IO[bytes]) -> Iterator[tuple[str, int, IO[bytes]]]:
    with zipfile.ZipFile(blob) as archive:
        for entry in archive.infolist():
            if entry.is_dir():
                continue
            if entry.file_size > _MAX_RATIO * max(entry.compress_size, 1024):
                raise ValueError("a member is packed tighter than any honest one")
            with archive.open(entry) as stream:
                yield entry.filename, entry.file_size, stream


def _single(blob: IO[bytes]) -> IO[bytes]:
    """One packed file that is no tar."""
    import bz2
    import gzip

    head = blob.read(2)
    blob.seek(0)
    if head == b"\x1f\x8b":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=blob))
    return bz2.BZ2File(blob) if head == b"BZ" else lzma.LZMAFile(blob)


def _read(stream: IO[bytes], limit: int) -> bytes:
    parts, have = [], 0
    while piece := stream.read(_PIECE):
        have += len(piece)
        if have > limit:
            raise ValueError("a member is larger than it says, or than the cap")
        parts.append(piece)
    return b"".join(parts)
