"""An update fetches what changed: over a real web server, with and without ranges, honest and not."""

from __future__ import annotations

import http.server
import io
import random
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from attest.digests import hex_of, sha256
from attest.errors import FormatError
from bundlers import formats
from bundlers.consuming.service import TrustSettings
from bundlers.errors import HostileArchive
from bundlers.formats.pieces import Layout, Pieces, measure
from bundlers.installing import install as installing
from bundlers.installing.install import InstallReport, install, verify_installed
from bundlers.installing.partial import plan_for
from bundlers.products import layouts
from bundlers.products.manifest_building import build
from bundlers.products.product_manifests import ComponentTree, ProductManifest
from bundlers.products.reader import ProductReader
from casstore.network.network import NetworkGuard
from casstore.objects.tree import EMPTY, TreeEntry
from tests.support import published_bytes
from tests.support.published import EPOCH, PublishedWorld
from tests.support.worlds import World


def _noise(seed: int, size: int) -> bytes:
    """Bytes that do not get smaller."""
    return random.Random(seed).randbytes(size)


FILES = {
    "bin/core": _noise(1, 150_000),
    "lib/one.so": _noise(2, 1_100_000),
    "lib/two.so": b"text that gets much smaller " * 15_000,
    "share/a": b"a",
    "share/empty": b"",
    "share/three": _noise(3, 600_000),
}


@dataclass
class Web:
    """A server for a folder; what it was asked for, and how it answers."""

    folder: Path
    ranges: bool = True
    spoil: Callable[[str, bytes], bytes] = field(default=lambda _path, data: data)
    asked: list[tuple[str, str]] = field(default_factory=list)
    sent: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    made = Web(tmp_path / "public")

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = made.folder / self.path.lstrip("/")
            made.asked.append((self.path, self.headers.get("Range", "")))
            if not path.is_file():
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            data, whole = path.read_bytes(), path.stat().st_size
            match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if match and made.ranges:
                end = int(match[2] or whole - 1)
                data = made.spoil(self.path, data[int(match[1]) : end + 1])
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {match[1]}-{end}/{whole}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            made.sent += len(data) * self.path.startswith("/targets/archives/")

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


class Line(PublishedWorld):
    """One product, `core`, whose files the test says."""

    kind = "tar.gz"

    def bring(self, version: str, files: dict[str, bytes], public: Path) -> None:
        self.given = {name.encode(): data for name, data in files.items()}
        self.ship(version)
        self.promote(version, "dev")
        self.publish("dev", str(public))
        self.later()

    def component(self, name: str, version: str, files: Any, by: str = "ci") -> Any:
        return super().component(name, version, self.given if name == "core-bin" else files, by)

    def _bundle(self, product: str, suffix: str, version: str, tree: Any) -> Any:
        return super()._bundle(product, self.kind if product == "core" else suffix, version, tree)


def into(line: Line, web: Web, tmp_path: Path, **options: Any) -> InstallReport:
    trust = TrustSettings(str(tmp_path / "state"), line.state.trust_roots[0].digest)
    guard = NetworkGuard(("127.0.0.1",))
    return install(
        web.url, "core", channel="dev", into=str(tmp_path / "opt"), trust=trust, at=line.now, network=guard, **options
    )


def installed(tmp_path: Path) -> dict[str, bytes]:
    top = (tmp_path / "opt/current").resolve()
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


@pytest.fixture(params=["tar.gz", "tar.zst", "zip"])
def line(request: pytest.FixtureRequest, tmp_path: Path) -> Line:
    made = Line.make(str(tmp_path / "store"))
    made.kind = request.param
    return made


