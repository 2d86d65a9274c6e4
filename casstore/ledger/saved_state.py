"""A folded state as bytes and back, so that the next command folds only what is new (docs/formats/index.md).

A saved state counts only for who saved it: it carries a keyed hash under a secret of this user, which lies in
the user's own cache folder, not in the store. So nobody who can write to a store, or to the index beside it,
can put a state before us that we did not fold ourselves. It also names the code that folded it: other rules
fold again. Whatever does not fit is ignored.

    fields = load(ledger, store.store_id, sigstore_root)      # of a LedgerState, or None
    keep(ledger, fields_after, sigstore_root)
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from itertools import groupby
from typing import Any

import msgpack

import attest
from attest import canonical
from attest.digests import Digest
from attest.errors import CasstoreError
from attest.judging.decisions import Record
from attest.judging.explained import Explained
from attest.trust import trust_roots
from attest.trust.trust_roots import TrustRoot
from casstore.ledger import entries
from casstore.ledger.log import Ledger
from casstore.ledger.views import (
    ChannelState,
    Condemned,
    Dispute,
    Epoch,
    Move,
    Publication,
    ReleaseInfo,
    Revocation,
    Sealed,
    Suspension,
)
from casstore.machine import user_secrets

FORMAT = "casstore-state/4"
_RARELY = 200
"""A state is saved anew when more than the 200th part of its entries was folded: saving costs as much as that."""
_BESIDE = ("store/attestations.py", "errors.py")
"""What rules use of casstore beside the ledger's own folder."""


Fields = dict[str, Any]
"""The fields of a `state.LedgerState` by name."""


def load(ledger: Ledger, store: str, sigstore_root: bytes | None) -> Fields | None:
    """What this user folded before of this very ledger. Raises StoreDamaged where the ledger is not what it was."""
    kept = _kept()
    data = None if kept is None else ledger.cache.load_state(_row(kept[0], sigstore_root))
    if kept is None or data is None or (body := user_secrets.unseal(kept[0], data)) is None:
        return None
    fields = decode(body, kept[1], sigstore_root, store, ledger.name)
    if fields is None or not ledger.resume(fields["count"], fields["tip"]):
        return None
    ledger.saved[sigstore_root] = fields["count"]
    return fields


def keep(ledger: Ledger, fields: Fields, sigstore_root: bytes | None) -> None:
    """Save a state, when folding what is new in it was work enough."""
    count: int = fields["count"]
    if count - ledger.saved.get(sigstore_root, 0) <= count // _RARELY:
        return
    kept = _kept()
    if kept is not None:
        ledger.saved[sigstore_root] = count
        body = encode(fields, kept[1], sigstore_root)
        ledger.cache.put_state(_row(kept[0], sigstore_root), user_secrets.seal(kept[0], body))


def _kept() -> tuple[bytes, str] | None:
    """(this user's secret, the code's version), or None where states are not kept."""
    try:
        return user_secrets.own(), code_version()
    except OSError:
        return None


def _row(secret: bytes, sigstore_root: bytes | None) -> bytes:
    """A name for each user and each sigstore root."""
    return hashlib.blake2b(sigstore_root or b"", key=secret, digest_size=8, person=b"row").digest()


@cache
def code_version() -> str:
    """The digest of all sources that judge entries. Raises OSError where there are none."""
    ledger = os.path.dirname(os.path.abspath(__file__))
    above = os.path.dirname(ledger)
    attest_folder = os.path.dirname(os.path.abspath(attest.__file__))
    paths = [*_sources(attest_folder), *_sources(ledger), *(os.path.join(above, name) for name in _BESIDE)]
    hasher = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            hasher.update(hashlib.sha256(file.read()).digest())
    return hasher.hexdigest()


def _sources(folder: str) -> list[str]:
    found = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names if name.endswith(".py")]
    if not found:
        raise FileNotFoundError(folder)
    return sorted(found)


def encode(fields: Fields, code: str, sigstore_root: bytes | None) -> bytes:
    """All of a state."""
    plain = _packable(fields)
    binding = _binding(code, sigstore_root, fields["store"], fields["ledger"])
    body: bytes = msgpack.packb([*binding, plain], datetime=True)
    return body


def decode(body: bytes, code: str, sigstore_root: bytes | None, store: str, ledger: str) -> Fields | None:
    """The fields of the state, unless it is another format's, code's, sigstore root's, store's or ledger's."""
    try:
        *binding, fields = msgpack.unpackb(body, use_list=False, timestamp=3)
        if binding != _binding(code, sigstore_root, store, ledger):
            return None
        return _fields(fields)
    except (ValueError, TypeError, LookupError, msgpack.UnpackException, CasstoreError):
        return None


