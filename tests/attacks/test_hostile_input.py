"""Hostile input: ways to hide a file, and bytes that hold a parser. Found or told, never silent."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import os
import random
import struct
import subprocess
import time
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from attest.digests import sha256
from bundlers.inspection import fingerprints, variants
from bundlers.inspection.packed import carving, nested
from bundlers.inspection.packed.nested import Inside
from bundlers.inspection.units import Limits, Unit
from bundlers.isolation.stretches.matching import Carried, candidates
from tests.unit.bundlers.isolation.test_isolation_nested import PACKED, ar, newc, odc, rpm, tar, zipped

HIDDEN = random.Random(7).randbytes(9_000)
NOISE = random.Random(8).randbytes(50_001)
Hide = Callable[[bytes], bytes]


def look(data: bytes, limits: Limits = Limits()) -> Inside:  # noqa: B008  frozen
    return nested.look_inside(io.BytesIO(data), len(data), limits)


def stored(data: bytes, name: str = "in/zip") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr(name, data)
    return out.getvalue()


def unlisted(data: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip whose directory does not list its first entry."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as packed:
        packed.writestr("hidden", data)
        packed.writestr("listed", b"harmless")
        packed.filelist = packed.filelist[1:]
    return out.getvalue()


def commented(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("listed", b"harmless")
        packed.comment = gzip.compress(data)
    return out.getvalue()


def in_extra(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        info = zipfile.ZipInfo("listed")
        body = gzip.compress(data)
        info.extra = struct.pack("<2H", 0xCAFE, len(body)) + body
        packed.writestr(info, b"harmless")
    return out.getvalue()


def between(data: bytes) -> bytes:
    """Behind the first entry, before the second: no entry accounts for it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("a", b"harmless")
        packed.fp.write(gzip.compress(data))  # type: ignore[union-attr]
        packed.start_dir = packed.fp.tell()  # type: ignore[union-attr]
        packed.writestr("b", b"harmless")
    return out.getvalue()


def skippable(data: bytes) -> bytes:
    return struct.pack("<2I", 0x184D2A50, len(data)) + data


def two_tars(data: bytes) -> bytes:
    return tar(b"harmless") + tar(data)


def self_extracting(data: bytes) -> bytes:
    return b"#!/bin/sh\ntail -c +4096 $0 | tar xz\nexit 0\n".ljust(4095, b"#") + gzip.compress(tar(data))


