"""What an approver reads before signing: the very diff that is signed, and what stands behind it.

Beside archives and files: lines of texts that differ, packages and licences that came with it by the bills of
materials that the ledger took in, and what changed in the channel's policy since it was
moved last. Promises: the diff is `release_diff`, whose digest the approval carries; nothing is signed here.

    seen = review(store, state, "prod", "1.4.0")
    for row in lines(store, seen, texts=True): ...
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from attest import digests
from attest.core import limits
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import CasstoreError
from attest.statements import predicates
from bundlers.products import dependencies
from bundlers.products.dependencies import Compared, Package
from bundlers.releases import channel_diffs, differences, setting_changes
from bundlers.releases.setting_changes import SettingChange
from casstore.ledger.release_diffs import ReleaseDiff, release_diff
from casstore.ledger.requests import rolled_back
from casstore.ledger.states.state import LedgerState
from casstore.ledger.states.views import ReleaseInfo
from casstore.objects.tree_changes import FileChange
from casstore.promotion.services import next_step
from casstore.store.attestations import id_of, parse_unverified
from casstore.store.store import Store

_BILLS = ("cyclonedx", "spdx")
_CALLED = re.compile(r"(?i)licen[cs]e|copying|copyright|notice|eula")
_LICENCE_TEXT = 1024 * 1024
_SHOWN = 50
"""Packages in a row of people; --json has all."""
_PATCHES = 500
"""Files whose lines are shown: more than anybody reads at once."""


@dataclass(frozen=True, slots=True)
class Bills:
    """What the bills of materials of one release name."""

    packages: frozenset[Package]
    count: int
    """How many bills of materials were read."""


@dataclass(frozen=True, slots=True)
class Review:
    """One channel, and what would be signed for it."""

    channel: str
    held: str
    """The version that it names now; empty for none."""
    version: str
    diff: ReleaseDiff
    before: Bills
    after: Bills
    packages: Compared
    policy: tuple[tuple[str, Any, Any], ...]
    """Key, value when the channel was moved last, value now."""
    settings: tuple[SettingChange, ...] = ()
    """Of gates, isolation and consumers."""
    alone: tuple[FileChange, ...] = ()
    """Files of components that only one of the two releases has."""
    licence_texts: tuple[tuple[str, str], ...] = ()
    """File, and its first words: texts of licences that came or changed."""
    rolled_back: tuple[tuple[str, str], ...] = ()
    """Channel that was rolled back from this release, and why."""
    share: int | None = None
    """The percentage of the channel's consumers that gets it next; None: all of them."""

    @property
    def files(self) -> tuple[FileChange, ...]:
        """All that differ."""
        return (*self.diff.files, *self.alone)

    @property
    def same_as(self) -> tuple[Digest, int | None, tuple[tuple[str, str, str], ...]]:
        """Equal for channels of which the very same is shown."""
        return self.diff.digest, self.share, tuple((key, str(before), str(after)) for key, before, after in self.policy)

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "channel": self.channel,
            "holds": self.held or None,
            "version": self.version,
            "diff": self.diff.to_json(),
            "diffDigest": self.diff.digest,
            "settings": [change.to_json() for change in self.settings],
            "billsOfMaterials": {"before": self.before.count, "after": self.after.count},
            "alone": [change.to_json() for change in self.alone],
            "packages": self.packages.to_json(),
            "licenceTexts": [{"file": name, "title": title} for name, title in self.licence_texts],
            "rolledBack": dict(self.rolled_back),
            "share": self.share,
            "policy": [{"key": key, "before": before, "after": after} for key, before, after in self.policy],
        }


def review(store: Store, state: LedgerState, channel: str, release: str, action: str = "promote") -> Review:
    """Raises NoSuchObject."""
    info, at = state.find_release(release), state.channel(channel)
    held = state.releases[at.release] if at.release is not None else None
    before = _bills(store, state, held) if held else Bills(frozenset(), 0)
    after = _bills(store, state, info)
    diff = release_diff(store, at.release, info.digest)
    alone = tuple(channel_diffs.alone(store, held, info)) if held else ()
    return Review(
        channel,
        held.version if held else "",
        info.version,
        diff,
        before,
        after,
        dependencies.compare(before.packages, after.packages),
        channel_diffs.policy_between(state, channel, at.number, None) if held else (),
        setting_changes.changes(store, at.release, info.digest),
        alone,
        tuple(_licence_texts(store, (*diff.files, *alone))),
        tuple(sorted(rolled_back(state, info.digest).items())),
        next_step(state, at, action),
    )


