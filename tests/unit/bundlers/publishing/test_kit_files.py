"""The kit container: one writing, strict reading, readable by tar."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from attest.errors import BadInput, CasstoreError
from bundlers.errors import HostileArchive
from bundlers.publishing.layout.kit_files import HEAD, KitFile, Member, write
from casstore.errors import NoSuchObject, ObjectDamaged

LONG = "releases/1.0/evidence/" + "e" * 150 + ".sigstore.json"
FILES = {HEAD: b"{}", "a.txt": b"x" * 513, LONG: b"", "b/big": bytes(range(256)) * 9000}


def kit_bytes(files: dict[str, bytes] = FILES) -> bytes:
    out = io.BytesIO()
    write(out, {n: Member(len(d), lambda d=d: iter([d[:7], d[7:]])) for n, d in files.items()}, mtime=7)
    return out.getvalue()


def test_round_trip_and_one_writing(tmp_path: Path) -> None:
    path = tmp_path / "kit.tar"
    path.write_bytes(kit_bytes())
    assert kit_bytes() == kit_bytes(dict(reversed(FILES.items())))
    kit = KitFile(str(path))
    assert kit.names == set(FILES) and {name: kit.read(name) for name in kit.names} == FILES
    with pytest.raises(NoSuchObject):
        kit.read("else")


def test_gnu_tar_reads_it(tmp_path: Path) -> None:
    (tmp_path / "kit.tar").write_bytes(kit_bytes())
    done = subprocess.run(["tar", "-xvf", "kit.tar"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == "" and done.stdout.splitlines()[0] == HEAD
    assert (tmp_path / "b/big").read_bytes() == FILES["b/big"]


@pytest.mark.parametrize("data", [b"short", b"x" * 20])
def test_wrong_length_is_not_written(data: bytes) -> None:
    with pytest.raises(ObjectDamaged):
        write(io.BytesIO(), {HEAD: Member(10, lambda: iter([data]))}, mtime=0)


def hostile(*infos: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info in (tarfile.TarInfo(HEAD), *infos):
            tar.addfile(info)
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    "data",
    [
        hostile(member("../x")),
        hostile(member("/abs")),
        hostile(member("a/../b")),
        hostile(member(".hidden")),
        hostile(member("dup"), member("dup")),
        hostile(member("link", tarfile.SYMTYPE)),
        hostile(member("hard", tarfile.LNKTYPE)),
        hostile(member("fifo", tarfile.FIFOTYPE)),
        hostile(member("dir", tarfile.DIRTYPE)),
        kit_bytes() + b"trailer",
        kit_bytes() + hostile(),
        kit_bytes()[:-10240],
        kit_bytes()[:1000],
        b"",
        b"not a tar at all" * 100,
        kit_bytes({"a": b"without head"}),
    ],
)
def test_hostile_kits_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "kit.tar"
    path.write_bytes(data)
    with pytest.raises(HostileArchive):
        KitFile(str(path))


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    data = kit_bytes({HEAD: b"{}", "a": b"x" * 1500})
    path = tmp_path / "kit.tar"
    content_end = 512 * 6
    for cut in [*range(0, content_end, 97), content_end, content_end + 512, content_end + 1023]:
        path.write_bytes(data[:cut])
        with pytest.raises(CasstoreError):
            KitFile(str(path))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        KitFile(str(tmp_path / "none"))
