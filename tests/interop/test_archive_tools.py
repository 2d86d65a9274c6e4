"""What we ship is read by the tools that people have, without a warning, and gives the very files."""

from __future__ import annotations

import io
import os
import random
import shutil
import stat
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from attest.digests import Digest, sha256
from bundlers import formats
from bundlers.products import checksums
from bundlers.products.product_manifests import ComponentTree, ProductFile, ProductFolder, ProductManifest
from bundlers.products.products import SUFFIXES, archive_name
from bundlers.products.reader import ProductReader
from casstore.objects.platforms import Platform

pytestmark = pytest.mark.foreign

CONTENTS = {
    "LICENSE": b"Do what you like.\n",
    "bin/tool": b"#!/bin/sh\necho tool\n" * 5000,
    "doc/empty": b"",
    "doc/r\u00e9sum\u00e9 \u65e5\u672c.txt": b"a name beyond ASCII\n",
    "lib/exactly-a-piece.so": b"\x7fELF" * (1 << 18),
    "lib/noise.bin": random.Random(4).randbytes(3_000_001),
    "lib/" + "deep/" * 30 + "n" * 120: b"a name of more than a ustar header holds\n",
    "with space and -dash": b"-",
}
LINKS = {"bin/alias": "tool", "lib/" + "l" * 101: "deep/" * 30 + "n" * 120}
FOLDERS = {"doc/leer \u65e5": 0o755, "var/" + "v" * 120 + "/spool": 0o750, "var/lib": 0o700}
EPOCH = 1_767_225_600


class Blobs:
    def chunks(self, digest: Digest) -> Iterator[bytes]:
        data = next(data for data in CONTENTS.values() if sha256(data) == digest)
        yield from (data[at : at + 700_000] for at in range(0, len(data), 700_000))

    def chunks_of(self, wanted: Iterable[Digest]) -> Iterator[Iterator[bytes]]:
        return (self.chunks(digest) for digest in wanted)


def product(archive_format: str) -> ProductManifest:
    files = [ProductFile(path, _mode(path), len(data), sha256(data), component="c") for path, data in CONTENTS.items()]
    files += [ProductFile(path, link=target, component="c") for path, target in LINKS.items()]
    ordered = tuple(sorted(files, key=lambda file: file.path.encode()))
    components = {"c": ComponentTree(sha256(b"tree"), time=EPOCH)}
    folders = tuple(ProductFolder(path, mode, "c") for path, mode in FOLDERS.items())
    platform = Platform("linux", "x86_64")
    return ProductManifest("core", archive_format, components, ordered, platform=platform, folders=folders)


def _mode(path: str) -> int:
    return 0o755 if path.startswith("bin/") else 0o644


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one archive of each format and SHA256SUMS, as a release has it."""
    folder = tmp_path_factory.mktemp("shipped")
    sums = {}
    for archive_format in SUFFIXES:
        manifest, out = product(archive_format), io.BytesIO()
        info = formats.write(manifest, ProductReader(Blobs(), manifest), out)
        name = archive_name(manifest, "1.4.0+r1")
        (folder / name).write_bytes(out.getvalue())
        sums[name] = info.digest
    (folder / checksums.NAME).write_bytes(checksums.to_bytes(sums))
    return folder


def run(*arguments: str, cwd: Path) -> str:
    """A tool's output; it must succeed and say nothing on stderr."""
    if shutil.which(arguments[0]) is None:
        pytest.skip(f"needs a foreign tool: {arguments[0]}")
    surroundings = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    done = subprocess.run(arguments, cwd=cwd, capture_output=True, text=True, env=surroundings, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr + done.stdout[-2000:]
    return done.stdout


def archive(shipped: Path, archive_format: str) -> str:
    return str(shipped / archive_name(product(archive_format), "1.4.0+r1"))


def assert_product(folder: Path, *, links: bool = True) -> None:
    for path, data in CONTENTS.items():
        assert (folder / path).read_bytes() == data, path
        assert stat.S_IMODE((folder / path).stat().st_mode) == _mode(path), path
        assert (folder / path).stat().st_mtime == EPOCH, path
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or path.is_file()}
    assert found == {*CONTENTS, *LINKS}
    for path, target in LINKS.items():
        if links:
            assert os.readlink(folder / path) == target
    for path, mode in FOLDERS.items():
        assert stat.S_IMODE((folder / path).stat().st_mode) == mode, path
        assert not list((folder / path).iterdir()), path


