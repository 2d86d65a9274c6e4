"""What a consumer remembers between runs, so that nobody can serve it an older or another history.

Promises: pins are written only after everything was verified, whole (temporary file and rename);
damaged state refuses instead of starting afresh; it is read, changed and written under a lock and only grows, so
that commands at once lose nothing of each other. Leaves to others: judging (`verification`).

    STATE/sources/<id>/source.json  1.root.json  tuf/  mirror/     one published URL
    STATE/ledgers/<id>.json                                        pins of one store's ledger
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from typing import Any

from attest import canonical
from attest.core.values import dataclass
from attest.digests import Digest, parse
from attest.errors import CasstoreError, FormatError, VerificationError
from bundlers.consuming import install_ids
from casstore.machine import locks
from casstore.machine.spooled import SpooledBytes
from casstore.objects import small_records
from casstore.storage.base import os_error
from casstore.storage.file import make_folder, sync_folder

FORMAT = "casstore-consumer-state/2"


@dataclass(frozen=True, slots=True)
class PinnedMove:
    """The newest move of a channel that was verified."""

    number: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class Pins:
    """What was verified last of one ledger."""

    store: str
    ledger: str
    first_trust_root: Digest
    trust_root_version: int
    trust_root: Digest
    checkpoint_size: int
    root_hash: Digest
    channels: Mapping[str, PinnedMove] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Canonical bytes."""
        return canonical.dumps(
            small_records.sealed(
                {
                    "format": FORMAT,
                    "store": self.store,
                    "ledger": self.ledger,
                    "firstTrustRoot": self.first_trust_root,
                    "trustRoot": {"version": self.trust_root_version, "digest": self.trust_root},
                    "checkpoint": {"size": self.checkpoint_size, "rootHash": self.root_hash},
                    "channels": {n: {"number": m.number, "digest": m.digest} for n, m in self.channels.items()},
                }
            )
        )

    @staticmethod
    def parse(data: bytes) -> Pins:
        """Bytes to pins. Raises FormatError."""
        value = canonical.loads_canonical(data, what="consumer state")
        if not small_records.is_sealed(value):
            raise FormatError("consumer state: its token is not that of what it says")
        try:
            return _pins(value)
        except (KeyError, TypeError, AttributeError, CasstoreError) as exc:
            raise FormatError(f"consumer state: {exc}") from exc


def merged(now: Pins | None, before: Pins | None, after: Pins) -> Pins:
    """What is remembered when a command that began with `before` verified `after`, and others wrote `now` meanwhile.

    Each number is the highest one; the checkpoint goes on only from the one that it was proven to continue.
    Raises VerificationError for two histories.
    """
    if now is None:
        return after
    if now.first_trust_root != after.first_trust_root:
        raise VerificationError("trust root 1 is another one than was seen meanwhile", hint="ask the owners")
    _one_history("trust root", (now.trust_root_version, now.trust_root), (after.trust_root_version, after.trust_root))
    _one_history("checkpoint", (now.checkpoint_size, now.root_hash), (after.checkpoint_size, after.root_hash))
    channels = dict(now.channels)
    for name, move in after.channels.items():
        seen = channels.setdefault(name, move)
        _one_history(f"move of {name}", (seen.number, seen.digest), (move.number, move.digest))
        channels[name] = max(seen, move, key=lambda item: item.number)
    proven = before is not None and before.checkpoint_size == now.checkpoint_size
    point = after if proven and after.checkpoint_size > now.checkpoint_size else now
    root = max(now, after, key=lambda pins: pins.trust_root_version)
    return replace(point, trust_root_version=root.trust_root_version, trust_root=root.trust_root, channels=channels)


def _one_history(what: str, one: tuple[int, Digest], other: tuple[int, Digest]) -> None:
    if one[0] == other[0] and one[1] != other[1]:
        raise VerificationError(
            f"{what} {one[0]} is another one than was seen meanwhile: two histories",
            hint="do not install from here; tell the owners",
        )


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """One process at a time; without file locks nobody is kept out."""
    try:
        make_folder(os.path.dirname(path))
        file = open(path, "ab")  # noqa: SIM115 - closed below
    except OSError as exc:
        raise unwritable(exc, path) from exc
    with file:
        with contextlib.suppress(locks.NoLocks, OSError):
            locks.take(file.fileno())
        yield


