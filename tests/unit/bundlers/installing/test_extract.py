"""Unpacking: whole and durable under its name, or nothing; whatever the umask, the disk or the archive."""

from __future__ import annotations

import io
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from attest.digests import Digest, sha256
from bundlers import formats
from bundlers.errors import HostileArchive
from bundlers.installing.extract import extract
from bundlers.products.product_manifests import ComponentTree, ProductFile, ProductManifest
from bundlers.products.products import SUFFIXES
from bundlers.products.reader import ProductReader
from casstore.errors import Conflict, StorageUnavailable

CONTENTS = {"bin/tool": b"#!/bin/sh\n", "deep/er/file": b"x" * 100_000, "top": b""}
LINKS = {"deep/link": "er/file", "bin/up": "../top"}


class Blobs:
    def chunks(self, digest: Digest) -> Iterator[bytes]:
        yield next(data for data in CONTENTS.values() if sha256(data) == digest)

    def chunks_of(self, wanted: Iterable[Digest]) -> Iterator[Iterator[bytes]]:
        return (self.chunks(digest) for digest in wanted)


def product(archive_format: str = "tar.gz") -> ProductManifest:
    mode = {"bin/tool": 0o755}
    files = [
        ProductFile(path, mode.get(path, 0o644), len(data), sha256(data), component="c")
        for path, data in CONTENTS.items()
    ]
    files += [ProductFile(path, link=target, component="c") for path, target in LINKS.items()]
    ordered = tuple(sorted(files, key=lambda file: file.path.encode()))
    return ProductManifest("p", archive_format, {"c": ComponentTree(sha256(b""))}, ordered)


def archive(archive_format: str = "tar.gz") -> bytes:
    out = io.BytesIO()
    formats.write(product(archive_format), ProductReader(Blobs(), product(archive_format)), out)
    return out.getvalue()


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """A disk that takes no more: writing past it fails as ENOSPC does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
@pytest.mark.parametrize("archive_format", sorted(SUFFIXES))
def test_files_modes_and_links_are_those_of_the_manifest(tmp_path: Path, archive_format: str, mask: int) -> None:
    data = io.BytesIO(archive(archive_format))
    if mask == 0o777 and os.getuid():
        pytest.skip("only root writes below folders without any mode bit")
    with umask(mask):
        assert extract(product(archive_format), data, str(tmp_path / "into")) == sum(map(len, CONTENTS.values()))
    modes = {path: stat.S_IMODE((tmp_path / "into" / path).stat().st_mode) for path in [*CONTENTS, "bin", "deep/er"]}
    assert modes == {"bin/tool": 0o755, "deep/er/file": 0o644, "top": 0o644, "bin": 0o755, "deep/er": 0o755}
    assert stat.S_IMODE((tmp_path / "into").stat().st_mode) == 0o755
    assert {path: os.readlink(tmp_path / "into" / path) for path in LINKS} == LINKS


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    with no_file_larger_than(50_000), pytest.raises(StorageUnavailable) as caught:
        extract(product(), io.BytesIO(archive()), str(tmp_path / "into"))
    assert caught.value.exit_code == 12
    assert str(tmp_path / "into") in caught.value.message
    assert os.listdir(tmp_path) == []


def test_what_is_there_is_not_touched(tmp_path: Path) -> None:
    for name, make in {"file": Path.touch, "folder": Path.mkdir, "link": lambda p: p.symlink_to("nowhere")}.items():
        make(tmp_path / name)
        with pytest.raises(Conflict):
            extract(product(), io.BytesIO(archive()), str(tmp_path / name))
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "link"]
    assert os.listdir(tmp_path / "folder") == []


@pytest.mark.parametrize("cut", [0, 1, 60, -9, -1])
def test_a_cut_archive_leaves_nothing(tmp_path: Path, cut: int) -> None:
    with pytest.raises(HostileArchive):
        extract(product(), io.BytesIO(archive()[:cut]), str(tmp_path / "into"))
    assert os.listdir(tmp_path) == []


SLOW = """
import io, sys, os
sys.path.insert(0, {here!r})
import test_extract as t
from bundlers.installing.extract import extract
class Slow(io.BytesIO):
    def read(self, size=-1):
        if self.tell() >= 200:
            os.kill(os.getpid(), 9)
        return super().read(min(size, 100))
extract(t.product(), Slow(t.archive()), {into!r})
"""


def test_killed_midway_the_name_is_not_there_and_a_second_run_succeeds(tmp_path: Path) -> None:
    code = SLOW.format(here=str(Path(__file__).parent), into=str(tmp_path / "into"))
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "into").exists()
    extract(product(), io.BytesIO(archive()), str(tmp_path / "into"))
    assert (tmp_path / "into" / "deep" / "link").read_bytes() == CONTENTS["deep/er/file"]
