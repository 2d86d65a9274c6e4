"""The tar layer: POSIX ustar headers, pax records only where ustar cannot say it.

Source: https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html . Owner 0 without
names, the modes of the ProductManifest, links 0777, the time of the component, empty folders behind all else, two zero
blocks at the end.
"""

from __future__ import annotations

from collections.abc import Iterator

from bundlers.formats.members import ExactReader, checked_size, content
from bundlers.products.product_manifests import ProductFile, ProductFolder, ProductManifest
from bundlers.products.reader import ProductReader

BLOCK = 512
_MAX_OCTAL_SIZE = 8**11 - 1
END = b"\0" * (2 * BLOCK)
_SPACES = sum(b" " * 8)
"""What the checksum's own place counts as."""


def header(file: ProductFile, epoch: int) -> bytes:
    """All header blocks of one file or link."""
    kind, mode = (b"0", file.mode) if file.digest else (b"2", 0o777)
    return _header(file.path.encode(), mode, file.size, epoch, kind, file.link.encode())


def folders(manifest: ProductManifest) -> bytes:
    """The empty folders: headers alone."""
    return b"".join(_folder(folder, manifest.time(folder)) for folder in manifest.folders)


def pieces(manifest: ProductManifest, reader: ProductReader) -> Iterator[bytes]:
    """The whole tar stream of a product."""
    contents = reader.chunks_of(manifest.packed.digests())
    for file in manifest.files:
        yield header(file, manifest.time(file))
        if file.digest is not None:
            yield from checked_size(file, next(contents))
            yield b"\0" * (-file.size % BLOCK)
    yield folders(manifest) + END


def members(manifest: ProductManifest, source: ExactReader, what: str) -> Iterator[tuple[ProductFile, Iterator[bytes]]]:
    """Read back: every header byte as we would write it, every content with its digest."""
    for file in manifest.files:
        source.expect(header(file, manifest.time(file)), f"the header of {file.path}")
        if file.digest is None:
            yield file, iter(())
            continue
        chunks = content(file, source.take, what)
        yield file, chunks
        for _ in chunks:  # whatever the caller left
            pass
        source.expect(b"\0" * (-file.size % BLOCK), f"the padding of {file.path}")
    source.expect(folders(manifest) + END, "what follows its files")


def grouped(stream: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of exactly `size`, the last one shorter; none is empty."""
    held: list[bytes | memoryview] = []
    have = 0
    for piece in stream:
        rest = memoryview(piece)
        while have + len(rest) >= size:
            held.append(rest[: size - have])
            yield b"".join(held)
            rest, held, have = rest[size - have :], [], 0
        if rest:
            held.append(rest)
            have += len(rest)
    if held:
        yield b"".join(held)


def _folder(folder: ProductFolder, epoch: int) -> bytes:
    return _header(f"{folder.path}/".encode(), folder.mode, 0, epoch, b"5", b"")


def _header(name: bytes, mode: int, size: int, epoch: int, kind: bytes, link: bytes) -> bytes:
    records = b""
    if len(name) > 100 or not name.isascii():
        records += _record(b"path", name)
    if len(link) > 100 or not link.isascii():
        records += _record(b"linkpath", link)
    if size > _MAX_OCTAL_SIZE:
        records += _record(b"size", b"%d" % size)
    pax = _block(b"././@PaxHeader", 0o644, len(records), epoch, b"x", b"") + _padded(records) if records else b""
    return pax + _block(_short(name), mode, size if size <= _MAX_OCTAL_SIZE else 0, epoch, kind, _short(link))


def _short(name: bytes) -> bytes:
    return name[:100] if name.isascii() else bytes(c if c < 0x80 else 0x5F for c in name[:100])


def _block(name: bytes, mode: int, size: int, epoch: int, kind: bytes, link: bytes) -> bytes:
    before = b"%s%07o\x000000000\x000000000\0%011o\0%011o\0" % (name.ljust(100, b"\0"), mode, size, epoch)
    after = b"%s%sustar\x0000" % (kind, link.ljust(100, b"\0"))
    checksum = sum(before) + sum(after) + _SPACES
    return (before + b"%06o\0 " % checksum + after).ljust(BLOCK, b"\0")


def _record(key: bytes, value: bytes) -> bytes:
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + 1
    while length != len(body) + len(b"%d" % length):
        length = len(body) + len(b"%d" % length)
    return b"%d" % length + body


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % BLOCK)