def _packable(fields: Fields) -> Fields:
    return {name: _TO.get(name, _plain)(value) for name, value in fields.items()}


def _fields(packed: Mapping[str, Any]) -> Fields:
    roots = tuple(_trust_root(raw) for raw in packed["trust_roots"])
    packed = {**packed, "trust_roots": roots, "recorded": _recorded_from(packed["recorded"], roots)}
    return {name: _FROM[name](value) if name in _FROM else value for name, value in packed.items()}


def _epoch(epoch: Epoch | None) -> Any:
    """[the state before it, its entries, the latest claim]; the state is unpacked only where a bound bites."""
    if epoch is None:
        return None
    base = msgpack.packb(_packable(epoch.base().fields()), datetime=True)
    return [base, [entry.raw for entry in epoch.entries], epoch.latest]


def _epoch_from(row: Any) -> Epoch | None:
    from casstore.ledger.state import LedgerState

    if row is None:
        return None
    packed, raws, latest = row
    last: Any = None
    for raw in raws:
        last = (entries.parse(raw), last)
    return Epoch(
        lambda: LedgerState(**_fields(msgpack.unpackb(packed, use_list=False, timestamp=3))), last, latest, len(raws)
    )


def _binding(code: str, sigstore_root: bytes | None, store: str, ledger: str) -> list[str]:
    judged_by = "" if sigstore_root is None else hashlib.sha256(sigstore_root).hexdigest()
    return [FORMAT, code, judged_by, store, ledger]


def _plain(value: Any) -> Any:
    """A value as msgpack has it: mappings as maps, sets sorted, our own values as their fields in order."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (frozenset, set)):
        return sorted(value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if hasattr(value, "__slots__") and not isinstance(value, (str, bytes, datetime)):
        return [_plain(getattr(value, name)) for name in value.__slots__]
    return value


def _pairs(value: Mapping[tuple[str, str], str]) -> list[tuple[str, str, str]]:
    return [(*key, item) for key, item in value.items()]


def _from_pairs(rows: Any) -> dict[tuple[str, str], Any]:
    return {(version, name): item for version, name, item in rows}


def _channel(row: Any) -> ChannelState:
    return replace(ChannelState(*row[:-1]), history=tuple(Move(*move) for move in row[-1]))


def _release(row: Any) -> ReleaseInfo:
    return replace(ReleaseInfo(*row[:-1]), explained=tuple(Explained(*item) for item in row[-1]))


def _trust_root(raw: bytes) -> TrustRoot:
    return trust_roots.parse(canonical.loads_object(raw, what="trust root"))


def _recorded(recorded: Mapping[Digest, Record]) -> list[Any]:
    """[entry, time, version of the trust root, end, attestations] of runs that share a record."""
    runs = groupby(recorded.items(), key=lambda item: _shared(item[1]))
    return [[*shared, [digest for digest, _ in run]] for shared, run in runs]


def _shared(record: Record) -> tuple[int, datetime, int, datetime | None]:
    return record.number, record.at, record.trust_root.version, record.ends


def _recorded_from(rows: Any, roots: tuple[TrustRoot, ...]) -> dict[Digest, Record]:
    by_version = {root.version: root for root in roots}
    found: dict[Digest, Record] = {}
    for number, at, version, ends, attestations in rows:
        found |= dict.fromkeys(attestations, Record(number, at, by_version[version], ends))
    return found


def _revocation(row: Sequence[Any]) -> Revocation:
    return replace(found := Revocation(*row), holders=tuple(found.holders))


_TO: dict[str, Callable[[Any], Any]] = {
    "trust_roots": lambda roots: [canonical.dumps(root.to_json()) for root in roots],
    "components": _pairs,
    "component_statements": _pairs,
    "recorded": _recorded,
    "codes": lambda codes: list(codes.items()),
    "epoch": _epoch,
    "bound": lambda _: None,
}
_FROM: dict[str, Callable[[Any], Any]] = {
    "components": _from_pairs,
    "component_statements": _from_pairs,
    "releases": lambda rows: {digest: _release(row) for digest, row in rows.items()},
    "channels": lambda rows: {name: _channel(row) for name, row in rows.items()},
    "publications": lambda rows: {name: tuple(Publication(*row) for row in of) for name, of in rows.items()},
    "revocations": lambda rows: tuple(map(_revocation, rows)),
    "revoked": frozenset,
    "limited": dict,
    "suspensions": lambda rows: tuple(Suspension(*row) for row in rows),
    "condemned": lambda rows: {pack: Condemned(*row) for pack, row in rows.items()},
    "given_up": frozenset,
    "codes": dict,
    "sealed": lambda row: None if row is None else Sealed(*row),
    "disputed": lambda row: None if row is None else Dispute(*row),
    "epoch": _epoch_from,
}
