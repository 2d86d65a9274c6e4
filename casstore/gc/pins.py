"""Pins: what is kept by hand, though nothing else needs it (docs/formats/gc.md).

Not to be confused with the ledger's pin of a channel, which holds a channel at its release.

    pin = add(store, digest, reason="customer 17 runs it", now=now)
    remove(store, pin.token)
"""

from __future__ import annotations

import functools
import re
import secrets
from datetime import datetime
from typing import Any

from attest import canonical
from attest.core import times
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput, FormatError
from casstore.errors import GivenUp, NoSuchObject, NotWritable, StoreDamaged
from casstore.objects import small_records, twins
from casstore.objects.kinds import Kind
from casstore.store.store import Store

FORMAT = "casstore-pin/1"
PREFIX = "pins/"
_TOKEN = re.compile(r"[0-9a-f]{32}")
_MAX_REASON = 1000


@dataclass(frozen=True, slots=True)
class Pin:
    """One pin."""

    digest: Digest
    reason: str
    time: datetime
    nonce: str

    def to_json(self) -> dict[str, Any]:
        """The JSON value of the object."""
        return small_records.sealed(
            {
                "format": FORMAT,
                "digest": self.digest,
                "reason": self.reason,
                "time": times.format(self.time),
                "nonce": self.nonce,
            }
        )

    @property
    def token(self) -> str:
        """Its name in the store, made of all that it says."""
        return str(self.to_json()["token"])


def parse(raw: bytes) -> Pin:
    """Bytes to pin. Raises FormatError."""
    value = canonical.loads_canonical(raw, what="pin", max_bytes=64 * 1024)
    f = Fields(value, "pin", required=("format", "digest", "reason", "time", "nonce", "token"))
    if f.text("format") != FORMAT or not _TOKEN.fullmatch(f.text("nonce")):
        raise FormatError("pin: not of the format casstore-pin/1")
    if not small_records.is_sealed(value):
        raise FormatError("pin: its token is not that of what it says")
    return Pin(f.digest("digest"), f.text("reason"), f.time("time"), f.text("nonce"))


def add(store: Store, digest: Digest, *, reason: str, now: datetime) -> Pin:
    """Keep an object, and a tree with all that is in it. Raises NoSuchObject; GivenUp when a collection won."""
    if store.read_only:
        raise NotWritable(f"{store.url}: opened for reading only")
    if len(reason) > _MAX_REASON:
        raise BadInput(f"a reason has at most {_MAX_REASON} characters")
    _check_there(store, digest)
    pin = Pin(digest, reason, now, secrets.token_hex(16))
    twins.create(store.storage, PREFIX + pin.token, canonical.dumps(pin.to_json()))
    try:  # the collector reads the pins after it gave packs up: one of the two sees the other
        _check_there(store, digest)
    except NoSuchObject as exc:
        twins.delete(store.storage, [PREFIX + pin.token])
        raise GivenUp(digest) from exc
    return pin


def remove(store: Store, name: str) -> tuple[Pin, ...]:
    """Take away the pin with this token (8 digits or more), or all pins of this digest. Raises NoSuchObject."""
    found = tuple(pin for pin in load(store) if pin.digest == name or (len(name) >= 8 and pin.token.startswith(name)))
    if not found:
        raise NoSuchObject(f"no such pin: {name[:100]}", hint="see casstore pin list")
    if store.read_only:
        raise NotWritable(f"{store.url}: opened for reading only")
    twins.delete(store.storage, [PREFIX + pin.token for pin in found])
    return found


def load(store: Store) -> list[Pin]:
    """All pins, oldest first. Raises StoreDamaged for one that cannot be read: what it keeps is not known."""
    found = []
    for key in twins.names(store.storage, PREFIX, _TOKEN):
        try:
            found.append(twins.read(store.storage, key, functools.partial(_named, key)))
        except NoSuchObject:
            continue  # taken away meanwhile
        except FormatError as exc:
            raise StoreDamaged(f"{key}: {exc.message}", hint="copy it back from another copy of the store") from exc
    return sorted(found, key=lambda pin: (pin.time, pin.token))


def _named(key: str, raw: bytes) -> Pin:
    pin = parse(raw)
    if key != PREFIX + pin.token:
        raise FormatError("pin: it has the name of another one")
    return pin


def _check_there(store: Store, digest: Digest) -> None:
    """The object, and all that is in it, is there."""
    if not store.has(digest):
        raise NoSuchObject(f"{digest}: no such object in this store")
    if store.kind(digest) is Kind.TREE:
        for _, entry in store.walk_all(digest):
            if entry.kind != "link" and not store.has(entry.content):
                raise NoSuchObject(f"{entry.content}: no such object in this store, though {digest} names it")
