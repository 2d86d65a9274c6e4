"""What a consumer remembers between runs, so that nobody can serve it an older or another history.

Promises: pins are written only after everything was verified, whole (temporary file and rename);
damaged state refuses instead of starting afresh. Leaves to others: judging (`verification`).

    STATE/sources/<id>/source.json  1.root.json  tuf/  mirror/     one published URL
    STATE/ledgers/<id>.json                                        pins of one store's ledger
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attest import canonical
from attest.digests import Digest, parse
from attest.errors import CasstoreError, FormatError, VerificationError
from casstore.storage.base import os_error
from casstore.storage.file import make_folder, sync_folder

FORMAT = "casstore-consumer-state/1"


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

    @staticmethod
    def parse(data: bytes) -> Pins:
        """Bytes to pins. Raises FormatError."""
        value = canonical.loads_canonical(data, what="consumer state")
        try:
            return _pins(value)
        except (KeyError, TypeError, AttributeError, CasstoreError) as exc:
            raise FormatError(f"consumer state: {exc}") from exc


class ConsumerState:
    """A folder of pins; one process at a time writes it."""

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

    def save(self, pins: Pins) -> None:
        """Remember; call only after everything was verified."""
        write_file(self._ledger_path(pins.store, pins.ledger), pins.to_bytes())

    def source(self, url: str) -> SourceState:
        """What is remembered of one published URL."""
        return SourceState(os.path.join(self.folder, "sources", _id(url)), url)

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
        self, tuf_root: bytes, start: bytes | None, store: str, ledger: str, fetched: Mapping[str, bytes]
    ) -> None:
        """Pin roots and ledger; keep what was fetched for offline use, the timestamp last."""
        write_file(self._root, tuf_root)
        if start is not None:
            write_file(self._start, start)
        write_file(self._about, canonical.dumps({"url": self.url, "store": store, "ledger": ledger}))
        for name, data in sorted(fetched.items(), key=lambda item: item[0] == "metadata/timestamp.json"):
            write_file(os.path.join(self.mirror, *name.split("/")), data)


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


def write_file(path: str, data: bytes) -> None:
    """Write whole and durable: temporary file, fsync, rename, fsync of the folder."""
    folder = os.path.dirname(path)
    temp = os.path.join(folder, f".tmp-{os.getpid()}-{secrets.token_hex(6)}")
    try:
        make_folder(folder)
        with open(temp, "xb") as file:
            file.write(data)
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