CHANGES: dict[str, dict[str, bytes]] = {
    "first": {"bin/core": _noise(11, 150_001)},
    "small": {"share/a": b"another"},
    "added": {"aaa": _noise(12, 30_000), "zzz": b"z" * 40_000},
    "last": {"share/three": _noise(13, 590_000)},
    "grew from nothing": {"share/empty": b"no more"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_only_what_changed_is_fetched(line: Line, web: Web, tmp_path: Path, change: str) -> None:
    line.bring("1.0.0", FILES, web.folder)
    first = into(line, web, tmp_path)
    size = first.receipt.archive_size
    assert first.fetched == size
    line.bring("1.1.0", after := {**FILES, **CHANGES[change]}, web.folder)
    planned = into(line, web, tmp_path, dry_run=True).fetched
    web.sent = 0
    second = into(line, web, tmp_path)
    assert installed(tmp_path) == after
    assert second.fetched == planned == web.sent
    step = {"tar.gz": 2**17, "tar.zst": 2**19, "zip": 0}[line.kind]
    changed = sum(len(data) for data in CHANGES[change].values())
    assert second.fetched <= changed + 2 * step * len(CHANGES[change]) + 10_000
    verify_installed(
        str(tmp_path / "opt"),
        trust=TrustSettings(str(tmp_path / "state")),
        at=line.now,
        network=NetworkGuard(("127.0.0.1",)),
    )


def test_a_file_that_moved_is_not_fetched(line: Line, web: Web, tmp_path: Path) -> None:
    line.bring("1.0.0", FILES, web.folder)
    into(line, web, tmp_path)
    moved = {("moved/" + name if name.startswith("lib/") else name): data for name, data in FILES.items()}
    line.bring("1.1.0", moved, web.folder)
    web.sent = 0
    report = into(line, web, tmp_path)
    assert installed(tmp_path) == moved
    assert report.fetched == web.sent < 10_000


def test_a_server_without_ranges_gives_the_whole(line: Line, web: Web, tmp_path: Path) -> None:
    line.bring("1.0.0", FILES, web.folder)
    into(line, web, tmp_path)
    line.bring("1.1.0", after := {**FILES, **CHANGES["first"]}, web.folder)
    web.ranges, web.sent = False, 0
    report = into(line, web, tmp_path)
    assert installed(tmp_path) == after and report.fetched >= report.receipt.archive_size


def test_lengths_that_lie_are_no_plan(line: Line, web: Web, tmp_path: Path) -> None:
    """The publisher's word is a hint: what cannot be is not asked for."""
    world = World.make(str(tmp_path / "other"))
    manifest, data = archive(world, line.kind, {"a": _noise(1, 700_000), "b": _noise(2, 700_000)})
    pieces = measure(manifest, io.BytesIO(data), sha256(data))
    assert pieces is not None
    for lengths in ((*pieces.lengths[:-1], pieces.lengths[-1] + 1000), (10**12,) * len(pieces.lengths)):
        with pytest.raises(FormatError, match="they end at"):
            plan_for(manifest, replace(pieces, lengths=lengths), {}, len(data))
    with pytest.raises(FormatError, match="are wanted"):
        plan_for(manifest, Pieces(pieces.archive, pieces.lengths[1:], pieces.hashes[1:]), {}, len(data))
    for value in (b"{}", b"[]", pieces.to_bytes().replace(b"lengths", b"length"), b'{"a":'):
        with pytest.raises(FormatError):
            Pieces.parse(value)


@pytest.mark.parametrize("size", [1 << 40, 1 << 62, 0, 524_287])
def test_a_frame_of_a_terabyte_takes_no_memory(size: int) -> None:
    """Its header is believed by whoever unpacks all at once: the publisher wrote the hash that lets it through."""
    kind, document, _ = published_bytes.published("tar.zst").split(b"\n", 2)
    manifest, told = published_bytes.manifest(kind.decode()), Pieces.parse(document)
    frame = b"\x28\xb5\x2f\xfd\xe0" + size.to_bytes(8, "little") + b"\x01\x00\x00"
    hostile = Pieces(told.archive, (len(frame), *told.lengths[1:]), (hex_of(sha256(frame)), *told.hashes[1:]))
    layout = Layout(manifest, hostile)
    with pytest.raises(HostileArchive, match="is not one of 524288 bytes"):
        list(layout.unpacked(layout.units[0], iter([frame]), lambda _first, _last: b""))


@pytest.mark.parametrize("how", ["other bytes", "installed file changed"])
def test_what_does_not_fit_is_fetched_whole(line: Line, web: Web, tmp_path: Path, how: str) -> None:
    line.bring("1.0.0", FILES, web.folder)
    into(line, web, tmp_path)
    line.bring("1.1.0", after := {**FILES, **CHANGES["first"]}, web.folder)
    if how == "other bytes":
        web.spoil = lambda _path, data: bytes(len(data))
    else:
        old = (tmp_path / "opt/current").resolve() / "lib/one.so"
        old.chmod(0o644)
        old.write_bytes(bytes(len(FILES["lib/one.so"])))
    into(line, web, tmp_path)
    assert installed(tmp_path) == after
    assert not list((tmp_path / "opt/quarantine").glob("*.part"))


def test_killed_in_between_the_old_version_runs(
    line: Line, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.bring("1.0.0", FILES, web.folder)
    into(line, web, tmp_path)
    line.bring("1.1.0", after := {**FILES, **CHANGES["first"]}, web.folder)
    with monkeypatch.context() as patch:

        def stopped(*_: Any) -> Any:
            raise KeyboardInterrupt

        patch.setattr(installing.fetching.extract, "place", stopped)
        with pytest.raises(KeyboardInterrupt):
            into(line, web, tmp_path)
    assert installed(tmp_path) == FILES
    into(line, web, tmp_path)
    assert installed(tmp_path) == after


def archive(world: World, kind: str, files: dict[str, bytes]) -> tuple[ProductManifest, bytes]:
    entries = {
        name.encode(): TreeEntry(
            name.encode().rpartition(b"/")[2], "file", 0o644, len(data), world.store.put_bytes(data)
        )
        for name, data in files.items()
    }
    tree = world.store.build_tree({**entries, b"var/log": TreeEntry(b"log", "dir", 0o755, 0, EMPTY)})
    kept = {"core": layouts.Layout(folders={"var/log": "0700"})}
    manifest = build(world.store, "core", kind, {"core": ComponentTree(tree, time=EPOCH)}, layouts=kept)
    out = io.BytesIO()
    formats.write(manifest, ProductReader(world.store, manifest), out)
    return manifest, out.getvalue()


@pytest.mark.parametrize("kind", ["tar.gz", "tar.zst", "zip"])
@pytest.mark.parametrize("size", [2**17 - 512, 2**17 - 1536, 2**19, 3 * 2**19 + 1])
def test_every_piece_unpacks_alone(tmp_path: Path, kind: str, size: int) -> None:
    """At each border of a piece; bytes that look like the end of a flush among them."""
    world = World.make(str(tmp_path / "store"))
    odd = (b"\x00\x00\xff\xff" * 1000 + _noise(size, 3000)) * (size // 7000 + 1)
    manifest, data = archive(world, kind, {"a": odd[:size], "b/c": _noise(size + 1, 700_000), "d": b"x"})
    pieces = measure(manifest, io.BytesIO(data), sha256(data))
    assert pieces is not None and Pieces.parse(pieces.to_bytes()) == pieces
    layout = Layout(manifest, pieces)
    whole = bytearray()

    def before(first: int, last: int) -> bytes:
        return bytes(whole[first:last])

    for unit in layout.units:
        whole += b"".join(layout.unpacked(unit, iter([data[unit.start : unit.end]]), before))
        assert len(whole) == unit.last
    for stretch in layout.stretches:
        if stretch.file is None:
            assert whole[stretch.first : stretch.last] == stretch.known
    contents = [whole[one.first : one.last] for one in layout.stretches if one.file is not None]
    assert [odd[:size], _noise(size + 1, 700_000), b"x"] == list(map(bytes, contents))
