"""One ledger entry: values and their one encoding (docs/formats/ledger-entry.md).

Reading takes canonical bytes only. What an entry means, and whether its statement holds, is
left to `state`.

    entry = make(7, last.digest, nonce, now, EntryKind.PROMOTE, statement, channel="staging")
    parse(entry.raw) == entry
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import field
from datetime import datetime
from typing import Any

from attest import canonical, digests
from attest.core import times
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput, CasstoreError, FormatError, TooNew
from casstore.objects import small_records

FORMAT = "casstore-entry/1"
MAX_BYTES = 65_536
MAX_PACKS = 512
PACK_LIST_FORMAT = "casstore-pack-list/1"

_NONCE = re.compile(r"[0-9a-f]{32}")
_CHANNEL = re.compile(r"(?!v[0-9])[a-z][a-z0-9_-]{0,63}")
_NUMBER = re.compile(r"[0-9]{20}")
_LEDGER = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_REQUIRED = frozenset({"format", "number", "prev", "nonce", "token", "time", "kind", "statement"})
_OPTIONAL = frozenset({"channel", "packs", "packList"})


class EntryKind(enum.StrEnum):
    """What an entry does."""

    GENESIS = "genesis"
    TRUST_ROOT = "trust-root"
    COMPONENT = "component"
    RELEASE = "release"
    EVIDENCE = "evidence"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    PIN = "pin"
    UNPIN = "unpin"
    PUBLISH = "publish"
    REVOKE = "revoke"
    SUSPEND = "suspend"
    REHEARSAL = "rehearsal"
    CONDEMN = "condemn"
    DELETE = "delete"
    SEAL = "seal"


TRUST = frozenset({EntryKind.GENESIS, EntryKind.TRUST_ROOT, EntryKind.REVOKE, EntryKind.SUSPEND})
"""Kinds that say who and what counts."""
ROOTS = frozenset({EntryKind.GENESIS, EntryKind.TRUST_ROOT})
"""Those that bring a trust root."""
MOVES = frozenset({EntryKind.PROMOTE, EntryKind.ROLLBACK, EntryKind.PIN, EntryKind.UNPIN})
"""The kinds that change a channel; each one needs `channel`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A ledger entry; `raw` are its stored bytes, made by `make` or taken by `parse`."""

    number: int
    prev: Digest
    nonce: str
    time: datetime
    kind: EntryKind
    statement: Digest
    channel: str | None = None
    packs: tuple[Digest, ...] = ()
    pack_list: Digest | None = None
    raw: bytes = field(default=b"", repr=False, compare=False)

    @property
    def digest(self) -> Digest:
        """Names this entry in `prev` and in a move's `from`."""
        return digests.sha256(self.raw)

    def to_json(self) -> dict[str, Any]:
        """The JSON value, absent fields left out, with the token that shows a flipped bit."""
        value: dict[str, Any] = {
            "format": FORMAT,
            "number": self.number,
            "prev": self.prev,
            "nonce": self.nonce,
            "time": times.format(self.time),
            "kind": str(self.kind),
            "statement": self.statement,
        }
        if self.channel is not None:
            value["channel"] = self.channel
        if self.packs:
            value["packs"] = list(self.packs)
        if self.pack_list is not None:
            value["packList"] = self.pack_list
        return small_records.sealed(value)


def make(
    number: int,
    prev: Digest,
    nonce: str,
    time: datetime,
    kind: EntryKind,
    statement: Digest,
    *,
    channel: str | None = None,
    packs: Sequence[Digest] = (),
    pack_list: Digest | None = None,
) -> Entry:
    """An entry with its bytes. Raises FormatError for what the format does not allow."""
    draft = Entry(number, prev, nonce, time, kind, statement, channel, tuple(sorted(packs)), pack_list)
    return parse(canonical.dumps(draft.to_json()))


