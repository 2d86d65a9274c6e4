"""Open what was published: a web server or folder through TUF, or a kit; online or offline.

Promises: one interface over all, with the verdict on freshness as a value of its own: `valid`, or
`stale` ("valid as of T"), which only an offline reader accepts. Offline, nothing is read but files
(a web source is read from the mirror of its last verified visit). Leaves to others: what the files
mean (`verification`).

    source = open_source("https://cdn.example/releases", state, network=guard, offline=False, at=now)
    source.read("channels/prod.json")
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from attest import canonical
from attest.core import limits, times
from attest.core.values import dataclass
from attest.digests import Digest, from_hex, sha256
from attest.errors import TrustError, VerificationError
from bundlers.consuming import published_roots, tuf_start
from bundlers.consuming.readers import FolderReader, Reader, open_reader, read_all
from bundlers.consuming.state import ConsumerState, SourceState
from bundlers.errors import NoRanges
from bundlers.publishing.layout import tuf_bond
from bundlers.publishing.layout.kit_files import HEAD, KitFile
from casstore.errors import NoSuchObject, NoSuchStore, StorageUnavailable
from casstore.machine.spooled import SpooledBytes

if TYPE_CHECKING:
    from bundlers.consuming.ledger_proof import ProvenLedger
    from bundlers.consuming.tuf_client import TufClient
    from casstore.network.network import NetworkGuard

VALID, STALE = "valid", "stale"
KIT_FORMAT = "casstore-kit/1"
KIT_FRESH = timedelta(days=30)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Pinned:
    """What the user knows beforehand of who publishes."""

    first_trust_root: Digest | None = None
    tuf_root: Digest | None = None
    sigstore_root: bytes | None = None


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

    def set_back(self, before: datetime) -> bool:
        """Verify for the last second before a time, at which something ended; False where only now counts."""

    def read(self, path: str) -> bytes:
        """A target's bytes. Raises NoSuchObject."""

    def pieces(self, path: str) -> Iterator[bytes]:
        """As `read`, piece by piece, to be used only after the last one. Raises as `read`."""

    def read_older(self, path: str) -> bytes:
        """As `read`, of what any release has that was ever shown. Raises NoSuchObject."""

    def plain(self, path: str, *, max_bytes: int = limits.OBJECT) -> bytes:
        """A plain file's bytes, in no way verified. Raises NoSuchObject, StorageUnavailable, VerificationError."""

    def chunks(self, path: str) -> Iterator[bytes]:
        """A large target's bytes; the caller hashes them."""

    def part(self, path: str, start: int, end: int) -> Iterator[bytes]:
        """Bytes of a large target, in no way verified. Raises NoSuchObject, NoRanges."""

    def verdict(self, newest: datetime) -> tuple[str, datetime, datetime | None]:
        """(valid | stale, as of, valid until); `newest` is the time of the newest proven ledger entry."""

    def check_ledger(self, store: str, ledger: str) -> None:
        """Raises TrustError when this source served another ledger before."""

    def check_keys(self, ledger: ProvenLedger, revoked: frozenset[str]) -> None:
        """Raises TrustError when somebody else than the ledger's publishers published it."""

    def remember(self, store: str, ledger: str) -> None:
        """Keep what was seen; call after everything was verified."""


def open_source(
    url: str,
    state: ConsumerState,
    *,
    network: NetworkGuard | None,
    offline: bool,
    at: datetime,
    pinned: Pinned,
) -> OpenSource:
    """A file is a kit; anything else is a published URL. Raises VerificationError, StorageUnavailable."""
    if "://" not in url and os.path.isfile(url):
        return KitSource(url, at)
    return _open_published(url, state, network=network, offline=offline, at=at, pinned=pinned)


