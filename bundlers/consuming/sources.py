"""Open what was published: a web server or folder through TUF, or a kit; online or offline.

Promises: one interface over all, with the verdict on freshness as a value of its own: `valid`, or
`stale` ("valid as of T"), which only an offline reader accepts. Offline, nothing is read but files
(a web source is read from the mirror of its last verified visit). Leaves to others: what the files
mean (`verification`).

    source = open_source("https://cdn.example/releases", state, network=guard, offline=False, at=now)
    source.read("channels/prod.json")
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from attest import canonical
from attest.core import times
from attest.digests import Digest, sha256
from attest.errors import TrustError, VerificationError
from bundlers.consuming.readers import FolderReader, Reader, open_reader, read_all
from bundlers.consuming.state import ConsumerState, SourceState
from bundlers.publishing.kit_files import HEAD, KitFile
from casstore.errors import NoSuchObject, NoSuchStore, StorageUnavailable

if TYPE_CHECKING:
    from bundlers.consuming.tuf_client import TufClient
    from casstore.network.network import NetworkGuard

VALID, STALE = "valid", "stale"
MAX_ROOT = 512_000
MAX_PLAIN = 32 * 1024 * 1024
KIT_FORMAT = "casstore-kit/1"
KIT_FRESH = timedelta(days=30)


class OpenSource(Protocol):
    """Published files, and for which time they count."""

    @property
    def url(self) -> str:
        """Where it came from."""

    @property
    def local(self) -> bool:
        """Whether archives can be read without the network."""

    @property
    def judged_at(self) -> datetime:
        """The time to verify for."""

    def read(self, path: str) -> bytes:
        """A target's bytes. Raises NoSuchObject."""

    def plain(self, path: str) -> bytes:
        """A plain file's bytes, in no way verified. Raises NoSuchObject."""

    def chunks(self, path: str) -> Iterator[bytes]:
        """A large target's bytes; the caller hashes them."""

    def verdict(self, newest: datetime) -> tuple[str, datetime, datetime | None]:
        """(valid | stale, as of, valid until); `newest` is the time of the newest proven ledger entry."""

    def check_ledger(self, store: str, ledger: str) -> None:
        """Raises TrustError when this source served another ledger before."""

    def remember(self, store: str, ledger: str) -> None:
        """Keep what was seen; call after everything was verified."""


def open_source(
    url: str,
    state: ConsumerState,
    *,
    network: NetworkGuard | None,
    offline: bool,
    at: datetime,
    tuf_root: Digest | None = None,
) -> OpenSource:
    """A file is a kit; anything else is a published URL. Raises VerificationError, StorageUnavailable."""
    if "://" not in url and os.path.isfile(url):
        return KitSource(url, at)
    return _open_published(url, state, network=network, offline=offline, at=at, tuf_root=tuf_root)


class PublishedSource:
    """A TUF repository whose metadata was verified."""

    def __init__(self, client: TufClient, reader: Reader, here: SourceState, root: bytes, at: datetime) -> None:
        self._client, self._reader, self._here, self._root, self._at = client, reader, here, root, at
        self.url = here.url
        self._mirrored = reader.url == os.path.abspath(here.mirror)

    @property
    def local(self) -> bool:
        """Whether it is a folder, and not the mirror, which keeps no archives."""
        return not self._reader.remote and not self._mirrored

    @property
    def judged_at(self) -> datetime:
        """Now, or the last time at which the metadata was in date."""
        return self._client.at

    def read(self, path: str) -> bytes:
        """A target's verified bytes."""
        return self._client.read(path)

    def plain(self, path: str) -> bytes:
        """A plain file's bytes."""
        data = read_all(self._reader, path, max_bytes=MAX_PLAIN)
        self._client.fetched[path] = data
        return data

    def chunks(self, path: str) -> Iterator[bytes]:
        """A large target's bytes."""
        if self._mirrored:
            raise StorageUnavailable(
                f"{self.url}: {path} is not kept for offline use", hint="take a kit along: casstore export"
            )
        return self._client.chunks(path)

    def verdict(self, newest: datetime) -> tuple[str, datetime, datetime | None]:  # noqa: ARG002 - of the protocol
        """Stale when it had to be judged for an earlier time."""
        return (VALID if self._client.at == self._at else STALE), self._client.at, self._client.valid_until

    def check_ledger(self, store: str, ledger: str) -> None:
        """Raises TrustError when this URL served another ledger before."""
        before = self._here.ledger()
        if before is not None and before != (store, ledger):
            raise TrustError(
                f"{self.url}: publishes the ledger {ledger} of store {store}, before it was {before[1]} of {before[0]}",
                hint="do not trust this source; ask the publisher",
            )

    def remember(self, store: str, ledger: str) -> None:
        """Pin the TUF root and the ledger; keep the offline mirror."""
        mirrored = self._client.fetched if self._reader.remote else {}
        self._here.remember(self._root, store, ledger, mirrored)


