"""What changes between two releases, as approvers see it (docs/formats/release-diff.md).

A function of the two release objects and their trees: whoever checks an approval computes the
same digest. Folders that are the same in both are never read.

    diff = release_diff(store, channel.release, release)
    diff.digest
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, TypeVar

from attest import canonical, digests
from attest.core.values import dataclass
from attest.digests import Digest
from attest.judging.explained import Explained
from casstore.ledger import release_objects
from casstore.ledger.release_objects import Release, ReleaseBuild, build_key, split_key
from casstore.objects import tree_changes
from casstore.objects.platforms import Platform
from casstore.objects.tree_changes import (
    ADDED,
    CHANGED,
    REMOVED,
    SIGNS,
    DiffRow,
    FileChange,
    ObjectReader,
    change_of,
    grown,
)

FORMAT = "casstore-release-diff/2"

_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class ReleaseDiff:
    """Rows ready to be written; only what differs."""

    before: Digest | None
    after: Digest
    archives: tuple[Mapping[str, Any], ...]
    components: tuple[Mapping[str, Any], ...]
    files: tuple[FileChange, ...]
    isolation: tuple[Mapping[str, Any], ...] = ()
    """What explains common content: the new first, the largest on top."""
    taken: Mapping[str, str] = field(default_factory=dict)
    """Component of the new release that was not put for it -> the version that it was taken from."""
    notes: Digest | None = None
    """The text for people of the new release."""

    def to_json(self) -> dict[str, Any]:
        """The JSON value."""
        return {
            "format": FORMAT,
            "from": self.before,
            "to": self.after,
            "isolation": [dict(row) for row in self.isolation],
            "archives": [dict(row) for row in self.archives],
            "components": [dict(row) for row in self.components],
            "taken": dict(self.taken),
            "notes": self.notes,
            "files": [change.to_json() for change in self.files],
        }

    def to_bytes(self) -> bytes:
        """The canonical bytes, which are the blob."""
        return canonical.dumps(self.to_json())

    @property
    def rows(self) -> tuple[DiffRow, ...]:
        """What explains common content, archives, what was taken from an earlier release, then files, for people."""
        archives = [_told_archive(row) for row in self.archives]
        return (
            *map(_told_explained, self.isolation),
            *archives,
            *(DiffRow("=", name, "", f"taken from {version}") for name, version in sorted(self.taken.items())),
            *(change.told for change in self.files),
        )

    @property
    def added(self) -> int:
        """How many archives and files are new."""
        return self._count("+")

    @property
    def removed(self) -> int:
        """How many are gone."""
        return self._count("-")

    @property
    def changed(self) -> int:
        """How many are there with other bytes, mode or target."""
        return self._count("~")

    def _count(self, sign: str) -> int:
        return sum(row.sign == sign for row in self.rows)

    @property
    def digest(self) -> Digest:
        """What approvals name."""
        return digests.sha256(self.to_bytes())


def release_diff(objects: ObjectReader, before: Digest | None, after: Digest) -> ReleaseDiff:
    """The difference. Raises NoSuchObject, FormatError."""
    new = release_objects.parse(objects.read(after))
    old = release_objects.parse(objects.read(before)) if before is not None else None
    return ReleaseDiff(
        before,
        after,
        tuple(_archives(old.builds if old else {}, new.builds)),
        tuple(_components(old.components if old else {}, new.components)),
        tuple(_files(objects, old, new)) if old else (),
        tuple(_explained(old.explained if old else (), new.explained)),
        new.taken,
        new.notes,
    )


def _explained(old: Sequence[Explained], new: Sequence[Explained]) -> Iterator[dict[str, Any]]:
    before, after = ({row.key for row in rows} for rows in (old, new))
    for change, rows, others in ((ADDED, new, before), (REMOVED, old, after)):
        changed = [row for row in rows if row.key not in others]
        for row in sorted(changed, key=lambda row: (-row.bytes, row.key, row.name)):
            yield {"change": change, **row.to_json()}


def _archives(old: Mapping[str, ReleaseBuild], new: Mapping[str, ReleaseBuild]) -> Iterator[dict[str, Any]]:
    for key, before, after in _pairs(old, new):
        if before and after and _shown(before) == _shown(after):
            continue
        product, build = split_key(key)
        row: dict[str, Any] = {"product": product, "build": build, "change": change_of(before, after)}
        if after:
            row.update({"name": after.archive.name, **_shown(after)})
        if before:
            row.update({f"was{name[0].upper()}{name[1:]}": value for name, value in _shown(before).items()})
        yield row


def _shown(build: ReleaseBuild) -> dict[str, Any]:
    """What approvers are to see of a build, but for its archive's name, which has the version in it."""
    value: dict[str, Any] = {"digest": build.archive.digest, "size": build.archive.size, "format": build.format}
    value |= {"platform": build.platform.to_json()} if build.platform else {}
    value |= {"foreign": build.foreign} if build.foreign else {}
    return value | ({"layout": dict(build.layout)} if build.layout else {})


def _components(old: Mapping[str, Digest], new: Mapping[str, Digest]) -> Iterator[dict[str, Any]]:
    for name, before, after in _pairs(old, new):
        if before != after:
            row = {"name": name, "change": change_of(before, after)}
            row.update({"tree": after} if after else {})
            row.update({"was": before} if before else {})
            yield row


def _files(objects: ObjectReader, old: Release, new: Release) -> Iterator[FileChange]:
    for name in sorted(old.components.keys() & new.components.keys()):
        yield from tree_changes.of_trees(objects, name, old.components[name], new.components[name])


def _pairs(old: Mapping[str, _V], new: Mapping[str, _V]) -> Iterator[tuple[str, _V | None, _V | None]]:
    for name in sorted(old.keys() | new.keys()):
        yield name, old.get(name), new.get(name)


def _told_explained(row: Mapping[str, Any]) -> DiffRow:
    between = " and ".join(row["between"]) if "between" in row else "all products"
    whole = ", whole files" if row.get("whole") else ""
    told = f"{row['kind']}: explains {row['bytes']} bytes in {row['files']} pieces{whole}"
    reason = f" ({row['reason']})" if row.get("reason") else ""
    return DiffRow(SIGNS[row["change"]], between, row["name"], told + reason)


def _told_archive(row: Mapping[str, Any]) -> DiffRow:
    told = [] if row.get("digest") == row.get("wasDigest") else [grown(row.get("wasSize"), row.get("size"))]
    platform = row.get("platform", row.get("wasPlatform"))
    if row["change"] != CHANGED and platform:
        told.append(f"for {Platform.parse(platform).told}")
    for key, name in (("platform", "wasPlatform"), ("foreign", "wasForeign"), ("layout", "wasLayout")):
        if row["change"] == CHANGED and row.get(key) != row.get(name):
            told.append(f"{key} {_plain(row.get(name))} -> {_plain(row.get(key))}")
        elif row["change"] == ADDED and key != "platform" and key in row:
            told.append(f"{key} {_plain(row[key])}")
    key = build_key(row["product"], row["build"])
    return DiffRow(SIGNS[row["change"]], key, row.get("name", "archive"), ", ".join(told))


def _plain(value: object) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else canonical.dumps(value).decode()