def parse(raw: bytes) -> Entry:
    """Bytes to entry. Raises FormatError, TooNew."""
    value = canonical.loads_canonical(raw, what="ledger entry", max_bytes=MAX_BYTES)
    if not small_records.is_sealed_bytes(raw):
        raise FormatError("ledger entry: its token is not that of what it says")
    _check_format(value.get("format"))
    if unknown := value.keys() - _REQUIRED - _OPTIONAL:
        raise FormatError(f"ledger entry: unknown field {min(unknown)!r}")
    if missing := _REQUIRED - value.keys():
        raise FormatError(f"ledger entry: the field {min(missing)!r} is missing")
    try:
        return _from_json(value, raw)
    except FormatError:
        raise
    except (CasstoreError, ValueError, TypeError) as exc:
        raise FormatError(f"ledger entry {value['number']}: {exc}") from exc


def key(ledger: str, number: int) -> str:
    """The storage key of an entry. Raises FormatError for a name that no ledger has."""
    if not _LEDGER.fullmatch(ledger):
        raise FormatError(f"not a ledger's name: {ledger[:80]!r}", hint="use a-z, 0-9, dot, dash, underscore")
    return f"ledgers/{ledger}/{number:020d}"


def place_of(key: str) -> tuple[str, int] | None:
    """(ledger, number) by a storage key; None for a key that no entry has."""
    top, _, rest = key.partition("/")
    ledger, _, number = rest.partition("/")
    if top != "ledgers" or not _LEDGER.fullmatch(ledger) or not _NUMBER.fullmatch(number):
        return None
    return ledger, int(number)


def pack_list(packs: Sequence[Digest]) -> bytes:
    """The blob that `packList` names."""
    return canonical.dumps({"format": PACK_LIST_FORMAT, "packs": sorted(packs)})


def parse_pack_list(raw: bytes, *, empty: bool = False) -> tuple[Digest, ...]:
    """The packs of such a blob; `empty` = it may have none. Raises FormatError."""
    value = canonical.loads_canonical(raw, what="pack list")
    if value.keys() != {"format", "packs"} or value["format"] != PACK_LIST_FORMAT:
        raise FormatError("pack list: not of the format casstore-pack-list/1")
    try:
        return () if empty and value["packs"] == [] else _packs(value["packs"])
    except BadInput as exc:
        raise FormatError(f"pack list: {exc.message}") from exc


def _check_format(value: object) -> None:
    if value == FORMAT:
        return
    if isinstance(value, str) and re.fullmatch(r"casstore-entry/[1-9][0-9]*", value):
        raise TooNew(f"the ledger has an entry of the format {value}", hint="use a newer casstore")
    raise FormatError(f"ledger entry: format is {str(value)[:80]!r}")


def _from_json(value: dict[str, Any], raw: bytes) -> Entry:
    number, nonce, kind, channel = value["number"], value["nonce"], EntryKind(value["kind"]), value.get("channel")
    if type(number) is not int or number < 0:
        raise FormatError(f"ledger entry: number is {str(number)[:40]!r}")
    if not isinstance(nonce, str) or not _NONCE.fullmatch(nonce):
        raise FormatError(f"ledger entry {number}: nonce is not 32 lowercase hex digits")
    if channel is not None and not (isinstance(channel, str) and _CHANNEL.fullmatch(channel)):
        raise FormatError(f"ledger entry {number}: not a channel's name: {str(channel)[:80]!r}")
    if kind in MOVES and channel is None:
        raise FormatError(f"ledger entry {number}: a {kind} entry names no channel")
    prev = digests.parse(value["prev"])
    if (number == 0) != (prev == digests.ZERO):
        raise FormatError(f"ledger entry {number}: prev is {prev}")
    return Entry(
        number,
        prev,
        nonce,
        times.parse(value["time"]),
        kind,
        digests.parse(value["statement"]),
        channel,
        _packs(value["packs"]) if "packs" in value else (),
        digests.parse(value["packList"]) if "packList" in value else None,
        raw,
    )


def _packs(value: object) -> tuple[Digest, ...]:
    if not isinstance(value, list) or not value:
        raise FormatError("ledger entry: packs is no list of digests, or empty")
    packs = tuple(digests.parse(item) for item in value)
    if list(packs) != sorted(set(packs)):
        raise FormatError("ledger entry: packs are not sorted, or one is named twice")
    return packs
