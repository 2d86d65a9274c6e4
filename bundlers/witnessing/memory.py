"""What a witness remembers: the last checkpoint that it signed, its own copy of the ledger, and evidence.

Promises: written whole and durable; what is damaged refuses instead of starting afresh; one run at a time. It must lie
where only the witness writes. Leaves to others: what may be signed (`witness`).

    memory = Memory("/var/lib/witness")
    with memory.locked():
        memory.load()                   # Remembered, or None
"""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from attest import canonical
from attest.core import times
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest, hex_of, sha256
from attest.errors import CasstoreError, VerificationError
from attest.statements.envelopes import decode_base64
from bundlers.consuming.state import read_file, write_file
from casstore.errors import Conflict, NotWritable
from casstore.machine import locks
from casstore.objects import small_records, store_config
from casstore.objects.store_config import StoreConfig, StoreOptions
from casstore.storage import open_storage
from casstore.storage.base import os_error
from casstore.storage.file import make_folder
from casstore.store.store import Store

FORMAT = "casstore-witness-memory/2"
EVIDENCE_FORMAT = "casstore-witness-evidence/1"
_RETIRE = "its key must sign no more: the owners name another one (keys ceremony draft --witness)"


@dataclass(frozen=True, slots=True)
class Remembered:
    """The last checkpoint that was signed, by whom, and by which trust root."""

    name: str
    kind: str
    key: str
    """The identity of the witness's key."""
    store: str
    ledger: str
    first_trust_root: Digest
    trust_root_version: int
    trust_root: Digest
    size: int
    root_hash: Digest
    note: bytes
    """The note with the witness's line."""

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "format": FORMAT,
            "name": self.name,
            "kind": self.kind,
            "key": self.key,
            "store": self.store,
            "ledger": self.ledger,
            "firstTrustRoot": self.first_trust_root,
            "trustRoot": {"version": self.trust_root_version, "digest": self.trust_root},
            "checkpoint": {"size": self.size, "rootHash": self.root_hash},
            "note": _base64(self.note),
        }

    def to_bytes(self) -> bytes:
        """Canonical bytes, with a token that shows a flipped bit."""
        return canonical.dumps(small_records.sealed(self.to_json()))


@dataclass(frozen=True, slots=True)
class Proof:
    """What the entries under the larger of two checkpoints have at the size of the smaller one."""

    root_hash: Digest
    hashes: tuple[bytes, ...]
    """That the larger root hash goes on from this one."""

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {"rootHash": self.root_hash, "hashes": [_base64(one) for one in self.hashes]}


class Memory:
    """A folder of the witness's own."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.abspath(folder)
        self._path = os.path.join(self.folder, "memory.json")
        self._evidence = os.path.join(self.folder, "evidence")
        self.incoming = os.path.join(self.folder, "incoming")
        """What one run fetches; gone after it."""

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One run at a time. Raises Conflict while there is another one, NotWritable where nothing can be locked."""
        path = os.path.join(self.folder, ".lock")
        try:
            make_folder(self.folder)
            file = open(path, "ab")  # noqa: SIM115 - closed below
        except OSError as exc:
            raise os_error(exc, path, writing=True) from exc
        with file:
            try:
                locks.take(file.fileno(), wait=False)
            except BlockingIOError as exc:
                raise Conflict(f"{self.folder}: another run of this witness is at work", hint="let it end") from exc
            except (locks.NoLocks, OSError) as exc:
                raise NotWritable(
                    f"{path}: cannot be locked, and two runs at once could sign two histories",
                    hint="keep the memory in a folder of this machine",
                ) from exc
            yield

    def load(self) -> Remembered | None:
        """What is remembered; None in a new folder. Raises VerificationError when it is damaged."""
        data = read_file(self._path)
        if data is None:
            if os.path.isdir(os.path.join(self.folder, "store")) and self._has_entries():
                raise VerificationError(f"{self._path} is gone, and the ledger beside it is not empty", hint=_RETIRE)
            return None
        try:
            return _parse(data)
        except CasstoreError as exc:
            raise VerificationError(f"{self._path}: is damaged: {exc.message}", hint=_RETIRE) from exc

    def save(self, remembered: Remembered) -> None:
        """Whole and durable on return."""
        write_file(self._path, remembered.to_bytes())

    def accuse(self, what: str, notes: Sequence[bytes], now: datetime, proof: Proof | None = None) -> str:
        """Keep signed notes that contradict each other, or their own ledger; the path."""
        value = {
            "format": EVIDENCE_FORMAT,
            "what": what,
            "found": times.format(now),
            "notes": [_base64(note) for note in notes],
            **({"proof": proof.to_json()} if proof else {}),
        }
        path = os.path.join(self._evidence, f"{hex_of(sha256(b''.join(notes)))[:16]}.json")
        if read_file(path) is None:
            write_file(path, canonical.dumps(value))
        return path

    def evidence(self) -> tuple[str, ...]:
        """The files that nobody took away yet."""
        try:
            names = sorted(os.listdir(self._evidence))
        except FileNotFoundError:
            return ()
        return tuple(os.path.join(self._evidence, name) for name in names if name.endswith(".json"))

    def open_store(self, store_id: str) -> Store:
        """The witness's own copy of the ledger's store; made where it is not there yet. Raises VerificationError."""
        storage = open_storage(os.path.join(self.folder, "store"), create=True)
        if storage.size(store_config.KEY) is None:
            storage.create(store_config.KEY, StoreConfig(store_id, StoreOptions()).to_bytes())
        config = store_config.load(storage)
        if config.store_id != store_id:
            raise VerificationError(f"{storage.url}: is a copy of the store {config.store_id}, not of {store_id}")
        return Store(storage, config)

    def _has_entries(self) -> bool:
        return os.path.isdir(os.path.join(self.folder, "store", "ledgers"))


def _parse(data: bytes) -> Remembered:
    names = ("format", "name", "kind", "key", "store", "ledger", "firstTrustRoot", "trustRoot", "checkpoint", "note")
    value = canonical.loads_canonical(data, what="memory")
    if not small_records.is_sealed(value):
        raise VerificationError("its token is not that of what it says")
    f = Fields(value, "memory", required=(*names, small_records.TOKEN))
    if f.text("format") != FORMAT:
        raise VerificationError(f"its format is {f.text('format')[:60]!r}, not {FORMAT}")
    root = Fields(f.mapping("trustRoot"), "memory: trustRoot", required=("version", "digest"))
    checkpoint = Fields(f.mapping("checkpoint"), "memory: checkpoint", required=("size", "rootHash"))
    return Remembered(
        f.text("name"),
        f.text("kind"),
        f.text("key"),
        f.text("store"),
        f.text("ledger"),
        f.digest("firstTrustRoot"),
        root.integer("version", least=1),
        root.digest("digest"),
        checkpoint.integer("size", least=1),
        checkpoint.digest("rootHash"),
        decode_base64(f.text("note"), "memory: note"),
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
