"""What changes between two releases, as approvers see it (docs/formats/release-diff.md).

A function of the two release objects and their trees: whoever checks an approval computes the
same digest. Folders that are the same in both are never read.

    diff = release_diff(store, channel.release, release)
    diff.digest
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from attest import canonical, digests
from attest.digests import Digest
from attest.judging.explained import Explained
from casstore.ledger import release_objects
from casstore.ledger.release_objects import Release, ReleaseBuild, build_key, split_key
from casstore.objects import tree as trees
from casstore.objects.platforms import Platform
from casstore.objects.tree import TreeEntry

FORMAT = "casstore-release-diff/2"

ADDED, REMOVED, CHANGED = "added", "removed", "changed"

_V = TypeVar("_V")


class ObjectReader(Protocol):
    """What is needed of a store."""

    def read(self, digest: Digest, *, max_bytes: int = ...) -> bytes:
        """The verified bytes of an object."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file or link of a component; the two sides as tree entries, None where it is not."""

    component: str
    path: bytes
    before: TreeEntry | None
    after: TreeEntry | None

    def to_json(self) -> dict[str, Any]:
        """One row of `files`."""
        row = {"component": self.component, "path": _text(self.path), "change": _change(self.before, self.after)}
        if self.after is not None:
            row.update(_sides(self.after))
        if self.before is not None:
            row.update({f"was{key[0].upper()}{key[1:]}": value for key, value in _sides(self.before).items()})
        return row


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One line for people; `product` is a product or build for an archive, a component for a file."""

    sign: str
    product: str
    path: str
    told: str


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

    def to_json(self) -> dict[str, Any]:
        """The JSON value."""
        return {
            "format": FORMAT,
            "from": self.before,
            "to": self.after,
            "isolation": [dict(row) for row in self.isolation],
            "archives": [dict(row) for row in self.archives],
            "components": [dict(row) for row in self.components],
            "files": [change.to_json() for change in self.files],
        }

    def to_bytes(self) -> bytes:
        """The canonical bytes, which are the blob."""
        return canonical.dumps(self.to_json())

    @property
    def rows(self) -> tuple[DiffRow, ...]:
        """What explains common content, archives, then files, for people."""
        archives = [_told_archive(row) for row in self.archives]
        return (
            *map(_told_explained, self.isolation),
            *archives,
            *(_told_file(change.to_json()) for change in self.files),
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
        row: dict[str, Any] = {"product": product, "build": build, "change": _change(before, after)}
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
            row = {"name": name, "change": _change(before, after)}
            row.update({"tree": after} if after else {})
            row.update({"was": before} if before else {})
            yield row


def _files(objects: ObjectReader, old: Release, new: Release) -> Iterator[FileChange]:
    for name in sorted(old.components.keys() & new.components.keys()):
        changes = _walk(objects, name, b"", old.components[name], new.components[name])
        yield from sorted(changes, key=lambda change: change.path)


def _walk(
    objects: ObjectReader, component: str, folder: bytes, old: Digest | None, new: Digest | None
) -> Iterator[FileChange]:
    """Changes below two folders, either of which may not be there."""
    if old == new:
        return
    before, after = _entries(objects, old), _entries(objects, new)
    for name in before.keys() | after.keys():
        was, now = before.get(name), after.get(name)
        path = folder + name
        if _leaf(was) != _leaf(now):
            yield FileChange(component, path, _leaf(was), _leaf(now))
        yield from _walk(objects, component, path + b"/", _folder(was), _folder(now))


def _entries(objects: ObjectReader, digest: Digest | None) -> dict[bytes, TreeEntry]:
    return {} if digest is None else {entry.name: entry for entry in trees.parse(objects.read(digest))}


def _leaf(entry: TreeEntry | None) -> TreeEntry | None:
    return None if entry is None or entry.kind == "dir" else entry


def _folder(entry: TreeEntry | None) -> Digest | None:
    return entry.digest if entry is not None and entry.kind == "dir" else None


def _sides(entry: TreeEntry) -> dict[str, Any]:
    if entry.kind == "link":
        return {"target": _text(entry.target)}
    return {"mode": f"{entry.mode:04o}", "size": entry.size, "digest": entry.digest}


def _pairs(old: Mapping[str, _V], new: Mapping[str, _V]) -> Iterator[tuple[str, _V | None, _V | None]]:
    for name in sorted(old.keys() | new.keys()):
        yield name, old.get(name), new.get(name)


def _change(before: object, after: object) -> str:
    if before is None:
        return ADDED
    return REMOVED if after is None else CHANGED


_SIGNS = {ADDED: "+", REMOVED: "-", CHANGED: "~"}


def _told_explained(row: Mapping[str, Any]) -> DiffRow:
    between = " and ".join(row["between"]) if "between" in row else "all products"
    whole = ", whole files" if row.get("whole") else ""
    told = f"{row['kind']}: explains {row['bytes']} bytes in {row['files']} pieces{whole}"
    reason = f" ({row['reason']})" if row.get("reason") else ""
    return DiffRow(_SIGNS[row["change"]], between, row["name"], told + reason)


def _told_archive(row: Mapping[str, Any]) -> DiffRow:
    told = [] if row.get("digest") == row.get("wasDigest") else [_grown(row.get("wasSize"), row.get("size"))]
    platform = row.get("platform", row.get("wasPlatform"))
    if row["change"] != CHANGED and platform:
        told.append(f"for {Platform.parse(platform).told}")
    for key, name in (("platform", "wasPlatform"), ("foreign", "wasForeign"), ("layout", "wasLayout")):
        if row["change"] == CHANGED and row.get(key) != row.get(name):
            told.append(f"{key} {_plain(row.get(name))} -> {_plain(row.get(key))}")
        elif row["change"] == ADDED and key != "platform" and key in row:
            told.append(f"{key} {_plain(row[key])}")
    key = build_key(row["product"], row["build"])
    return DiffRow(_SIGNS[row["change"]], key, row.get("name", "archive"), ", ".join(told))


def _plain(value: object) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else canonical.dumps(value).decode()


def _told_file(row: Mapping[str, Any]) -> DiffRow:
    same = row["change"] == CHANGED and row.get("digest") == row.get("wasDigest")
    told = [] if same else [_grown(row.get("wasSize"), row.get("size"))]
    if row.get("mode") != row.get("wasMode") and row["change"] == CHANGED:
        told.append(f"mode {row.get('wasMode', '-')} -> {row.get('mode', '-')}")
    if "target" in row:
        told.append(f"to {row['target']}")
    return DiffRow(_SIGNS[row["change"]], row["component"], row["path"], ", ".join(told))


def _grown(before: int | None, after: int | None) -> str:
    if before is None and after is None:
        return "link"
    if before is None or after is None:
        return f"{before if after is None else after} bytes"
    return f"{before} -> {after} bytes" if before != after else f"{after} bytes, other content"


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
