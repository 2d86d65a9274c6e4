"""The only door to python-tuf's client: metadata verified, targets by hash.

Promises: signatures, versions (rollback), expiry (freeze) and mix-and-match are judged by
python-tuf's `Updater`; its cache belongs to one source. `at` is the time it judges by, so that an
offline reader can be told "valid as of T". Leaves to others: what the targets say (`verification`).
Source: https://theupdateframework.github.io/specification/v1.0.34/#detailed-client-workflow

    client = TufClient(reader, folder=state, root=pinned_root, at=now)
    client.refresh()
    client.read("channels/prod.json")
    client.read_older("files/1.2.0/all.json")
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from datetime import datetime, timedelta

from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    RepositoryError,
)
from tuf.api.metadata import Metadata, TargetFile, Targets, Timestamp
from tuf.api.serialization import DeserializationError
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from attest.core import limits, times
from attest.digests import Digest, from_hex
from attest.errors import CasstoreError, VerificationError
from bundlers.consuming.readers import Reader, read_all
from bundlers.consuming.state import own_folder
from bundlers.publishing.layout.tuf_repository import TargetInfo, target_name
from casstore.errors import NoSuchObject, StorageUnavailable
from casstore.machine.spooled import SpooledBytes

_MOST = {"timestamp": limits.TUF_TIMESTAMP, "snapshot": limits.TUF_SNAPSHOT, "targets": limits.TUF_TARGETS}
_SECOND = timedelta(seconds=1)


class Expired(VerificationError):
    """The metadata is genuine but its time is over; online that may be a freeze attack."""


class TufClient:
    """One refresh of one source."""

    def __init__(self, reader: Reader, *, folder: str, root: bytes, at: datetime) -> None:
        self._reader = reader
        self._folder = folder
        self._root = root
        self.at = at
        self.fetched: SpooledBytes[str] = SpooledBytes()
        """Small files of this refresh by published name, for the offline mirror."""
        self._updater: Updater | None = None

    def refresh(self) -> None:
        """Load and verify root, timestamp, snapshot, targets. Raises Expired, VerificationError."""
        own_folder(self._folder)
        with _wrapped(self._reader.url):
            updater = _Updater(
                self._folder,
                "metadata",
                fetcher=_Fetcher(self._reader, self.fetched),
                config=UpdaterConfig(
                    root_max_length=limits.TUF_ROOT,
                    timestamp_max_length=limits.TUF_TIMESTAMP,
                    snapshot_max_length=limits.TUF_SNAPSHOT,
                    targets_max_length=limits.TUF_TARGETS,
                ),
                bootstrap=self._root,
            )
            # The updater takes the machine's clock; the time to judge by is an argument here.
            updater._trusted_set.reference_time = self.at
            updater.refresh()
        self._updater = updater
        self._check_delegations()

    @property
    def valid_until(self) -> datetime:
        """When the first of the four roles expires."""
        trusted = self._ready()._trusted_set
        return min(role.expires for role in (trusted.root, trusted.timestamp, trusted.snapshot, trusted.targets))

    @property
    def version(self) -> int:
        """The number of the publication that is read."""
        return int(self._ready()._trusted_set.timestamp.version)

    @property
    def root(self) -> bytes:
        """The root in force, whose keys sign all."""
        with open(os.path.join(self._folder, "root.json"), "rb") as file:
            return file.read()

    @property
    def numbers(self) -> tuple[int, int]:
        """Version of timestamp and snapshot; they only grow."""
        trusted = self._ready()._trusted_set
        return int(trusted.timestamp.version), int(trusted.snapshot.version)

    def info(self, path: str) -> TargetInfo:
        """Digest and length of a target. Raises NoSuchObject."""
        target = self._target(path)
        return TargetInfo(_digest(target), target.length)

    def read(self, path: str) -> bytes:
        """A small target's verified bytes. Raises NoSuchObject, VerificationError."""
        return self._read(path, self._target(path))

    def read_older(self, path: str) -> bytes:
        """As `read`, of what any release has that was shown here: other lists than the first are asked too."""
        with _wrapped(self._reader.url):
            target = self._ready().get_targetinfo(path)
        self._check_delegations()
        if target is None:
            raise self._nothing(path)
        return self._read(path, target)

    def pieces(self, path: str) -> Iterator[bytes]:
        """As `read`, piece by piece: whoever takes them may not use them before the last one came."""
        return self._pieces(path, self._target(path))

    def _read(self, path: str, target: TargetFile) -> bytes:
        return b"".join(self._pieces(path, target))

    def _pieces(self, path: str, target: TargetFile) -> Iterator[bytes]:
        """Kept once all of them are what was signed."""
        if target.length > limits.OBJECT:
            raise VerificationError(f"{path}: {target.length} bytes, more than the limit of {limits.OBJECT}")
        name = f"targets/{target_name(path, _digest(target))}"
        served = _limited(self._reader.chunks(name), target.length, name)
        return self.fetched.passed(name, _verified(served, target, name))

    def chunks(self, path: str) -> Iterator[bytes]:
        """A large target's bytes, cut off at its length; the caller hashes them."""
        target = self._target(path)
        name = f"targets/{target_name(path, _digest(target))}"
        return _limited(self._reader.chunks(name), target.length, name)

    def part(self, path: str, start: int, end: int) -> Iterator[bytes]:
        """Bytes of a large target, in no way verified. Raises NoSuchObject, NoRanges."""
        target = self._target(path)
        name = f"targets/{target_name(path, _digest(target))}"
        return _limited(self._reader.part(name, start, end), end - start, name)

    def _target(self, path: str) -> TargetFile:
        """What is shown stands in the first list: nobody searches, or believes, another one for it."""
        target = self._ready()._trusted_set.targets.targets.get(path)
        if target is None:
            raise self._nothing(path)
        return target

    def _nothing(self, path: str) -> NoSuchObject:
        return NoSuchObject(f"{self._reader.url}: publishes no {path}")

    def _check_delegations(self) -> None:
        """Older lists are signed by the very keys of the first. Raises VerificationError."""
        trusted = self._ready()._trusted_set
        role = trusted.root.roles["targets"]
        keys = {keyid: trusted.root.keys[keyid] for keyid in role.keyids}
        for found in trusted:
            if not isinstance(found, Targets) or (made := found.delegations) is None:
                continue
            to = [*(made.roles or {}).values(), *([made.succinct_roles] if made.succinct_roles else [])]
            if made.keys != keys or any((one.keyids, one.threshold) != (role.keyids, role.threshold) for one in to):
                raise VerificationError(
                    f"{self._reader.url}: its targets are delegated to further keys", hint="ask the publisher"
                )

    def _ready(self) -> Updater:
        if self._updater is None:
            self.refresh()
        assert self._updater is not None  # noqa: S101 - refresh() sets it or raises
        return self._updater