@pytest.mark.parametrize("archive_format", ["tar.gz", "tar.zst"])
@pytest.mark.parametrize("tool", ["tar", "bsdtar"])
def test_gnu_tar_and_bsdtar_unpack(shipped: Path, tmp_path: Path, tool: str, archive_format: str) -> None:
    owner = [] if tool == "tar" else ["--no-same-owner"]
    run(tool, "-x", "-p", *owner, "-f", archive(shipped, archive_format), cwd=tmp_path)
    assert_product(tmp_path)


@pytest.mark.parametrize("archive_format", ["tar.gz", "tar.zst", "oci"])
def test_gnu_tar_names_no_owner(shipped: Path, tmp_path: Path, archive_format: str) -> None:
    told = run("tar", "-t", "-v", "--numeric-owner", "-f", archive(shipped, archive_format), cwd=tmp_path)
    assert {line.split()[1] for line in told.splitlines()} == {"0/0"}


def test_gzip_and_zstd_find_the_checks_right(shipped: Path) -> None:
    run("gzip", "-t", archive(shipped, "tar.gz"), cwd=shipped)
    run("zstd", "-q", "-t", archive(shipped, "tar.zst"), cwd=shipped)


def test_unzip_tests_and_unpacks(shipped: Path, tmp_path: Path) -> None:
    assert "No errors detected" in run("unzip", "-t", archive(shipped, "zip"), cwd=tmp_path)
    run("unzip", "-q", archive(shipped, "zip"), cwd=tmp_path)
    assert_product(tmp_path)


def test_zip_and_zipinfo_find_nothing_odd(shipped: Path, tmp_path: Path) -> None:
    assert "OK" in run("zip", "-T", archive(shipped, "zip"), cwd=tmp_path)
    told = run("zipinfo", "-v", archive(shipped, "zip"), cwd=tmp_path)
    assert "There are an extra" not in told
    assert "warning" not in told.lower()


def test_bsdtar_unpacks_the_zip(shipped: Path, tmp_path: Path) -> None:
    run("bsdtar", "-x", "-p", "-f", archive(shipped, "zip"), cwd=tmp_path)
    assert_product(tmp_path)


@pytest.mark.parametrize("archive_format", ["tar.gz", "zip"])
def test_7z_tests_without_a_warning(shipped: Path, tmp_path: Path, archive_format: str) -> None:
    told = run("7z", "t", archive(shipped, archive_format), cwd=tmp_path)
    assert "Everything is Ok" in told
    assert "warning" not in told.lower()


def test_7z_unpacks_the_zip(shipped: Path, tmp_path: Path) -> None:
    run("7z", "x", "-y", "-bd", archive(shipped, "zip"), cwd=tmp_path)
    for path, data in CONTENTS.items():
        assert (tmp_path / path).read_bytes() == data
    for path in FOLDERS:
        assert not list((tmp_path / path).iterdir()), path


def test_sha256sum_checks_what_is_shipped(shipped: Path) -> None:
    told = run("sha256sum", "--check", "--strict", checksums.NAME, cwd=shipped)
    assert told.splitlines() == sorted(f"{archive_name(product(name), '1.4.0+r1')}: OK" for name in SUFFIXES)
    changed = shipped / "changed"
    changed.mkdir()
    for file in shipped.iterdir():
        if file.is_file():
            shutil.copy(file, changed)
    data = bytearray((changed / archive_name(product("zip"), "1.4.0+r1")).read_bytes())
    data[100] ^= 1
    (changed / archive_name(product("zip"), "1.4.0+r1")).write_bytes(data)
    done = subprocess.run(["sha256sum", "-c", checksums.NAME], cwd=changed, capture_output=True, check=False)
    assert done.returncode == 1


def test_skopeo_copies_the_image(shipped: Path, tmp_path: Path) -> None:
    source = f"oci-archive:{archive(shipped, 'oci')}:core"
    told = run("skopeo", "inspect", source, cwd=tmp_path)
    assert '"Architecture": "amd64"' in told
    assert '"Os": "linux"' in told
    run("skopeo", "copy", "-q", source, "dir:copied", cwd=tmp_path)
    layer = next(file for file in (tmp_path / "copied").iterdir() if file.read_bytes()[:2] == b"\x1f\x8b")
    assert layer.read_bytes() == Path(archive(shipped, "tar.gz")).read_bytes()


def test_umoci_unpacks_the_image(shipped: Path, tmp_path: Path) -> None:
    (tmp_path / "layout").mkdir()
    run("tar", "-x", "-f", archive(shipped, "oci"), "-C", "layout", cwd=tmp_path)
    run("umoci", "unpack", "--rootless", "--image", "layout:core", "image", cwd=tmp_path)
    assert_product(tmp_path / "image" / "rootfs")
