"""change-budget: how much may change against the release before.

    [gates]
    change-budget = { files = 500, lines = 2000, removed = 0, exclude = ["*/locale/*"] }

Counted per release over all components, file by file (added, removed, other bytes or mode); `lines`
is for each changed text, lines taken away plus lines added. A first release has nothing to be
compared with, and passes.
"""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Iterator, Mapping

from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput
from bundlers.gates.base import GateResult, Phase, ReleaseView
from casstore.objects.tree import TreeEntry

NAME = "change-budget"
PHASE = Phase.INPUTS
SUMMARY = "Against the release before, no more files and lines change than allowed."

_MAX_TEXT = 4 * 1024 * 1024
_FIX = "release in smaller steps, or raise the limit in [gates] change-budget with a reason in the commit"


@dataclass(frozen=True, slots=True)
class Settings:
    """At least one limit."""

    files: int | None = None
    """Files that are added, removed or changed."""
    removed: int | None = None
    lines: int | None = None
    """Lines added and removed in any one text."""
    exclude: tuple[str, ...] = ()
    """Globs over COMPONENT/PATH that do not count."""


@dataclass(frozen=True, slots=True)
class Change:
    """One file that is not as it was."""

    name: str
    before: TreeEntry | None
    after: TreeEntry | None


def check(view: ReleaseView, settings: Settings) -> GateResult:
    """Against the newest release of the ledger."""
    if (settings.files, settings.removed, settings.lines) == (None, None, None):
        raise BadInput("it has no limit", hint="write change-budget = { files = 500, lines = 2000 }")
    if view.previous is None:
        return GateResult(True, measured={"before": None})
    changes = list(_changes(view, view.previous.components, settings))
    removed = [change for change in changes if change.after is None]
    messages = []
    if settings.files is not None and len(changes) > settings.files:
        messages.append(f"{len(changes)} files differ from {view.previous.version}, at most {settings.files}")
    if settings.removed is not None and len(removed) > settings.removed:
        messages.append(f"{len(removed)} files of {view.previous.version} are gone, at most {settings.removed}")
    long = list(_long(view, changes, settings))
    messages += [f"{name}: {count} lines changed, at most {settings.lines}" for name, count in long]
    measured = {"before": view.previous.version, "files": len(changes), "removed": len(removed)}
    named = tuple(name for name, _ in long) or tuple(change.name for change in changes[:100])
    return GateResult(not messages, tuple(messages), named if messages else (), _FIX, measured)


def _changes(view: ReleaseView, before: Mapping[str, Digest], settings: Settings) -> Iterator[Change]:
    for component in sorted(before.keys() | view.trees.keys()):
        if before.get(component) == view.trees.get(component):
            continue
        old, new = _entries(view, before.get(component)), _entries(view, view.trees.get(component))
        for path in sorted(old.keys() | new.keys()):
            name = f"{component}/{path.decode('utf-8', 'backslashreplace')}"
            if old.get(path) != new.get(path) and not any(fnmatch.fnmatchcase(name, g) for g in settings.exclude):
                yield Change(name, old.get(path), new.get(path))


def _entries(view: ReleaseView, tree: Digest | None) -> dict[bytes, TreeEntry]:
    return dict(view.store.walk(tree)) if tree else {}


def _long(view: ReleaseView, changes: list[Change], settings: Settings) -> Iterator[tuple[str, int]]:
    if settings.lines is None:
        return
    for change in changes:
        before, after = _lines(view, change.before), _lines(view, change.after)
        if before is None or after is None:
            continue
        count = (before - after).total() + (after - before).total()
        if count > settings.lines:
            yield change.name, count


def _lines(view: ReleaseView, entry: TreeEntry | None) -> Counter[bytes] | None:
    """The lines of a text, each with how often it stands there; None for what is no text."""
    if entry is None:
        return Counter()
    if entry.kind != "file" or entry.size > _MAX_TEXT:
        return None
    data = view.store.read(entry.content, max_bytes=_MAX_TEXT)
    return None if b"\0" in data else Counter(data.splitlines())