def numbers_seen(folder: str) -> tuple[int, int]:
    """Version of timestamp and snapshot that a folder of metadata remembers; zeros for none."""
    try:
        with open(os.path.join(folder, "timestamp.json"), "rb") as file:
            timestamp: Metadata[Timestamp] = Metadata.from_bytes(file.read())
    except (OSError, RepositoryError, DeserializationError):
        return 0, 0
    return int(timestamp.signed.version), int(timestamp.signed.snapshot_meta.version)


def times_in_date(reader: Reader, folder: str, root: bytes) -> list[datetime]:
    """Times at which the metadata may all have been in date, latest first; nothing is verified here."""
    found = [root, *(_either(reader, folder, name) for name in _MOST)]
    ends = {_expiry(data) for data in found if data is not None}
    return sorted((expires - _SECOND for expires in ends if expires.year > times.FIRST_YEAR), reverse=True)


def _either(reader: Reader, folder: str, name: str) -> bytes | None:
    try:
        served = read_all(reader, "metadata/timestamp.json", max_bytes=_MOST["timestamp"])
        if name == "timestamp":
            return served
        number = Metadata.from_bytes(served).signed.version
        return read_all(reader, f"metadata/{number}.{name}.json", max_bytes=_MOST[name])
    except (CasstoreError, RepositoryError, DeserializationError):
        try:
            with open(os.path.join(folder, f"{name}.json"), "rb") as file:
                return file.read()
        except OSError:
            return None