def _open_published(
    url: str,
    state: ConsumerState,
    *,
    network: NetworkGuard | None,
    offline: bool,
    at: datetime,
    tuf_root: Digest | None,
) -> PublishedSource:
    try:
        reader = open_reader(url, network=network)
    except NoSuchStore as exc:
        raise _nothing_at(url) from exc
    here = state.source(reader.url)
    if offline and reader.remote:
        if not os.path.isdir(here.mirror):
            raise StorageUnavailable(
                f"{reader.url}: was never read here, so nothing is known of it offline",
                hint="read it once online, or take a kit along: casstore export",
            )
        reader = FolderReader(here.mirror)
    return _refreshed(reader, here, offline=offline, at=at, tuf_root=tuf_root)


def _refreshed(
    reader: Reader, here: SourceState, *, offline: bool, at: datetime, tuf_root: Digest | None
) -> PublishedSource:
    from bundlers.consuming.tuf_client import Expired, TufClient, times_in_date

    try:
        root = here.tuf_root() or read_all(reader, "metadata/1.root.json", max_bytes=MAX_ROOT)
    except NoSuchObject as exc:
        raise _nothing_at(here.url) from exc
    if tuf_root is not None and sha256(root) != tuf_root:
        raise TrustError(f"{here.url}: TUF root 1 is {sha256(root)}, not {tuf_root} that was given")
    moments = [at]
    while moments:
        client = TufClient(reader, folder=here.tuf_folder, root=root, at=moments.pop(0))
        try:
            client.refresh()
        except Expired as exc:
            if not offline:
                raise Expired(
                    exc.message, hint="the publisher must publish again; --offline tells until when it was valid"
                ) from exc
            if client.at == at:
                moments = [t for t in times_in_date(reader, here.tuf_folder, root) if t < at]
            continue
        return PublishedSource(client, reader, here, root, at)
    raise VerificationError(f"{here.url}: its metadata was at no time in date altogether")


def _nothing_at(url: str) -> NoSuchObject:
    return NoSuchObject(
        f"{url}: nothing is published there, and it is no kit", hint="check the URL with whoever runs: casstore publish"
    )


class KitSource:
    """A kit: the same files in one tar, and no TUF."""

    def __init__(self, path: str, at: datetime) -> None:
        self._kit = KitFile(path)
        self._at = at
        self.url = os.path.abspath(path)
        self.local = True
        self.head = canonical.loads_canonical(self._kit.read(HEAD), what=path)
        if self.head.get("format") != KIT_FORMAT:
            raise VerificationError(f"{path}: its format is {str(self.head.get('format'))[:60]!r}, not {KIT_FORMAT}")

    @property
    def judged_at(self) -> datetime:
        """Now; a kit's age is told by the verdict."""
        return self._at

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that it speaks of."""
        return tuple(sorted(str(name) for name in self.head.get("channels", ())))

    def read(self, path: str) -> bytes:
        """A member's bytes."""
        return self._kit.read(path)

    def plain(self, path: str) -> bytes:
        """A member's bytes."""
        return self._kit.read(path)

    def chunks(self, path: str) -> Iterator[bytes]:
        """A member's bytes in pieces."""
        return self._kit.chunks(path)

    def check_copies(self, known: frozenset[Digest], archives: frozenset[str]) -> None:
        """The files that are there for people must be those that were proven. Raises VerificationError."""
        tars = [name for name in self._kit.names if name.startswith("channels/") and name.endswith(".objects.tar")]
        inside = {digest for name in tars for digest in _digests_in(name, self._kit.read(name))}
        proven = (HEAD, "channels/", "ledger/")
        for name in sorted(self._kit.names - archives):
            if not name.startswith(proven) and sha256(self._kit.read(name)) not in known | inside:
                raise VerificationError(
                    f"{self.url}: {name} is not what was proven", hint="it was changed, or put in: get the kit again"
                )

    def verdict(self, newest: datetime) -> tuple[str, datetime, datetime | None]:
        """As of its newest ledger entry: valid for 30 days, stale later."""
        until = newest + KIT_FRESH
        return (VALID if self._at <= until else STALE), newest, until

    def check_ledger(self, store: str, ledger: str) -> None:
        """A kit is judged by the pins of the ledger that it names."""

    def remember(self, store: str, ledger: str) -> None:
        """A kit has no URL to pin."""


def _digests_in(name: str, data: bytes) -> set[Digest]:
    tar = KitFile(name, head=False, data=data)
    return {sha256(tar.read(member)) for member in tar.names}


def told(verdict: str, as_of: datetime) -> str:
    """For people: `valid`, or `stale (valid as of T)`."""
    return VALID if verdict == VALID else f"{STALE} (valid as of {times.format(as_of)})"


def only_channel(source: OpenSource, channel: str | None) -> str:
    """The channel asked for, else a kit's only one. Raises NoSuchObject."""
    if channel is not None:
        return channel
    known = source.channels if isinstance(source, KitSource) else ()
    if len(known) != 1:
        raise NoSuchObject(f"{source.url}: no channel was named", hint=f"give --channel {'|'.join(known) or 'NAME'}")
    return known[0]