class PublishedSource:
    """A TUF repository whose metadata was verified."""

    def __init__(
        self,
        client: TufClient,
        reader: Reader,
        here: SourceState,
        root: bytes,
        start: bytes | None,
        at: datetime,
        offline: bool,
    ) -> None:
        self._client, self._reader, self._here, self._root, self._at = client, reader, here, root, at
        self._start = start
        self._offline = offline
        self._judged_at = client.at
        self.url = here.url
        self._mirrored = reader.url == os.path.abspath(here.mirror)

    @property
    def local(self) -> bool:
        """Whether it is a folder, and not the mirror, which keeps no archives."""
        return not self._reader.remote and not self._mirrored

    @property
    def judged_at(self) -> datetime:
        """Now, or the last time at which all of it was in date."""
        return self._judged_at

    def set_back(self, before: datetime) -> bool:
        """Offline it may have been in date once; online it has to be now."""
        if not self._offline or before > self._judged_at:
            return False
        self._judged_at = before - _SECOND
        return True

    def read(self, path: str) -> bytes:
        """A target's verified bytes."""
        return self._client.read(path)

    def pieces(self, path: str) -> Iterator[bytes]:
        """As `read`, piece by piece."""
        return self._client.pieces(path)

    def read_older(self, path: str) -> bytes:
        """A target's verified bytes, whichever list names it."""
        return self._client.read_older(path)

    def plain(self, path: str, *, max_bytes: int = limits.OBJECT) -> bytes:
        """A plain file's bytes."""
        data = read_all(self._reader, path, max_bytes=max_bytes)
        self._client.fetched[path] = data
        return data

    def chunks(self, path: str) -> Iterator[bytes]:
        """A large target's bytes."""
        if self._mirrored:
            raise StorageUnavailable(
                f"{self.url}: {path} is not kept for offline use", hint="take a kit along: casstore export"
            )
        return self._client.chunks(path)

    def part(self, path: str, start: int, end: int) -> Iterator[bytes]:
        """Bytes of a large target, in no way verified."""
        if self._mirrored:
            raise NoRanges(f"{self.url}: {path} is not kept for offline use")
        return self._client.part(path, start, end)

    def verdict(self, newest: datetime) -> tuple[str, datetime, datetime | None]:  # noqa: ARG002 - of the protocol
        """Stale when it had to be judged for an earlier time."""
        verdict = VALID if self._judged_at == self._at else STALE
        return verdict, self._judged_at, self._client.valid_until

    def check_ledger(self, store: str, ledger: str) -> None:
        """Raises TrustError when this URL served another ledger before."""
        before = self._here.ledger()
        if before is not None and before != (store, ledger):
            raise TrustError(
                f"{self.url}: publishes the ledger {ledger} of store {store}, before it was {before[1]} of {before[0]}",
                hint="do not trust this source; ask the publisher",
            )

    def check_keys(self, ledger: ProvenLedger, revoked: frozenset[str]) -> None:
        """Every key of every TUF role is a publisher's, by the root under which the ledger was sealed."""
        sealed_at = ledger.seal.time
        tuf_bond.check(self._client.root, ledger.trust_root, revoked, sealed_at=sealed_at, at=self._judged_at)

    def remember(self, store: str, ledger: str) -> None:
        """Pin the TUF roots and the ledger; keep the offline mirror."""
        mirrored = self._client.fetched if self._reader.remote else SpooledBytes[str]()
        self._here.remember(self._root, self._start, store, ledger, mirrored)