def _expiry(data: bytes) -> datetime:
    with _wrapped("metadata"):
        expires: datetime = Metadata.from_bytes(data).signed.expires
    return expires


def _digest(target: TargetFile) -> Digest:
    if set(target.hashes) != {"sha256"}:
        raise VerificationError(f"{target.path}: its hashes are {sorted(target.hashes)}, sha256 alone is wanted")
    return from_hex(target.hashes["sha256"])


def _limited(chunks: Iterator[bytes], length: int, name: str) -> Iterator[bytes]:
    """Endless input stops at the length that the signed metadata names."""
    seen = 0
    for chunk in chunks:
        seen += len(chunk)
        if seen > length:
            raise VerificationError(f"{name}: longer than the {length} bytes that the signed metadata names")
        yield chunk


def _verified(chunks: Iterator[bytes], target: TargetFile, name: str) -> Iterator[bytes]:
    """The same; what is not what the signed metadata names is refused behind the last one."""
    hasher, size = hashlib.sha256(), 0
    for chunk in chunks:
        hasher.update(chunk)
        size += len(chunk)
        yield chunk
    if size != target.length or from_hex(hasher.hexdigest()) != _digest(target):
        raise VerificationError(f"{name}: its bytes are not those that the signed metadata names")


class _Updater(Updater):
    """Keeps `root.json` as a file: python-tuf's symbolic link is none that every file system has."""

    def _update_root_symlink(self) -> None:
        version = self._trusted_set.root.version
        with open(os.path.join(self._dir, "root_history", f"{version}.root.json"), "rb") as file:
            self._persist_metadata("root", file.read())


class _Fetcher(FetcherInterface):
    """python-tuf's way to our readers; names are relative, so every scheme is served alike."""

    def __init__(self, reader: Reader, fetched: SpooledBytes[str]) -> None:
        self._reader = reader
        self._fetched = fetched

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            return self._recorded(url, self._reader.chunks(url))
        except NoSuchObject as exc:
            raise DownloadHTTPError(str(exc), 404) from exc

    def _recorded(self, url: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        pieces = []
        for chunk in chunks:
            pieces.append(chunk)
            yield chunk
        self._fetched[url] = b"".join(pieces)


@contextlib.contextmanager
def _wrapped(where: str) -> Iterator[None]:
    """python-tuf's errors as ours."""
    try:
        yield
    except ExpiredMetadataError as exc:
        raise Expired(f"{where}: {exc}", hint="the publisher must publish again") from exc
    except DownloadLengthMismatchError as exc:
        raise VerificationError(f"{where}: {exc}") from exc
    except DownloadError as exc:
        raise _ours(exc, where) from exc
    except (RepositoryError, DeserializationError) as exc:
        raise VerificationError(
            f"{where}: TUF metadata refused: {exc}", hint="do not install from here; ask the publisher"
        ) from exc


def _ours(exc: DownloadError, where: str) -> CasstoreError:
    """The error of our own reader that python-tuf wrapped, else an unavailable source."""
    cause = exc.__cause__
    if isinstance(exc, DownloadHTTPError) or isinstance(cause, NoSuchObject):
        return NoSuchObject(f"{where}: is not published here, or not completely: {cause or exc}")
    if isinstance(cause, CasstoreError):
        return cause
    return StorageUnavailable(f"{where}: {exc}")
