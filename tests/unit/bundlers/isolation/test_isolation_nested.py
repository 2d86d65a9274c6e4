"""Packed forms: each is opened, capped, and refused to be guessed at when it is broken."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import struct
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from attest.digests import sha256
from bundlers.inspection.packed import containers, nested
from bundlers.inspection.packed.nested import Inside
from bundlers.inspection.units import Limits

SECRET = b"what another product holds " * 40


def tar(data: bytes, *, form: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as packed:
        info = tarfile.TarInfo("in/tar")
        info.size = len(data)
        packed.addfile(info, io.BytesIO(data))
    return out.getvalue()


def v7(data: bytes) -> bytes:
    """A tar of before 1988: no magic."""
    made = bytearray(tar(data))
    made[257:265] = bytes(8)
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made[:512])
    return bytes(made)


def zipped(data: bytes, *, password: bool = False) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("in/zip", data)
    made = bytearray(out.getvalue())
    if password:
        made[6] |= 1
        made[made.index(b"PK\1\2") + 8] |= 1
    return bytes(made)


def ar(data: bytes, name: bytes = b"member/") -> bytes:
    names = b"a-name-of-more-than-sixteen-bytes/\n"
    rows = [(b"//", names)] if name.startswith(b"/") else []
    made = b"!<arch>\n"
    for row, held in [*rows, (b"odd/", b"x"), (name, data)]:
        made += (
            row.ljust(16)
            + b"0".ljust(12)
            + b"0".ljust(6) * 2
            + b"100644".ljust(8)
            + b"%d" % len(held)
            + b" " * (10 - len(b"%d" % len(held)))
        )
        made += b"`\n" + held + b"\n" * (len(held) % 2)
    return made


def bsd_ar(data: bytes) -> bytes:
    name = b"a BSD name"
    size = b"%d" % (len(data) + len(name))
    head = b"#1/10".ljust(16) + b"0".ljust(12) + b"0".ljust(6) * 2 + b"100644".ljust(8) + size.ljust(10) + b"`\n"
    return b"!<arch>\n" + head + name + data


def newc(data: bytes, magic: bytes = b"070701") -> bytes:
    made = b""
    for name, mode, held in ((b"folder", 0o040755, b""), (b"in/cpio", 0o100644, data), (b"TRAILER!!!", 0, b"")):
        fields = [1, mode, 0, 0, 1, 0, len(held), 0, 0, 0, 0, len(name) + 1, 0]
        head = magic + b"".join(b"%08X" % field for field in fields) + name + b"\0"
        made += head + b"\0" * (-len(head) % 4) + held + b"\0" * (-len(held) % 4)
    return made


def odc(data: bytes) -> bytes:
    made = b""
    for name, mode, held in ((b"in/cpio", 0o100644, data), (b"TRAILER!!!", 0, b"")):
        made += b"070707" + b"000001" * 2 + b"%06o" % mode + b"000000" * 4 + b"0" * 11
        made += b"%06o%011o" % (len(name) + 1, len(held)) + name + b"\0" + held
    return made


def rpm(data: bytes, pack: Callable[[bytes], bytes] = gzip.compress) -> bytes:
    def header(store: bytes) -> bytes:
        return b"\x8e\xad\xe8\1" + bytes(4) + struct.pack(">II", 1, len(store)) + bytes(16) + store

    first = header(b"abc")
    lead = b"\xed\xab\xee\xdb".ljust(96, b"\0")
    return lead + first + b"\0" * (-(96 + len(first)) % 8) + header(b"values") + pack(newc(data))


def deb(data: bytes) -> bytes:
    return ar(lzma.compress(tar(data)), b"data.tar.xz/")


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "tar": tar,
    "pax tar": lambda data: tar(data, form=tarfile.PAX_FORMAT),
    "v7 tar": v7,
    "tar.gz": lambda data: gzip.compress(tar(data)),
    "tar.bz2": lambda data: bz2.compress(tar(data)),
    "tar.xz": lambda data: lzma.compress(tar(data)),
    "tar.lzma": lambda data: lzma.compress(tar(data), lzma.FORMAT_ALONE),
    "tar.zst": lambda data: zstandard.compress(tar(data)),
    "two zstd frames": lambda data: zstandard.compress(tar(data)[:700]) + zstandard.compress(tar(data)[700:]),
    "two gzip members": lambda data: gzip.compress(tar(data)[:700]) + gzip.compress(tar(data)[700:]),
    "single gz": gzip.compress,
    "single zst": zstandard.compress,
    "zip": zipped,
    "zip after a program": lambda data: b"MZ and a program" * 99 + zipped(data),
    "wheel in zip": lambda data: zipped(zipped(data)),
    "ar": ar,
    "GNU ar with a long name": lambda data: ar(data, b"/0"),
    "BSD ar": bsd_ar,
    "deb": deb,
    "cpio newc": newc,
    "cpio crc": lambda data: newc(data, b"070702"),
    "cpio odc": odc,
    "rpm": rpm,
    "rpm with zstd": lambda data: rpm(data, zstandard.compress),
}


def look(data: bytes, limits: Limits = Limits()) -> Inside:  # noqa: B008  frozen
    return nested.look_inside(io.BytesIO(data), len(data), limits)


@pytest.mark.parametrize("form", sorted(PACKED))
def test_every_form_is_opened(form: str) -> None:
    inside = look(PACKED[form](SECRET))
    assert sha256(SECRET) in {member.digest for member in inside.members}
    assert not inside.unopened


@pytest.mark.parametrize("form", sorted(PACKED))
@given(at=st.integers(0, 5000), flip=st.integers(1, 255), cut=st.integers(0, 5000))
def test_broken_ones_are_listed_and_never_crash(form: str, at: int, flip: int, cut: int) -> None:
    whole = PACKED[form](SECRET)
    harmed = bytearray(whole)
    harmed[at % len(whole)] ^= flip
    look(bytes(harmed))
    look(whole[: cut % len(whole)])


@given(data=st.binary(max_size=400), kind=st.sampled_from(["ar", "cpio", "rpm", "tar", "zip", "zstd", "gzip", "xz"]))
def test_any_bytes_are_listed_or_opened(data: bytes, kind: str) -> None:
    starts = {"ar": b"!<arch>\n", "cpio": b"070701", "rpm": b"\xed\xab\xee\xdb", "zip": b"PK\3\4", "xz": b"\xfd7zXZ\0"}
    starts |= {"zstd": b"\x28\xb5\x2f\xfd", "gzip": b"\x1f\x8b\x08", "tar": b"a" * 257 + b"ustar"}
    look(starts[kind] + data)


def test_what_is_not_packed_has_no_inside() -> None:
    for data in (b"", b"text", SECRET, b"PK", b"\x1f\x8b", b"BZh9 is a name", b"\x7fELF" + bytes(600)):
        assert look(data) == Inside()


def deep(times: int) -> bytes:
    data = SECRET
    for _ in range(times):
        data = zipped(data)
    return data


def test_depth_is_capped_and_told() -> None:
    assert not look(deep(4)).unopened
    ((place, why),) = look(deep(5)).unopened
    assert place == "!in/zip!in/zip!in/zip!in/zip"
    assert "4 deep" in why


def test_a_large_member_is_told() -> None:
    inside = look(tar(SECRET), Limits(max_member=100))
    assert inside.unopened == [("!in/tar", "it is larger than 100 bytes")]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, bz2.compress, lzma.compress, zipped])
def test_a_bomb_is_told_before_it_fills_anything(pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(bytes(20_000_000))
    assert look(bomb, Limits(max_ratio=10)).unopened
    assert look(bomb, Limits(max_total=1_000_000)).unopened


def test_a_large_window_is_no_way_around_the_caps() -> None:
    engine = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True)
    )
    stream = engine.compressobj()
    packed = stream.compress(bytes(1000)) + stream.flush()
    assert look(packed).unopened


def test_an_encrypted_member_is_told() -> None:
    assert look(zipped(SECRET, password=True)).unopened == [("!in/zip", "it is encrypted")]


def test_a_link_or_device_in_a_tar_is_no_content() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as packed:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            info = tarfile.TarInfo(f"../{kind!r}")
            info.type = kind
            info.linkname = "/etc/passwd"
            packed.addfile(info)
    assert look(out.getvalue()) == Inside()


@pytest.mark.foreign
@pytest.mark.skipif(not all(map(shutil.which, ("dpkg-deb", "ar", "gcc"))), reason="dpkg-deb, ar or gcc is missing")
def test_a_real_deb_and_a_real_static_library_are_opened(tmp_path: Path) -> None:
    (tmp_path / "p" / "DEBIAN").mkdir(parents=True)
    (tmp_path / "p" / "DEBIAN" / "control").write_text(
        "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: m <m@example.org>\nDescription: d\n"
    )
    (tmp_path / "p" / "held").write_bytes(SECRET)
    (tmp_path / "a_file_of_a_rather_long_name").write_bytes(SECRET)
    subprocess.run(["dpkg-deb", "--build", "p", "p.deb"], cwd=tmp_path, check=True, capture_output=True)
    subprocess.run(["ar", "rc", "p.a", "a_file_of_a_rather_long_name"], cwd=tmp_path, check=True)
    for name in ("p.deb", "p.a"):
        inside = look((tmp_path / name).read_bytes())
        assert sha256(SECRET) in {member.digest for member in inside.members}
        assert not inside.unopened


def test_the_table_has_a_form_for_each_kind() -> None:
    kinds = {containers.kind_of(io.BytesIO(pack(SECRET))) for pack in PACKED.values()}
    assert kinds == set(containers._KINDS)