def lines(store: Store, seen: Review, *, texts: bool) -> Iterator[str]:
    """For people, what weighs most first; `texts`: also the lines of texts that differ."""
    share = "" if seen.share is None else f", for {seen.share}% of its consumers"
    yield f"{seen.channel}: {seen.held or 'nothing'} -> {seen.version}{share}"
    for channel, why in seen.rolled_back:
        yield f"  ! {seen.version} was rolled back in {channel}: {why}"
    explained, rest = seen.diff.rows[: len(seen.diff.isolation)], seen.diff.rows[len(seen.diff.isolation) :]
    settings = (change.told for change in seen.settings)
    for row in (*explained, *settings, *rest, *(change.told for change in seen.alone)):
        yield f"  {row.sign} {row.name}  {row.told}".rstrip()
    count = f"{seen.diff.added} added, {seen.diff.removed} removed, {seen.diff.changed} changed"
    yield f"  {count}; diff {digests.short(seen.diff.digest)}"
    yield from _told_policy(seen)
    yield from _told_packages(seen)
    if texts:
        for change in seen.files[:_PATCHES]:
            yield ""
            yield from differences.patch(store, change)
        if (more := len(seen.files) - _PATCHES) > 0:
            yield f"... and {more} more files: casstore diff {seen.held} {seen.version} --patch"


def _told_policy(seen: Review) -> Iterator[str]:
    if seen.policy:
        yield f"policy of {seen.channel}, since it was moved last:"
    for key, before, after in seen.policy:
        yield f"  ~ {key}: {_plain(before)} -> {_plain(after)}"


def _told_packages(seen: Review) -> Iterator[str]:
    for name, title in seen.licence_texts:
        yield f"  + licence text {name}: {title}"
    if not seen.after.count:
        yield "packages and licences: no bill of materials names them"
        return
    if seen.held and not seen.before.count:
        yield f"packages: no bill of materials of {seen.held}, so all of them show as new"
    found = seen.packages
    if not found:
        yield "packages and licences: none came, went or changed"
        return
    for licence, names in found.licences:
        yield f"  + licence {licence}: {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}"
    rows = [f"  + package {one.told}" for one in found.added]
    rows += [f"  ~ package {old.told} -> {new.told.removeprefix(new.name).strip()}" for old, new in found.changed]
    rows += [f"  - package {one.told}" for one in found.removed]
    yield from rows[:_SHOWN]
    if len(rows) > _SHOWN:
        yield f"  ... and {len(rows) - _SHOWN} more packages (--json has all)"


def _licence_texts(store: Store, files: Iterable[FileChange]) -> Iterator[tuple[str, str]]:
    """Files that are called so and whose words are those of a licence; one that only moved is not new."""
    changes = list(files)
    went = {change.before.content for change in changes if change.before is not None and change.before.kind == "file"}
    for change in changes:
        entry, name = change.after, change.told.name
        if entry is None or entry.kind != "file" or entry.content in went or entry.size > _LICENCE_TEXT:
            continue
        if _CALLED.search(name) and _is_licence(data := store.read(entry.content)):
            words = next((line.strip() for line in data.decode("utf-8", "replace").splitlines() if line.strip()), "")
            yield name, words[:80]


def _is_licence(data: bytes) -> bool:
    from bundlers.isolation.explained import licences  # the words of all licences: read where a file is called so

    return licences.is_licence(data)


def _plain(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _bills(store: Store, state: LedgerState, info: ReleaseInfo) -> Bills:
    """Of the release itself, its archives and its components; closed with it, or handed in since by who counts."""
    subjects = (info.digest, *info.archives.values(), *info.components.values())
    given = [digest for subject in subjects for digest in state.evidence.get(subject, ())]
    types = {one for name in _BILLS for one in predicates.types_of(name)}
    found: set[Package] = set()
    count = 0
    for digest in dict.fromkeys([*info.evidence, *given]):
        try:
            raw = store.read(digest, max_bytes=limits.ATTESTATION)
            said = parse_unverified(raw)
            if said.predicate_type in types and not state.is_revoked(id_of(raw)):
                found |= dependencies.packages(said.predicate)
                count += 1
        except CasstoreError:
            continue
    return Bills(frozenset(found), count)
