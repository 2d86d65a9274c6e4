"""A state written down: fields of which there are few, and the roots of its tables (docs/formats/state.md).

Promises: the same entries give the same bytes of `record`, however the state came about; what was packed is
unpacked with tables that are read row by row. Leaves to others: where rows lie, and who is believed.

    sha256(record(state.fields()))                  # what a seal names as `full`
    Unpacked(roots, rows).fields(packed)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import islice
from typing import Any, Protocol

import msgpack

from attest import digests
from attest.core.values import dataclass
from attest.digests import Digest, is_digest
from attest.errors import BadInput, FormatError
from attest.trust.trust_roots import TrustRoot
from casstore.ledger.entries import Entry
from casstore.ledger.states import row_values
from casstore.ledger.states.channel_states import ChannelState, been_of, moves_of, shared_of
from casstore.ledger.states.row_trie import Trie
from casstore.ledger.states.tables import Log, Table, TableForm, log
from casstore.ledger.states.views import (
    Condemned,
    Dispute,
    Epoch,
    Revocation,
    Sealed,
    Suspension,
    plain,
    publications_of,
)

FORMAT = "casstore-state-record/1"
Fields = dict[str, Any]
"""The fields of a `state.LedgerState` by name."""


class Rows(Protocol):
    """Where leaves, nodes and large values of tables are read."""

    def read(self, name: str, digest: Digest) -> bytes:
        """Checked bytes. Raises StoreDamaged."""

    def since(self, start: int) -> Iterator[Entry]:
        """The entries from a number on that the state stands for."""


TABLES = (
    "components",
    "component_statements",
    "first_puts",
    "last_puts",
    "tree_puts",
    "releases",
    "versions",
    "evidence",
    "recorded",
    "codes",
)
LOGS = ("order", "void", "seals", "trust_entries")
SEALED = "sealed/state"
"""The trie that the last seal names."""

_LEFT_OUT = ("void", "disputed", "epoch", "tries", "bound", "begun")
"""Texts, what a seal cannot follow, and what one reader remembers: no part of what everybody folds alike."""


_ODD = (ValueError, TypeError, LookupError, AttributeError, msgpack.UnpackException)
"""What values of other forms lead to."""


def record(fields: Fields) -> bytes:
    """What the entries of a ledger add up to, as everybody writes it."""
    packed = packed_of({name: value for name, value in fields.items() if name not in _LEFT_OUT})
    data: bytes = msgpack.packb([FORMAT, _in_order(packed)], datetime=True)
    return data


@cache
def _names() -> list[str]:
    from casstore.ledger.states.state import LedgerState

    return sorted(set(LedgerState.__slots__) - set(_LEFT_OUT))


def _in_order(value: Mapping[str, Any]) -> Fields:
    """With names sorted, here and in the maps that are its values."""
    return {name: _in_order(value[name]) if isinstance(value[name], Mapping) else value[name] for name in sorted(value)}


def of_record(data: bytes, roots: Sequence[TrustRoot], rows: Rows) -> Fields:
    """The fields of a state from its record and its trust roots. Raises FormatError."""
    try:
        form, packed = msgpack.unpackb(data, use_list=False, timestamp=3)
        if form != FORMAT or packed["trust_roots"] != len(roots) or sorted(packed) != _names():
            raise FormatError("the record of a state has another format, other names, or other trust roots")
        made = Unpacked(tuple(roots), rows).fields({**packed, **dict.fromkeys(("disputed", "epoch", "tries", "bound"))})
    except _ODD as exc:
        raise FormatError(f"not the record of a state: {exc}") from exc
    void = log("void")
    for number, code in sorted(made["codes"].items()):
        void = void.plus((number, f"it was judged void ({code}) before the seal that this machine began at"))
    return {**made, "void": void}


def trust_files(data: bytes) -> list[tuple[int, Digest]]:
    """(entry, signed file) of each trust root that a record says there is, none of it believed. Raises FormatError."""
    try:
        packed = msgpack.unpackb(data, use_list=False, timestamp=3)[1]
        files, numbers = packed["trust_root_files"], packed["trust_root_entries"]
        if len(files) != len(numbers) or not all(isinstance(number, int) for number in numbers):
            raise FormatError("not the record of a state: its trust roots are no list of entries")
        return [(number, digests.parse(file)) for number, file in zip(numbers, files, strict=True)]
    except (BadInput, *_ODD) as exc:
        raise FormatError(f"not the record of a state: {exc}") from exc


def named_tries(fields: Fields) -> Iterator[tuple[str, Trie]]:
    """The tries of a state's own tables, by name."""
    yield from ((name, fields[name].trie) for name in TABLES)
    yield from ((name, fields[name].rows.trie) for name in LOGS if name in fields)
    for name, channel in fields["channels"].items():
        yield f"history/{name}", channel.history.rows.trie
        yield f"been/{name}", channel.been.trie
        if channel.shared:
            yield f"shared/{name}", channel.shared.trie
    for name, rows in fields["publications"].items():
        yield f"publications/{name}", rows.rows.trie


