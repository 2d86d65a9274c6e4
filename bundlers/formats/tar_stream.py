"""The tar layer: POSIX ustar headers, pax records only where ustar cannot say it.

Source: https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html . Owner 0 without
names, modes 0644 and 0755, links 0777, one time for all, no folders, two zero blocks at the end.
"""

from __future__ import annotations

from collections.abc import Iterator

from bundlers.formats.members import PIECE, ExactReader, checked_size, content
from bundlers.product_manifests import ProductFile, ProductManifest
from bundlers.reader import ProductReader

BLOCK = 512
_MAX_OCTAL_SIZE = 8**11 - 1
END = b"\0" * (2 * BLOCK)


def header(file: ProductFile, epoch: int) -> bytes:
    """All header blocks of one member."""
    name, link = file.path.encode(), file.link.encode()
    records = b""
    if len(name) > 100 or not file.path.isascii():
        records += _record(b"path", name)
    if len(link) > 100 or not file.link.isascii():
        records += _record(b"linkpath", link)
    if file.size > _MAX_OCTAL_SIZE:
        records += _record(b"size", b"%d" % file.size)
    pax = _block(b"././@PaxHeader", 0o644, len(records), epoch, b"x", b"") + _padded(records) if records else b""
    kind, mode = (b"0", file.mode) if file.digest else (b"2", 0o777)
    size = file.size if file.size <= _MAX_OCTAL_SIZE else 0
    return pax + _block(_short(name), mode, size, epoch, kind, _short(link))


def pieces(manifest: ProductManifest, reader: ProductReader) -> Iterator[bytes]:
    """The whole tar stream of a product."""
    for file in manifest.files:
        yield header(file, manifest.epoch)
        if file.digest is not None:
            yield from checked_size(file, reader.chunks(file.digest))
            yield b"\0" * (-file.size % BLOCK)
    yield END


def members(manifest: ProductManifest, source: ExactReader, what: str) -> Iterator[tuple[ProductFile, Iterator[bytes]]]:
    """Read back: every header byte as we would write it, every content with its digest."""
    for file in manifest.files:
        source.expect(header(file, manifest.epoch), f"the header of {file.path}")
        if file.digest is None:
            yield file, iter(())
            continue
        chunks = content(file, source.take, what)
        yield file, chunks
        for _ in chunks:  # whatever the caller left
            pass
        source.expect(b"\0" * (-file.size % BLOCK), f"the padding of {file.path}")
    source.expect(END, "the end")


def grouped(stream: Iterator[bytes], size: int = PIECE) -> Iterator[bytes]:
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


def _short(name: bytes) -> bytes:
    return bytes(c if c < 0x80 else 0x5F for c in name[:100])


def _block(name: bytes, mode: int, size: int, epoch: int, kind: bytes, link: bytes) -> bytes:
    fields = (
        name.ljust(100, b"\0")
        + b"%07o\0" % mode
        + b"0000000\0" * 2
        + b"%011o\0" % size
        + b"%011o\0" % epoch
        + b" " * 8
        + kind
        + link.ljust(100, b"\0")
        + b"ustar\0"
        + b"00"
    ).ljust(BLOCK, b"\0")
    return fields[:148] + b"%06o\0 " % sum(fields) + fields[156:]


def _record(key: bytes, value: bytes) -> bytes:
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + 1
    while length != len(body) + len(b"%d" % length):
        length = len(body) + len(b"%d" % length)
    return b"%d" % length + body


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % BLOCK)
