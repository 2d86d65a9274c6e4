"""Files that lie where ours shall, and tars whose members are no files: nothing outside is read or written."""

from __future__ import annotations

import io
import os
import runpy
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from bundlers import formats
from bundlers.errors import HostileArchive
from bundlers.publishing.layout.kit_files import KitFile
from bundlers.releases.staging import Quarantine
from casstore.errors import StorageUnavailable

MADE = runpy.run_path(str(Path(__file__).parents[1] / "formats" / "make_products.py"))


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_what_lies_in_quarantine_already_is_not_written_through(
    link: Callable[[str, str], None], tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"theirs")
    with Quarantine(str(tmp_path / "out")) as quarantine:
        assert os.stat(quarantine.folder).st_mode & 0o077 == 0  # nobody else may lay anything there
        link(str(victim), quarantine.path("core.tar.gz"))
        with pytest.raises(StorageUnavailable):
            quarantine.write("core.tar.gz", [b"ours"])
    assert victim.read_bytes() == b"theirs"


def _tar(kind: bytes, *, size: int = 0, pax: dict[str, str] | None = None, link: str = "") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("targets/a")
        info.type, info.linkname, info.pax_headers = kind, link, pax or {}
        info.size = size
        tar.addfile(info, io.BytesIO(bytes(size)))
    return out.getvalue()


HOSTILE = {
    "a hard link": _tar(tarfile.LNKTYPE, link="/etc/passwd"),
    "a symbolic link": _tar(tarfile.SYMTYPE, link="../../etc"),
    "a device": _tar(tarfile.CHRTYPE),
    "a sparse file": _tar(tarfile.REGTYPE, size=512, pax={"GNU.sparse.size": "9999999999", "GNU.sparse.map": "0,512"}),
    "a member that says 4 GiB": _tar(tarfile.REGTYPE, pax={"size": str(1 << 32)}),
    "a size below zero": _tar(tarfile.REGTYPE, pax={"size": "-512"}),
    "no end": _tar(tarfile.REGTYPE, size=512)[:1024],
}


@pytest.mark.parametrize("way", HOSTILE)
def test_a_kit_of_somebody_else_is_refused(way: str, tmp_path: Path) -> None:
    (tmp_path / "kit.tar").write_bytes(HOSTILE[way])
    with pytest.raises(HostileArchive):
        KitFile(str(tmp_path / "kit.tar"))
    with pytest.raises(HostileArchive):
        KitFile(str(tmp_path / "kit.tar"), head=False)


def test_a_header_of_ten_megabytes_is_read_within_the_budget(tmp_path: Path) -> None:
    (tmp_path / "kit.tar").write_bytes(_tar(tarfile.REGTYPE, size=3, pax={"comment": "x" * 10_000_000}))
    kit = KitFile(str(tmp_path / "kit.tar"), head=False)
    assert kit.names == {"targets/a"} and kit.read("targets/a") == bytes(3)


@pytest.mark.parametrize("way", ["a hard link", "a symbolic link", "a sparse file", "a member that says 4 GiB"])
def test_an_archive_of_somebody_else_is_refused(way: str) -> None:
    packed = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = packed.compress(HOSTILE[way]) + packed.flush()
    with pytest.raises(HostileArchive):
        for _, chunks in formats.read(MADE["manifest"]("tar.gz"), io.BytesIO(data)):
            list(chunks)
