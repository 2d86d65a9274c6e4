"""python-tuf's own client reads what we write, and our reader refuses what TUF refuses.

The stock `Updater` with its own fetcher reads over http on loopback; `TufClient` reads a folder
and the same server.
"""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from attest.digests import sha256
from attest.errors import VerificationError
from attest.keys import keys
from attest.signers import from_private_key
from bundlers.consuming.readers import open_reader
from bundlers.consuming.tuf_client import Expired, TufClient, times_in_date
from bundlers.publishing.layout import tuf_repository as tuf
from bundlers.publishing.layout.destinations import Destination, open_destination, put
from bundlers.publishing.layout.tuf_repository import Lifetimes, TargetInfo, TufSigners
from casstore.errors import NoSuchObject, PolicyViolation, StorageUnavailable
from casstore.network.network import NetworkGuard
from tests.support.published import PublishedWorld

NOW = datetime.now(UTC).replace(microsecond=0)
FILES = {"channels/prod.json": b"{}", "releases/1.0+b~1/core.tar.gz": b"x" * 300_000}


class Publisher:
    """Publishes targets to a folder, the way the publication service does, without a ledger."""

    def __init__(self, folder: Path, algorithm: str = "ecdsa-p256") -> None:
        self.folder = folder
        self.signers = TufSigners.single(from_private_key(keys.generate(algorithm)))
        root = tuf.next_root(None, self.signers, now=NOW)
        assert root is not None
        self.root = root
        put(self.destination, "metadata/1.root.json", root)

    @property
    def destination(self) -> Destination:
        return open_destination(str(self.folder))

    def publish(self, number: int, files: dict[str, bytes], *, now: datetime = NOW) -> None:
        infos = {path: TargetInfo(sha256(data), len(data)) for path, data in files.items()}
        for path, data in files.items():
            put(self.destination, "targets/" + tuf.target_name(path, sha256(data)), data)
        made = tuf.make_metadata(number, self.root, infos, self.signers, now=now, existing=lambda _: None)
        for item in made[:-1]:
            put(self.destination, f"metadata/{item.name}", item.data)
        self.destination.point("metadata/timestamp.json", made[-1].data)

    def rotate(self, version: int) -> None:
        new = from_private_key(keys.generate())
        root = tuf.next_root(self.root, TufSigners(new, (new, *self.signers.root)), now=NOW)
        assert root is not None
        self.root, self.signers = root, TufSigners.single(new)
        put(self.destination, f"metadata/{version}.root.json", root)


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    made = Publisher(tmp_path / "public")
    made.publish(1, FILES)
    return made


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(publisher: Publisher) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(publisher.folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ed25519"])
def test_stock_updater_over_http(tmp_path: Path, algorithm: str) -> None:
    made = Publisher(tmp_path / "public", algorithm)
    made.publish(1, FILES)
    made.rotate(2)
    made.publish(2, FILES)
    handler = functools.partial(_Quiet, directory=str(made.folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        url = f"http://127.0.0.1:{httpd.server_port}"
        (tmp_path / "meta").mkdir()
        updater = Updater(
            str(tmp_path / "meta"),
            f"{url}/metadata",
            str(tmp_path / "got"),
            f"{url}/targets",
            bootstrap=(made.folder / "metadata/1.root.json").read_bytes(),
        )
        updater.refresh()
        for path, data in FILES.items():
            info = updater.get_targetinfo(path)
            assert info is not None
            assert Path(updater.download_target(info)).read_bytes() == data
        httpd.shutdown()


def client(publisher: Publisher, url: str, folder: Path, at: datetime = NOW, root: bytes | None = None) -> TufClient:
    guard = NetworkGuard(["127.0.0.1"])
    first = root or (publisher.folder / "metadata/1.root.json").read_bytes()
    return TufClient(open_reader(url, network=guard), folder=str(folder), root=first, at=at)


def test_our_client_reads_folder_and_http(publisher: Publisher, server: str, tmp_path: Path) -> None:
    for number, url in enumerate((str(publisher.folder), server)):
        reader = client(publisher, url, tmp_path / f"state{number}")
        reader.refresh()
        assert reader.version == 1 and reader.valid_until == NOW + timedelta(days=30)
        for path, data in FILES.items():
            assert reader.read(path) == data
            assert b"".join(reader.chunks(path)) == data
            assert reader.info(path).digest == sha256(data)
        with pytest.raises(NoSuchObject):
            reader.read("channels/dev.json")


def test_older_timestamp_is_refused(publisher: Publisher, tmp_path: Path) -> None:
    old = (publisher.folder / "metadata/timestamp.json").read_bytes()
    publisher.publish(2, FILES)
    client(publisher, str(publisher.folder), tmp_path / "state").refresh()
    publisher.destination.point("metadata/timestamp.json", old)
    with pytest.raises(VerificationError, match="version"):
        client(publisher, str(publisher.folder), tmp_path / "state").refresh()


def test_frozen_source_is_expired_and_readable_as_of_then(publisher: Publisher, tmp_path: Path) -> None:
    url = str(publisher.folder)
    with pytest.raises(Expired):
        client(publisher, url, tmp_path / "state", NOW + timedelta(days=31)).refresh()
    client(publisher, url, tmp_path / "state", NOW + timedelta(days=30, seconds=-1)).refresh()


@pytest.mark.parametrize("year", ["0001", "1970", "9999"])
def test_metadata_that_expires_in_a_year_without_a_second_before_it(
    publisher: Publisher, tmp_path: Path, year: str
) -> None:
    """Nobody signed it: it is asked for the times that are tried, and believed in nothing."""
    root = (publisher.folder / "metadata/1.root.json").read_bytes()
    served = json.loads((publisher.folder / "metadata/timestamp.json").read_bytes())
    served["signed"]["expires"] = f"{year}-01-01T00:00:00Z"
    publisher.destination.point("metadata/timestamp.json", json.dumps(served).encode())
    found = times_in_date(open_reader(str(publisher.folder), network=None), str(tmp_path), root)
    assert found and all(1970 <= time.year <= 9999 for time in found)


def test_times_are_not_read_out_of_an_endless_timestamp(publisher: Publisher, tmp_path: Path) -> None:
    root = (publisher.folder / "metadata/1.root.json").read_bytes()
    reader = open_reader(str(publisher.folder), network=None)
    before = times_in_date(reader, str(tmp_path), root)
    served = (publisher.folder / "metadata/timestamp.json").read_bytes()
    publisher.destination.point("metadata/timestamp.json", served + b" " * 20_000)
    assert len(times_in_date(reader, str(tmp_path), root)) < len(before)


def test_changed_target_and_foreign_root_are_refused(publisher: Publisher, tmp_path: Path) -> None:
    name = "targets/" + tuf.target_name("channels/prod.json", sha256(b"{}"))
    publisher.destination.point(name, b"[]")
    reader = client(publisher, str(publisher.folder), tmp_path / "state")
    with pytest.raises(VerificationError):
        reader.read("channels/prod.json")
    with pytest.raises(VerificationError):
        list(reader.pieces("channels/prod.json"))
    assert name not in reader.fetched
    publisher.destination.point(name, b"{}" + b" " * 10_000_000)
    with pytest.raises(VerificationError, match="longer"):
        reader.read("channels/prod.json")
    other = tuf.next_root(None, TufSigners.single(from_private_key(keys.generate())), now=NOW)
    with pytest.raises(VerificationError):
        client(publisher, str(publisher.folder), tmp_path / "other", root=other).refresh()


def test_empty_folder_and_dead_server(publisher: Publisher, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoSuchObject):
        client(publisher, str(tmp_path / "empty"), tmp_path / "state").refresh()
    with pytest.raises(StorageUnavailable):
        client(publisher, "http://127.0.0.1:9", tmp_path / "state2").refresh()


def test_network_policy_is_asked_before_a_socket(publisher: Publisher, tmp_path: Path) -> None:
    guard = NetworkGuard([], offline=True)
    reader = open_reader("http://cdn.example.invalid/x", network=guard)
    root = (publisher.folder / "metadata/1.root.json").read_bytes()
    with pytest.raises(PolicyViolation):
        TufClient(reader, folder=str(tmp_path / "s"), root=root, at=NOW).refresh()


def test_redirect_to_a_foreign_host_is_not_followed(tmp_path: Path) -> None:
    class Redirect(_Quiet):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", "http://elsewhere.example.invalid/x")
            self.end_headers()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirect) as httpd:
        threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        reader = open_reader(f"http://127.0.0.1:{httpd.server_port}", network=NetworkGuard([]))
        with pytest.raises(PolicyViolation, match=r"elsewhere\.example\.invalid"):
            next(iter(reader.chunks("metadata/timestamp.json")))
        httpd.shutdown()


class _Files(FetcherInterface):
    """What a stock client needs for file:// URLs."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            return iter([Path(unquote(urlsplit(url).path)).read_bytes()])
        except FileNotFoundError as exc:
            raise DownloadHTTPError(str(exc), 404) from exc


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_stock_updater_reads_a_published_channel(tmp_path: Path, scheme: str) -> None:
    """What the publication service lays out, down to the last target."""
    world = PublishedWorld.make(str(tmp_path / "store"))
    world.ship("1.0.0")
    world.promote("1.0.0", "dev")
    folder = tmp_path / "public"
    world.publish("dev", str(folder), lifetimes=Lifetimes(3650, 3650, 3650, 3650))
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        url = folder.as_uri() if scheme == "file" else f"http://127.0.0.1:{httpd.server_port}"
        (tmp_path / "meta").mkdir()
        updater = Updater(
            str(tmp_path / "meta"),
            f"{url}/metadata",
            str(tmp_path / "got"),
            f"{url}/targets",
            fetcher=_Files() if scheme == "file" else None,
            bootstrap=(folder / "metadata/1.root.json").read_bytes(),
        )
        updater.refresh()
        infos = tuf.targets_of((folder / "metadata/1.targets.json").read_bytes())
        assert len(infos) > 15
        for path, expected in infos.items():
            info = updater.get_targetinfo(path)
            assert info is not None
            assert sha256(Path(updater.download_target(info)).read_bytes()) == expected.digest
        httpd.shutdown()
