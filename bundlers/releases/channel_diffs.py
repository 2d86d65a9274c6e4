"""What differs between two channels, or one at two times: files, archives, evidence, policy.

Files are compared by the same function as `casstore diff`, component by component.

    found = diff(store, state, ("prod", "prod", None), ("staging", "staging", None))
    found.added, found.policy
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from attest.digests import Digest
from bundlers.products.references import Target
from bundlers.releases.comparisons import Change, compare
from casstore.ledger.state import LedgerState
from casstore.ledger.views import ReleaseInfo
from casstore.promotion import standings
from casstore.store.store import Store

Asked = tuple[str, str, datetime | int | None]
"""As it was written; the channel's name; when."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two."""

    ref: str
    version: str
    release: Digest

    @property
    def told(self) -> str:
        """Name and version."""
        return f"{self.ref} {self.version}"

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"channel": self.ref, "version": self.version, "release": self.release}


@dataclass(frozen=True, slots=True)
class ArchiveChange:
    """An archive that is other, or on one side only."""

    name: str
    was: str
    before: int | None
    after: int | None

    def told(self, size: Callable[[int], str]) -> str:
        """Names and sizes."""
        if self.before is None or self.after is None:
            sign, only = ("+", self.after) if self.before is None else ("-", self.before)
            return f"{sign} {self.name}  {size(only or 0)}"
        return f"M {self.name}  {size(self.before)} -> {size(self.after)}"

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"name": self.name, "was": self.was or None, "sizeBefore": self.before, "sizeAfter": self.after}


@dataclass(frozen=True, slots=True)
class ChannelDiff:
    """Only what differs; `same` counts the files that do not."""

    old: Side
    new: Side
    archives: tuple[ArchiveChange, ...]
    files: tuple[tuple[str, Change], ...]
    """Component, and a path of it."""
    same: int
    evidence: tuple[tuple[str, str], ...]
    """`+` or `-`, and what it is by whom."""
    policy: tuple[tuple[str, Any, Any], ...]
    """Key, and its value on both sides."""

    def _count(self, sign: str) -> int:
        return sum(change.sign == sign for _, change in self.files)

    @property
    def added(self) -> int:
        """Files only in the new one."""
        return self._count("+")

    @property
    def removed(self) -> int:
        """Files only in the old one."""
        return self._count("-")

    @property
    def changed(self) -> int:
        """Files with other bytes, mode or target."""
        return self._count("M")

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "from": self.old.to_json(),
            "to": self.new.to_json(),
            "archives": [row.to_json() for row in self.archives],
            "files": [{"component": name, **change.to_json()} for name, change in self.files],
            "same": self.same,
            "evidence": [{"sign": sign, "what": what} for sign, what in self.evidence],
            "policy": [{"key": key, "before": before, "after": after} for key, before, after in self.policy],
        }


def diff(store: Store, state: LedgerState, old: Asked, new: Asked) -> ChannelDiff:
    """The difference. Raises NoSuchObject where a channel names, or named, nothing."""
    before, after = (state.releases[standings.release_at(state, name, at)] for _, name, at in (old, new))
    files, same = _files(store, before, after)
    return ChannelDiff(
        Side(old[0], before.version, before.digest),
        Side(new[0], after.version, after.digest),
        _archives(store, before, after),
        files,
        same,
        _evidence(store, state, old, new),
        _policy(state, old, new),
    )


def _files(store: Store, before: ReleaseInfo, after: ReleaseInfo) -> tuple[tuple[tuple[str, Change], ...], int]:
    rows: list[tuple[str, Change]] = []
    same = 0
    for name in sorted({*before.components, *after.components}):
        found = compare(store, _tree(before, name), _tree(after, name))
        rows += [(name, change) for change in found.rows]
        same += found.same
    return tuple(rows), same


def _tree(release: ReleaseInfo, component: str) -> Target:
    tree = release.components.get(component)
    return Target(component) if tree is None else Target(component, tree=tree)


def _archives(store: Store, before: ReleaseInfo, after: ReleaseInfo) -> tuple[ArchiveChange, ...]:
    """Paired by name without the version."""
    old, new = (
        {name.replace(of.version, "VERSION"): (name, digest) for name, digest in of.archives.items()}
        for of in (before, after)
    )
    rows = []
    for key in sorted({*old, *new}):
        (was, gone), (name, come) = old.get(key, ("", None)), new.get(key, ("", None))
        if gone != come:
            sizes = (None if digest is None else store.size(digest) for digest in (gone, come))
            rows.append(ArchiveChange(name or was, was if name else "", *sizes))
    return tuple(rows)


def _evidence(store: Store, state: LedgerState, old: Asked, new: Asked) -> tuple[tuple[str, str], ...]:
    """By kind and signer: each release has attestations of its own."""
    before, after = (
        {standings.evidence_row(store, state, digest).told for digest in standings.evidence_of(state, name, at)}
        for _, name, at in (old, new)
    )
    return (*(("-", row) for row in sorted(before - after)), *(("+", row) for row in sorted(after - before)))


def _policy(state: LedgerState, old: Asked, new: Asked) -> tuple[tuple[str, Any, Any], ...]:
    before, after = (_flat(standings.policy_of(state, name, at)) for _, name, at in (old, new))
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return tuple((key, before.get(key), after.get(key)) for key in keys)


def _flat(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Tables of it by dotted keys."""
    found: dict[str, Any] = {}
    for key, value in policy.items():
        found |= {f"{key}.{inner}": one for inner, one in value.items()} if isinstance(value, dict) else {key: value}
    return found
