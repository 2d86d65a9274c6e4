"""What differs between any two things that a REF names: releases, channels, products, archives, trees, files.

Two releases differ as approvers see it: archives, layouts, platforms, components, files. Of all else
the files are compared, by path. Text differences are lines of `diff -u`.

    found = between(store, state, "prod", "staging")
    for row in found.rows: print(row.sign, row.name, row.told)
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator
from typing import Any

from attest.core.values import dataclass
from attest.errors import BadInput
from bundlers.products import references
from bundlers.products.references import Target
from bundlers.releases import setting_changes
from bundlers.releases.setting_changes import SettingChange
from casstore.ledger.release_diffs import ReleaseDiff, release_diff
from casstore.ledger.states.state import LedgerState
from casstore.objects import tree_changes
from casstore.objects.tree import TreeEntry
from casstore.objects.tree_changes import DiffRow, FileChange
from casstore.store.store import Store

_MAX_TEXT = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Differences:
    """What was found."""

    files: tuple[FileChange, ...]
    release: ReleaseDiff | None = None
    """Between two releases."""
    settings: tuple[SettingChange, ...] = ()
    """Likewise."""

    @property
    def rows(self) -> tuple[DiffRow, ...]:
        """For people, the files last."""
        settings = (change.told for change in self.settings)
        return (*settings, *(self.release.rows if self.release else (change.told for change in self.files)))

    @property
    def told(self) -> str:
        """How many."""
        count = {sign: sum(row.sign == sign for row in self.rows) for sign in "+-~"}
        return f"{count['+']} added, {count['-']} removed, {count['~']} changed"

    def to_json(self) -> dict[str, Any]:
        """For `--json`: the very diff that approvals name, or files alone."""
        if self.release:
            settings = [change.to_json() for change in self.settings]
            return {**self.release.to_json(), "digest": self.release.digest, "settings": settings}
        return {"files": [change.to_json() for change in self.files]}


@dataclass(frozen=True, slots=True)
class Stat:
    """How much of a file differs: lines of a text, else sizes."""

    name: str
    told: str


def between(store: Store, state: Callable[[], LedgerState], old: str, new: str) -> Differences:
    """The difference of two REFs. Raises NoSuchObject, BadInput for a file and a folder."""
    before, after = (references.resolve(store, state, ref) for ref in (old, new))
    if before.release and after.release:
        made = release_diff(store, before.release, after.release)
        return Differences(made.files, made, setting_changes.changes(store, before.release, after.release))
    if before.tree and after.tree:
        return Differences(tuple(tree_changes.of_trees(store, "", before.tree, after.tree)))
    return Differences(tuple(tree_changes.of_files("", *_alike(store, before, after))))


def patch(store: Store, change: FileChange) -> Iterator[str]:
    """`diff -u` of a text; one line for anything else."""
    name = os.fsdecode(change.told.name)
    one, two = _text(store, change.before), _text(store, change.after)
    if one is None or two is None:
        yield f"Binary files a/{name} and b/{name} differ"
        return
    a, b = (f"a/{name}" if change.before else "/dev/null"), (f"b/{name}" if change.after else "/dev/null")
    for line in difflib.unified_diff(one, two, a, b, lineterm=""):
        yield line.rstrip("\r\n")


def stat(store: Store, change: FileChange) -> Stat:
    """Lines that came and went, or sizes."""
    row = change.told
    one, two = _text(store, change.before), _text(store, change.after)
    if one is None or two is None or one == two:
        return Stat(row.name, row.told)
    lines = list(difflib.unified_diff(one, two, n=0, lineterm=""))[2:]
    came, went = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    return Stat(row.name, f"+{came} -{went} lines")


def _alike(store: Store, before: Target, after: Target) -> tuple[dict[bytes, TreeEntry], dict[bytes, TreeEntry]]:
    """Both as files by path; two single files as one path."""
    single = [target.blob is not None and not target.files for target in (before, after)]
    if single[0] != single[1]:
        raise BadInput(f"{before.ref} and {after.ref}: one is a file, the other a folder", hint="name two of a kind")
    name = os.fsencode(after.ref.rpartition("/")[2] if "/" in after.ref else "file")
    return _files(store, before, name), _files(store, after, name)


def _files(store: Store, target: Target, name: bytes) -> dict[bytes, TreeEntry]:
    if target.blob is not None and not target.files:
        return {name: TreeEntry(b"_", "file", 0o644, store.size(target.blob), target.blob)}
    return references.entries(store, target)


def _text(store: Store, entry: TreeEntry | None) -> list[str] | None:
    """Its lines; None for what is no text, or too much of it."""
    if entry is None:
        return []
    if entry.kind == "link":
        return [f"link to {tree_changes.text(entry.target)}"]
    if entry.kind == "dir":
        return [f"empty folder {entry.mode:04o}"]
    if entry.size > _MAX_TEXT:
        return None
    data = store.read(entry.content)
    try:
        return None if b"\0" in data else data.decode("utf-8").splitlines(keepends=True)
    except UnicodeDecodeError:
        return None