def png(data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    image = chunk(b"IHDR", struct.pack(">2I5B", 1, 1, 8, 0, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + image + chunk(b"IEND", b"") + zipped(data)


def says_less(data: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A member that says that it has 1 KiB, and the sum of that."""
    first, out = b"harmless" * 128, io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as packed:
        packed.writestr("listed", first + data)
    made, directory = bytearray(out.getvalue()), out.getvalue().index(b"PK\1\2")
    for at in (14, directory + 16):
        struct.pack_into("<I", made, at, zlib.crc32(first))
        struct.pack_into("<I", made, at + 8, 1024)
    return bytes(made)


def behind_a_stream(data: bytes) -> bytes:
    """In an entry's own part, behind the end of what unpacks there."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = deflate.compress(b"harmless") + deflate.flush() + gzip.compress(data)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr("listed", body)
    made, directory = bytearray(out.getvalue()), out.getvalue().index(b"PK\1\2")
    for at in (8, directory + 10):
        struct.pack_into("<H", made, at, zipfile.ZIP_DEFLATED)
        struct.pack_into("<I", made, at + 6, zlib.crc32(b"harmless"))
        struct.pack_into("<I", made, at + 14, 8)
    return bytes(made)


def header(name: bytes, kind: bytes, size: int, extra: bytes = b"") -> bytes:
    """A header of GNU tar; `extra` stands where its sparse map would."""
    made = bytearray(512)
    made[: len(name)] = name
    made[100:136] = b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size
    made[136:157] = b"00000000000\0" + b" " * 8 + kind
    made[257:265] = b"ustar  \0"
    made[386 : 386 + len(extra)] = extra
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


def in_tar(kind: bytes, body: bytes, extra: bytes = b"") -> bytes:
    """An entry of some type, then a harmless file."""
    return header(b"entry", kind, len(body), extra) + body + bytes(-len(body) % 512) + tar(b"harmless")


def sparse(data: bytes) -> bytes:
    """A sparse file of 8 GiB, whose map names 512 of the bytes that are stored."""
    body = bytes(512) + gzip.compress(data)
    extent = b"%011o\0%011o\0" % (0, 512)
    return in_tar(b"S", body, extent + bytes(72) + b"\0" + b"%011o\0" % (1 << 13))


def pax(data: bytes, size: int = 0) -> bytes:
    """In what a pax header says."""
    value = gzip.compress(data) + bytes(size)
    length = len(value) + 12
    record = b"%d comment=" % (length + len(str(length))) + value + b"\n"
    return in_tar(b"x", record)


def cpio_folder(data: bytes) -> bytes:
    """A folder that has content."""
    made = newc(gzip.compress(data))
    return made.replace(b"%08X" % 0o100644, b"%08X" % 0o040755)


def cpio_name(data: bytes) -> bytes:
    name = b"n" + gzip.compress(data)
    fields = [1, 0o100644, 0, 0, 1, 0, 0, 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name + b"\0"
    return head + bytes(-len(head) % 4) + newc(b"harmless")


def gzip_header(flag: int, data: bytes) -> bytes:
    """In a field of its header that tools skip; a comment has no zeros, so what it holds is base64."""
    inner = gzip.compress(data)
    field = struct.pack("<H", len(inner)) + inner if flag == 4 else base64.b64encode(inner) + b"\0"
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = deflate.compress(b"harmless") + deflate.flush() + struct.pack("<2I", zlib.crc32(b"harmless"), 8)
    return b"\x1f\x8b\x08" + bytes([flag]) + bytes(6) + field + body


def ar_names(data: bytes) -> bytes:
    names = gzip.compress(data)
    row = b"//".ljust(48) + b"%d" % len(names)
    return b"!<arch>\n" + row.ljust(58) + b"`\n" + names + b"\n" * (len(names) % 2) + ar(b"harmless")[8:]


def bsd_name(data: bytes) -> bytes:
    name = gzip.compress(data)
    row = (b"#1/%d" % len(name)).ljust(48) + b"%d" % (len(name) + 8)
    return b"!<arch>\n" + row.ljust(58) + b"`\n" + name + b"harmless" + b"\n" * (len(name) % 2)


def zip_name(data: bytes) -> bytes:
    """A name of an entry that is a packed file."""
    out, name = io.BytesIO(), gzip.compress(data)
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("n" * len(name), b"harmless")
    return out.getvalue().replace(b"n" * len(name), name)


def rpm_header(data: bytes) -> bytes:
    """In the values of a header."""
    held = gzip.compress(data)
    head = b"\x8e\xad\xe8\1" + bytes(4) + struct.pack(">II", 1, len(held)) + bytes(16) + held
    lead = b"\xed\xab\xee\xdb\3".ljust(96, b"\0")
    return lead + head + bytes(-(96 + len(head)) % 8) + head + gzip.compress(newc(b"harmless"))


def _lines(text: str, width: int, begin: str = "", end: str = "") -> str:
    return "\n".join(f"{begin}{text[at : at + width]}{end}" for at in range(0, len(text), width))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _array(data: bytes) -> str:
    return ",\n".join(
        "  " + ", ".join(f"0x{byte:02x}" for byte in data[at : at + 12]) for at in range(0, len(data), 12)
    )


PROSE = b"Some prose stands before it, and some of it behind, as in any document.\n" * 40
ENCODED: dict[str, Hide] = {
    "base64": base64.b64encode,
    "base64 in lines": base64.encodebytes,
    "base64 in short lines": lambda data: _lines(_b64(data), 32).encode(),
    "base64 for URLs": base64.urlsafe_b64encode,
    "base64 without its end": lambda data: base64.b64encode(data).rstrip(b"="),
    "base64 in JSON": lambda data: b'{"blob": "' + _lines(_b64(data), 76).replace("\n", "\\n").encode() + b'"}',
    "base64 in strings of C": lambda data: ("char x[] =\n" + _lines(_b64(data), 64, '  "', '\\n"') + ";").encode(),
    "base64 in strings that are put together": lambda data: _lines(_b64(data), 72, '"', '" +').encode() + b' "";',
    "base64 in a style sheet": lambda data: b"a{background:url(data:image/png;base64," + base64.b64encode(data) + b")}",
    "base64 in a letter": lambda data: (
        b"-----BEGIN MESSAGE-----\n" + base64.encodebytes(data) + b"-----END MESSAGE-----"
    ),
    "base64 behind a word": lambda data: b"a_word_that_is_long_enough " + base64.b64encode(data),
    "base64 twice": lambda data: base64.encodebytes(base64.encodebytes(data)),
    "hex": lambda data: data.hex().encode(),
    "hex in lines": lambda data: _lines(data.hex().upper(), 60).encode(),
    "hex in pairs": lambda data: data.hex(" ").encode(),
    "hex with colons": lambda data: data.hex(":").encode(),
    "hex in an array of C": lambda data: f"unsigned char x[] = {{\n{_array(data)}\n}};".encode(),
    "hex in a string of Python": lambda data: ("b'" + "".join(f"\\x{byte:02x}" for byte in data) + "'").encode(),
    "tar.gz in base64": lambda data: base64.encodebytes(gzip.compress(tar(data))),
    "base64 in tar.gz": lambda data: gzip.compress(tar(base64.encodebytes(data))),
    "base64 in base64 in zip": lambda data: zipped(base64.b64encode(zipped(base64.b64encode(data)))),
}
WAYS: dict[str, Hide] = {
    **{f"as {form}": pack for form, pack in PACKED.items()},
    **{
        f"{form}, behind noise": lambda data, pack=pack: NOISE + pack(data)
        for form, pack in PACKED.items()
        if form not in ("v7 tar", "tar.lzma")
    },
    **{f"{form}, before noise": lambda data, pack=pack: pack(data) + NOISE for form, pack in PACKED.items()},
    **ENCODED,
    **{
        f"{form}, in prose": lambda data, code=code: PROSE + code(data) + b"\n" + PROSE
        for form, code in ENCODED.items()
    },
    **{
        f"{form}, in a program": lambda data, code=code: NOISE + b"\0" + code(data) + b"\0" + NOISE
        for form, code in ENCODED.items()
    },
    "stored zip": stored,
    "stored zip in stored zip": lambda data: stored(stored(data)),
    "zip with an unlisted entry": unlisted,
    "zip with an unlisted, stored entry": lambda data: unlisted(data, zipfile.ZIP_STORED),
    "zip comment": commented,
    "extra field of a zip entry": in_extra,
    "between two zip entries": between,
    "zip behind zip": lambda data: zipped(data) + zipped(b"harmless"),
    "zip before zip": lambda data: zipped(b"harmless") + zipped(data),
    "tar behind tar": two_tars,
    "tar behind the end of a tar": lambda data: tar(b"harmless") + bytes(5120) + tar(data),
    "gzip behind the end of a tar": lambda data: tar(b"harmless") + gzip.compress(data),
    "cpio behind cpio": lambda data: newc(b"harmless") + newc(data),
    "cpio behind padded cpio, as an initramfs": lambda data: newc(b"harmless") + bytes(512) + gzip.compress(newc(data)),
    "odc behind newc": lambda data: newc(b"harmless") + odc(data),
    "ar behind ar": lambda data: ar(b"harmless") + ar(data),
    "zstd, skippable frame": lambda data: zstandard.compress(b"harmless") + skippable(data),
    "zstd, skippable frame first": lambda data: skippable(data) + zstandard.compress(b"harmless"),
    "zstd, packed in a skippable frame": lambda data: zstandard.compress(b"harmless") + skippable(gzip.compress(data)),
    "bzip2 behind bzip2 and a byte": lambda data: bz2.compress(b"harmless") + b"\n" + bz2.compress(data),
    "gzip behind gzip and noise": lambda data: gzip.compress(b"harmless") + b"noise" + gzip.compress(data),
    "xz behind xz and padding": lambda data: lzma.compress(b"harmless") + bytes(8) + lzma.compress(data),
    "xz behind gzip": lambda data: gzip.compress(b"harmless") + lzma.compress(data),
    "rpm behind rpm": lambda data: rpm(b"harmless") + rpm(data),
    "self-extracting script": self_extracting,
    "behind a picture": png,
    "in an ELF's tail": lambda data: b"\x7fELF" + bytes(60) + NOISE + lzma.compress(tar(data)),
    "gzip in zip in noise in tar": lambda data: tar(NOISE + zipped(gzip.compress(data))),
    "zip entry that says less than it has": says_less,
    "zip entry that says less, by bzip2": lambda data: says_less(data, zipfile.ZIP_BZIP2),
    "zip entry that says less, by lzma": lambda data: says_less(data, zipfile.ZIP_LZMA),
    "zip entry, behind the end of its stream": behind_a_stream,
    "zip entry's name": zip_name,
    "sparse tar, outside of its map": sparse,
    "tar entry of a type that nobody knows": lambda data: in_tar(b"Z", gzip.compress(data)),
    "tar's long name": lambda data: in_tar(b"L", gzip.compress(data)),
    "tar's folder that has content": lambda data: in_tar(b"5", gzip.compress(data)),
    "tar's hard link that has content": lambda data: in_tar(b"1", gzip.compress(data)),
    "tar's pax header": pax,
    "tar's pax header of 10 MB": lambda data: pax(data, 10_000_000),
    "cpio's folder that has content": cpio_folder,
    "cpio's name": cpio_name,
    "gzip's extra field": lambda data: gzip_header(4, data),
    "ar's table of names": ar_names,
    "BSD ar's name": bsd_name,
    "rpm's header": rpm_header,
    "wheel in zip in tar, four deep": lambda data: gzip.compress(tar(zipped(zipped(data)))),
    "half in each of two gzip members": lambda data: gzip.compress(data[:4500]) + gzip.compress(data[4500:]),
}
TOLD: dict[str, Hide] = {
    "wheel in a zip in a tar, six deep": lambda data: tar(zipped(tar(zipped(tar(zipped(data)))))),
    "five deep": lambda data: zipped(zipped(zipped(zipped(zipped(data))))),
    "encrypted zip": lambda data: zipped(data, password=True),
    "cut gzip behind noise": lambda data: NOISE + gzip.compress(data)[:-2000],
    "cut xz": lambda data: lzma.compress(data)[:-2000],
    "zip entry packed by a method that nobody knows": lambda data: zipped(data).replace(b"\x08\x00", b"\x63\x00"),
}


@pytest.mark.parametrize("way", sorted(WAYS))
def test_it_is_found(way: str) -> None:
    """As a member, or whole in one: what is compared then."""
    data, seen = WAYS[way](HIDDEN), list[bytes]()
    nested.look_inside(io.BytesIO(data), len(data), Limits(), lambda _, member: seen.append(member.read()))
    assert any(HIDDEN in member for member in seen)


@pytest.mark.parametrize("way", sorted(TOLD))
def test_or_it_is_told(way: str) -> None:
    assert look(TOLD[way](HIDDEN)).unopened


def test_there_are_sixty_ways() -> None:
    assert len(WAYS) + len(TOLD) >= 60


def test_chance_beginnings_are_no_noise() -> None:
    """Four megabytes of random bytes hold beginnings of everything, and nothing is told of them."""
    data = random.Random(1).randbytes(4_000_000) + b"\x1f\x8b\x08\0PK\3\4!<arch>\n07070100000000ustar\0"
    inside = look(data)
    assert not inside.unopened and len(inside.members) == 0


def _overlapping(sections: int) -> bytes:
    """An ELF all of whose sections are the whole file."""
    body = bytes(64) + bytes(2000)
    rows = struct.pack("<2I4Q2I2Q", 0, 1, 4, 0, 0, 1 << 40, 0, 0, 0, 0) * sections
    head = bytearray(b"\x7fELF\2\1\1" + bytes(57))
    struct.pack_into("<Q", head, 0x28, len(body))
    struct.pack_into("<3H", head, 0x3A, 64, sections, 0)
    return bytes(head) + body[64:] + rows


@pytest.mark.parametrize("pad", [0, 30_000_000])
def test_sections_that_lie_on_each_other_cost_no_more_than_the_file(pad: int) -> None:
    data = _overlapping(4096) + bytes(pad)
    began = time.process_time()
    variants.marks(data)
    assert time.process_time() - began < 5


def test_many_streams_after_each_other_cost_no_more_than_one() -> None:
    """As bgzip writes them: the beginnings of a form that was read are not tried again."""
    data = b"".join(gzip.compress(os.urandom(300)) for _ in range(3000))
    began = time.process_time()
    inside = look(data)
    assert len(inside.members) == 1 and time.process_time() - began < 5


def test_a_zip_with_many_gaps_costs_as_much_as_its_entries() -> None:
    """As every zip of Info-ZIP is: an extra field after each name, which no entry's data accounts for."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for number in range(20_000):
            info = zipfile.ZipInfo(f"f{number}")
            info.extra = struct.pack("<2HI", 0x5455, 4, 7)
            packed.writestr(info, b"%d" % number)
    began = time.process_time()
    inside = look(out.getvalue())
    assert len(inside.members) == 20_000 and not inside.unopened and time.process_time() - began < 8


@given(parts=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=20))
def test_what_is_accounted_for_is_the_union_of_the_parts(parts: list[tuple[int, int]]) -> None:
    covered, union = carving.Covered(), set[int]()
    for start, size in parts:
        covered.add(start, start + size)
        union |= set(range(start, start + size))
    assert [covered.holds(at) for at in range(100)] == [at in union for at in range(100)]
    assert [covered.ends_at(at) for at in range(1, 100)] == [
        at - 1 in union and at not in union for at in range(1, 100)
    ]


def test_beginnings_without_end_are_told() -> None:
    inside = look(b"\x1f\x8b\x08\0" * 30_000)
    assert any("beginnings" in why for _, why in inside.unopened)


def test_real_tools_make_what_is_found() -> None:
    """A shell archive by hand: cat of two tars, gzip of it, behind a script."""
    packed = subprocess.run(["gzip", "-c"], input=two_tars(HIDDEN), capture_output=True, check=True).stdout
    inside = look(b"#!/bin/sh\n" + packed)
    assert sha256(HIDDEN) in {member.digest for member in inside.members}


def _unit(hashes: np.ndarray[tuple[int], np.dtype[np.uint64]], offsets: list[int]) -> Unit:
    order = np.argsort(offsets)
    made = fingerprints.Prints(hashes[order], np.array(offsets, np.int64)[order]).to_bytes()
    return Unit("", (), *made, max(offsets) + 512, False)


@pytest.mark.parametrize("first", [True, False])
def test_a_copy_is_not_crowded_out_by_files_that_hold_pieces_of_it(first: bool) -> None:
    """Eighteen decoys hold every fingerprint of the copied stretch, each elsewhere, and never 512 bytes in a row."""
    source = random.Random(11)
    hashes = np.array([source.getrandbits(64) for _ in range(1000)], np.uint64)
    there = list(range(0, 200_000, 200))
    whole, partner = _unit(hashes, [at + 50_000 for at in there]), _unit(hashes, there)
    decoys = [_unit(hashes, source.sample(range(400_000), 1000)) for _ in range(18)]
    one = [whole, *decoys] if first else [*decoys, whole]
    names = [sha256(bytes([number])) for number in range(40)]
    for products in ((0, 1), (1, 0)):
        carried = [Carried(products[0], names[n], names[n], unit) for n, unit in enumerate(one)]
        carried.append(Carried(products[1], names[39], names[39], partner))
        pair = {one.index(whole), len(one)}
        (found,) = [row for row in candidates(carried) if {row.a, row.b} == pair]
        shift = 50_000 if found.a == one.index(whole) else -50_000
        assert (found.shifts == shift).sum() >= 3


@pytest.mark.parametrize("size", [0, 512, 700, 48_000, 200_000])
@pytest.mark.parametrize("way", ["base64", "base64 in lines", "hex in lines", "hex in an array of C"])
def test_what_is_encoded_is_found_whatever_its_length(way: str, size: int) -> None:
    """From 512 bytes on, and over the edges of what is read at once."""
    data = random.Random(size).randbytes(size)
    inside = look(b"\0" * ((1 << 20) - 700) + ENCODED[way](data) + b"\0" * 5000)
    assert (sha256(data) in {member.digest for member in inside.members}) is (size >= 512)


def test_many_short_runs_are_one_member() -> None:
    parts = [random.Random(number).randbytes(600) for number in range(500)]
    data = b" = \n".join(base64.b64encode(part) for part in parts)
    seen: list[bytes] = []
    inside = nested.look_inside(io.BytesIO(data), len(data), Limits(), lambda _, member: seen.append(member.read()))
    assert len(inside.members) < 50
    assert all(any(part in member for member in seen) for part in parts)


def test_what_looks_encoded_costs_no_more_than_its_bytes() -> None:
    words = b" ".join(b"%x" % random.Random(number).getrandbits(80) for number in range(40_000))
    for text in (
        words,
        b"0x1 " * 300_000,
        b"12 34 567 " * 100_000,
        b"a" * 1_000_000,
        b"+" * 1_000_000,
        b'"\\n' * 300_000,
    ):
        began = time.process_time()
        look(text)
        assert time.process_time() - began < 5


def test_an_entry_without_a_name_ends_no_check() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("n", HIDDEN)
    nameless = bytearray(out.getvalue())
    directory = nameless.index(b"PK\1\2")
    struct.pack_into("<2H", nameless, 26, 0, 1)
    struct.pack_into("<2H", nameless, directory + 28, 0, 1)
    inside = look(bytes(nameless))
    assert sha256(HIDDEN) in {member.digest for member in inside.members}
