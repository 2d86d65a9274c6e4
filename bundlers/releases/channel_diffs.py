"""What differs between two channels, or one at two times: files, archives, evidence, policy.

Archives and files are compared by the function that approvers see.

    found = diff(store, state, ("prod", "prod", None), ("staging", "staging", None))
    found.rows, found.policy
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest
from bundlers.releases import setting_changes
from bundlers.releases.setting_changes import SettingChange
from casstore.ledger.release_diffs import ReleaseDiff, release_diff
from casstore.ledger.states.channel_states import Move
from casstore.ledger.states.state import LedgerState
from casstore.ledger.states.views import ReleaseInfo
from casstore.objects import tree_changes
from casstore.objects.tree_changes import DiffRow, FileChange
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
    canary: Move | None = None
    """What a share of the channel has instead, which is not compared."""

    @property
    def told(self) -> str:
        """Name and version."""
        beside = "" if self.canary is None else f" ({self.canary.version} for {self.canary.share}%)"
        return f"{self.ref} {self.version}{beside}"

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        canary = None if self.canary is None else {"version": self.canary.version, "share": self.canary.share}
        return {"channel": self.ref, "version": self.version, "release": self.release, "canary": canary}


@dataclass(frozen=True, slots=True)
class ChannelDiff:
    """Only what differs."""

    old: Side
    new: Side
    release: ReleaseDiff
    """As approvers see it."""
    alone: tuple[FileChange, ...]
    """Files of components that only one of them has."""
    evidence: tuple[tuple[str, str], ...]
    """`+` or `-`, and what it is by whom."""
    policy: tuple[tuple[str, Any, Any], ...]
    """Key, and its value on both sides."""
    settings: tuple[SettingChange, ...] = ()
    """Of gates, isolation and consumers."""

    @property
    def rows(self) -> tuple[DiffRow, ...]:
        """Settings, archives, what was taken, files, for people."""
        return (*(change.told for change in self.settings), *self.release.rows, *(change.told for change in self.alone))

    @property
    def told(self) -> str:
        """How many."""
        count = {sign: sum(row.sign == sign for row in self.rows) for sign in "+-~"}
        return f"{count['+']} added, {count['-']} removed, {count['~']} changed"

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "from": self.old.to_json(),
            "to": self.new.to_json(),
            "settings": [change.to_json() for change in self.settings],
            "archives": [dict(row) for row in self.release.archives],
            "taken": dict(self.release.taken),
            "files": [change.to_json() for change in (*self.release.files, *self.alone)],
            "evidence": [{"sign": sign, "what": what} for sign, what in self.evidence],
            "policy": [{"key": key, "before": before, "after": after} for key, before, after in self.policy],
        }


def diff(store: Store, state: LedgerState, old: Asked, new: Asked) -> ChannelDiff:
    """The difference. Raises NoSuchObject where a channel names, or named, nothing."""
    before, after = (state.releases[standings.release_at(state, name, at)] for _, name, at in (old, new))
    return ChannelDiff(
        Side(old[0], before.version, before.digest, standings.canary_at(state, *old[1:])),
        Side(new[0], after.version, after.digest, standings.canary_at(state, *new[1:])),
        release_diff(store, before.digest, after.digest),
        tuple(alone(store, before, after)),
        _evidence(store, state, old, new),
        _policy(state, old, new),
        setting_changes.changes(store, before.digest, after.digest),
    )


def alone(store: Store, before: ReleaseInfo, after: ReleaseInfo) -> Iterator[FileChange]:
    """The files of components that only one of two releases has."""
    for name in sorted(before.components.keys() ^ after.components.keys()):
        yield from tree_changes.of_trees(store, name, before.components.get(name), after.components.get(name))


def _evidence(store: Store, state: LedgerState, old: Asked, new: Asked) -> tuple[tuple[str, str], ...]:
    """By kind and signer: each release has attestations of its own."""
    before, after = (
        {standings.evidence_row(store, state, digest).told for digest in standings.evidence_of(state, name, at)}
        for _, name, at in (old, new)
    )
    return (*(("-", row) for row in sorted(before - after)), *(("+", row) for row in sorted(after - before)))


def _policy(state: LedgerState, old: Asked, new: Asked) -> tuple[tuple[str, Any, Any], ...]:
    before, after = (_flat(standings.policy_of(state, name, at)) for _, name, at in (old, new))
    return _differing(before, after)


def policy_between(
    state: LedgerState, channel: str, old: datetime | int | None, new: datetime | int | None
) -> tuple[tuple[str, Any, Any], ...]:
    """What changed in the signed policy of a channel between two times."""
    return _policy(state, (channel, channel, old), (channel, channel, new))


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[tuple[str, Any, Any], ...]:
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return tuple((key, before.get(key), after.get(key)) for key in keys)


def _flat(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Tables of it by dotted keys."""
    found: dict[str, Any] = {}
    for key, value in policy.items():
        found |= {f"{key}.{inner}": one for inner, one in value.items()} if isinstance(value, dict) else {key: value}
    return found
