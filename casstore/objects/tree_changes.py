"""What differs between two trees, or two lists of files: the one function for approvals, `diff` and reports.

Promises: folders that are the same in both are never read; rows are sorted by path bytes; a row says
all that differs (bytes, mode, target), in JSON and in a line.

    rows = of_trees(objects, "core-bin", before, after)
    rows[0].told.told          # 70000 -> 70120 bytes
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from attest.core.values import dataclass
from attest.digests import Digest
from casstore.objects import tree as trees
from casstore.objects.tree import TreeEntry

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
SIGNS = {ADDED: "+", REMOVED: "-", CHANGED: "~"}


class ObjectReader(Protocol):
    """What is needed of a store."""

    def read(self, digest: Digest, *, max_bytes: int = ...) -> bytes:
        """The verified bytes of an object."""


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One line for people; `product` is a product or build for an archive, a component for a file."""

    sign: str
    product: str
    path: str
    told: str

    @property
    def name(self) -> str:
        """Where it is."""
        return "/".join(part for part in (self.product, self.path) if part)


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file, link or empty folder of a component; the two sides as tree entries, None where it is not."""

    component: str
    path: bytes
    before: TreeEntry | None
    after: TreeEntry | None

    def to_json(self) -> dict[str, Any]:
        """One row of `files`."""
        row = {"component": self.component, "path": text(self.path), "change": change_of(self.before, self.after)}
        if self.after is not None:
            row.update(_sides(self.after))
        if self.before is not None:
            row.update({f"was{key[0].upper()}{key[1:]}": value for key, value in _sides(self.before).items()})
        return row

    @property
    def told(self) -> DiffRow:
        """For people."""
        row = self.to_json()
        same = row["change"] == CHANGED and row.get("digest") == row.get("wasDigest")
        folder = bool(row.get("folder") or row.get("wasFolder"))
        told = [] if same and not folder else [_kind(row) if folder else grown(row.get("wasSize"), row.get("size"))]
        if row.get("mode") != row.get("wasMode") and row["change"] == CHANGED:
            told.append(f"mode {row.get('wasMode', '-')} -> {row.get('mode', '-')}")
        if "target" in row:
            told.append(f"to {row['target']}")
        return DiffRow(SIGNS[row["change"]], self.component, row["path"], ", ".join(told))


def of_trees(objects: ObjectReader, component: str, old: Digest | None, new: Digest | None) -> list[FileChange]:
    """Every file, link and empty folder that differs between two trees, either of which may not be there."""
    return sorted(_walk(objects, component, b"", old, new), key=lambda change: change.path)


def of_files(component: str, old: Mapping[bytes, TreeEntry], new: Mapping[bytes, TreeEntry]) -> list[FileChange]:
    """As `of_trees`, for files by path."""
    above_old, above_new = _folders(old), _folders(new)
    pairs = (
        (path, _plain(path, old, above_new), _plain(path, new, above_old)) for path in sorted(old.keys() | new.keys())
    )
    return [FileChange(component, path, was, now) for path, was, now in pairs if was != now]


def _kind(row: Mapping[str, Any]) -> str:
    """Where one side is an empty folder."""
    if row["change"] != CHANGED or row.get("folder") == row.get("wasFolder"):
        return "empty folder"
    return "is an empty folder now" if row.get("folder") else "was an empty folder"


def change_of(before: object, after: object) -> str:
    """`added`, `removed` or `changed`."""
    if before is None:
        return ADDED
    return REMOVED if after is None else CHANGED


def grown(before: int | None, after: int | None) -> str:
    """Two sizes for people."""
    if before is None and after is None:
        return "link"
    if before is None or after is None:
        return f"{before if after is None else after} bytes"
    return f"{before} -> {after} bytes" if before != after else f"{after} bytes, other content"


def text(name: bytes) -> str:
    """A path; what is not UTF-8 as `\\xHH`."""
    return name.decode("utf-8", "backslashreplace")


def _folders(files: Mapping[bytes, TreeEntry]) -> set[bytes]:
    """All that something lies in."""
    found: set[bytes] = set()
    for path in files:
        above = path.rpartition(b"/")[0]
        while above and above not in found:
            found.add(above)
            above = above.rpartition(b"/")[0]
    return found


def _plain(path: bytes, files: Mapping[bytes, TreeEntry], filled: set[bytes]) -> TreeEntry | None:
    """Its name stands in the path; an empty folder that something lies in on the other side is told by that."""
    entry = files.get(path)
    if entry is None or (entry.kind == "dir" and path in filled):
        return None
    return TreeEntry(b"_", entry.kind, entry.mode, entry.size, entry.digest, entry.target)


def _walk(
    objects: ObjectReader, component: str, folder: bytes, old: Digest | None, new: Digest | None
) -> Iterator[FileChange]:
    if old == new:
        return
    before, after = _entries(objects, old), _entries(objects, new)
    for name in before.keys() | after.keys():
        was, now = before.get(name), after.get(name)
        path = folder + name
        if _told(was, now) != _told(now, was):
            yield FileChange(component, path, _told(was, now), _told(now, was))
        yield from _walk(objects, component, path + b"/", _folder(was), _folder(now))


def _entries(objects: ObjectReader, digest: Digest | None) -> dict[bytes, TreeEntry]:
    return {} if digest is None else {entry.name: entry for entry in trees.parse(objects.read(digest))}


def _told(entry: TreeEntry | None, other: TreeEntry | None) -> TreeEntry | None:
    """A file or link, or an empty folder unless the other side has a folder of the same mode there, or files in it."""
    if entry is None or entry.kind != "dir":
        return entry
    if other is not None and other.kind == "dir" and (entry.mode == other.mode or not other.is_empty_folder):
        return None
    return entry if entry.is_empty_folder else None


def _folder(entry: TreeEntry | None) -> Digest | None:
    return entry.digest if entry is not None and entry.kind == "dir" else None


def _sides(entry: TreeEntry) -> dict[str, Any]:
    if entry.kind == "link":
        return {"target": text(entry.target)}
    if entry.kind == "dir":
        return {"mode": f"{entry.mode:04o}", "folder": True}
    return {"mode": f"{entry.mode:04o}", "size": entry.size, "digest": entry.digest}