def _open_published(
    url: str,
    state: ConsumerState,
    *,
    network: NetworkGuard | None,
    offline: bool,
    at: datetime,
    pinned: Pinned,
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
    if pinned.first_trust_root is None and (known := here.ledger()) and (pins := state.pins(*known)):
        pinned = replace(pinned, first_trust_root=pins.first_trust_root)
    return refreshed(reader, here, offline=offline, at=at, pinned=pinned)


def refreshed(reader: Reader, here: SourceState, *, offline: bool, at: datetime, pinned: Pinned) -> PublishedSource:
    """The trust root chain first, from plain files; then TUF, whose keys it names."""
    plain: dict[str, bytes] = {}

    def read(path: str) -> bytes:
        plain[path] = read_all(reader, path, max_bytes=limits.ATTESTATION)
        return plain[path]

    try:
        root = here.tuf_root() or read("metadata/1.root.json")
        chain = published_roots.follow(read, first=pinned.first_trust_root, at=at, sigstore_root=pinned.sigstore_root)
    except NoSuchObject as exc:
        raise _nothing_at(here.url) from exc
    if pinned.tuf_root is not None and sha256(root) != pinned.tuf_root:
        raise TrustError(f"{here.url}: TUF root 1 is {sha256(root)}, not {pinned.tuf_root} that was given")
    publishers = tuf_bond.publishers(chain[-1])
    start = here.tuf_start()
    try:
        client = _client(reader, here, start or root, offline=offline, at=at)
    except VerificationError:
        start = tuf_start.find(read, start or root, publishers)
        if start is None:
            raise
        client = _client(reader, here, start, offline=offline, at=at)
    client.fetched.update(plain)
    return PublishedSource(client, reader, here, root, start, at, offline)


def _client(reader: Reader, here: SourceState, start: bytes, *, offline: bool, at: datetime) -> TufClient:
    """TUF from a root on, at the newest time at which all of it is in date. Raises Expired, VerificationError."""
    from bundlers.consuming.tuf_client import Expired, TufClient, times_in_date

    version = tuf_bond.load(start).signed.version
    folder = here.tuf_folder(version)
    moments = [at]
    while moments:
        client = TufClient(reader, folder=folder, root=start, at=moments.pop(0))
        try:
            with here.locked():  # a slow answer of an old mirror turns nothing back that another command has seen
                client.refresh()
        except Expired as exc:
            if not offline:
                raise Expired(
                    exc.message,
                    hint=f"the publisher must publish again, unless this machine's clock is wrong: {times.format(at)};"
                    " --offline tells until when it was valid",
                ) from exc
            if client.at == at:
                moments = [t for t in times_in_date(reader, folder, start) if t < at]
            continue
        _check_numbers(client, here, start, version)
        return client
    raise VerificationError(f"{here.url}: its metadata was at no time in date altogether")


def _check_numbers(client: TufClient, here: SourceState, start: bytes, version: int) -> None:
    """What was seen before TUF started anew is not turned back by it, unless that root says so."""
    from bundlers.consuming.tuf_client import numbers_seen

    if version == 1 or tuf_bond.resets(start):
        return
    for folder in here.earlier_folders(version):
        seen = numbers_seen(folder)
        if any(now < before for now, before in zip(client.numbers, seen, strict=True)):
            raise VerificationError(
                f"{here.url}: shows publication {client.numbers[0]}, {seen[0]} was seen before TUF was started anew",
                hint="an older state is served: do not install from here",
            )


def _nothing_at(url: str) -> NoSuchObject:
    return NoSuchObject(
        f"{url}: nothing is published there, and it is no kit", hint="check the URL with whoever runs: casstore publish"
    )


class KitSource:
    """A kit: the same files in one tar, and no TUF."""

    def __init__(self, path: str, at: datetime) -> None:
        self._kit = KitFile(path)
        self._at = self._judged_at = at
        self.url = os.path.abspath(path)
        self.local = True
        self.head = canonical.loads_canonical(self._kit.read(HEAD), what=path)
        if self.head.get("format") != KIT_FORMAT:
            raise VerificationError(f"{path}: its format is {str(self.head.get('format'))[:60]!r}, not {KIT_FORMAT}")

    @property
    def judged_at(self) -> datetime:
        """Now, or the last time at which all of it was in date; its age is told by the verdict."""
        return self._judged_at

    def set_back(self, before: datetime) -> bool:
        """A kit is read offline."""
        if before > self._judged_at:
            return False
        self._judged_at = before - _SECOND
        return True

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that it speaks of."""
        return tuple(sorted(str(name) for name in self.head.get("channels", ())))

    def read(self, path: str) -> bytes:
        """A member's bytes."""
        return self._kit.read(path)

    def pieces(self, path: str) -> Iterator[bytes]:
        """As `read`, piece by piece."""
        return self._kit.pieces(path)

    def read_older(self, path: str) -> bytes:
        """A member's bytes: a kit has what it shows."""
        return self._kit.read(path)

    def plain(self, path: str, *, max_bytes: int = limits.OBJECT) -> bytes:
        """A member's bytes."""
        if self._kit.size(path) > max_bytes:
            raise VerificationError(f"{self.url}: {path} is larger than {max_bytes} bytes")
        return self._kit.read(path)

    def chunks(self, path: str) -> Iterator[bytes]:
        """A member's bytes in pieces."""
        return self._kit.chunks(path)

    def part(self, path: str, start: int, end: int) -> Iterator[bytes]:  # noqa: ARG002 - of the protocol
        """A kit lies here; nothing is gained."""
        raise NoRanges(f"{self.url}: a kit is read whole")

    def check_copies(self, known: frozenset[Digest], archives: frozenset[str]) -> None:
        """The files that are there for people must be those that were proven. Raises VerificationError."""
        tars = [name for name in self._kit.names if name.startswith("channels/") and ".objects." in name]
        inside = {digest for name in tars for digest in _digests_in(name, self._kit.read(name))}
        proven = (HEAD, "channels/", "ledger/")
        for name in sorted(self._kit.names - archives):
            if not name.startswith(proven) and self._digest(name) not in known | inside:
                raise VerificationError(
                    f"{self.url}: {name} is not what was proven", hint="it was changed, or put in: get the kit again"
                )

    def _digest(self, name: str) -> Digest:
        hasher = hashlib.sha256()
        for piece in self._kit.pieces(name):
            hasher.update(piece)
        return from_hex(hasher.hexdigest())

    def verdict(self, newest: datetime) -> tuple[str, datetime, datetime | None]:
        """As of its newest ledger entry: valid for 30 days and while nothing of it ended, stale later."""
        until = newest + KIT_FRESH
        return (VALID if self._judged_at == self._at <= until else STALE), newest, until

    def check_ledger(self, store: str, ledger: str) -> None:
        """A kit is judged by the pins of the ledger that it names."""

    def check_keys(self, ledger: ProvenLedger, revoked: frozenset[str]) -> None:
        """Nobody published a kit."""

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