class ConsumerState:
    """A folder of pins, for any number of processes at once."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.abspath(folder)

    def pins(self, store: str, ledger: str) -> Pins | None:
        """What is remembered of a ledger, or None. Raises VerificationError when it is damaged."""
        path = self._ledger_path(store, ledger)
        data = read_file(path)
        if data is None:
            return None
        try:
            return Pins.parse(data)
        except FormatError as exc:
            raise VerificationError(
                f"{path}: {exc.message}", hint="restore it; removing it means to trust the publisher anew"
            ) from exc

    def save(self, pins: Pins, before: Pins | None) -> None:
        """Remember; call only after everything was verified, beginning with `before`. Raises VerificationError."""
        path = self._ledger_path(pins.store, pins.ledger)
        with locked(f"{path}.lock"):
            now = self.pins(pins.store, pins.ledger)
            made = merged(now, before, pins)
            if made != now:
                write_file(path, made.to_bytes())

    def source(self, url: str) -> SourceState:
        """What is remembered of one published URL."""
        return SourceState(os.path.join(self.folder, "sources", _id(url)), url)

    def install_id(self) -> bytes:
        """32 bytes that are drawn when they are asked for first, and stay. Raises VerificationError when damaged."""
        path = os.path.join(self.folder, "install-id")
        data = read_file(path)
        if data is None:
            with locked(f"{path}.lock"):
                if (data := read_file(path)) is None:
                    data = install_ids.made()
                    write_file(path, data, 0o600)
        try:
            return install_ids.parse(data)
        except FormatError as exc:
            raise VerificationError(
                f"{path}: {exc.message}", hint="restore it; removing it means that it is drawn anew"
            ) from exc

    def _ledger_path(self, store: str, ledger: str) -> str:
        return os.path.join(self.folder, "ledgers", f"{_id(store, ledger)}.json")


class SourceState:
    """The pinned TUF root, the TUF client's cache and the offline mirror of one URL."""

    def __init__(self, folder: str, url: str) -> None:
        self._folder = folder
        self.mirror = os.path.join(folder, "mirror")
        self._root = os.path.join(folder, "1.root.json")
        self._start = os.path.join(folder, "start.root.json")
        self._about = os.path.join(folder, "source.json")
        self.url = url

    def tuf_root(self) -> bytes | None:
        """The TUF root that was pinned at first use, or None."""
        return read_file(self._root)

    def tuf_start(self) -> bytes | None:
        """The TUF root at which TUF was started anew, or None."""
        return read_file(self._start)

    def tuf_folder(self, start: int) -> str:
        """python-tuf's cache for metadata under the roots from version `start` on."""
        return os.path.join(self._folder, "tuf" if start == 1 else f"tuf-{start}")

    def earlier_folders(self, start: int) -> list[str]:
        """The caches of what was believed before TUF was started anew at `start`."""
        with contextlib.suppress(FileNotFoundError):
            found = [name for name in os.listdir(self._folder) if name == "tuf" or name.startswith("tuf-")]
            return [os.path.join(self._folder, name) for name in sorted(found) if _start_of(name) < start]
        return []

    def ledger(self) -> tuple[str, str] | None:
        """Store and ledger that this URL served, or None."""
        data = read_file(self._about)
        if data is None:
            return None
        value = canonical.loads_object(data, what=self._about)
        return str(value.get("store")), str(value.get("ledger"))

    def remember(
        self, tuf_root: bytes, start: bytes | None, store: str, ledger: str, fetched: SpooledBytes[str]
    ) -> None:
        """Pin roots and ledger; keep what was fetched for offline use, the timestamp last."""
        with self.locked():
            self._remember(tuf_root, start, store, ledger, fetched)

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """One process at a time reads, changes and writes what is kept of this URL."""
        return locked(os.path.join(self._folder, ".lock"))

    def _remember(
        self, tuf_root: bytes, start: bytes | None, store: str, ledger: str, fetched: SpooledBytes[str]
    ) -> None:
        write_file(self._root, tuf_root)
        if start is not None:
            write_file(self._start, start)
        write_file(self._about, canonical.dumps({"url": self.url, "store": store, "ledger": ledger}))
        for name in sorted(fetched, key=lambda name: name == "metadata/timestamp.json"):
            write_file(os.path.join(self.mirror, *name.split("/")), fetched.chunks(name))


_PLACE = "pins are kept in --state FOLDER, else below XDG_STATE_HOME, else HOME"


def read_file(path: str) -> bytes | None:
    """A small file's bytes, or None when it is absent."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise os_error(exc, path, writing=False) from exc


def write_file(path: str, data: bytes | Iterable[bytes], mode: int = 0o666) -> None:
    """Write bytes or pieces, whole and durable: temporary file, fsync, rename, fsync of the folder.

    `mode` is before the umask.
    """
    folder = os.path.dirname(path)
    temp = os.path.join(folder, f".tmp-{os.getpid()}-{secrets.token_hex(6)}")
    try:
        make_folder(folder)
        with open(temp, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.writelines((data,) if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temp, path)
        sync_folder(folder)
    except OSError as exc:
        with contextlib.suppress(OSError):
            os.unlink(temp)
        raise unwritable(exc, path) from exc


def own_folder(path: str) -> None:
    """Make a folder below the user's own. Raises NotWritable, StorageUnavailable."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as exc:
        raise unwritable(exc, path) from exc


def unwritable(exc: OSError, path: str) -> CasstoreError:
    """What is kept of a source cannot be kept."""
    told = os_error(exc, path, writing=True)
    return type(told)(told.message, hint=_PLACE)


def _id(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _start_of(name: str) -> int:
    digits = name.removeprefix("tuf-")
    return int(digits) if digits.isdecimal() else 1


def _pins(value: Mapping[str, Any]) -> Pins:
    if value["format"] != FORMAT:
        raise FormatError(f"its format is {str(value['format'])[:60]!r}, not {FORMAT}")
    return Pins(
        store=str(value["store"]),
        ledger=str(value["ledger"]),
        first_trust_root=parse(value["firstTrustRoot"]),
        trust_root_version=_number(value["trustRoot"]["version"]),
        trust_root=parse(value["trustRoot"]["digest"]),
        checkpoint_size=_number(value["checkpoint"]["size"]),
        root_hash=parse(value["checkpoint"]["rootHash"]),
        channels={
            name: PinnedMove(_number(move["number"]), parse(move["digest"])) for name, move in value["channels"].items()
        },
    )


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise FormatError("a number is wanted")
    return value