def packed_of(fields: Fields) -> Fields:
    """What is written of a state: of tables [root, rows]."""
    return {name: _TO.get(name, plain)(value) for name, value in fields.items()}


def _trie(trie: Trie) -> list[Any]:
    return [trie.digest, trie.size]


def _channel(channel: ChannelState) -> list[Any]:
    at = [channel.release, channel.version, channel.move, channel.number, channel.pinned]
    shared = [_trie(channel.shared.trie)] if channel.shared else []
    return [*at, _trie(channel.history.rows.trie), _trie(channel.been.trie), *shared]


def _epoch(epoch: Epoch | None) -> Any:
    """[the state before it, the latest claim, how many entries]."""
    return None if epoch is None else [packed_of(epoch.base().fields()), epoch.latest, epoch.count]


_TO: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(TABLES, lambda table: _trie(table.trie)),
    **dict.fromkeys(LOGS, lambda log: _trie(log.rows.trie)),
    "trust_roots": len,
    "channels": lambda channels: {name: _channel(channel) for name, channel in channels.items()},
    "publications": lambda of: {name: _trie(rows.rows.trie) for name, rows in of.items()},
    "epoch": _epoch,
    "tries": lambda made: None if made is None else [packed_of(made.of.fields()), _trie(made.state), made.full_root],
    "bound": lambda _: None,
}


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Makes fields of what was sealed; rows are read later."""

    roots: tuple[TrustRoot, ...]
    rows: Rows

    def fields(self, packed: Mapping[str, Any]) -> Fields:
        """Of one state."""
        made: Fields = {name: _FROM[name](value) if name in _FROM else value for name, value in packed.items()}
        made["trust_roots"] = self.roots[: packed["trust_roots"]]
        for name in TABLES:
            made[name] = self.table(name, packed[name], *row_values.forms(name, made["trust_roots"]))
        for name in filter(packed.__contains__, LOGS):
            made[name] = Log(self.table(name, packed[name], *row_values.forms(name)))
        made["channels"] = {name: self.channel(name, row) for name, row in packed["channels"].items()}
        made["publications"] = {
            name: Log(self.like(publications_of(name).rows, row)) for name, row in packed["publications"].items()
        }
        made["epoch"] = self.epoch(packed["epoch"])
        made["tries"] = self.tries(packed["tries"])
        return made

    def table(self, name: str, row: Any, to: Callable[[Any], Any], of: Callable[[Any], Any]) -> Table[Any, Any]:
        """One that lies as `row` says."""
        return Table(Trie(TableForm(name, to, of, partial(self.rows.read, name)), _place(row[0]), row[1]))

    def like(self, empty: Table[Any, Any], row: Any) -> Table[Any, Any]:
        """One of the form of an empty one."""
        form: Any = empty.trie.form
        return self.table(form.name, row, form.to, form.of)

    def channel(self, name: str, row: Any) -> ChannelState:
        """One channel."""
        at, (history, been, *shared) = row[:5], row[5:]
        tables = Log(self.like(moves_of(name).rows, history)), self.like(been_of(name), been)
        return ChannelState(name, *[*at, *tables, *(self.like(shared_of(name), one) for one in shared)])

    def epoch(self, row: Any) -> Epoch | None:
        """Its base is unpacked, and its entries are read, only where a bound bites."""
        from casstore.ledger.states.state import LedgerState

        if row is None:
            return None
        packed, latest, count = row
        start: int = packed["count"]

        def entries() -> list[Entry]:
            return list(islice(self.rows.since(start), count))

        return Epoch(cache(lambda: LedgerState(**self.fields(packed))), entries, None, latest, count)

    def tries(self, row: Any) -> Any:
        """What the last seal names."""
        from casstore.ledger.states.state import LedgerState
        from casstore.ledger.states.state_tries import SealedForm, StateTries

        if row is None:
            return None
        packed, (root, size), full = row
        state = Trie(SealedForm(partial(self.rows.read, SEALED)), _place(root), size)
        return StateTries(LedgerState(**self.fields(packed)), state, Digest(full))


def _place(root: Any) -> Digest | None:
    if root is None:
        return None
    if not is_digest(root):
        raise ValueError("no root of a table")
    return Digest(root)


def _revocation(row: Sequence[Any]) -> Revocation:
    return replace(found := Revocation(*row), holders=tuple(found.holders))


_FROM: dict[str, Callable[[Any], Any]] = {
    "revocations": lambda rows: tuple(map(_revocation, rows)),
    "revoked": frozenset,
    "limited": dict,
    "suspensions": lambda rows: tuple(Suspension(*row) for row in rows),
    "condemned": lambda rows: {pack: Condemned(*row) for pack, row in rows.items()},
    "given_up": frozenset,
    "sealed": lambda row: None if row is None else Sealed(*row),
    "disputed": lambda row: None if row is None else Dispute(*row),
}
