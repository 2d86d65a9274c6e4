"""How the values of a state's tables are written where it is saved (docs/formats/index.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from attest.judging.explained import Explained
from attest.judging.records import Record
from attest.trust.trust_roots import TrustRoot
from casstore.ledger.states.views import ReleaseInfo, plain

Forms = tuple[Callable[[Any], Any], Callable[[Any], Any]]


def _same(value: Any) -> Any:
    return value


def _release(row: Any) -> ReleaseInfo:
    return replace(ReleaseInfo(*row[:-1]), explained=tuple(Explained(*item) for item in row[-1]))


def _record(record: Record) -> tuple[Any, ...]:
    return record.number, record.at, record.trust_root.version, record.ends


def records_under(roots: tuple[TrustRoot, ...]) -> Callable[[Any], Record]:
    """A record names its trust root by version."""
    by_version: Mapping[int, TrustRoot] = {root.version: root for root in roots}

    def record(row: Any) -> Record:
        number, at, version, ends = row
        return Record(number, at, by_version[version], ends)

    return record


def forms(name: str, roots: tuple[TrustRoot, ...] = ()) -> Forms:
    """(value to plain, plain to value) of a table."""
    if name == "releases":
        return plain, _release
    if name == "recorded":
        return _record, records_under(roots)
    return _same, _same
